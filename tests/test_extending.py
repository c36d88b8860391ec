"""The examples of README.md and docs/extending.md work as they are written there, and go on."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import ROOT, numbers_of

GUIDE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLE = re.compile(
    r"`(\w+/\w+\.py)`:\n\n```python\n(.*?)```\n\n    python train.py (.*?)\n", re.S
)
EXAMPLES = {path: (code, command) for path, code, command in EXAMPLE.findall(README + GUIDE)}
SHORT = {"trainer.epochs": 2, "trainer.save_period": 1}
SMALL = {"dataset.args.count": 40, "dataset.args.size": 12, "data_loader.args.batch_size": 16}
# What an example has instead of SMALL.
OWN = {
    "data_loader/pixel_table.py": {"data_loader.args.batch_size": 16},
    "data_loader/plain_loader.py": SMALL | {"data_loader.args.held_out": 8},
}
# In the copy: reads commands, a line of JSON each, and forks a process for each.
SERVER = """
import json, sys
from tests.processes import command
for line in sys.stdin:
    print(json.dumps(command(*json.loads(line))), flush=True)
"""


def test_every_block_of_code_is_an_example_with_a_command():
    blocks = re.findall(r"```python\n(.*?)```", GUIDE, re.S)
    assert len(blocks) == 7
    assert all(block in [code for code, _ in EXAMPLES.values()] for block in blocks)


class Copy:
    """A copy of the repository with every example in its file, and a table of digits."""

    def __init__(self, folder):
        self.folder = folder
        left_out = (".*", "saved", "docs", "benchmarks", "__pycache__")
        shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*left_out))
        for path, (code, _) in EXAMPLES.items():
            assert not (folder / path).exists(), path
            (folder / path).write_text(code, encoding="utf-8")
        random = np.random.default_rng(0)
        table = np.hstack([np.arange(40)[:, None] % 10, random.integers(0, 256, (40, 784))])
        np.savetxt(folder / "digits.csv", table, "%d", ",", header="label,pixels", comments="")
        self.server = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, script, *arguments, code=0):
        """Be `python SCRIPT ARGUMENTS` in the copy -> what it says."""
        line = json.dumps([script, *map(str, arguments)])
        self.server.stdin.write(f"{line}\n")
        self.server.stdin.flush()
        found, output, errors = json.loads(self.server.stdout.readline())
        assert found == code, errors
        return output

    def train(self, path, name, code=0, **changes):
        """Run the command of an example, made small -> the folder of its run."""
        self.run("train.py", *arguments_of(path, name, **changes), code=code)
        return self.only_run(name)

    def only_run(self, name):
        """The one run called `name`."""
        (config,) = (self.folder / "saved" / name).glob("*/config.json")
        return config.parent


def arguments_of(path, name, **changes):
    """The arguments of an example's command, made small; __ in the name of a change is a dot."""
    settings = OWN.get(path, SMALL) | SHORT | {"name": name}
    settings |= {key.replace("__", "."): value for key, value in changes.items()}
    given = [
        word for word in shlex.split(EXAMPLES[path][1]) if word.partition("=")[0] not in settings
    ]
    return [*given, "-s", *(f"{key}={value}" for key, value in settings.items())]


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    copy = Copy(tmp_path_factory.mktemp("copy") / "project")
    yield copy
    copy.server.communicate(timeout=60)


@pytest.mark.parametrize(
    ("path", "numbers"),
    [
        ("model/mlp.py", {"loss", "val_loss"}),
        ("model/mlp_vae.py", {"kl", "val_kl", "active_units"}),
        ("model/charbonnier.py", {"loss", "val_loss"}),
        ("model/largest_error.py", {"largest_error", "val_largest_error"}),
        ("data_loader/pixel_table.py", {"loss", "val_loss"}),
        ("data_loader/plain_loader.py", {"loss", "val_loss"}),
        ("data_loader/lost_edges.py", {"loss", "val_loss"}),
    ],
)
def test_an_example_trains_and_tests(copy, path, numbers):
    folder = copy.train(path, Path(path).stem)
    assert numbers <= numbers_of(folder)[-1].keys()
    copy.run("test.py", "-r", folder)
    pictures = {path.name for path in (folder / "test").glob("*.png")}
    assert {"reconstructions.png", "generated.png"} <= pictures
    assert ("prior.png" in pictures, "posterior.png" in pictures) == ("vae" in path,) * 2


def test_images_made_from_a_data_set_of_ones_own_are_in_its_layout(copy):
    folder = copy.only_run("pixel_table")
    made = np.load(folder / "test" / "gen_data.npy")
    assert (made.shape, made.dtype) == ((36 * 5, 784), np.uint8)
    assert set(np.load(folder / "test" / "gen_label.npy")) == set(range(10))


def tensors_of(content, path=""):
    """The tensors and numbers in nested dicts and lists, by their path."""
    if isinstance(content, dict | list | tuple):
        pairs = content.items() if isinstance(content, dict) else enumerate(content)
        return {
            k: v for key, inner in pairs for k, v in tensors_of(inner, f"{path}/{key}").items()
        }
    return {path: content}


def assert_same_end(checkpoint, other):
    """Check that two checkpoints hold the same in every part that moves, bit for bit."""
    first, second = (torch.load(path, weights_only=True) for path in (checkpoint, other))
    for part in ("state_dict", "optimizer", "more", "within_epoch", "epoch", "step"):
        found, due = (tensors_of(content.get(part)) for content in (first, second))
        assert found.keys() == due.keys()
        for name, value in found.items():
            assert np.array_equal(value, due[name]), f"{part}{name}"


ADVERSARIAL = "trainer/adversarial_trainer.py"


def test_a_trainer_of_ones_own_goes_on_from_the_middle_bit_for_bit(copy):
    folder = copy.train(ADVERSARIAL, "adversarial", trainer__epochs=4)
    end = folder / "checkpoint-epoch4.pth"
    copy.run("train.py", "-r", folder / "checkpoint-epoch2.pth")
    assert_same_end(end, folder / "checkpoint-epoch4.pth.superseded")
    kept = torch.load(end, weights_only=True)["more"]
    before = torch.load(folder / "checkpoint-epoch2.pth", weights_only=True)["more"]
    assert kept["judging"]["state"][0]["step"] == 2 * before["judging"]["state"][0]["step"] == 12
    assert not torch.equal(kept["discriminator"]["0.weight"], before["discriminator"]["0.weight"])
    assert {"judged", "unmasked", "val_loss"} <= numbers_of(folder)[-1].keys()
    copy.run("test.py", "-r", folder)


def test_a_trainer_of_ones_own_trains_with_every_argument(copy):
    changes = {"trainer__ema": 0.9, "trainer__accumulate": 2, "trainer__clip_gradient": 0.01}
    changes["trainer__epochs"] = 4
    folder = copy.train(ADVERSARIAL, "arguments", **changes)
    end = folder / "checkpoint-epoch4.pth"
    content = torch.load(end, weights_only=True)
    assert (content["step"], content["more"]["judging"]["state"][0]["step"]) == (8, 12)
    trained = content["more"]["weights_in_training"]
    assert trained.keys() == content["state_dict"].keys()
    assert not all(torch.equal(trained[name], content["state_dict"][name]) for name in trained)
    copy.run("train.py", "-r", folder / "checkpoint-epoch2.pth")
    assert_same_end(end, folder / "checkpoint-epoch4.pth.superseded")


STOPPED = """
import os, signal
from trainer.adversarial_trainer import AdversarialTrainer

class StoppedTrainer(AdversarialTrainer):
    def update(self, epoch, batch):
        if self.step == 4:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().update(epoch, batch)
"""


def test_a_trainer_of_ones_own_goes_on_within_an_epoch_bit_for_bit(copy):
    whole = copy.train(ADVERSARIAL, "whole", trainer__epochs=4)
    (copy.folder / "trainer" / "stopped_trainer.py").write_text(STOPPED)
    changes = {"trainer__type": "StoppedTrainer", "trainer__epochs": 4}
    folder = copy.train(ADVERSARIAL, "stopped", code=143, **changes)
    assert sorted(folder.glob("checkpoint-epoch2*")) == [folder / "checkpoint-epoch2-step5.pth"]
    copy.run("train.py", "-r", folder)
    assert_same_end(folder / "checkpoint-epoch4.pth", whole / "checkpoint-epoch4.pth")


def test_a_loader_of_ones_own_goes_on_bit_for_bit(copy):
    folder = copy.train("data_loader/plain_loader.py", "goes_on", trainer__epochs=4)
    copy.run("train.py", "-r", folder / "checkpoint-epoch2.pth")
    ends = (folder / f"checkpoint-epoch4.pth{ending}" for ending in ("", ".superseded"))
    assert_same_end(*ends)


SPOILT = """
from trainer.adversarial_trainer import AdversarialTrainer

class SpoiltTrainer(AdversarialTrainer):
    def judge(self, batch, made):
        losses = super().judge(batch, made)
        if self.step == 5:
            self.discriminator[0].bias.data.fill_(float("nan"))
        return losses
"""


def test_no_checkpoint_holds_a_kept_part_that_is_not_finite(copy):
    (copy.folder / "trainer" / "spoilt_trainer.py").write_text(SPOILT)
    folder = copy.train(ADVERSARIAL, "spoilt", code=1, trainer__type="SpoiltTrainer")
    assert "discriminator: holds a tensor that is not finite" in (folder / "info.log").read_text()
    assert not (folder / "checkpoint-epoch2.pth").exists()
    copy.run("train.py", "-r", folder, "-s", "trainer.epochs=1")  # the checkpoint before is whole
