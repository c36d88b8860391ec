"""Schedulers that follow one another: the rate of every epoch, resumed exactly."""

import pytest

from tests.conftest import numbers_of
from tests.every_step import assert_goes_on_exactly, train_keeping_all
from tests.killing import resume, uninterrupted
from utils.errors import CheckpointError
from utils.optimizer_state import load_states, scheduler_state

# A warm-up over two epochs, a plateau of one and steps: 0.01 is the optimizer's own rate.
WARM_UP = [
    {"type": "LinearLR", "args": {"start_factor": 0.5, "total_iters": 2}, "epochs": 2},
    {"type": "ConstantLR", "args": {"factor": 0.3, "total_iters": 9}, "epochs": 1},
    {"type": "MultiStepLR", "args": {"milestones": [1, 2], "gamma": 0.1}},
]
RATES = [0.005, 0.0075, 0.003, 0.01, 0.001, 0.0001]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of six epochs of five steps that kept a checkpoint of each."""
    folder = tmp_path_factory.mktemp("schedules")
    run, _ = train_keeping_all(folder, {"lr_scheduler": WARM_UP}, epochs=6)
    return run


def rates_of(run):
    return [line["lr"] for line in numbers_of(run)]


def test_each_scheduler_begins_where_the_one_before_ends(finished):
    assert rates_of(finished) == pytest.approx(RATES)


@pytest.mark.parametrize(
    ("last", "rates"),
    [
        # T_max 4, eta_min 0: 0.01 (1 + cos(pi t / 4)) / 2.
        ({"type": "CosineAnnealingLR", "args": {"T_max": 4}},
         [0.005, 0.0075, 0.01, 0.01 * (1 + 0.5**0.5) / 2, 0.005]),
        ({"type": "CosineAnnealingWarmRestarts", "args": {"T_0": 2}},
         [0.005, 0.0075, 0.01, 0.005, 0.01]),
        ({"type": "ExponentialLR", "args": {"gamma": 0.1}},
         [0.005, 0.0075, 0.01, 0.001, 0.0001]),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else "",
)  # fmt: skip
def test_after_a_warm_up_the_whole_rate_decays(tmp_path, last, rates):
    run = uninterrupted(tmp_path, {"lr_scheduler": [WARM_UP[0], last]}, epochs=5, save_steps=0)
    assert rates_of(run) == pytest.approx(rates)


@pytest.mark.parametrize("step", [3, 10, 11, 15, 17])
def test_a_run_goes_on_from_a_step_bit_for_bit(finished, tmp_path, step):
    assert_goes_on_exactly(finished, tmp_path, step)


def test_a_new_rate_is_that_from_which_the_rest_counts_on(tmp_path):
    run = uninterrupted(tmp_path, {"lr_scheduler": WARM_UP}, epochs=2, save_steps=0)
    resume(run, "-s", "optimizer.args.lr=0.1", "trainer.epochs=3")
    resume(run, "-s", "trainer.epochs=5")
    assert rates_of(run) == pytest.approx([0.005, 0.0075, 0.1, 0.1, 0.01])


def test_the_state_of_other_schedulers_is_refused():
    import torch
    from torch.optim.lr_scheduler import ConstantLR, ExponentialLR, LinearLR, SequentialLR

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 0.1)

    def sequence(*schedulers):
        return SequentialLR(optimizer, list(schedulers), list(range(1, len(schedulers))))

    one = sequence(LinearLR(optimizer), ExponentialLR(optimizer, 0.9))
    other = sequence(LinearLR(optimizer), ConstantLR(optimizer))
    longer = sequence(LinearLR(optimizer), ExponentialLR(optimizer, 0.9), LinearLR(optimizer))
    load_states(optimizer, one, optimizer.state_dict(), scheduler_state(one))
    with pytest.raises(CheckpointError, match="another scheduler's: 'factor' is on one side only"):
        load_states(optimizer, one, optimizer.state_dict(), scheduler_state(other))
    with pytest.raises(CheckpointError, match="cannot be used"):
        load_states(optimizer, one, optimizer.state_dict(), scheduler_state(longer))
