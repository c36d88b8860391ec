"""Several processes that train one model together, as torchrun starts them.

Each process is a rank with a device of its own. Rank 0 leads: it alone reads the config and the
checkpoint, writes the run and speaks. All ranks make the same updates, each from its own part of
the images of every step.

Source: PyTorch's DistributedDataParallel; Li et al. 2020, "PyTorch Distributed".
"""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, TypeVar

from utils.errors import ConfigError

if TYPE_CHECKING:
    import torch
    from torch import nn

PATIENCE = 300  # seconds without a word from another rank that end a training; saving takes some
T = TypeVar("T")


class Ranks:
    """This process among those that train with it; here it is alone.

    What exchanges numbers has to be called by all ranks, in the same order.

    Args:
        rank: of this process, 0 leads.
        count: how many there are.
    """

    def __init__(self, rank: int = 0, count: int = 1) -> None:
        self.rank, self.count = rank, count

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.rank == 0

    def part(self, places: "torch.Tensor") -> tuple["torch.Tensor", int]:
        """This rank's part of a step's images [n], and how many of them count.

        A rank for which no image is left gets the last one, which does not count: it has to take
        the step all the same.
        """
        part = places.tensor_split(self.count)[self.rank]
        return (part if len(part) else places[-1:]), len(part)

    def gather(self, values: "torch.Tensor") -> "torch.Tensor":
        """The values [...] of every rank, [count, ...] on the CPU."""
        return values.cpu()[None]

    def largest(self, number: int) -> int:
        """The largest of a whole number of each rank."""
        return number

    def parallel(self, network: "nn.Module") -> "nn.Module":
        """The network that averages its gradients over the ranks.

        Before each step all take over the leader's buffers: the running statistics of a batch
        norm are those of the images that the leader saw.
        """
        return network

    def copy_buffers(self, network: "nn.Module") -> None:
        """Take over the buffers of the leader's network now."""

    def on_leader(self, make: Callable[[], T], otherwise: T | None = None) -> T:
        """What `make` gives on the leader; `otherwise` on the others, which wait for it."""
        return make()

    def broadcast(self, make: Callable[[], T]) -> T:
        """What `make` gives on the leader, on every rank."""
        return make()

    def in_turn(self, make: Callable[[], T]) -> T:
        """What `make` gives on this rank, after the leader has made its own.

        What has to be downloaded or is wrong for all is so only once.
        """
        return make()

    def together(self) -> AbstractContextManager[None]:
        """A training of all ranks that ends where one of them is lost.

        Raises:
            TrainingError: another rank has ended or does not answer any more.
        """
        return nullcontext()


ALONE = Ranks()


def refuse_ranks(what: str) -> None:
    """Raise a ConfigError where torchrun started several processes of what needs but one."""
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise ConfigError(f"{what} is one process: start it with python, not with torchrun")


def restarts() -> int:
    """How often torchrun has started this job again."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0))


def neighbours() -> int:
    """The ranks on this machine, this one included."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", 1))
