"""Several processes that train one model together, as torchrun starts them.

Each process is a rank with a device of its own. Rank 0 leads: it alone reads the config and the
checkpoint, writes the run and speaks. All ranks make the same updates, each from its own part of
the images of every step.

Source: PyTorch's DistributedDataParallel; Li et al. 2020, "PyTorch Distributed".
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from utils.errors import ConfigError, SaidElsewhere, TrainingError, UserError

if TYPE_CHECKING:
    import torch
    from torch import nn

PATIENCE = 300  # seconds without a word from another rank that end a training; saving takes some
PREPARATION = 24 * 3600  # ... while a rank downloads or reads its data
T = TypeVar("T")


class Ranks:
    """This process among those that train with it; by default it is alone.

    What exchanges numbers has to be called by all ranks, in the same order.

    Args:
        rank: of this process, 0 leads.
        count: how many there are.
        group: through which they exchange numbers; None where this one is alone.
    """

    def __init__(self, rank: int = 0, count: int = 1, group: object = None) -> None:
        self.rank, self.count, self._group = rank, count, group

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
        import torch

        own = values.cpu()
        if self.count == 1:
            return own[None]
        everyone = [torch.empty_like(own) for _ in range(self.count)]
        torch.distributed.all_gather(everyone, own, group=self._group)
        return torch.stack(everyone)

    def largest(self, number: int) -> int:
        """The largest of a whole number of each rank."""
        if self.count == 1:
            return number
        import torch

        return int(self.gather(torch.tensor(number)).max())

    def parallel(self, network: "nn.Module") -> "nn.Module":
        """The network that averages its gradients over the ranks.

        Before each step all take over the leader's buffers: the running statistics of a batch
        norm are those of the images that the leader saw.
        """
        if self.count == 1:
            return network
        from torch.nn.parallel import DistributedDataParallel

        return DistributedDataParallel(network, process_group=self._group)

    def copy_buffers(self, network: "nn.Module") -> None:
        """Take over the buffers of the leader now."""
        import torch

        for buffer in network.buffers() if self.count > 1 else ():
            torch.distributed.broadcast(buffer, 0, group=self._group)

    def on_leader(self, make: Callable[[], T], otherwise: T | None = None) -> T:
        """What `make` gives on the leader; `otherwise` on the others, which wait for it."""
        if self.count == 1:
            return make()
        made, error = _attempt(make) if self.leads else (otherwise, None)
        self._settle(error)
        return made

    def broadcast(self, make: Callable[[], T]) -> T:
        """What `make` gives on the leader, on every rank."""
        sent = [self.on_leader(make)]
        if self.count > 1:
            import torch

            torch.distributed.broadcast_object_list(sent, 0)
        return sent[0]

    def in_turn(self, make: Callable[[], T]) -> T:
        """What `make` gives on this rank, after the leader has made its own.

        What has to be downloaded or is wrong for all is so only once.
        """
        if self.count == 1:
            return make()
        if not self.leads:
            self._settle(None)
        made, error = _attempt(make)
        self._settle(error)
        if self.leads:
            self._settle(None)
        return made

    def _settle(self, error: UserError | None) -> None:
        """Go on if no rank has an error; else the lowest of those that have one says it."""
        import torch

        failed = torch.tensor(self.count if error is None else self.rank)
        torch.distributed.all_reduce(failed, torch.distributed.ReduceOp.MIN)
        if error is not None and failed == self.rank:
            raise error
        if failed < self.count:
            raise SaidElsewhere(2, f"rank {int(failed)} says what is wrong")

    @contextmanager
    def together(self) -> Iterator[None]:
        """A training of several ranks that ends where one of them is lost.

        Raises:
            TrainingError: another rank has ended or does not answer any more.
        """
        try:
            yield
        except RuntimeError as error:
            if self.count == 1 or not _is_loss(error):
                raise
            raise TrainingError(
                f"rank {self.rank} lost another rank, which has ended or not answered for "
                f"{PATIENCE} s; what it said itself tells why. The checkpoints are unharmed: go "
                "on with -r"
            ) from None


ALONE = Ranks()


@contextmanager
def joined() -> Iterator[Ranks]:
    """The ranks that torchrun started this process among, or none besides it.

    Raises:
        TrainingError: they do not find each other, or one is lost.
    """
    count = int(os.environ.get("WORLD_SIZE", 1))
    if count == 1:
        yield ALONE
        return
    from torch import distributed

    ranks = _join()
    try:
        with ranks.together():
            yield ranks
    finally:
        distributed.destroy_process_group()


def _join() -> Ranks:
    import torch
    from torch import distributed

    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    patience, preparation = timedelta(seconds=PATIENCE), timedelta(seconds=PREPARATION)
    try:
        store, rank, count = next(distributed.rendezvous("env://"))
        # After a restart the store still holds the addresses of the processes before.
        store = distributed.PrefixStore(f"start {restarts()}", store)
        distributed.init_process_group(
            backend, timeout=preparation, store=store, rank=rank, world_size=count
        )
        return Ranks(rank, count, distributed.new_group(timeout=patience))
    except (RuntimeError, ValueError) as error:
        raise TrainingError(f"torchrun's processes do not find each other: {error}") from None


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


def _attempt(make: Callable[[], T]) -> tuple[T | None, UserError | None]:
    try:
        return make(), None
    except UserError as error:
        return None, error


def _is_loss(error: RuntimeError) -> bool:
    """Whether an error comes from the exchange between ranks; gloo has no type of its own."""
    from torch.distributed import DistError

    words = ("gloo", "pair closure", "onnection")
    return isinstance(error, DistError) or any(word in str(error) for word in words)
