"""Ranks that exchange numbers through torch.distributed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
from torch import distributed, nn
from torch.distributed import DistError
from torch.nn.parallel import DistributedDataParallel

from utils import ranks
from utils.errors import SaidElsewhere, TrainingError, UserError
from utils.ranks import Ranks, T, restarts

PREPARATION = 24 * 3600  # seconds without a word while a rank downloads or reads its data


class JoinedRanks(Ranks):
    """This process among several.

    Args:
        rank: of this process, 0 leads.
        count: how many there are.
        group: through which they exchange numbers.
    """

    def __init__(self, rank: int, count: int, group: distributed.ProcessGroup) -> None:
        super().__init__(rank, count)
        self._group = group

    def gather(self, values: torch.Tensor) -> torch.Tensor:
        """The values [...] of every rank, [count, ...] on the CPU."""
        own = values.cpu()
        everyone = [torch.empty_like(own) for _ in range(self.count)]
        distributed.all_gather(everyone, own, group=self._group)
        return torch.stack(everyone)

    def largest(self, number: int) -> int:
        """The largest of a whole number of each rank."""
        return int(self.gather(torch.tensor(number)).max())

    def parallel(self, network: nn.Module) -> nn.Module:
        """The network that averages its gradients over the ranks."""
        return DistributedDataParallel(network, process_group=self._group)

    def copy_buffers(self, network: nn.Module) -> None:
        """Take over the buffers of the leader's network now."""
        for buffer in network.buffers():
            distributed.broadcast(buffer, 0, group=self._group)

    def on_leader(self, make: Callable[[], T], otherwise: T | None = None) -> T:
        """What `make` gives on the leader; `otherwise` on the others, which wait for it."""
        made, error = _attempt(make) if self.leads else (otherwise, None)
        self._settle(error)
        return made  # type: ignore[return-value]  # without an error there is something

    def broadcast(self, make: Callable[[], T]) -> T:
        """What `make` gives on the leader, on every rank."""
        sent = [self.on_leader(make)]
        distributed.broadcast_object_list(sent, 0)
        return sent[0]

    def in_turn(self, make: Callable[[], T]) -> T:
        """What `make` gives on this rank, after the leader has made its own."""
        if not self.leads:
            self._settle(None)
        made, error = _attempt(make)
        self._settle(error)
        if self.leads:
            self._settle(None)
        return made  # type: ignore[return-value]  # without an error there is something

    def _settle(self, error: UserError | None) -> None:
        """Go on if no rank has an error; else the lowest of those that have one says it."""
        failed = torch.tensor(self.count if error is None else self.rank)
        distributed.all_reduce(failed, distributed.ReduceOp.MIN)
        if error is not None and failed == self.rank:
            raise error
        if failed < self.count:
            raise SaidElsewhere(2, f"rank {int(failed)} says what is wrong")

    @contextmanager
    def together(self) -> Iterator[None]:
        """A training of all ranks that ends where one of them is lost."""
        try:
            yield
        except RuntimeError as error:
            if not _is_loss(error):
                raise
            raise TrainingError(
                f"rank {self.rank} lost another rank, which has ended or not answered for "
                f"{ranks.PATIENCE} s; what it said itself tells why. The checkpoints are "
                "unharmed: go on with -r"
            ) from None


@contextmanager
def process_group() -> Iterator[JoinedRanks]:
    """The ranks of this job, as long as the block lasts.

    Raises:
        TrainingError: they do not find each other.
    """
    joined = _join()
    try:
        yield joined
    finally:
        distributed.destroy_process_group()


def _join() -> JoinedRanks:
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    patience, preparation = timedelta(seconds=ranks.PATIENCE), timedelta(seconds=PREPARATION)
    try:
        store, rank, count = next(distributed.rendezvous("env://"))
        # After a restart the store still holds the addresses of the processes before.
        store = distributed.PrefixStore(f"start {restarts()}", store)
        distributed.init_process_group(
            backend, timeout=preparation, store=store, rank=rank, world_size=count
        )
        group = distributed.new_group(timeout=patience)
        assert isinstance(group, distributed.ProcessGroup)  # noqa: S101, this rank is in it
        return JoinedRanks(rank, count, group)
    except (RuntimeError, ValueError) as error:
        raise TrainingError(f"torchrun's processes do not find each other: {error}") from None


def _attempt(make: Callable[[], T]) -> tuple[T | None, UserError | None]:
    try:
        return make(), None
    except UserError as error:
        return None, error


def _is_loss(error: RuntimeError) -> bool:
    """Whether an error comes from the exchange between ranks; gloo has no type of its own."""
    words = ("gloo", "pair closure", "onnection")
    return isinstance(error, DistError) or any(word in str(error) for word in words)
