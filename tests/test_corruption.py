"""Corruptions: what they do to an image, and that only seed and place decide how."""

import json

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from data_loader.corruption import Corrupter, GaussianNoise, Mask, Occlusion, SaltAndPepper
from tests.conftest import command, only_run, with_pictures
from tests.small_sets import write_digits
from utils.config.build import build
from utils.config.check import check_config
from utils.config.classes import arguments_model
from utils.errors import ConfigError

UNIT = (0.0, 1.0)
SHAPE = (3, 10, 12)
PLACES = torch.arange(6)


def damaged(corruption, images, places=PLACES):
    return Corrupter([corruption], seed=4).of_images(images, places)


def test_noise_has_the_asked_spread_in_units_of_the_range():
    images = torch.zeros(64, 1, 40, 40)
    noise = damaged(GaussianNoise((1, 40, 40), (-1.0, 1.0), 0.05), images, torch.arange(64))
    assert abs(noise.std().item() - 0.1) < 0.001
    assert abs(noise.mean().item()) < 0.001


def test_noise_of_zero_changes_nothing():
    images = torch.rand(6, *SHAPE)
    assert damaged(GaussianNoise(SHAPE, UNIT, 0.0), images).equal(images)


def test_an_occlusion_is_one_square_wholly_inside():
    images = torch.ones(200, 1, 10, 12)
    seen = damaged(Occlusion((1, 10, 12), UNIT, size=4), images, torch.arange(200))
    covered = seen[:, 0] == 0
    assert (covered.sum((1, 2)) == 16).all()
    assert (covered.any(1).sum(1) == 4).all()
    assert (covered.any(2).sum(1) == 4).all()
    assert covered.any(0).all()  # every pixel is covered in some image
    whole = damaged(Occlusion((1, 10, 10), UNIT, size=10), torch.ones(2, 1, 10, 10), PLACES[:2])
    assert (whole == 0).all()


def test_several_squares_cover_more_and_all_channels():
    seen = damaged(Occlusion(SHAPE, (-1.0, 1.0), size=2, count=3), torch.ones(6, *SHAPE))
    covered = (seen == -1).sum((2, 3))
    assert covered.unique().tolist() != [4]
    assert (covered >= 4).all()
    assert (covered <= 12).all()
    assert (covered == covered[:, :1]).all()


def test_salt_and_pepper_are_as_many_in_all_channels():
    shape = (3, 100, 100)
    seen = damaged(SaltAndPepper(shape, (-1.0, 1.0), 0.2), torch.zeros(6, *shape))
    assert set(seen.unique().tolist()) == {-1, 0, 1}
    assert abs((seen == 1).float().mean().item() - 0.1) < 0.005
    assert abs((seen == -1).float().mean().item() - 0.1) < 0.005
    assert seen[:, 0].equal(seen[:, 1])
    assert set(damaged(SaltAndPepper(shape, UNIT, 1.0), seen).unique().tolist()) == {0, 1}


def test_a_mask_hides_exactly_the_asked_share_of_every_image():
    seen = damaged(Mask(SHAPE, UNIT, share=0.3), torch.ones(6, *SHAPE))
    assert ((seen == 0).sum((2, 3)) == 36).all()  # 0.3 of 10 x 12
    patches = damaged(Mask(SHAPE, UNIT, share=0.5, patch=2), torch.ones(6, *SHAPE))
    assert ((patches == 0).sum((2, 3)) == 60).all()  # 15 of 5 x 6 patches of 4 pixels
    cells = patches[:, 0].unfold(1, 2, 2).unfold(2, 2, 2).flatten(3)
    assert (cells == cells[..., :1]).all()
    assert damaged(Mask(SHAPE, UNIT, share=1.0, patch=7), torch.ones(6, *SHAPE)).sum() == 0


EVERY = [
    GaussianNoise(SHAPE, UNIT, 0.5),
    Occlusion(SHAPE, UNIT, 4, 2),
    SaltAndPepper(SHAPE, UNIT, 0.3),
    Mask(SHAPE, UNIT, 0.4, 3),
]


@pytest.mark.parametrize("ways", [*([way] for way in EVERY), EVERY])
def test_an_image_is_damaged_the_same_way_in_whatever_batch_it_comes(ways):
    images, corrupter = torch.rand(6, *SHAPE), Corrupter(ways, seed=9)
    kept = images.clone()
    together = corrupter.of_images(images, PLACES)
    assert images.equal(kept)
    turned = torch.tensor([4, 1, 5])
    assert corrupter.of_images(images[turned], turned).equal(together[turned])
    assert corrupter.of_images(images[2:3], PLACES[2:3]).equal(together[2:3])
    assert not Corrupter(ways, seed=8).of_images(images, PLACES).equal(together)
    assert 0 <= together.min() <= together.max() <= 1


@pytest.mark.parametrize("ways", [*([way] for way in EVERY), EVERY])
def test_training_damage_follows_from_seed_epoch_and_step(ways):
    images, corrupter = torch.rand(6, *SHAPE), Corrupter(ways, seed=9)
    torch.manual_seed(0)
    seen = corrupter.in_step(images, epoch=2, step=7)
    torch.manual_seed(1)
    assert corrupter.in_step(images, 2, 7).equal(seen)
    assert not corrupter.in_step(images, 2, 8).equal(seen)
    assert not corrupter.in_step(images, 3, 7).equal(seen)
    assert 0 <= seen.min() <= seen.max() <= 1


def test_without_corruption_images_are_passed_on_as_they_are():
    images = torch.rand(2, *SHAPE)
    assert Corrupter().of_images(images, PLACES[:2]) is images
    assert Corrupter().in_step(images, 1, 1) is images
    assert not Corrupter()


@pytest.mark.parametrize(
    ("corruption", "says"),
    [
        ({"type": "GausianNoise"}, r"corruption.type: .* did you mean 'GaussianNoise'"),
        ({"typ": "Mask"}, "corruption.type: is missing"),
        ({"type": "Mask", "args": {"share": 2}}, "corruption.args.share: 2: must be less than"),
        ([{"type": "Mask"}, {"type": "GaussianNoise", "args": {"sigma": "x"}}],
         r'corruption.1.args.sigma: "x": must be a number'),
        ([{"type": "Mask"}, {"type": "GaussianNoise", "args": {"sgma": 1}}],
         r"corruption.1.args.sgma: 1: unknown key; did you mean 'corruption.1.args.sigma'"),
        ([{"type": "Mask", "arg": 1}],
         "corruption.0.arg: 1: unknown key; did you mean 'corruption.0.args'"),
        ([3], "corruption.0: 3: must be"),
        ("Mask", 'corruption: "Mask": must be'),
    ],
)  # fmt: skip
def test_a_bad_corruption_is_named_by_its_dotted_path(small, corruption, says):
    from trainer.catalogue import catalogue

    with pytest.raises(ConfigError, match=says):
        check_config(small | {"corruption": corruption}, catalogue(), "config.json")


@pytest.mark.parametrize("written_as", [None, [], {"type": "Mask"}, [{"type": "Mask"}] * 2])
def test_corruption_is_nothing_one_part_or_several(small, written_as):
    from trainer.catalogue import catalogue

    config = check_config(small | {"corruption": written_as}, catalogue(), "config.json")
    assert check_config(config.as_json(), catalogue(), "again").as_json() == config.as_json()
    corrupter = Corrupter(build(config, catalogue(), "corruption", SHAPE, UNIT))
    number = len(written_as) if isinstance(written_as, list) else bool(written_as)
    assert len(corrupter.ways) == number


def test_squares_and_patches_larger_than_the_images_are_refused(small):
    from trainer.catalogue import catalogue

    for name, argument in (("Occlusion", "size"), ("Mask", "patch")):
        parts = [{"type": "Mask"}, {"type": name, "args": {argument: 11}}]
        config = check_config(small | {"corruption": parts}, catalogue(), "config.json")
        says = rf"^corruption.1.args.{argument}: 11: must fit into images of 10x12 pixels$"
        with pytest.raises(ConfigError, match=says):
            build(config, catalogue(), "corruption", SHAPE, UNIT)
    with pytest.raises(ValidationError):
        arguments_model(GaussianNoise).model_validate_json('{"sigma": -1}')


def test_a_run_says_what_cleaning_gains_in_every_split(small, written, tmp_path):
    train, test = write_digits(tmp_path, "MNIST", 40, 20, classes=2)
    small["dataset"] = {"type": "MNIST", "args": {"root": str(tmp_path)}}
    small["corruption"] = {"type": "SaltAndPepper", "args": {"share": 0.5}}
    done = command("train.py", "-c", written(with_pictures(small)))
    assert done.returncode == 0, done.stderr
    run = only_run(tmp_path / "saved")
    done = command("test.py", "-r", run, "-s", "generation.samples=1", "generation.split=all")
    assert done.returncode == 0, done.stderr
    assert (run / "test" / "denoised.png").stat().st_size > 5000
    assert "no cleaning" in done.stdout
    assert len(np.load(run / "test" / "gen_data.npy")) == 40  # test images are for testing only
    splits = json.loads((run / "test" / "metrics.json").read_text())["splits"]
    assert {name: own["count"] for name, own in splits.items()} == {
        "train": 32, "validation": 8, "test": 20,
    }  # fmt: skip
    for own in splits.values():
        assert own["psnr_gain"] == pytest.approx(own["psnr"] - own["corrupted"]["psnr"])
    own = (splits["train"], splits["validation"])
    measured = sum(scores["count"] * scores["corrupted"]["mse"] for scores in own) / 40
    assert measured == pytest.approx(error_by_hand(train, small["seed"]), rel=1e-6)
    by_hand = error_by_hand(test, small["seed"])
    assert splits["test"]["corrupted"]["mse"] == pytest.approx(by_hand, rel=1e-6)


def error_by_hand(digits, seed):
    """The mean squared error that the damage does to all of the digits."""
    images = torch.from_numpy(digits)[:, None] / 255
    way = SaltAndPepper((1, 28, 28), UNIT, 0.5)
    seen = Corrupter([way], seed).of_images(images, torch.arange(len(images)))
    return (seen - images).square().mean().item()
