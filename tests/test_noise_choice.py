"""The noise that is chosen: by the rule it states, by training images alone, for each class."""

import json

import numpy as np
import pytest

from generation.generator import Generator
from generation.noise_choice import DENSE, FEWEST, KEPT, LEVELS, _choice, _Round, choose_noise
from tests.conftest import command, only_run
from trainer.experiment import Experiment
from trainer.start import Start


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on 150 drawn maps of nine classes, a fifth of them held out."""
    folder = tmp_path_factory.mktemp("run")
    config = {
        "name": "small",
        "dataset": {"type": "SyntheticWafers", "args": {"size": 12, "count": 150}},
        "data_loader": {
            "type": "ImageLoader",
            "args": {"batch_size": 32, "validation_split": 0.2},
        },
        "arch": {
            "type": "Autoencoder",
            "args": {"encoder": [{"conv": 8, "stride": 2, "norm": "batch", "activation": "relu"}],
                     "decoder": "mirror"},
        },
        "loss": {"type": "MSE"},
        "optimizer": {"type": "Adam", "args": {"lr": 0.01}},
        "trainer": {"epochs": 10, "save_dir": str(folder / "saved"), "tensorboard": False},
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    done = command("train.py", "-c", folder / "config.json")
    assert done.returncode == 0, done.stderr
    return only_run(folder / "saved")


@pytest.fixture(scope="module")
def choice(run):
    """What is chosen for the run with seed 0."""
    return choose_noise(maker_of(run), seed=0)


def maker_of(run, unit="code"):
    overrides = ["generation.noise=auto", f"generation.unit={unit}"]
    experiment = Experiment(Start.trained(run, overrides), "cpu")
    loader = experiment.loader.in_order()
    return Generator(experiment.evaluator, loader, experiment.config.generation)


def round_of(kept, offsets):
    """What a round sees of class 0: ten known points at 0, ..., 9, and children beside them.

    Args:
        kept: of the originals and at each level, the share of ten children that keep their class.
        offsets: by how much children lie off the known points, in a direction of their own.
    """
    known = np.stack([np.arange(10.0), np.zeros(10)], 1)
    made = [
        (known + [0, offset], np.where(np.arange(10) < round(10 * share), 0, 1))
        for share, offset in zip(kept, offsets, strict=True)
    ]
    return _Round((np.zeros(10, int), known), np.zeros(10, int), made)


def test_the_choice_is_the_most_noise_before_the_first_loss():
    # No noise, 0.1, 0.5, 1 and 2; at 1 the class is lost, and kept again at 2.
    rounds = [round_of([1, 0.9, 0.9, 0.9, 0.7, 0.9], [0] * 6)]
    choice = _choice([0], rounds, [0.0, 0.1, 0.5, 1.0, 2.0])
    assert choice.noise == 0.5
    assert choice.reason == (
        "at 1 class kept falls to 0.70 from 0.90; beside their originals class kept falls to 0.90 "
        "from 1.00 even without noise"
    )
    assert [step.noise for step in choice.curve] == [0.0, 0.1, 0.5, 1.0, 2.0]
    assert [step.class_kept for step in choice.curve] == [0.9, 0.9, 0.9, 0.7, 0.9]
    assert choice.originals.class_kept == 1


def test_children_off_the_known_images_have_lost_their_density():
    # The fifth neighbour is 5 away at the most, and 3 in the middle: at 100 all balls are left.
    rounds = [round_of([1] * 5, [0, 0, 0, 100, 100])]
    choice = _choice([0], rounds, [0.0, 0.1, 0.5, 1.0])
    assert choice.noise == 0.1
    dense = [step.density for step in choice.curve]
    assert dense[0] == dense[1] > 1
    assert dense[2:] == [0, 0]
    assert choice.reason == f"at 0.5 density falls to 0.00 from {dense[0]:.2f}"


def test_a_class_that_the_children_of_others_are_taken_for_has_lost_its_purity():
    # Ten children of each of two classes; the more noise, the more of class 1 are taken for 0.
    known = np.stack([np.arange(20.0), np.zeros(20)], 1)
    labels = np.repeat([0, 1], 10)
    made = [(known, np.where(np.arange(20) < 10 + taken, 0, 1)) for taken in (0, 0, 0, 10)]
    round_ = _Round((labels, known), labels, made)
    choice = _choice([0], [round_], [0.0, 0.1, 0.5])
    assert [step.class_kept for step in choice.curve] == [1, 1, 1]
    assert [step.purity for step in choice.curve] == [1, 1, 0.5]
    assert choice.noise == 0.1
    assert choice.reason == "at 0.5 purity falls to 0.50 from 1.00"
    other = _choice([1], [round_], [0.0, 0.1, 0.5])
    assert (other.noise, other.curve[-1].purity) == (0.1, None)


def test_a_loss_within_the_tolerance_is_none():
    assert (KEPT, DENSE) == (0.05, 0.1)
    first, second = round_of([1, 1, 1, 0.9], [0] * 4), round_of([1, 1, 1, 1], [0] * 4)
    choice = _choice([0], [first, second], [0.0, 0.1, 0.5])  # 0.95 on average
    assert choice.noise == 0.5
    assert choice.reason.startswith("the most that was tried")
    worse = _choice([0], [round_of([1, 1, 0.9, 0.9], [0] * 4)], [0.0, 0.1, 0.5])
    assert worse.noise == 0.1
    assert worse.reason == (
        "the least that was tried, though already there class kept falls to 0.90 from 1.00"
    )


def test_every_class_has_its_level_and_small_ones_share_theirs(run, choice):
    loader = maker_of(run).loader
    labels = loader.dataset.labels.indices[loader.indices].tolist()
    sizes = {label: labels.count(label) for label in set(labels)}
    alone = [own.labels for own in choice.choices if len(own.labels) == 1]
    assert alone == [[label] for label, size in sizes.items() if size >= FEWEST]
    (pooled,) = (own.labels for own in choice.choices if len(own.labels) > 1)
    assert pooled == [label for label, size in sizes.items() if size < FEWEST]
    assert choice.levels().keys() == sizes.keys()
    assert choice.noise == min(choice.levels().values())
    assert set(choice.levels().values()) <= set(LEVELS["code"])
    assert set(choice.looked_at) <= set(loader.indices.tolist())
    again = choose_noise(maker_of(run), seed=0)
    assert again == choice


def test_held_out_images_have_no_part_in_the_choice(run, choice):
    maker = maker_of(run)
    held_out = maker.loader.split_validation().indices
    maker.loader.dataset.stored[held_out] = 2  # nothing but defects
    assert choose_noise(maker, seed=0) == choice


def test_in_absolute_numbers_the_levels_go_by_the_spread_of_the_codes(run):
    maker = maker_of(run, "absolute")
    spread = float(maker.code_spread.mean())
    (choice, *_) = choose_noise(maker, seed=0).choices
    tried = [step.noise for step in choice.curve]
    assert tried == pytest.approx([0, *(level * spread for level in LEVELS["code"])], rel=0.05)


def test_a_test_makes_children_with_the_least_noise_of_all_classes_and_says_why(run, tmp_path):
    done = command("test.py", "-r", run, "-o", tmp_path / "out", "-s", "generation.noise=auto",
                   "generation.unit=code", "generation.samples=2")  # fmt: skip
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "out" / "generated.json").read_text())
    quality = json.loads((tmp_path / "out" / "quality.json").read_text())
    least = min(own["noise"] for own in quality["chosen"])
    assert {child["noise"] for child in record["images"]} == {least}
    assert all(own["reason"] and own["curve"][0]["noise"] == 0 for own in quality["chosen"])
    measured = {row["noise"] for group in quality["classes"] for row in group["rows"]}
    assert least in measured
