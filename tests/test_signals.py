"""SIGTERM and Ctrl-C save and stop within one step; a second Ctrl-C stops at once."""

import os
import signal
import time

import pytest

from tests import processes
from tests.killing import end_state, resume, run_folder, uninterrupted, write_config
from utils.checkpoint import load_checkpoint
from utils.checkpoint_files import checkpoints_in

SETTINGS = {"save_steps": 0, "save_period": 2}


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return end_state(uninterrupted(tmp_path_factory.mktemp("reference"), **SETTINGS))


def signal_at(moment, numbers):
    """Have this process send itself `numbers` at a moment of its training."""
    from logger.run import Run
    from trainer.evaluator import Evaluator
    from trainer.trainer import Trainer

    waiting = list(numbers)

    def send():
        while waiting:
            os.kill(os.getpid(), waiting.pop())
            time.sleep(0.001)  # so that Python gets to its handler

    train, save, score = Trainer._train_batch, Run.save, Evaluator.measure

    def trained(self, epoch, batch):
        if moment == "step" and self.step == 7:
            send()
        return train(self, epoch, batch)

    def saved(self, content, name):
        if moment == "save" and content.epoch == 2:
            send()
        save(self, content, name)

    def scored(self, output, images):
        if moment == "validation" and not self.model.training:
            send()
        return score(self, output, images)

    Trainer._train_batch, Run.save, Evaluator.measure = trained, saved, scored


class At:
    """`signal_at` for a process to be started; a partial would do, but for its name in tests."""

    def __init__(self, moment, *numbers):
        self.moment, self.numbers = moment, numbers

    def __call__(self):
        signal_at(self.moment, self.numbers)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    ("moment", "step"), [("step", 8), ("save", 10), ("validation", 5)], ids=lambda value: value
)
def test_a_signal_saves_within_one_step_and_the_run_goes_on_exactly(
    tmp_path, expected, number, moment, step
):
    config = write_config(tmp_path, **SETTINGS)
    code, said = processes.run(
        "-c", config, output=tmp_path / "out", before=At(moment, number)
    )  # fmt: skip
    assert code == 128 + number, said
    run = run_folder(tmp_path)
    assert load_checkpoint(checkpoints_in(run)[0])["step"] == step
    assert said.splitlines()[-1].startswith(f"stopped by {number.name} after step {step}; go on")
    assert f"stopped by {number.name}" in (run / "info.log").read_text()
    assert "Traceback" not in said
    resume(run)
    assert end_state(run) == expected


@pytest.mark.parametrize("moment", ["step", "save"])
def test_a_second_ctrl_c_ends_at_once_and_spoils_nothing(tmp_path, expected, moment):
    config = write_config(tmp_path, **SETTINGS)
    started = time.perf_counter()
    code, said = processes.run(
        "-c", config, output=tmp_path / "out", before=At(moment, signal.SIGINT, signal.SIGINT)
    )  # fmt: skip
    assert time.perf_counter() - started < 5
    assert code == 130, said
    assert "Traceback" not in said
    run = run_folder(tmp_path)
    resume(run)
    assert end_state(run) == expected


def test_a_second_ctrl_c_takes_less_than_a_second(tmp_path):
    config = write_config(tmp_path, epochs=100000)
    process = processes.start(processes.train, ["-c", config], tmp_path / "out")
    while "epoch" not in (tmp_path / "out").read_text() if (tmp_path / "out").exists() else True:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGINT)
    os.kill(process.pid, signal.SIGINT)
    started = time.perf_counter()
    assert processes.finish(process) == 130
    assert time.perf_counter() - started < 1


def test_a_second_sigterm_does_not_cut_the_save_short(tmp_path, expected):
    config = write_config(tmp_path, **SETTINGS)
    code, said = processes.run(
        "-c", config, output=tmp_path / "out", before=At("step", signal.SIGTERM, signal.SIGTERM)
    )  # fmt: skip
    assert code == 143, said
    run = run_folder(tmp_path)
    assert load_checkpoint(checkpoints_in(run)[0])["step"] == 8
    resume(run)
    assert end_state(run) == expected
