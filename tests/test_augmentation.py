"""Augmentations: what they make of an image, that they are for training alone, and exact."""

import json
import os
import random
import signal

import numpy as np
import pytest
import torch

from data_loader.array_dataset import Arrays
from data_loader.augmentation import (
    Augmenter,
    DieNoise,
    Lighting,
    RandomCrop,
    Shift,
    Symmetries,
    turned,
)
from data_loader.corruption import Corrupter, SaltAndPepper
from data_loader.draws import Draws
from data_loader.image_loader import ImageLoader
from data_loader.wafers import SyntheticWafers, WaferMaps
from tests import processes
from tests.conftest import command, numbers_of
from tests.killing import (
    VARIATIONAL,
    Killer,
    content_of,
    end_state,
    resume,
    run_folder,
    uninterrupted,
    write_config,
)
from tests.test_ranks import HALVES, at_step, die, train_together
from trainer.catalogue import catalogue
from trainer.experiment import load
from utils.checkpoint_files import checkpoint_name
from utils.config.build import build
from utils.config.check import check_config
from utils.errors import ConfigError

CPU = torch.device("cpu")
WAFERS = SyntheticWafers(size=12, count=40)
MAPS = WAFERS.to_images(WAFERS.stored)
# Of an image as an array [H, W], in the order of their numbers.
BY_HAND = [
    lambda image: image,
    np.fliplr,
    np.flipud,
    lambda image: np.rot90(image, 2),
    np.transpose,
    lambda image: np.rot90(image, -1),
    np.rot90,
    lambda image: np.rot90(image, 2).T,
]


def pictures(folder, height, width, count=5, scale_to=(0.0, 1.0)):
    """A data set of random pictures [2, height, width], and its images."""
    drawn = np.random.default_rng(1).integers(0, 256, (count, 2, height, width), np.uint8)
    np.save(folder / "data.npy", drawn)
    dataset = Arrays(str(folder / "data.npy"), layout="CHW", scale_to=scale_to)
    return dataset, dataset.to_images(torch.from_numpy(drawn))


def augmented(way, images, seed=4):
    """The images as a way makes them others."""
    return way(images, Draws([torch.Generator().manual_seed(seed)], images))


def is_one_hot(images):
    return bool(((images == 0) | (images == 1)).all() and (images.sum(1) == 1).all())


def test_each_of_the_eight_symmetries_is_what_numpy_makes_of_it():
    image = np.arange(2 * 5 * 5).reshape(2, 5, 5)
    images = torch.from_numpy(image).expand(8, -1, -1, -1)
    which = torch.tensor([3, 0, 7, 5, 1, 6, 2, 4])
    found = turned(images, which)
    for number, made in zip(which.tolist(), found.numpy(), strict=True):
        for channel, own in zip(image, made, strict=True):
            assert np.array_equal(own, BY_HAND[number](channel)), number
    assert len({made.numpy().tobytes() for made in found}) == 8


def test_images_that_are_not_square_have_the_four_flips():
    image = np.arange(12).reshape(1, 3, 4)
    found = turned(torch.from_numpy(image).expand(4, -1, -1, -1), torch.arange(4))
    for number, made in enumerate(found.numpy()):
        assert np.array_equal(made[0], BY_HAND[number](image[0]))
    with pytest.raises(ValueError, match="^which: images of 3x4 pixels have no quarter turn"):
        turned(torch.zeros(2, 1, 3, 4), torch.tensor([0, 4]))


@pytest.mark.parametrize(("flips_only", "count"), [(False, 8), (True, 4)])
def test_every_symmetry_is_drawn_as_often(flips_only, count):
    images = torch.arange(9.0).view(1, 1, 3, 3).repeat(8000, 1, 1, 1)
    found = augmented(Symmetries(WAFERS, flips_only), images).flatten(1)
    ways = turned(images[:8], torch.arange(8)).flatten(1)
    often = [(found == way).all(1).sum().item() for way in ways]
    assert sum(often) == 8000
    assert often[count:] == [0] * (8 - count)
    due = 8000 / count
    # Of 8000 draws one way has a standard deviation of 30 (of eight) or 39 (of four).
    assert all(abs(number - due) < 160 for number in often[:count])


def test_a_shift_moves_whole_pixels_and_lets_in_what_is_off_the_wafer():
    images = MAPS.repeat(10, 1, 1, 1)
    found = augmented(Shift(WAFERS, 2), images)
    assert is_one_hot(found)
    codes, moved = images.argmax(1).numpy(), found.argmax(1).numpy()
    seen = set()
    for before, after in zip(codes, moved, strict=True):
        ground = np.pad(before, 2)  # 0 is off the wafer
        steps = [
            (row, column)
            for row in range(5)
            for column in range(5)
            if np.array_equal(ground[row : row + 12, column : column + 12], after)
        ]
        assert steps
        seen |= set(steps) if len(steps) == 1 else set()
    assert len(seen) == 25  # each image by steps of its own, as far as 2 each way


def test_a_shift_of_pictures_lets_in_the_lowest_value(tmp_path):
    dataset, _ = pictures(tmp_path, 6, 9, scale_to=(-1.0, 1.0))
    images = torch.ones(300, 2, 6, 9)
    found = augmented(Shift(dataset, 3), images)
    assert set(found.unique().tolist()) == {-1, 1}
    assert found[:, 0].equal(found[:, 1])
    rows, columns = ((found[:, 0] == 1).any(axis).sum(1) for axis in (2, 1))
    assert sorted(set(rows.tolist())) == [3, 4, 5, 6]
    assert sorted(set(columns.tolist())) == [6, 7, 8, 9]
    assert (found[:, 0] == 1).sum((1, 2)).equal(rows * columns)


def test_a_crop_continues_an_image_by_its_mirror_image(tmp_path):
    dataset, images = pictures(tmp_path, 6, 9, count=400)
    found = augmented(RandomCrop(dataset, 4), images).numpy()
    seen = set()
    for before, after in zip(images.numpy(), found, strict=True):
        ground = np.pad(before, ((0, 0), (4, 4), (4, 4)), "reflect")
        windows = np.lib.stride_tricks.sliding_window_view(ground, (2, 6, 9))[0]
        ((row, column),) = np.argwhere((windows == after).all((2, 3, 4)))
        seen.add((int(row), int(column)))
    assert {row for row, _ in seen} == {column for _, column in seen} == set(range(9))


def test_die_noise_changes_its_share_of_the_dice_and_keeps_the_outline():
    images = MAPS.repeat(20, 1, 1, 1)
    found = augmented(DieNoise(WAFERS, 0.1), images)
    assert is_one_hot(found)
    before, after = images.argmax(1), found.argmax(1)
    is_on = before > 0
    assert (after > 0).equal(is_on)
    for side in (1, 2):  # normal and defective alike: 57,000 and 23,000 dice, about
        assert (after != before)[before == side].float().mean().item() == pytest.approx(
            0.1, abs=0.01
        )
    other = augmented(DieNoise(WAFERS, 1.0), images).argmax(1)
    assert other.equal(torch.where(is_on, 3 - before, 0))
    assert augmented(DieNoise(WAFERS, 0.0), images).equal(images)


def test_lighting_adds_as_much_to_every_number_of_an_image(tmp_path):
    dataset, _ = pictures(tmp_path, 4, 4, scale_to=(-1.0, 1.0))
    images = (torch.rand(2000, 2, 4, 4) - 0.5) / 10
    added = augmented(Lighting(dataset, brightness=0.2, contrast=0.0), images) - images
    of_image = added.flatten(1)
    assert (of_image - of_image[:, :1]).abs().max() < 1e-6
    assert -0.4 <= of_image.min() < -0.39  # 0.2 of a range of 2
    assert 0.39 < of_image.max() <= 0.4


def test_lighting_stretches_what_differs_from_the_mean_and_keeps_the_range(tmp_path):
    dataset, _ = pictures(tmp_path, 4, 4)
    images = 0.45 + torch.rand(2000, 2, 4, 4) / 10
    found = augmented(Lighting(dataset, brightness=0.0, contrast=0.5), images)
    means = [batch.mean((1, 2, 3), keepdim=True) for batch in (images, found)]
    assert torch.allclose(*means, atol=1e-6)
    factor = (found - means[1]).flatten(1).norm(dim=1) / (images - means[0]).flatten(1).norm(dim=1)
    assert 0.5 <= factor.min() < 0.52
    assert 1.48 < factor.max() <= 1.5001
    extreme = augmented(Lighting(dataset, 1.0, 1.0), torch.rand(50, 2, 4, 4))
    assert (extreme.min(), extreme.max()) == (0, 1)


@pytest.mark.parametrize(
    "ways",
    [
        [Symmetries(WAFERS)],
        [Shift(WAFERS, 3)],
        [RandomCrop(WAFERS, 3)],
        [DieNoise(WAFERS, 0.1)],
        [Symmetries(WAFERS, True), Shift(WAFERS), DieNoise(WAFERS)],
    ],
)
def test_what_is_drawn_follows_from_seed_epoch_step_and_rank_alone(ways):
    augmenter, kept = Augmenter(ways, seed=9), MAPS.clone()
    torch.manual_seed(0)
    found = augmenter.in_step(MAPS, epoch=2, step=7)
    torch.manual_seed(1)
    assert augmenter.in_step(MAPS, 2, 7).equal(found)
    assert MAPS.equal(kept)
    for place in ((2, 8), (3, 7), (2, 7, 1)):
        assert not augmenter.in_step(MAPS, *place).equal(found)
    assert not Augmenter(ways, seed=8).in_step(MAPS, 2, 7).equal(found)
    assert is_one_hot(found)


def test_without_augmentation_images_are_passed_on_as_they_are():
    assert not Augmenter()
    assert Augmenter().in_step(MAPS, 1, 1) is MAPS


WAYS = [
    {"type": "Symmetries"},
    {"type": "Shift", "args": {"most": 1}},
    {"type": "DieNoise", "args": {"share": 0.2}},
]
STILL = {"type": "SGD", "args": {"lr": 1e-30}}


class Standing:
    """A run whose weights do not move, of augmented and then damaged images, and its parts."""

    def __init__(self, folder):
        damage = {"type": "SaltAndPepper", "args": {"share": 0.1}}
        self.changes = {"augmentation": WAYS, "corruption": damage, "optimizer": STILL}
        self.changes["arch"] = {"type": "Autoencoder", "args": {"encoder": [{"conv": 4}]}}
        self.run = uninterrupted(folder, self.changes, epochs=2, precision="fp32")
        self.model = load(self.run)
        self.dataset = SyntheticWafers(size=12, count=41)
        whole = ImageLoader(self.dataset, CPU, 3, batch_size=8, validation_split=0.2)
        self.loader, self.validation = whole, whole.split_validation()
        ways = [Symmetries(self.dataset), Shift(self.dataset, 1), DieNoise(self.dataset, 0.2)]
        self.augmenter = Augmenter(ways, seed=3)
        self.corrupter = Corrupter(SaltAndPepper((3, 12, 12), (0.0, 1.0), 0.1), seed=3)

    def errors(self, shown, target):
        return (self.model.reconstruct(shown) - target).square().mean((1, 2, 3))

    def evaluated(self, loader):
        """The mean error of a loader's images as they are, damaged as evaluation does."""
        errors = [
            self.errors(self.corrupter.of_images(batch.images, batch.indices), batch.images)
            for batch in loader.in_order().batches()
        ]
        return torch.cat(errors).mean().item()


@pytest.fixture(scope="module")
def standing(tmp_path_factory):
    return Standing(tmp_path_factory.mktemp("standing"))


def test_the_augmented_image_is_the_target_and_what_is_damaged(standing):
    lines = numbers_of(standing.run)
    step = 0
    for epoch in (1, 2):
        errors = []
        for batch in standing.loader.batches(epoch):
            target = standing.augmenter.in_step(batch.images, epoch, step)
            shown = standing.corrupter.in_step(target, epoch, step)
            errors.append(standing.errors(shown, target))
            step += 1
        by_hand = torch.cat(errors).mean().item()
        assert lines[epoch - 1]["loss"] == pytest.approx(by_hand, rel=1e-5)
    assert abs(lines[0]["loss"] - lines[1]["loss"]) > 1e-4 * lines[0]["loss"]


def test_images_held_out_are_not_augmented(standing):
    by_hand = standing.evaluated(standing.validation)
    for line in numbers_of(standing.run):
        assert line["val_loss"] == pytest.approx(by_hand, rel=1e-5)


def test_no_score_of_a_test_is_of_augmented_images(standing, tmp_path):
    out = tmp_path / "test"
    small = ["-s", "generation.samples=1", "generation.pictures=false"]
    done = command("test.py", "-r", standing.run, "-o", out, *small)
    assert done.returncode == 0, done.stderr
    splits = json.loads((out / "metrics.json").read_text())["splits"]
    for name, loader in (("train", standing.loader), ("validation", standing.validation)):
        assert splits[name]["mse"] == pytest.approx(standing.evaluated(loader), rel=1e-5)


@pytest.mark.parametrize("command_line", ["test.py", "train.py"])
def test_a_run_that_has_begun_keeps_its_augmentation(standing, command_line):
    before = sorted(standing.run.rglob("*"))
    done = command(command_line, "-r", standing.run, "-s", "augmentation=null")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("error: -s augmentation=null: ")
    assert sorted(standing.run.rglob("*")) == before


@pytest.fixture(scope="module")
def augmented_run(tmp_path_factory):
    return uninterrupted(tmp_path_factory.mktemp("augmented"), {"augmentation": WAYS})


def test_augmentation_changes_what_is_trained(augmented_run, tmp_path):
    plain = uninterrupted(tmp_path)
    name = checkpoint_name(5)
    weights = [content_of(run / name)["state_dict"] for run in (augmented_run, plain)]
    assert weights[0].keys() == weights[1].keys()
    key = next(key for key in weights[0] if key.endswith("weight"))
    assert not weights[0][key].equal(weights[1][key])


def killed_in_step_7():
    at_step(2, 7, lambda batch: os.kill(os.getpid(), signal.SIGKILL))


def test_a_run_killed_within_an_epoch_goes_on_bit_for_bit(augmented_run, tmp_path):
    config = write_config(tmp_path, {"augmentation": WAYS})
    code, _ = processes.run("-c", config, output=tmp_path / "out", before=killed_in_step_7)
    assert code == -signal.SIGKILL
    run = run_folder(tmp_path)
    assert "goes on after epoch 1, step 6" in resume(run)
    assert end_state(run) == end_state(augmented_run)


@pytest.mark.slow
def test_a_variational_run_killed_at_random_ends_bit_for_bit_the_same(tmp_path):
    seed = random.randrange(10**6)
    changes = VARIATIONAL | {"augmentation": WAYS}
    killer = Killer(tmp_path, random.Random(seed), changes)
    killer.kill(8)
    assert not killer.different, f"seed {seed}"


@pytest.mark.slow
def test_two_processes_of_which_one_is_killed_go_on_bit_for_bit(tmp_path):
    changes, ends = HALVES | {"augmentation": WAYS}, []
    for name, spoil, due in (("whole", None, [0, 0]), ("killed", die, [1, -signal.SIGKILL])):
        config = write_config(tmp_path / name, changes)
        codes, said = train_together(tmp_path / name, 2, "-c", config, spoil=spoil)
        assert codes == due, said
        run = run_folder(tmp_path / name)
        if spoil:
            codes, said = train_together(tmp_path / name, 2, "-r", run)
            assert codes == [0, 0], said
        ends.append(end_state(run))
    assert ends[0] == ends[1]


def way(name, **args):
    return {"type": name, "args": args}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("Shift", 'augmentation: "Shift": must be'),
        ([3], "augmentation.0: 3: must be"),
        ({"args": {}}, "augmentation.type: is missing"),
        (way("Symetries"), "did you mean 'Symmetries'"),
        (way("Mask"), 'augmentation.type: "Mask": there is no such type'),
        (way("BaseAugmentation"), "there is no such type"),
        ({"type": "Shift", "arg": {}}, "did you mean 'augmentation.args'"),
        (way("Shift", mots=1), "did you mean 'augmentation.args.most'"),
        (way("Shift", most=0), "augmentation.args.most: 0: must be greater than 0"),
        (way("Shift", most=1.5), "augmentation.args.most: 1.5: must be a whole number"),
        (way("RandomCrop", padding=-1), "augmentation.args.padding: -1: must be greater than"),
        (way("Symmetries", flips_only=1), "flips_only: 1: must be true or false"),
        (way("Symmetries", dataset=1), "augmentation.args.dataset: 1: unknown key"),
        (way("DieNoise", share=1.1), "augmentation.args.share: 1.1: must be less than"),
        (
            [way("Shift"), way("Lighting", contrast="x")],
            'augmentation.1.args.contrast: "x": must be a number',
        ),
    ],
)
def test_a_wrong_augmentation_is_named_by_its_dotted_path(small, wrong, says):
    with pytest.raises(ConfigError) as error:
        check_config(small | {"augmentation": wrong}, catalogue(), "config.json")
    assert says in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("is_map", "misfit", "says"),
    [
        (
            False,
            way("DieNoise"),
            "args: DieNoise: changes dice of wafer maps, and Arrays has none",
        ),
        (True, way("Lighting"), "args: Lighting: wafer maps have no brightness"),
        (
            True,
            way("Shift", most=12),
            "args.most: 12: must be less than the sides of images of 12",
        ),
        (False, way("Shift", most=10), "args.most: 10: must be less than the sides of images of"),
        (False, way("RandomCrop", padding=10), "args.padding: 10: must be less than the sides of"),
        (
            False,
            way("Symmetries"),
            "args.flips_only: false: images of 10x13 pixels are not square",
        ),
    ],
)
@pytest.mark.parametrize("is_in_sweep", [False, True])
def test_what_does_not_fit_the_images_is_refused_before_anything_is_created(
    small, written, tmp_path, is_map, misfit, says, is_in_sweep
):
    if not is_map:
        pictures(tmp_path, 10, 13)
        small["dataset"] = {"type": "Arrays", "args": {"data": str(tmp_path / "data.npy")}}
        small["dataset"]["args"]["layout"] = "CHW"
    wrong = {"augmentation": [way("Shift"), misfit]}
    small |= {"sweep": {"runs": [{}, wrong]}} if is_in_sweep else wrong
    done = command("train.py", "-c", written(small))
    at = "sweep.runs.1: " if is_in_sweep else ""
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith(f"error: {at}augmentation.1.{says}")
    assert not (tmp_path / "saved").exists()


@pytest.mark.parametrize("written_as", [None, [], {"type": "Shift"}, [{"type": "Shift"}] * 2])
def test_augmentation_is_nothing_one_part_or_several(small, written_as):
    config = check_config(small | {"augmentation": written_as}, catalogue(), "config.json")
    assert check_config(config.as_json(), catalogue(), "again").as_json() == config.as_json()
    number = len(written_as) if isinstance(written_as, list) else bool(written_as)
    assert len(Augmenter(build(config, catalogue(), "augmentation", WAFERS)).ways) == number


def test_real_maps_stay_maps(real_wafers):
    maps = WaferMaps(str(real_wafers / "data.npy"))
    images = maps.to_images(maps.stored_at(torch.arange(0, len(maps), 10)))
    ways = [Symmetries(maps), DieNoise(maps, 0.05)]
    found = Augmenter(ways, seed=1).in_step(images, 1, 0)
    assert is_one_hot(found)
    before, after = ((batch.argmax(1) > 0).sum((1, 2)) for batch in (images, found))
    assert after.equal(before)
    assert is_one_hot(Augmenter(Shift(maps)).in_step(found, 1, 0))
