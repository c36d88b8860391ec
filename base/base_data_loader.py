"""What every data loader is: batches of images, in an order that follows from the epoch."""

from collections.abc import Iterator
from typing import NamedTuple, Self

import torch

from base.base_dataset import BaseDataset


class Batch(NamedTuple):
    """Images that go through the model together."""

    images: torch.Tensor
    """float32 [n, C, H, W]"""
    indices: torch.Tensor
    """Their places in the data set, int64 [n] on the CPU."""


class BaseDataLoader:
    """Batches of some images of a data set.

    Args:
        dataset: where the images come from.
        indices: the places of the images that this loader serves, int64 [n].
        batch_size: images in a batch; the last batch of an epoch may hold fewer.

    Attributes:
        source: where the batches come from, in words.
    """

    runtime: tuple[str, ...] = ("dataset", "device", "seed")
    source: str

    def __init__(self, dataset: BaseDataset, indices: torch.Tensor, batch_size: int) -> None:
        self.dataset = dataset
        self.indices = indices
        self.batch_size = min(batch_size, len(indices))

    @property
    def count(self) -> int:
        """The number of images in an epoch."""
        return len(self.indices)

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        return -(-self.count // self.batch_size)

    def batches(self, epoch: int, seen: int = 0) -> Iterator[Batch]:
        """Every image once, in the order of `epoch`, but for the first `seen` of them.

        `seen` is where an interrupted epoch goes on: a number of whole batches' images.
        """
        raise NotImplementedError

    def in_order(self) -> Self:
        """A loader of the same images in the order of the data set, for evaluation."""
        raise NotImplementedError

    def split_validation(self) -> Self | None:
        """The loader of the images held out from this one, or None where there are none."""
        raise NotImplementedError

    def split_test(self) -> Self | None:
        """A loader of the images that the data set keeps for testing, or None without any."""
        raise NotImplementedError
