"""train.py as a user runs it."""

import json

import numpy as np
import pytest
import torch

from tests.conftest import command, fresh_command, numbers_of, only_run


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
