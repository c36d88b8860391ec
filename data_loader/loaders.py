"""Batches of images: from memory on the device, in an order that follows from the epoch."""

from collections.abc import Iterator
from typing import Annotated, Self

import torch
from pydantic import Field, PositiveInt

from base.base_data_loader import BaseDataLoader, Batch
from base.base_dataset import BaseDataset
from utils.seed import SPLIT, epoch_order, generator

Share = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=0)]


class ImageLoader(BaseDataLoader):
    """Batches of a data set that is held on the device in its own small type.

    A batch is one selection of rows; scaling and one-hot run on the device for all of it.

    Args:
        batch_size: images in a batch.
        shuffle: whether every epoch has an order of its own.
        validation_split: the share of the images (below 1) or the number of images (1 and more)
            held out for validation, of each class in proportion; a class of one image stays in
            training.

    Raises:
        ValueError: fewer images than are to be held out.
    """

    def __init__(
        self,
        dataset: BaseDataset,
        device: torch.device,
        seed: int,
        batch_size: PositiveInt = 128,
        shuffle: bool = True,
        validation_split: Count | Share = 0.1,
    ) -> None:
        count = len(dataset)
        held_out = validation_split if validation_split >= 1 else round(validation_split * count)
        labels = dataset.labels.indices
        training, self.held_out = stratified_split(labels, int(held_out), seed)
        super().__init__(dataset, training, batch_size)
        self.seed, self.device, self.shuffle = seed, device, shuffle
        self.stored = dataset.stored.to(device)

    def batches(self, epoch: int = 0, seen: int = 0) -> Iterator[Batch]:
        """Every image once, in the order of `epoch`, but for the first `seen` of them."""
        order = self.indices
        if self.shuffle:
            order = order[epoch_order(self.count, self.seed, epoch)]
        on_device = order.to(self.device)
        for start in range(seen, self.count, self.batch_size):
            chosen = slice(start, start + self.batch_size)
            stored = self.stored.index_select(0, on_device[chosen])
            yield Batch(self.dataset.to_images(stored), order[chosen])

    def of(self, indices: torch.Tensor) -> Self:
        """A loader of other images of the same data set, in the order given."""
        loader = object.__new__(type(self))
        loader.__dict__.update(self.__dict__, indices=indices, shuffle=False)
        return loader

    def in_order(self) -> Self:
        """A loader of the same images in the order of the data set."""
        return self.of(self.indices)

    def split_validation(self) -> Self | None:
        """The loader of the images held out from this one, or None where there are none."""
        return self.of(self.held_out) if len(self.held_out) else None


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
