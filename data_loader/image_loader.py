"""Batches of images: from the device or from files, in an order that follows from the epoch."""

import copy
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal, Self

import torch
from pydantic import Field, PositiveInt

from base.base_data_loader import BaseDataLoader, Batch
from base.base_dataset import BaseDataset, BaseReader
from data_loader.prefetch import Workers
from utils.device import free_memory
from utils.seed import SPLIT, generator

Share = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=0)]


class ImageLoader(BaseDataLoader):
    """Batches of a data set that is held on the device in its own small type, where it fits.

    A batch is then one selection of rows. A data set that does not fit stays in its files, from
    which workers read the batches to come: the same images in the same order. In both cases
    scaling and one-hot run on the device for the whole batch.

    Args:
        batch_size: images in a batch, of each process where torchrun starts several.
        shuffle: whether every epoch has an order of its own.
        validation_split: the share of the images (below 1) or the number of images (1 and more)
            held out for validation, of each class in proportion; a class of one image stays in
            training.
        num_workers: threads that read a data set which stays in its files; 0 reads each batch
            when it is its turn.
        memory: the megabytes that a data set may take on the device, else it stays in its files;
            "auto" is half of what is free.

    Raises:
        ValueError: fewer images than are to be held out.
    """

    movable = ("num_workers", "memory")
    testable = ("batch_size",)

    def __init__(
        self,
        dataset: BaseDataset,
        device: torch.device,
        seed: int,
        batch_size: PositiveInt = 128,
        shuffle: bool = True,
        validation_split: Count | Share = 0.1,
        num_workers: Annotated[int, Field(ge=0, le=256)] = 2,
        memory: Literal["auto"] | Count = "auto",
    ) -> None:
        count = len(dataset)
        held_out = validation_split if validation_split >= 1 else round(validation_split * count)
        labels = dataset.labels.indices
        training, validation = stratified_split(labels, int(held_out), seed)
        super().__init__(dataset, training, batch_size, validation, shuffle, seed)
        self.device = device
        self.num_workers, self.memory = num_workers, memory
        self._open(dataset)

    def _open(self, dataset: BaseDataset) -> None:
        """Hold a data set on the device where it fits, else have workers ready to read it."""
        device = self.device
        most = free_memory(device) // 2 if self.memory == "auto" else self.memory * 10**6
        if dataset.stored.nbytes <= most:
            dataset.hold()
        if isinstance(dataset.stored, BaseReader):
            self._fetch = Workers(dataset.stored.read, self.num_workers, device).fetch
            self.source = f"read from files by {self.num_workers} workers"
        else:
            self._fetch = _Held(dataset.stored.to(device)).fetch
            self.source = f"held on {device}"

    def batches(self, epoch: int = 0, trained: int = 0) -> Iterator[Batch]:
        """Every image once, in the order of `epoch`, but for the first `trained` of them."""
        steps = (
            self.order(epoch)[trained:].split(self.images_per_step) if trained < self.count else ()
        )
        parts = [self.ranks.part(places) for places in steps]
        if not parts:
            return
        fetched = self._fetch([places for places, _ in parts])
        for (places, counted), stored in zip(parts, fetched, strict=True):
            images = self.dataset.to_images(stored)
            yield Batch(images.contiguous(memory_format=torch.channels_last), places, counted)

    def over(self, dataset: BaseDataset) -> Self:
        """A loader of all images of another data set, in their order."""
        loader = super().over(dataset)
        loader._open(dataset)
        return loader

    def once_over(self, dataset: BaseDataset) -> Self:
        """As `over`, for images that are needed once: what is in files is not held in memory."""
        loader = copy.copy(self)
        loader.memory = 0
        return loader.over(dataset)


class _Held:
    """Batches out of images that are all on the device.

    Args:
        stored: the images as the data set stores them, [N, ...].
    """

    def __init__(self, stored: torch.Tensor) -> None:
        self._stored = stored

    def fetch(self, pieces: Sequence[torch.Tensor]) -> Iterator[torch.Tensor]:
        """The stored images of each piece, int64 [n] on the CPU -> [n, ...] on the device."""
        # One copy of the whole order: a copy for each batch would make the device wait.
        on_device = torch.cat(list(pieces)).to(self._stored.device)
        for places in on_device.split([len(piece) for piece in pieces]):
            yield self._stored.index_select(0, places)


def stratified_split(
    labels: torch.Tensor, held_out: int, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The places of the training and of the held-out images, each in ascending order.

    Every class gives in proportion to its size, but never its last image.

    Raises:
        ValueError: the classes cannot give so many.
    """
    sizes = torch.bincount(labels)
    most = (sizes - 1).clamp_min(0)
    if held_out > most.sum():
        raise ValueError(
            f"validation_split: holds out {held_out} of {len(labels)} images, but each class "
            f"keeps one for training: {int(most.sum())} at most"
        )
    exact = sizes * held_out / max(len(labels), 1)
    taken = exact.floor().long().minimum(most)
    while taken.sum() < held_out:
        lacking = torch.where(taken < most, exact - taken, -torch.inf)
        taken[lacking.argmax()] += 1
    is_held_out = torch.zeros(len(labels), dtype=torch.bool)
    shuffled = torch.randperm(len(labels), generator=generator(seed, SPLIT))
    for label, number in enumerate(taken.tolist()):
        is_held_out[shuffled[labels[shuffled] == label][:number]] = True
    return (~is_held_out).nonzero()[:, 0], is_held_out.nonzero()[:, 0]
