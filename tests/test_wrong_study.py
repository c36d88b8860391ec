"""A study that cannot be is refused in one line, before anything is computed or written."""

import json

import numpy as np
import pytest

from study.plan import plan_study
from tests.conftest import command
from tests.wrong_configs import changed
from trainer.catalogue import catalogue
from utils.config.check import check_config
from utils.errors import UserError

NOISE = {"name": "noise", "generation": {"noise": 0.5}}
ARMS = [{"name": "none"}, {"name": "flips", "augmentation": {"type": "Symmetries"}}, NOISE]
STUDY = {"folds": 2, "repeats": 1, "seeds": 1, "steps": 5, "arms": ARMS}

CASES = [
    ("study.fold", 3, 'unknown key; did you mean \'study.folds\'?'),
    ("study.folds", 1, "greater than or equal to 2"),
    ("study.folds", 2.5, "must be a whole number"),
    ("study.folds", 19, "study.folds: 19: fewer than two classes have so many different images"),
    ("study.repeats", 0, "greater than or equal to 1"),
    ("study.seeds", 0, "greater than or equal to 1"),
    ("study.steps", 0, "greater than 0"),
    ("study.workers", 0, "greater than or equal to 1"),
    ("study.check", "tree", "must be 'forest'"),
    ("study.arms", [], "at least 2 items"),
    ("study.arms", [{"name": "none"}], "at least 2 items"),
    ("study.arms", [NOISE, NOISE | {"name": "more", "share": 0.7}],
     'study.arms: each generates; add one to compare with, as {"name": "none"}'),
    ("study.arms.0", {}, "study.arms.0.name: is missing"),
    ("study.arms.0.name", "", "at least 1 character"),
    ("study.arms.0.name", "a\nb", "must be one line of text"),
    ("study.arms.0.nam", "x", "unknown key; did you mean 'study.arms.0.name'?"),
    ("study.arms.0.name", "noise", "study.arms.2.name: \"noise\": another arm has this name"),
    ("study.arms.1", {"name": "nothing"}, "study.arms.1: does what study.arms.0 does"),
    ("study.arms.0.baseline", "weights", "must be 'class_weights', 'copies' or 'smote'"),
    ("study.arms.2.baseline", "copies", "leave out this or generation"),
    ("study.arms.0.share", 0.5, "study.arms.0.share: 0.5: has no effect without generation"),
    ("study.arms.0.set", {"seed": 1}, "study.arms.0.set: {\"seed\": 1}: has no effect without"),
    ("study.arms.2.share", 0, "greater than 0"),
    ("study.arms.2.share", 1.5, "less than or equal to 1"),
    ("study.arms.2.set", {"seed": 1}, "study.arms.2.set.seed: 1: is the same for all arms"),
    ("study.arms.2.set", {"trainer.save_dir": "x"}, "is the same for all arms"),
    ("study.arms.2.set", {"optimizer.args.lrr": 1},
     "study.arms.2: optimizer.args.lrr: 1: unknown key; did you mean 'optimizer.args.lr'?"),
    ("study.arms.2.set", {"arch.args.encoder": [{"conv": 3, "kernel_size": 99}]},
     "study.arms.2: arch.args.encoder.0: conv "),
    ("study.arms.2.set", {"data_loader.args.validation_split": 39},
     "study.arms.2: data_loader.args.validation_split: holds out 39 of"),
    ("study.arms.2.set", {"arch.args.encoder.7.conv": 3}, "study.arms.2.set: -s arch.args."),
    ("study.arms.2.generation.noise", -1, "study.arms.2.generation.noise: -1"),
    ("study.arms.2.generation.nois", 1, "did you mean 'study.arms.2.generation.noise'?"),
    ("study.arms.2.generation.split", "all", "must be 'train': children of images that are"),
    ("study.arms.2.generation", {"samples": 2, "per_class": 9},
     "study.arms.2: generation.samples: 2: has no effect beside generation.per_class"),
    ("study.arms.2.generation.unit", "posterior", "study.arms.2: generation.unit: \"posterior\""),
    ("study.arms.1.augmentation.type", "Symmetry", "study.arms.1: augmentation.type: "),
    ("study.arms.1.augmentation", {"type": "Shift", "args": {"most": 12}},
     "study.arms.1: augmentation.args.most: 12"),
    ("study.arms.1.augmentation", {"type": "Shift", "args": {"far": 1}}, "unknown key"),
    ("sweep", {"runs": [{}]}, "study: a config is of a sweep or of a study"),
]  # fmt: skip


@pytest.fixture
def right(small):
    return small | {"study": STUDY}


def refusal(config):
    with pytest.raises(UserError) as caught:
        plan_study(check_config(config, catalogue(), "c.json"))
    return str(caught.value)


def test_the_study_that_the_cases_spoil_is_right(right):
    plan_study(check_config(right, catalogue(), "c.json"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}={json.dumps(case[1])[:40]}")
def test_a_wrong_study_is_refused_with_path_value_and_rule(right, case):
    path, value, rule = case
    message = refusal(changed(right, path, value))
    (line,) = [line for line in message.split("\n") if rule in line]
    assert "study" in line


def test_images_without_classes_are_refused_and_nothing_is_written(right, written, tmp_path):
    np.save(
        tmp_path / "data.npy", np.random.default_rng(0).integers(0, 256, (20, 12, 12), np.uint8)
    )
    right["dataset"] = {"type": "Arrays", "args": {"data": str(tmp_path / "data.npy")}}
    right["arch"]["args"]["output_activation"] = None
    done = command("train.py", "-c", written(right))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: study: all images are of one class")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "saved").exists()


def test_images_of_several_classes_that_are_all_the_same_are_not_said_to_be_of_one(
    right, tmp_path
):
    np.save(tmp_path / "data.npy", np.full((20, 12, 12), 7, np.uint8))
    np.save(tmp_path / "label.npy", np.arange(20) % 2)
    args = {name: str(tmp_path / f"{name}.npy") for name in ("data", "label")}
    right["dataset"] = {"type": "Arrays", "args": args}
    assert "fewer than two classes have so many different images" in refusal(right)


def test_an_arm_that_cannot_be_is_refused_by_the_command_before_anything(right, written, tmp_path):
    config = changed(right, "study.arms.2.set", {"arch.args.encoder.0.kernel_size": 99})
    done = command("train.py", "-c", written(config))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: study.arms.2: arch.args.encoder.0: conv ")
    assert not (tmp_path / "saved").exists()


@pytest.mark.parametrize("way", ["tiny-study", "tiny-study/records"])
def test_a_file_where_the_study_would_go_is_named_in_one_line(right, written, tmp_path, way):
    right["name"] = "tiny"
    in_the_way = tmp_path / "saved" / way
    in_the_way.parent.mkdir(parents=True)
    in_the_way.write_text("mine")
    done = command("train.py", "-c", written(right))
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert str(in_the_way) in line
    assert "choose another" in line
    assert in_the_way.read_text() == "mine"
