"""How children are made: every method and unit by hand, turned originals, kept outlines, records.

The codes of `Plain` are its images, so that what is made of a code can be compared with numpy.
"""

import json
import shutil

import numpy as np
import pytest
import torch

from base.base_dataset import BaseDataset, Labels
from base.base_model import BaseModel
from data_loader.image_loader import ImageLoader
from data_loader.wafers import WaferMaps
from generation.children import Child, plan_children
from generation.generator import Generator
from generation.methods import shrinkage
from model.loss import MSE
from tests.conftest import command, only_run
from tests.test_test import OF_CHILDREN
from trainer.evaluator import Evaluator
from trainer.experiment import Experiment
from trainer.start import Start
from utils.config.sections import GenerationSection
from utils.device import Compute
from utils.errors import ConfigError

CPU = torch.device("cpu")
SIZES = (40, 8, 3, 1)  # of the classes
# Of a map as an array [H, W], in the order of their numbers.
BY_HAND = [
    lambda image: image, np.fliplr, np.flipud, lambda image: np.rot90(image, 2), np.transpose,
    lambda image: np.rot90(image, -1), np.rot90, lambda image: np.rot90(image, 2).T,
]  # fmt: skip


class Numbers(BaseDataset):
    """Images of one channel that hold any numbers."""

    def to_images(self, stored):
        return stored


class Plain(BaseModel):
    """A code is the image itself; its posterior's log variance is the image times two."""

    gives = ("logvar",)

    def __init__(self, shape):
        super().__init__(shape)
        self.code_shape = shape

    def encode(self, x):
        return x

    def decode(self, code):
        return code

    def forward(self, x):
        return {"reconstruction": x, "code": x, "logvar": 2 * x}


def loader_of(side=(2, 2), sizes=SIZES, held_out=0):
    """A loader of random images, their classes mixed; each class with a mean of its own."""
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    drawn = np.random.default_rng(1).normal(size=(sum(sizes), 1, *side))
    images = torch.from_numpy(drawn + 3 * labels[:, None, None, None]).float()
    dataset = Numbers(
        images, Labels(labels, [f"class {n}" for n in range(len(sizes))]), (1, *side)
    )
    return ImageLoader(dataset, CPU, 0, batch_size=7, validation_split=held_out).in_order()


def generator_of(loader, **settings):
    model = Plain(loader.dataset.shape)
    evaluator = Evaluator(model, MSE(), {}, loader.dataset, Compute(CPU))
    return Generator(evaluator, loader, GenerationSection(**settings))


def codes_of(loader):
    """The codes of all images [N, D] and their classes, in double precision."""
    images = loader.dataset.stored.double().numpy()
    return images.reshape(len(images), -1), loader.dataset.labels.indices.numpy()


def made(generator, children=None, seed=5):
    """Planned children with all that they say, and their codes [n, D]."""
    labels = generator.loader.dataset.labels.indices
    if children is None:
        children = plan_children(generator.loader.indices, labels, generator.settings, seed)
    batches = torch.arange(len(all_of := list(children))).split(500)
    told = generator.completed(all_of)
    images = [generator.images([all_of[turn] for turn in batch.tolist()]) for batch in batches]
    return told, torch.cat(images).flatten(1).double().numpy()


def noise_of(child, shape):
    """Standard normal noise of a child's seed, flat."""
    source = torch.Generator().manual_seed(child.seed)
    return torch.randn(shape, generator=source).double().numpy().ravel()


def nearest_by_hand(codes, labels, places, place):
    """The five nearest other codes of the class among `places`, the nearest first."""
    others = [int(p) for p in places if labels[p] == labels[place] and p != place]
    return sorted(others, key=lambda other: np.linalg.norm(codes[other] - codes[place]))[:5]


@pytest.mark.parametrize("method", ["neighbours", "extrapolate"])
def test_a_child_lies_on_the_line_through_one_of_the_five_nearest_of_its_class(method):
    loader = loader_of()
    codes, labels = codes_of(loader)
    told, found = made(generator_of(loader, method=method, noise=0, samples=6))
    ranks, shares = set(), []
    for child, code in zip(told, found, strict=True):
        own = codes[child.source]
        near = nearest_by_hand(codes, labels, range(len(codes)), child.source)
        if not near:  # the one image of its class
            assert child.neighbour is None
            assert child.u is None
            np.testing.assert_allclose(code, own, atol=1e-6)
            continue
        ranks.add(near.index(child.neighbour))
        shares.append(child.u)
        step = child.u if method == "neighbours" else -0.5
        np.testing.assert_allclose(code, own + step * (codes[child.neighbour] - own), atol=1e-5)
    assert ranks == {0, 1, 2, 3, 4}
    assert 0 <= min(shares) < 0.02
    assert 0.98 < max(shares) < 1
    assert np.mean(shares) == pytest.approx(0.5, abs=0.05)  # of 306, sd 0.017


def test_neighbours_are_of_the_chosen_images_only():
    loader = loader_of(held_out=15)
    codes, labels = codes_of(loader)
    for chosen in (loader, loader.split_validation()):
        places = chosen.indices.tolist()
        told, _ = made(generator_of(chosen, method="neighbours", samples=8))
        for child in told:
            near = nearest_by_hand(codes, labels, places, child.source)
            assert child.neighbour in (near or [None])


@pytest.mark.parametrize("unit", ["absolute", "code", "posterior"])
@pytest.mark.parametrize("method", ["noise", "neighbours"])
def test_noise_is_added_in_its_unit_whatever_the_method(method, unit):
    loader = loader_of()
    codes, _ = codes_of(loader)
    told, found = made(generator_of(loader, method=method, unit=unit, noise=[0.3, 2], samples=1))
    assert {child.noise for child in told} == {0.3, 2}
    for child, code in zip(told, found, strict=True):
        own = codes[child.source]
        spread = {"absolute": 1, "code": codes.std(0), "posterior": np.exp(own)}[unit]
        if method == "neighbours" and child.neighbour is not None:
            own = own + child.u * (codes[child.neighbour] - own)
        expected = own + child.noise * spread * noise_of(child, (1, 2, 2))
        np.testing.assert_allclose(code, expected, rtol=1e-5, atol=1e-5)


def test_the_unit_code_is_of_the_training_images_where_the_originals_are_others():
    loader = loader_of(held_out=15)
    codes, _ = codes_of(loader)
    held = loader.split_validation()
    settings = GenerationSection(unit="code", noise=1, samples=1)
    evaluator = generator_of(loader).evaluator
    told, found = made(Generator(evaluator, held, settings, loader))
    spread = codes[loader.indices].std(0)
    for child, code in zip(told, found, strict=True):
        expected = codes[child.source] + spread * noise_of(child, (1, 2, 2))
        np.testing.assert_allclose(code, expected, atol=1e-5)


def class_statistics(codes, labels):
    """Mean, deviation and width of every class by hand; below five images pooled deviations."""
    numbers, classes = codes.shape[1], np.unique(labels)
    within = sum(((codes[labels == c] - codes[labels == c].mean(0)) ** 2).sum(0) for c in classes)
    pooled = np.sqrt(within / (len(codes) - len(classes)))
    for c in classes:
        own = codes[labels == c]
        width = (4 / ((numbers + 2) * len(own))) ** (1 / (numbers + 4))
        yield own.mean(0), own.std(0) if len(own) >= 5 else pooled, width


def test_the_unit_class_smooths_as_silverman_says():
    loader = loader_of()
    codes, labels = codes_of(loader)
    mean, deviation, width = map(np.array, zip(*class_statistics(codes, labels), strict=True))
    # d = 4: (4 / (6 n))^(1/8), for 40, 8, 3 images and one.
    assert width == pytest.approx([0.5995, 0.7330, 0.8286, 0.9506], abs=1e-4)
    told, found = made(generator_of(loader, unit="class", noise=[0, 0.7], samples=2))
    for child, code in zip(told, found, strict=True):
        label, own = labels[child.source], codes[child.source]
        step = child.noise * width[label] * deviation[label] * noise_of(child, (1, 2, 2))
        kept = np.sqrt(1 + child.noise**2 * width[label] ** 2)
        expected = mean[label] + (own - mean[label] + step) / kept
        np.testing.assert_allclose(code, expected, atol=1e-5)


def test_the_unit_class_keeps_mean_and_variance_of_the_class():
    loader = loader_of(sizes=(12,))
    codes, _ = codes_of(loader)
    _, found = made(generator_of(loader, unit="class", noise=1.5, samples=500))
    # 6000 children: the error of a variance is near 2 %, that of unscaled ones would be + 100 %.
    np.testing.assert_allclose(found.var(0), codes.var(0), rtol=0.08)
    np.testing.assert_allclose(found.mean(0), codes.mean(0), atol=0.06)


def test_the_unit_class_is_of_turned_originals_where_children_are():
    loader = loader_of(sizes=(6,))
    settings = {"unit": "class", "noise": 1, "symmetries": True, "samples": 4}
    images = loader.dataset.stored[:, 0].numpy()
    every = np.array([turn(image).ravel() for image in images for turn in BY_HAND])
    mean, deviation, width = every.mean(0), every.std(0), (4 / (6 * 6)) ** (1 / 8)
    told, found = made(generator_of(loader, **settings))
    for child, code in zip(told, found, strict=True):
        own = BY_HAND[child.symmetry](images[child.source]).ravel()
        step = width * deviation * noise_of(child, (1, 2, 2))
        expected = mean + (own - mean + step) / np.sqrt(1 + width**2)
        np.testing.assert_allclose(code, expected, atol=1e-5)


def shrinkage_by_hand(centred):
    """Schäfer and Strimmer's share for target D, entry by entry."""
    count, numbers = centred.shape
    variances = squares = 0.0
    for i in range(numbers):
        for j in range(numbers):
            if i != j:
                products = centred[:, i] * centred[:, j]
                squared = ((products - products.mean()) ** 2).sum()
                variances += count / (count - 1) ** 3 * squared
                squares += (products.sum() / (count - 1)) ** 2
    return min(1, variances / squares)


@pytest.mark.parametrize(("count", "numbers"), [(30, 4), (6, 9), (200, 3)])
def test_the_shrinkage_of_a_covariance_is_that_of_its_source(count, numbers):
    random = np.random.default_rng(count)
    rows = random.normal(size=(count, numbers)) @ random.normal(size=(numbers, numbers))
    rows -= rows.mean(0)
    expected = shrinkage_by_hand(rows)
    assert 0 < expected < 1
    assert shrinkage(torch.from_numpy(rows)) == pytest.approx(expected, rel=1e-9)


def covariance_by_hand(centred, freedom):
    share = shrinkage_by_hand(centred)
    sample = centred.T @ centred / freedom
    return (1 - share) * sample + share * np.diag(np.diag(sample))


def test_a_gaussian_of_a_class_has_its_mean_and_its_shrunk_covariance():
    loader = loader_of(sizes=(40, 8))
    stored = loader.dataset.stored
    stored[:, 0, 0, 1] = 2 * stored[:, 0, 0, 0] + 0.5 * stored[:, 0, 0, 1]  # a strong correlation
    codes, labels = codes_of(loader)
    generator = generator_of(loader, method="gaussian", noise=0, per_class=20_000)
    told, found = made(generator)
    drawn = np.array([labels[child.source] for child in told])
    centred = codes.copy()
    for label in (0, 1):
        centred[labels == label] -= codes[labels == label].mean(0)
    own = centred[labels == 0]
    expected = [covariance_by_hand(own, 39), covariance_by_hand(centred, 46)]
    for label in (0, 1):  # the second one's covariance is the pooled one
        some = found[drawn == label]
        scale = np.sqrt(np.diag(expected[label]))
        errors = (np.cov(some.T) - expected[label]) / np.outer(scale, scale)
        assert np.abs(errors).max() < 0.05  # of 20,000 the sd is 0.01 at the most
        error = (some.mean(0) - codes[labels == label].mean(0)) / scale
        assert np.abs(error).max() < 0.04
    assert generator.notes() == [
        "note: fewer than 30 images of class 1: their Gaussians take the covariance within all "
        "classes, pooled"
    ]
    again, same = made(generator, told[::997])  # each from its own seed, whatever is beside it
    np.testing.assert_allclose(same, found[::997], atol=1e-4)
    assert again == told[::997]


def test_a_gaussian_of_too_few_images_is_refused():
    with pytest.raises(ConfigError, match='generation.method: "gaussian": .* 30 images, .* 29 '):
        generator_of(loader_of(sizes=(20, 9)), method="gaussian")
    generator_of(loader_of(sizes=(20, 10)), method="gaussian").images([Child(0, 0.1, 1)])


@pytest.mark.parametrize(("side", "ways"), [((3, 3), 8), ((3, 2), 4)])
def test_originals_are_turned_before_they_are_encoded(side, ways):
    loader = loader_of(side)
    images = loader.dataset.stored[:, 0].numpy()
    told, found = made(generator_of(loader, symmetries=True, noise=0, samples=10))
    counts = np.bincount([child.symmetry for child in told])
    assert len(counts) == ways
    assert counts.min() > 0.6 * len(told) / ways
    for child, code in zip(told, found, strict=True):
        expected = BY_HAND[child.symmetry](images[child.source]).ravel()
        np.testing.assert_allclose(code, expected, atol=1e-6)
    per_image = [child.symmetry for child in told if child.source == 0]
    assert len(set(per_image)) > 1


def test_a_neighbour_is_turned_as_its_original_is():
    loader = loader_of((3, 3))
    images = loader.dataset.stored[:, 0].numpy()
    settings = {"method": "neighbours", "symmetries": True, "noise": 0, "samples": 2}
    told, found = made(generator_of(loader, **settings))
    for child, code in zip(told, found, strict=True):
        turn = BY_HAND[child.symmetry]
        own = turn(images[child.source]).ravel()
        if child.neighbour is not None:
            own = own + child.u * (turn(images[child.neighbour]).ravel() - own)
        np.testing.assert_allclose(code, own, atol=1e-5)


def test_plain_children_are_those_of_before_and_settings_change_no_other_seed():
    labels = torch.zeros(9).long()
    plain, turned = (
        list(plan_children(torch.tensor([4, 7]), labels, GenerationSection(symmetries=on), 3))
        for on in (False, True)
    )
    assert [child[:3] for child in plain] == [child[:3] for child in turned]
    assert plain[0] == Child(4, 0.1, 5529156266285862806)
    assert {child.symmetry for child in plain} == {0}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of 40 drawn maps of 12x12, one of its classes of a single map."""
    folder = tmp_path_factory.mktemp("generation")
    config = {
        "name": "maps",
        "seed": 1,
        "dataset": {"type": "SyntheticWafers", "args": {"size": 12, "count": 40}},
        "data_loader": {"type": "ImageLoader", "args": {"validation_split": 0.2}},
        "arch": {
            "type": "VAE",
            "args": {"encoder": [{"conv": 4, "stride": 2}], "latent": {"linear": 6}},
        },
        "loss": {"type": "ELBO", "args": {"beta": 0.1}},
        "metrics": [],
        "optimizer": {"type": "Adam", "args": {"lr": 0.01}},
        "trainer": {"epochs": 1, "save_dir": str(folder), "tensorboard": False},
        "generation": {"pictures": False},
    }
    (folder / "config.json").write_text(json.dumps(config))
    done = command("train.py", "-c", folder / "config.json")
    assert done.returncode == 0, done.stderr
    return only_run(folder)


def evaluated(run, target, *settings):
    done = command("test.py", "-r", run, "-o", target, "-s", *settings)
    assert done.returncode == 0, done.stderr
    record = json.loads((target / "generated.json").read_text())
    return done.stdout, record, np.load(target / "gen_data.npy")


PLAIN = ["source", "noise", "seed"]


@pytest.mark.parametrize(
    ("settings", "keys"),
    [
        (
            {"method": "neighbours", "symmetries": True, "unit": "class", "keep_outline": False},
            [*PLAIN, "symmetry", "neighbour", "u"],
        ),
        (
            {"method": "extrapolate", "unit": "posterior", "split": "validation"},
            [*PLAIN, "neighbour"],
        ),
        ({"method": "gaussian", "unit": "code"}, PLAIN),
    ],
    ids=lambda value: "-".join(map(str, value)),
)
def test_the_record_says_enough_to_make_a_child_again(run, tmp_path, settings, keys):
    words = [f"generation.{key}={json.dumps(value)}" for key, value in settings.items()]
    _, record, data = evaluated(run, tmp_path / "out", "generation.samples=2", *words)
    assert list(record["images"][0]) == keys
    made_as = {key: record[key] for key in ("method", "unit", "symmetries", "keep_outline")}
    assert made_as.items() >= {key: settings[key] for key in settings if key != "split"}.items()
    experiment = Experiment(Start.trained(run, []), "cpu")
    training = experiment.loader.in_order()
    originals = {"train": training, "validation": experiment.validation}[record["split"]]
    generator = Generator(experiment.evaluator, originals, GenerationSection(**made_as), training)
    for place in range(0, len(data), 5):
        child = Child(**record["images"][place])
        again = experiment.dataset.to_file(generator.images([child]))[0]
        assert np.array_equal(again, data[place])


def test_a_class_of_one_image_is_said_and_made_without_neighbours(run, tmp_path):
    settings = ["generation.method=neighbours", "generation.per_class=4", "generation.noise=0"]
    said, record, data = evaluated(run, tmp_path / "out", *settings)
    experiment = Experiment(Start.trained(run, []), "cpu")
    labels = experiment.dataset.labels
    alone = {
        labels.names[labels.indices[image["source"]]]
        for image in record["images"]
        if image["neighbour"] is None
    }
    (line,) = (line for line in said.splitlines() if " one image" in line)
    few = "one image each" if len(alone) > 1 else "one image"
    named, children = line.removeprefix(f"note: there is {few} of ").split(": ")
    assert set(named.split(", ")) == alone
    assert "Donut" in alone
    assert children == "its children are its code itself"
    own = [n for n, image in enumerate(record["images"]) if image["neighbour"] is None]
    by_source = {}
    for place in own:
        by_source.setdefault(record["images"][place]["source"], []).append(data[place])
    assert all((np.array(maps) == maps[0]).all() for maps in by_source.values())


@pytest.mark.parametrize("noise", [0, 3])
def test_classes_of_which_all_children_are_the_same_image_are_named(run, tmp_path, noise):
    settings = ["generation.per_class=3", f"generation.noise={noise}"]
    said, record, data = evaluated(run, tmp_path / "out", *settings)
    labels = Experiment(Start.trained(run, []), "cpu").dataset.labels
    made = {}
    for image, of in zip(data, record["images"], strict=True):
        made.setdefault(labels.names[labels.indices[of["source"]]], []).append(image)
    alike = {name for name, own in made.items() if (np.array(own) == own[0]).all()}
    assert ("Donut" in alike) == (noise == 0)
    lines = [line for line in said.splitlines() if "the same image" in line]
    named = [line.split("children of ")[1].split(" are the")[0].split(", ") for line in lines]
    assert {name for names in named for name in names} == alike


def test_no_generation_leaves_all_the_rest(run, tmp_path):
    files = {}
    for name, setting in (("with", "generation.pictures=true"), ("without", "generation=null")):
        done = command("test.py", "-r", run, "-o", tmp_path / name, "-s", setting)
        assert done.returncode == 0, done.stderr
        files[name] = {path.name for path in (tmp_path / name).iterdir()}
    assert files["without"] == files["with"] - OF_CHILDREN
    assert files["with"] > OF_CHILDREN
    assert "generated images" not in done.stdout


def test_no_generation_trains_and_scores_new_images(small, written, tmp_path):
    done = command("train.py", "-c", written(small | {"generation": None}))
    assert done.returncode == 0, done.stderr
    run = only_run(tmp_path / "saved")
    assert json.loads((run / "config.json").read_text())["generation"] is None
    np.save(tmp_path / "new.npy", np.zeros((3, 12, 12), np.uint8))
    done = command("test.py", "-r", run, "--images", tmp_path / "new.npy")
    assert done.returncode == 0, done.stderr
    assert not (run / "images" / "gen_data.npy").exists()
    settings = ["generation.samples=1", "generation.pictures=false"]
    done = command("test.py", "-r", run, "-s", *settings)
    assert done.returncode == 0, done.stderr
    assert (run / "test" / "gen_data.npy").exists()


def test_relative_reads_as_the_unit_that_it_meant(small, written, tmp_path):
    for is_relative, unit in ((False, "absolute"), (True, "code")):
        assert GenerationSection.model_validate({"relative": is_relative}).unit == unit
    small["trainer"]["epochs"] = 1
    small["generation"] |= {"noise": 0.5, "relative": True}
    assert command("train.py", "-c", written(small)).returncode == 0
    run = only_run(tmp_path / "saved")
    section = json.loads((run / "config.json").read_text())["generation"]
    assert section["unit"] == "code"
    assert "relative" not in section
    _, record, _ = evaluated(run, tmp_path / "out", "generation.relative=false")
    assert record["unit"] == "absolute"


def test_a_checkpoint_that_has_relative_is_tested_with_its_unit(tmp_path):
    earlier = tmp_path / "run"
    shutil.copytree("tests/earlier_run", earlier)
    start = Start.trained(next(iter(earlier.glob("*.pth"))), [])
    assert start.checkpoint.config["generation"]["relative"] is False
    assert start.config.generation.unit == "absolute"
    changed = Start.trained(start.path, ["generation.relative=true"])
    assert changed.config.generation.unit == "code"
    changed = Start.trained(start.path, ["generation.unit=class"])
    assert changed.config.generation.unit == "class"
    # Complete as the configs of runs are, yet without the keys that came later.
    balanced = start.checkpoint.config["generation"] | {"per_class": 7}
    content = json.loads((earlier / "config.json").read_text()) | {"generation": balanced}
    (tmp_path / "c.json").write_text(json.dumps(content))
    done = command("train.py", "-c", tmp_path / "c.json", "-s", "trainer.epochs=0")
    assert "generation" not in done.stderr


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (["generation.unit=posterior"], 'generation.unit: "posterior": Autoencoder gives no'),
        (["generation.method=gaussian", "generation.unit=class"], "begins at none"),
        (["generation.method=gaussian", "generation.symmetries=true"], "no original to turn"),
        (["generation.method=gaussian", "generation.split=validation"], "takes 30 images"),
        (["generation.unit=code", "generation.relative=true"], "only one can hold"),
        (["generation.relative=1"], "is generation.unit now"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_contradicts_the_model_or_the_method_is_refused_by_a_test(plain_run, settings, says):
    done = command("test.py", "-r", plain_run, "-s", *settings)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert says in done.stderr
    assert not (plain_run / "test").exists()


@pytest.fixture(scope="module")
def plain_run(run, tmp_path_factory):
    """A run of an autoencoder that is no VAE."""
    folder = tmp_path_factory.mktemp("plain")
    settings = [
        'arch={"type": "Autoencoder", "args": {"encoder": [{"conv": 4, "stride": 2}]}}',
        "arch.args.decoder=mirror", "loss.type=MSE", f"trainer.save_dir={folder}",
    ]  # fmt: skip
    done = command("train.py", "-c", run / "config.json", "-s", *settings)
    assert done.returncode == 0, done.stderr
    return only_run(folder)


def test_a_map_keeps_the_outline_of_its_original_by_hand():
    made_of = torch.tensor([[[9.0, -5, -9, 3]], [[0.2, -7, 4, 1]], [[0.1, -6, 5, 1]]])[None]
    originals = torch.tensor([[[0.0, 0, 1, 1]], [[1, 0, 0, 0]], [[0, 1, 0, 0]]])[None]
    wafers = WaferMaps.of_none({"shape": [3, 1, 4], "classes": ["a"], "layout": "codes"})
    kept = wafers.keep_outline(made_of, originals)
    assert kept.argmax(1).tolist() == [[[1, 2, 0, 0]]]
    assert kept.sum(1).tolist() == [[[1, 1, 1, 1]]]


@pytest.mark.slow
def test_children_of_real_maps_keep_their_turned_outlines(real_wafers, tmp_path):
    files = [f"dataset.args.{name}={real_wafers}/{name}.npy" for name in ("data", "label")]
    done = command(
        "train.py", "-c", "configs/wafer_ae.json", "-s", *files, f"trainer.save_dir={tmp_path}",
        "trainer.epochs=1", "trainer.tensorboard=false",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    folder, maps = only_run(tmp_path), np.load(real_wafers / "data.npy")
    settings = ["generation.method=extrapolate", "generation.samples=1", "generation.noise=3"]
    settings += ["generation.split=all", "generation.symmetries=true"]
    settings.append("generation.pictures=false")
    _, record, data = evaluated(folder, tmp_path / "kept", *settings)
    assert len(data) == 1281
    assert set(np.unique(data)) == {0, 1}
    assert (data.sum(3) == 1).all()
    outside = np.array([
        BY_HAND[image["symmetry"]](maps[image["source"]].argmax(2) == 0)
        for image in record["images"]
    ])  # fmt: skip
    assert ((data.argmax(3) == 0) != outside).sum() == 0
    experiment = Experiment(Start.trained(folder, settings), "cpu")
    freely = experiment.config.generation.model_copy(update={"keep_outline": False})
    every = experiment.loader.of(torch.arange(1281))
    some = [Child(**image) for image in record["images"][:100]]
    free = Generator(experiment.evaluator, every, freely).images(some).argmax(1).numpy()
    assert ((free == 0) != outside[:100]).sum() > 1000
