"""An override of a run that goes on takes effect and is written down, or is refused."""

import json
import sys

import pytest

import train
from tests.conftest import numbers_of, only_run
from utils.errors import ConfigError

TIMES = ("seconds", "images_per_second")


def run_train(monkeypatch, *args):
    """train.py in this process: a second process takes seconds to import torch."""
    monkeypatch.setattr(sys, "argv", ["train.py", "-d", "cpu", *map(str, args)])
    train.main()


def without_times(run):
    return [
        {name: value for name, value in line.items() if name not in TIMES}
        for line in numbers_of(run)
    ]


def config_of(run):
    return json.loads((run / "config.json").read_text())


def test_training_from_a_runs_own_config_gives_the_same_numbers(
    small, written, tmp_path, monkeypatch
):
    run_train(
        monkeypatch,
        "-c",
        written(small),
        "-s",
        "optimizer.args.lr=0.02",
        "arch.args.encoder.0.conv=3",
    )
    first = only_run(tmp_path / "saved")
    config = config_of(first)
    assert config["optimizer"]["args"]["lr"] == 0.02
    assert config["generation"]["samples"] == 5  # a default
    again = tmp_path / "again"
    run_train(monkeypatch, "-c", first / "config.json", "-s", f"trainer.save_dir={again}")
    second = only_run(again)
    assert without_times(second) == without_times(first)
    assert len(without_times(first)) == 2
    config["trainer"]["save_dir"] = str(again)
    assert config_of(second) == config


@pytest.mark.parametrize(
    ("scheduler", "rates"),
    [
        (None, [0.01, 0.01, 0.004, 0.004]),
        ({"type": "StepLR", "args": {"step_size": 3, "gamma": 0.5}}, [0.01, 0.01, 0.004, 0.002]),
        # eta_min 0: each rate is the one before times (1 + cos(pi e/4)) / (1 + cos(pi (e-1)/4)).
        (
            {"type": "CosineAnnealingLR", "args": {"T_max": 4}},
            [0.01, 0.01 * (1 + 0.5**0.5) / 2, 0.004, 0.004 * (1 - 0.5**0.5)],
        ),
    ],
    ids=["none", "StepLR", "CosineAnnealingLR"],
)
def test_a_new_learning_rate_takes_effect_and_is_written_down(
    small, written, tmp_path, monkeypatch, scheduler, rates
):
    run_train(monkeypatch, "-c", written(small | {"lr_scheduler": scheduler}))
    run = only_run(tmp_path / "saved")
    run_train(monkeypatch, "-r", run, "--lr", "0.004", "-s", "trainer.epochs=4")
    assert [line["lr"] for line in numbers_of(run)] == pytest.approx(rates)
    assert config_of(run)["optimizer"]["args"]["lr"] == 0.004
    log = (run / "info.log").read_text()
    assert "changed: trainer.epochs from 2 to 4" in log
    assert "changed: optimizer.args.lr from 0.01 to 0.004" in log
    assert "the learning rate is 0.004 from here" in log


def test_saving_and_stopping_can_change_in_a_resumed_run(small, written, tmp_path, monkeypatch):
    run_train(monkeypatch, "-c", written(small))
    run = only_run(tmp_path / "saved")
    small_changes = ["trainer.epochs=9", "trainer.save_period=1", "trainer.early_stop=1"]
    run_train(monkeypatch, "-r", run, "--lr", "0", "-s", *small_changes)
    assert (run / "checkpoint-epoch3.pth").exists()  # save_period was 10
    assert len(numbers_of(run)) < 9  # weights stand still, so nothing improves
    assert config_of(run)["trainer"]["save_period"] == 1
    assert config_of(run)["trainer"]["early_stop"] == 1


def test_what_a_resumed_run_cannot_take_is_refused_with_the_reason(
    small, written, tmp_path, monkeypatch
):
    run_train(monkeypatch, "-c", written(small))
    run = only_run(tmp_path / "saved")
    before = {path: path.read_bytes() for path in run.iterdir()}
    for override, says in [
        ("arch.args.encoder.0.conv=8", "the weights of the checkpoint fit this network only"),
        ("dataset.args.count=50", "it would be a run on other images"),
        ("seed=2", "the order of the images and all noise would be others"),
        ("loss.type=L1", "could not be compared"),
        ("name=other", "the run keeps its folder"),
        ("trainer.monitor=off", "the best value so far"),
        ("trainer.init=saved", "the run has weights of its own by now"),
        ("trainer.accumulate=2", "other images would make an update"),
        ("trainer.ema=0.9", "the checkpoint's model is an average of this decay, or none"),
        ("optimizer.args.eps=0.1", "belongs to this optimizer"),
        ("trainer.epochs=1", "2 epochs are trained already"),
        ("trainer.epoch=5", "did you mean 'trainer.epochs'?"),
        ("trainer.epochs=0", "must be greater than 0"),
        ("optimizer.args.lr=-1", "Adam refuses it"),
    ]:
        with pytest.raises(ConfigError) as caught:
            run_train(monkeypatch, "-r", run, "-s", override)
        assert says in str(caught.value)
        assert f"-s {override}" in str(caught.value)
    assert {path: path.read_bytes() for path in run.iterdir()} == before


def test_a_learning_rate_that_would_do_nothing_is_refused(small, written, tmp_path, monkeypatch):
    small["lr_scheduler"] = {"type": "OneCycleLR", "args": {"max_lr": 0.1, "total_steps": 9}}
    run_train(monkeypatch, "-c", written(small))
    with pytest.raises(ConfigError, match="OneCycleLR sets every rate itself"):
        run_train(monkeypatch, "-r", only_run(tmp_path / "saved"), "--lr", "0.1")


def test_a_config_beside_a_run_to_resume_is_refused(monkeypatch, capsys):
    with pytest.raises(SystemExit) as stopped:
        run_train(monkeypatch, "-r", "saved", "-c", "config.json")
    assert stopped.value.code == 2
    assert "-r goes on with the run's own config" in capsys.readouterr().err


@pytest.mark.parametrize(
    "scheduler",
    [
        {"type": "MultiStepLR", "args": {"milestones": [1, 3], "gamma": 0.5}},
        {"type": "ReduceLROnPlateau"},
    ],
    ids=lambda scheduler: scheduler["type"],
)
def test_a_run_with_a_new_rate_goes_on_a_second_time(
    small, written, tmp_path, monkeypatch, scheduler
):
    run_train(monkeypatch, "-c", written(small | {"lr_scheduler": scheduler}))
    run = only_run(tmp_path / "saved")
    run_train(monkeypatch, "-r", run, "--lr", "0.004", "-s", "trainer.epochs=3")
    run_train(monkeypatch, "-r", run, "-s", "trainer.epochs=5")
    rates = [line["lr"] for line in numbers_of(run)]
    halves = [0.01, 0.005, 0.004, 0.002, 0.002]
    plain = [0.01, 0.01, 0.004, 0.004, 0.004]
    assert rates == pytest.approx(halves if scheduler["type"] == "MultiStepLR" else plain)


def test_a_run_in_bf16_goes_on_in_fp32_where_that_is_asked_for(
    small, written, tmp_path, monkeypatch
):
    small["trainer"]["precision"] = "bf16"
    monkeypatch.setattr("utils.device.computes_bf16", lambda device: True)
    run_train(monkeypatch, "-c", written(small))
    run = only_run(tmp_path / "saved")
    monkeypatch.setattr("utils.device.computes_bf16", lambda device: False)
    with pytest.raises(ConfigError, match="'bf16', but cpu does not compute in it; use .*fp32"):
        run_train(monkeypatch, "-r", run, "-s", "trainer.epochs=3")
    run_train(monkeypatch, "-r", run, "-s", "trainer.epochs=3", "trainer.precision=fp32")
    assert config_of(run)["trainer"]["precision"] == "fp32"
    log = (run / "info.log").read_text()
    assert 'changed: trainer.precision from "bf16" to "fp32"' in log
    run_train(monkeypatch, "-r", run, "-s", "trainer.epochs=4")
    assert [line["epoch"] for line in numbers_of(run)] == [1, 2, 3, 4]
    monkeypatch.setattr("utils.device.computes_bf16", lambda device: True)
    with pytest.raises(ConfigError, match="the epochs before were trained in this one"):
        run_train(monkeypatch, "-r", run, "-s", "trainer.precision=bf16")
