"""What every data loader is: batches of images, in an order that follows from the epoch."""

import copy
from collections.abc import Iterator
from typing import NamedTuple, Self

import torch

from base.base_dataset import BaseDataset
from utils.ranks import ALONE, Ranks
from utils.seed import epoch_order


class Batch(NamedTuple):
    """Images that go through the model together."""

    images: torch.Tensor
    """float32 [n, C, H, W]"""
    indices: torch.Tensor
    """Their places in the data set, int64 [n] on the CPU."""
    counted: int | None = None
    """How many of them count, the first ones; None is all of them."""

    def counting(self, numbers: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Of numbers of all its images, name -> [n], those of the images that count."""
        return {name: values[: self.counted] for name, values in numbers.items()}


class BaseDataLoader:
    """Batches of some images of a data set. A loader of one's own says `batches`.

    Args:
        dataset: where the images come from.
        indices: the places of the images that this loader serves, int64 [n].
        batch_size: images in a batch; the last batch of an epoch may hold fewer.
        held_out: the places of the images kept for validation, int64 [m].
        shuffle: whether every epoch has an order of its own ...
        seed: ... which follows from this number and the epoch.

    Attributes:
        source: where the batches come from, in words.
        ranks: the processes that share the images, one batch of each step for every rank.
        movable: the arguments that may change when a run goes on or is tested.
        testable: those that may change for a test only.
    """

    runtime: tuple[str, ...] = ("dataset", "device", "seed")
    movable: tuple[str, ...] = ()
    testable: tuple[str, ...] = ()
    source: str = "from their data set"
    ranks: Ranks = ALONE

    def __init__(
        self,
        dataset: BaseDataset,
        indices: torch.Tensor,
        batch_size: int,
        held_out: torch.Tensor | None = None,
        shuffle: bool = False,
        seed: int = 0,
    ) -> None:
        self.dataset = dataset
        self.indices = indices
        self.batch_size = min(batch_size, len(indices))
        self.held_out = indices[:0] if held_out is None else held_out
        self.shuffle, self.seed = shuffle, seed

    @property
    def count(self) -> int:
        """The number of images in an epoch."""
        return len(self.indices)

    @property
    def images_per_step(self) -> int:
        """The images that all ranks together train at a time, a batch each."""
        return self.batch_size * self.ranks.count

    def __len__(self) -> int:
        """The number of batches in an epoch on each rank."""
        return -(-self.count // self.images_per_step)

    def batches(self, epoch: int = 0, trained: int = 0) -> Iterator[Batch]:
        """Every image once, in the order of `epoch`, but for the first `trained` of them.

        Each rank gets its part of every step, `ranks.part`. `trained` is where an interrupted
        epoch goes on: the images of whole steps. Without `shuffle`, in the order of `indices`.
        """
        raise NotImplementedError

    def labels_of(self, batch: Batch) -> torch.Tensor:
        """The classes of a batch's images, int64 [n] on the CPU."""
        return self.dataset.labels.indices[batch.indices]

    def order(self, epoch: int) -> torch.Tensor:
        """The places of the images in the order in which `epoch` visits them, int64 [n]."""
        if not self.shuffle:
            return self.indices
        return self.indices[epoch_order(self.count, self.seed, epoch)]

    def shared_by(self, ranks: Ranks) -> Self:
        """A loader of the same images of which every rank gets a part, each image on one rank."""
        loader = copy.copy(self)
        loader.ranks = ranks
        loader.batch_size = min(self.batch_size, -(-self.count // ranks.count))
        return loader

    def of(self, indices: torch.Tensor) -> Self:
        """A loader of other images of the same data set, in the order given; not shared."""
        loader = copy.copy(self)
        loader.indices, loader.shuffle, loader.ranks = indices, False, ALONE
        return loader

    def in_order(self) -> Self:
        """A loader of the same images in the order of the data set, for evaluation."""
        return self.of(self.indices)

    def split_validation(self) -> Self | None:
        """The loader of the images held out from this one, or None where there are none."""
        return self.of(self.held_out) if len(self.held_out) else None

    def split_test(self) -> Self | None:
        """A loader of the images that the data set keeps for testing, or None without any."""
        images = self.dataset.test_split()
        return None if images is None else self.over(images)

    def over(self, dataset: BaseDataset) -> Self:
        """A loader of all images of another data set, in their order."""
        loader = self.of(torch.arange(len(dataset)))
        loader.dataset, loader.held_out = dataset, loader.indices[:0]
        return loader

    def once_over(self, dataset: BaseDataset) -> Self:
        """As `over`, for images that are needed once: what is in files is not held in memory."""
        return self.over(dataset)
