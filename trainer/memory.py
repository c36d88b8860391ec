"""What memory training takes at the least, known before any of it is taken.

A pass forwards and backwards on torch's meta device makes every tensor of a real one without its
numbers, so that their bytes can be counted. What libraries need besides is not known.
"""

import weakref
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from base.base_model import BaseModel
from utils.config.messages import Problem
from utils.config.sections import Config
from utils.device import most_memory


class Needs(NamedTuple):
    """Bytes that training takes at the least."""

    weights: int
    """Parameters and their average, gradients and what the optimizer keeps of each."""
    batch: int
    """What a batch takes besides on its way through the layers and back."""


def check_memory(
    config: Config, needs: Needs, device: torch.device, batch_size: int
) -> Iterator[Problem]:
    """Training does not take more memory than there can be."""
    most = most_memory(device)
    if sum(needs) <= most:
        return
    fix = "have fewer channels or features"
    if needs.weights < most:
        fix = f"lower data_loader.args.batch_size, or {fix}"
    rule = (
        f"takes {_size_text(sum(needs))} to train at the least, {_size_text(needs.weights)} for "
        f"weights, gradients and {config.optimizer.type} and {_size_text(needs.batch)} for a "
        f"batch of {batch_size}, and there are {_size_text(most)} on {device}; {fix}"
    )
    yield Problem("arch.type", config.arch.type, rule)


def needs_of(network: BaseModel, optimizer: type, config: Config, batch_size: int) -> Needs:
    """The memory that training a model would take at the least.

    Args:
        network: on the meta device; of one elsewhere only the weights are counted.
        optimizer: the class that the config names.
    """
    own = list(network.parameters())
    trained = sum(parameter.nbytes for parameter in own if parameter.requires_grad)
    weights = sum(p.nbytes for p in own) * (2 if config.trainer.ema else 1)
    weights += trained * (1 + copies_kept(optimizer, config))
    # A compiler chooses by itself what it keeps of a batch.
    if config.trainer.compile or not all(parameter.is_meta for parameter in own):
        return Needs(weights, 0)
    taken = _taken_by(network, batch_size)
    taken = taken // 2 if config.trainer.precision == "bf16" else taken
    return Needs(weights, max(taken - trained, 0))  # the pass makes gradients, too


def copies_kept(optimizer: type, config: Config) -> int:
    """How many numbers an optimizer keeps for each weight of a matrix, tried on a small one."""
    weight = torch.nn.Parameter(torch.zeros(2, 3))
    trial = optimizer([weight], **config.optimizer.args)
    weight.grad = torch.ones(2, 3)
    trial.step()
    kept = [value for value in trial.state[weight].values() if torch.is_tensor(value)]
    return sum(value.shape == weight.shape for value in kept)


def _taken_by(network: BaseModel, batch_size: int) -> int:
    """The most bytes that one float32 batch holds at a time, besides the parameters."""
    images = torch.empty(batch_size, *network.shape, device="meta")
    labels = torch.empty(batch_size, dtype=torch.int64, device="meta")
    try:
        with Ledger() as ledger:
            output = network(images, labels) if network.conditional else network(images)
            (output["reconstruction"] - images).square().sum().backward()
    except Exception:  # of a model that looks at numbers, or of one that check_fit refuses
        return 0
    return ledger.most


class Ledger(TorchDispatchMode):
    """Counts the bytes of the tensors that are made within the block.

    Attributes:
        most: the most that were held at one time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.most = self._now = 0
        self._held: set[int] = set()

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Compute, and count what is new."""
        made = function(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, tuple | list) else [made]:
            if isinstance(tensor, torch.Tensor):
                self._count(tensor.untyped_storage())
        return made

    def _count(self, storage: torch.UntypedStorage) -> None:
        place, size = storage._cdata, storage.nbytes()
        if place not in self._held:
            self._held.add(place)
            self._now += size
            self.most = max(self.most, self._now)
            weakref.finalize(storage, self._forget, place, size)

    def _forget(self, place: int, size: int) -> None:
        self._held.discard(place)
        self._now -= size


def _size_text(count: int) -> str:
    return f"{count / 1e9:,.1f} GB"
