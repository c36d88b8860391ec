"""train.py as a user runs it."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from base.base_model import BaseModel
from tests.conftest import ROOT, command, fresh_command, numbers_of, only_run
from utils.errors import ConfigError, run_command


def test_a_run_leaves_its_config_its_numbers_and_its_checkpoints(small, written, tmp_path):
    done = fresh_command("train.py", "-c", written(small))
    assert done.returncode == 0, done.stderr
    run = only_run(tmp_path / "saved")
    assert {path.name for path in run.iterdir()} == {
        "config.json", "info.log", "metrics.jsonl", "checkpoint-epoch2.pth", "model_best.pth",
        ".lock",
    }  # fmt: skip
    assert [line["epoch"] for line in numbers_of(run)] == [1, 2]
    assert json.loads((run / "config.json").read_text())["optimizer"]["args"]["amsgrad"] is False
    assert done.stderr == ""  # no progress bar where nobody watches


def test_epoch_means_weigh_every_image_the_same(small, written, tmp_path):
    """129 images at batch 128: the last batch is one image and weighs 1/129."""
    small["dataset"]["args"]["count"] = 129
    small["data_loader"]["args"] = {"batch_size": 128, "validation_split": 0}
    small["optimizer"] = {"type": "SGD", "args": {"lr": 0.0}}  # the weights stay as drawn
    small["trainer"] |= {"epochs": 1, "monitor": "min loss", "precision": "fp32"}
    done = command("train.py", "-c", written(small))
    assert done.returncode == 0, done.stderr
    run = only_run(tmp_path / "saved")
    command("test.py", "-r", run, "-s", "generation.samples=1")

    from data_loader.wafers import SyntheticWafers
    from model.autoencoder import Autoencoder

    dataset = SyntheticWafers(12, 129)
    images = dataset.to_images(dataset.stored)
    model = Autoencoder(dataset.shape, [{"conv": 4, "stride": 2}])
    content = torch.load(run / "checkpoint-epoch1.pth", weights_only=True)
    model.load_state_dict(content["state_dict"])
    with torch.no_grad():
        errors = (model(images)["reconstruction"] - images).square().mean((1, 2, 3)).numpy()
    by_hand = float(np.sum(errors, dtype=np.float64) / 129)
    assert abs(numbers_of(run)[0]["loss"] - by_hand) < 1e-7
    tested = json.loads((run / "test" / "metrics.json").read_text())
    assert abs(tested["splits"]["train"]["mse"] - by_hand) < 1e-7


@pytest.mark.slow
def test_a_compiled_model_trains_to_the_same_numbers(small, written, tmp_path):
    small["trainer"]["precision"] = "fp32"
    losses = []
    for name, is_compiled in (("plain", False), ("compiled", True)):
        small["name"] = name
        small["trainer"]["compile"] = is_compiled
        done = fresh_command("train.py", "-c", written(small))
        assert done.returncode == 0, done.stderr
        (run,) = (tmp_path / "saved" / name).iterdir()
        losses.append(numbers_of(run)[-1]["val_loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_tall_and_wide_images_are_shown_in_tensorboard(small, written, tmp_path):
    small["trainer"] |= {"tensorboard": True, "epochs": 1}
    for shape in ((13, 9), (9, 13)):
        np.save(tmp_path / "data.npy", np.tile(np.arange(256, dtype=np.uint8), (40, 1))[
            :, : shape[0] * shape[1]].reshape(40, *shape))  # fmt: skip
        small["dataset"] = {"type": "Arrays", "args": {"data": str(tmp_path / "data.npy")}}
        small["name"] = f"{shape[0]}x{shape[1]}"
        done = command("train.py", "-c", written(small))
        assert done.returncode == 0, done.stderr
        assert list((tmp_path / "saved" / small["name"]).glob("*/*/codes/sprite.png"))


def test_a_reader_who_goes_away_does_not_end_a_run(small, written, tmp_path):
    train = [sys.executable, ROOT / "train.py", "-c", written(small)]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(train, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")
    assert (only_run(tmp_path / "saved") / "checkpoint-epoch2.pth").exists()


def test_memory_that_runs_out_is_said_in_one_line(capsys):
    with pytest.raises(SystemExit) as end:
        run_command(lambda: torch.empty(2**55))
    said = capsys.readouterr().err
    assert end.value.code == 1
    assert said.startswith("failed: out of memory: lower data_loader.args.batch_size")
    assert said.count("\n") == 1


def test_images_that_use_next_to_nothing_of_their_range_are_warned_of(small, written, tmp_path):
    for highest, is_warned in ((1, True), (255, False)):
        images = np.zeros((40, 12, 12), np.uint8)
        images[:, ::2] = highest
        np.save(tmp_path / "data.npy", images)
        small["dataset"] = {"type": "Arrays", "args": {"data": str(tmp_path / "data.npy")}}
        done = command("train.py", "-c", written(small))
        assert done.returncode == 0, done.stderr
        assert ("the images hold 0 to 1 of a range of 0 to 255" in done.stdout) == is_warned


class WrongCode(BaseModel):
    """Says another shape of its code than it makes."""

    def __init__(self, code=(3,), image=(3, 8, 8)):
        super().__init__((3, 8, 8))
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.code_shape, self.image = code, image

    def encode(self, x):
        return x.new_zeros(len(x), 4) + self.weight

    def decode(self, code):
        return code.new_zeros(len(code), *self.image)


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (WrongCode(), "makes codes of 4, not of 3"),
        (WrongCode((4,), (3, 8, 9)), "makes images of 3x8x9, not of 3x8x8"),
        (WrongCode(None), "sets no code_shape"),
    ],
)
def test_a_model_of_ones_own_is_tried_before_training(small, model, says):
    from data_loader.image_loader import ImageLoader
    from data_loader.wafers import SyntheticWafers
    from model.loss import MSE
    from trainer.catalogue import catalogue
    from trainer.fit import check_fit
    from utils.config.check import check_config

    config = check_config(small, catalogue(), "config.json")
    with pytest.raises(ConfigError, match=says):
        check_fit(
            config, model, MSE(), ImageLoader(SyntheticWafers(8, 40), torch.device("cpu"), 0), None
        )
