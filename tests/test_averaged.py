"""The moving average of the weights is what is validated, saved and used; training has its own."""

import json
import os
import signal

import pytest
import torch

from base.averaged import AveragedWeights
from tests import processes
from tests.every_step import assert_goes_on_exactly, by_step, train_keeping_all
from tests.killing import content_of, digest, lines_of, resume, run_folder, write_config
from trainer.experiment import load
from utils.checkpoint_files import checkpoint_name, checkpoints_in

DECAY = 0.6
PART = "weights_in_training"


@pytest.fixture(scope="module")
def averaged(tmp_path_factory):
    """A run of three epochs in 15 steps, with batch norm, that kept a checkpoint of every step."""
    run, said = train_keeping_all(
        tmp_path_factory.mktemp("averaged"), epochs=3, ema=DECAY, precision="fp32"
    )
    assert "validated and saved are averaged weights, with a decay of 0.6" in said
    return run


def test_each_checkpoint_holds_the_average_of_all_weights_so_far(averaged):
    contents = by_step(averaged)
    assert sorted(contents) == list(range(1, 16))
    for step in range(2, 16):
        # One update was averaged before the second, and so on.
        kept = min(DECAY, step / (step + 9))
        before, now = contents[step - 1]["state_dict"], contents[step]
        for name, average in now["state_dict"].items():
            weights = now["more"][PART][name]
            if weights.is_floating_point():
                due = kept * before[name].double() + (1 - kept) * weights.double()
                torch.testing.assert_close(average.double(), due, rtol=1e-5, atol=1e-7)
            else:
                assert torch.equal(average, weights)


def test_the_first_weights_have_a_tenth_of_the_first_average():
    model = torch.nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(10)
    averaged = AveragedWeights(model, 0.999)
    with averaged.training():
        model.weight.data.fill_(20)
        averaged.update(0)
        assert averaged.average()["weight"].item() == pytest.approx(0.1 * 10 + 0.9 * 20)
        model.weight.data.fill_(0)
        averaged.update(1)
        assert model.weight.item() == 0
    assert model.weight.item() == pytest.approx(19 * 2 / 11)
    assert averaged.state_dict()["weight"].item() == 0
    with averaged.training():
        averaged.update(10**6)
    assert model.weight.item() == pytest.approx(0.999 * 19 * 2 / 11)


def test_weights_that_a_model_uses_twice_are_exchanged_once():
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    model[1].weight = model[0].weight
    averaged = AveragedWeights(model, 0.5)
    first = model[0].weight.clone()
    with averaged.training():
        model[0].weight.data.fill_(1)
    assert torch.equal(model[1].weight, first)
    with averaged.training():
        assert (model[1].weight == 1).all()


def test_what_is_validated_tested_and_loaded_is_the_average(averaged, tmp_path):
    done = processes.command(
        "test.py", "-r", averaged, "-o", tmp_path / "test", "-s", "generation=null"
    )
    assert done.returncode == 0, done.stderr
    scores = json.loads((tmp_path / "test" / "metrics.json").read_text())
    best = min(line["val_loss"] for line in lines_of(averaged))
    assert scores["splits"]["validation"]["loss"] == pytest.approx(best, rel=1e-5)
    model, content = load(averaged).model, content_of(averaged / "model_best.pth")
    for name, value in model.state_dict().items():
        assert torch.equal(value.cpu(), content["state_dict"][name])
    assert not all(
        torch.equal(value, content["more"][PART][name])
        for name, value in model.state_dict().items()
    )


@pytest.mark.parametrize("step", [1, 5, 8, 14])
def test_a_run_goes_on_from_a_step_bit_for_bit(averaged, tmp_path, step):
    assert_goes_on_exactly(averaged, tmp_path, step)


def test_without_an_average_nothing_more_is_kept(tmp_path):
    config = write_config(tmp_path, epochs=1, save_steps=0)
    code, said = processes.run("-c", config, output=tmp_path / "out")
    assert code == 0, said
    assert "more" not in content_of(run_folder(tmp_path) / checkpoint_name(1))
    assert "averaged" not in said


def signal_in_validation():
    """Have SIGTERM come to this process while it validates its second epoch."""
    from trainer.evaluator import Evaluator

    score = Evaluator.score

    def scored(self, loader, after_batch):
        def signalled():
            if before == [1, 2]:
                os.kill(os.getpid(), signal.SIGTERM)
            after_batch()

        before.append(len(before) + 1)
        return score(self, loader, signalled)

    before = []
    Evaluator.score = scored


def test_a_run_stopped_in_validation_goes_on_bit_for_bit(averaged, tmp_path):
    config = write_config(tmp_path, epochs=3, save_steps=1, ema=DECAY, precision="fp32")
    before = signal_in_validation
    code, said = processes.run("-c", config, output=tmp_path / "out", before=before)
    assert code == 143, said
    run = run_folder(tmp_path)
    assert content_of(checkpoints_in(run)[0])["within_epoch"]["count"] == 33
    resume(run)
    last = checkpoint_name(3)
    assert digest(content_of(run / last)) == digest(content_of(averaged / last))
    assert lines_of(run) == lines_of(averaged)
