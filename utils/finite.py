"""No update from a number that is not finite."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import torch

from utils.errors import SaidElsewhere, TrainingError
from utils.ranks import ALONE, Ranks

# On a GPU, reading a number waits for all work queued before it: so many steps are read at once.
STEPS_BETWEEN_READS = 50
NAMED = 8  # images a message names at most


def largest(tensors: Iterable[torch.Tensor]) -> torch.Tensor:
    """The largest absolute value in float tensors, []; it is finite only if all of them are.

    0 where they hold no number at all.
    """
    each = [one for one in tensors if one.numel()]
    if not each:
        return torch.zeros(())
    if each[0].device.type == "cpu":  # where torch's norm takes ten times as long as two bounds
        return torch.stack([bound for one in each for bound in one.aminmax()]).abs().amax()
    return torch.nn.utils.get_total_norm(each, math.inf)


class UnreadStep(NamedTuple):
    """A step whose numbers have not been read yet."""

    epoch: int
    step: int
    indices: torch.Tensor
    numbers: dict[str, torch.Tensor]
    gradient: torch.Tensor


class FiniteGuard:
    """Ends a run before the first update from a loss or a gradient that is not finite.

    On the CPU every step is read at once. Elsewhere steps are read together, and until then the
    first bad update and all after it are made void on the device.

    Args:
        optimizer: whose updates are guarded.
        ranks: the processes that train together: what one of them finds ends all.
        steps: steps between two reads; by default one on the CPU, more elsewhere.
    """

    def __init__(
        self, optimizer: torch.optim.Optimizer, ranks: Ranks = ALONE, steps: int | None = None
    ) -> None:
        self.optimizer, self.ranks = optimizer, ranks
        weights = (weight for group in optimizer.param_groups for weight in group["params"])
        self.weights = list(weights)
        device = self.weights[0].device
        self.steps = steps or (1 if device.type == "cpu" else STEPS_BETWEEN_READS)
        self._void = torch.zeros((), device=device)  # 1 from the first bad step on
        self._unread: list[UnreadStep] = []

    def check(
        self, epoch: int, step: int, indices: torch.Tensor, numbers: dict[str, torch.Tensor]
    ) -> None:
        """Look at a step after its backward pass and before its update.

        Args:
            indices: the places of its images, int64 [n].
            numbers: the terms of its loss and its metrics, each [n].

        Raises:
            TrainingError: this step, or an earlier one not read before, is not finite.
        """
        gradient = largest(w.grad for w in self.weights if w.grad is not None)
        numbers = {name: values.detach() for name, values in numbers.items()}
        self._unread.append(UnreadStep(epoch, step, indices, numbers, gradient))
        if self.steps > 1:
            self._make_void(gradient + numbers["loss"].sum())
        if len(self._unread) >= self.steps:
            self.read()

    def read(self) -> None:
        """Read the steps since the last time.

        Raises:
            TrainingError: one of them is not finite.
            SaidElsewhere: and another rank knows better why.
        """
        unread, self._unread = self._unread, []
        if not unread:
            return
        own = [torch.stack([one.gradient, one.numbers["loss"].sum()]) for one in unread]
        is_finite = self.ranks.gather(torch.stack(own)).isfinite()  # [ranks, steps, 2]
        if is_finite.all():
            return
        step = int(is_finite.all(2).all(0).long().argmin())
        # The averaged gradient is the same on all ranks, the loss is that of a rank's own images.
        rank = int(is_finite[:, step, 1].long().argmin())
        if rank != self.ranks.rank:
            raise SaidElsewhere(1, f"rank {rank} says what is not finite")
        raise TrainingError(_story(unread[step]))

    def _make_void(self, total: torch.Tensor) -> None:
        """Let the next update do nothing if this step or one before it is bad."""
        self._void = torch.maximum(self._void, (~total.isfinite()).float())
        if all(group.get("fused") for group in self.optimizer.param_groups):
            # What a fused update takes from a GradScaler.
            setattr(self.optimizer, "found_inf", self._void)  # noqa: B010, torch declares none
            return
        for weight in self.weights:
            if weight.grad is not None:
                weight.grad = torch.where(self._void.bool(), 0, weight.grad)


def _story(bad: UnreadStep) -> str:
    """What happened in a bad step, in one line."""
    terms = {name: float(values.mean()) for name, values in bad.numbers.items()}
    words = ", ".join(f"{name} {value:.4g}" for name, value in terms.items())
    wrong = ~bad.numbers["loss"].isfinite().cpu()
    places = (bad.indices[wrong] if wrong.any() else bad.indices).tolist()
    more = f" and {len(places) - NAMED} more" if len(places) > NAMED else ""
    return (
        f"epoch {bad.epoch}, step {bad.step + 1}: {words}, largest gradient "
        f"{float(bad.gradient):.4g}; images {', '.join(map(str, places[:NAMED]))}{more}; the "
        "update was not made and the checkpoints are unharmed. Try a lower optimizer.args.lr"
    )
