"""A number that is not finite stops the run before the weights take it."""

import math

import pytest
import torch

from tests import processes
from tests.killing import lines_of, run_folder, write_config
from utils.checkpoint import load_checkpoint, save_checkpoint
from utils.errors import CheckpointError, TrainingError
from utils.finite import FiniteGuard, largest
from utils.optimizer_state import load_part, states_of


def spoil(value, epoch, step):
    """Have this process put `value` into one pixel of the fourth image of a step's batch."""
    from trainer.trainer import Trainer

    train = Trainer._train_batch

    def trained(self, now, batch):
        if (now, self.step) == (epoch, step):
            batch.images[3, 0, 5, 5] = value
        return train(self, now, batch)

    Trainer._train_batch = trained


class Spoiling:
    """`spoil` with its arguments, for a process to be started."""

    def __init__(self, *arguments):
        self.arguments = arguments

    def __call__(self):
        spoil(*self.arguments)


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e30])
def test_one_bad_pixel_stops_the_run_with_its_place(tmp_path, value):
    plain = {"encoder": [{"conv": 4, "stride": 2}], "decoder": "mirror"}
    changes = {"arch": {"type": "Autoencoder", "args": plain}}  # images do not mix in batch norm
    config = write_config(tmp_path, changes, save_steps=0)
    code, said = processes.run(
        "-c", config, output=tmp_path / "out", before=Spoiling(value, 3, 12)
    )  # fmt: skip
    assert code == 1, said
    (line,) = [line for line in said.splitlines() if "failed" in line]
    assert line.startswith("failed: epoch 3, step 13: loss ")
    assert "psnr" in line
    assert "largest gradient" in line
    assert "; images " in line
    assert "Traceback" not in said
    run = run_folder(tmp_path)
    assert line in (run / "info.log").read_text()
    assert len(lines_of(run)) == 2
    for path in run.glob("*.pth"):
        content = load_checkpoint(path)  # which refuses weights that are not finite
        assert content["epoch"] <= 2


def test_a_learning_rate_of_1e30_stops_the_run(tmp_path):
    changes = {"optimizer": {"type": "SGD", "args": {"lr": 1e30}}}
    config = write_config(tmp_path, changes)
    code, said = processes.run("-c", config, output=tmp_path / "out")
    assert code == 1, said
    assert said.count("failed: ") == 1
    for path in run_folder(tmp_path).glob("*.pth"):
        load_checkpoint(path)


def model_and_guard(optimizer, steps, **options):
    model = torch.nn.Linear(3, 2)
    optimizer = optimizer(model.parameters(), **options)
    return model, optimizer, FiniteGuard(optimizer, steps=steps)


def train_step(model, optimizer, guard, step, bad=False):
    x = torch.full((4, 3), math.nan) if bad else torch.randn(4, 3)
    loss = model(x).square().mean(1)
    optimizer.zero_grad()
    loss.sum().backward()
    guard.check(1, step, torch.arange(10, 14), {"loss": loss})
    optimizer.step()


@pytest.mark.parametrize("steps", [1, 50])
@pytest.mark.parametrize(
    ("optimizer", "options"),
    [
        (torch.optim.Adam, {"fused": True}),
        (torch.optim.AdamW, {"fused": True, "weight_decay": 0.5}),
        (torch.optim.SGD, {"fused": True, "momentum": 0.9}),
        (torch.optim.RMSprop, {}),
        (torch.optim.Adam, {}),
    ],
)
def test_no_weight_is_ever_updated_by_what_is_not_finite(optimizer, options, steps):
    """With 50 steps between reads, as on a GPU, what comes after a bad step is void too."""
    torch.manual_seed(0)
    model, optimizer, guard = model_and_guard(optimizer, steps, lr=0.1, **options)
    for step in range(3):
        train_step(model, optimizer, guard, step)
    says = "epoch 1, step 4: loss nan.*images 10, 11, 12, 13;"
    with pytest.raises(TrainingError, match=says):  # noqa: PT012, which step raises is not ours
        for step in range(3, 60):
            train_step(model, optimizer, guard, step, bad=step == 3)
    assert all(weight.isfinite().all() for weight in model.parameters())
    state = [value for one in optimizer.state.values() for value in one.values()]
    assert all(value.isfinite().all() for value in state if isinstance(value, torch.Tensor))


def test_a_fused_update_after_a_bad_step_changes_nothing():
    model, optimizer, guard = model_and_guard(torch.optim.Adam, 50, fused=True)
    train_step(model, optimizer, guard, 0)
    before = [weight.clone() for weight in model.parameters()]
    train_step(model, optimizer, guard, 1, bad=True)
    train_step(model, optimizer, guard, 2)
    assert all(torch.equal(*pair) for pair in zip(before, model.parameters(), strict=True))


@pytest.mark.parametrize(
    ("values", "expected"),
    [([1.0, -3.0], 3.0), ([math.nan, 1.0], math.nan), ([-math.inf], math.inf), ([1e38], 1e38)],
)
def test_the_largest_value_is_finite_only_if_all_are(values, expected):
    found = float(largest([torch.tensor(values), torch.zeros(2, 2)]))
    assert found == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("filled", [[], [torch.tensor([-2.0])]])
def test_tensors_without_a_number_have_no_largest_value(filled):
    assert float(largest([torch.zeros(0, 3), *filled])) == 2.0 * len(filled)
    assert float(largest(filled)) == 2.0 * len(filled)


def test_a_part_may_hold_a_tensor_that_is_still_empty():
    class Queue(torch.nn.Module):
        """Codes seen so far, none at first."""

        def __init__(self):
            super().__init__()
            self.register_buffer("codes", torch.zeros(0, 4))

    queue = Queue()
    state = states_of({"queue": queue})
    load_part("queue", queue, state["queue"])
    assert state["queue"]["codes"].shape == (0, 4)


@pytest.mark.parametrize("rule", ["min val_loss", "max val_loss"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_the_best_is_never_what_is_not_finite(rule, value):
    from base.monitor import Monitor

    monitor = Monitor(rule)
    assert not monitor.update({"val_loss": value})
    assert monitor.best is None
    assert monitor.update({"val_loss": 1.0})
    assert not monitor.update({"val_loss": value})
    assert monitor.best == 1.0


def test_weights_that_are_not_finite_are_neither_written_nor_read(tmp_path):
    from tests.test_misfit import example

    content, path = example(), tmp_path / "model.pth"
    content["state_dict"]["weight"][0, 0] = math.inf
    with pytest.raises(TrainingError, match="'weight' is no longer finite"):
        save_checkpoint(content, path)
    assert not path.exists()
    torch.save({"format": 1, **content}, path)
    with pytest.raises(CheckpointError, match="'weight'"):
        load_checkpoint(path)
