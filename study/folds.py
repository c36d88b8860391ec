"""Which images are trained on and which are tested on, again and again.

Images that are the same, be it turned or mirrored, are one group and stay on one side.
"""

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

import torch

from base.base_dataset import BaseDataset
from data_loader.augmentation import symmetries_of, turned
from utils.seed import STUDY, generator


class Fold(NamedTuple):
    """One split of the images into those that all arms learn from and those they are tested on."""

    repeat: int
    number: int
    train: torch.Tensor
    """Places in the data set, int64 [n] in ascending order."""
    test: torch.Tensor
    """The same of the others, of classes that can be evaluated."""


class Groups(NamedTuple):
    """Images that are the same up to turning and mirroring."""

    of_images: torch.Tensor
    """The number of each image's group, int64 [N]; groups are numbered as they come."""
    sizes: list[int]
    """How many groups each class has; a group is of the class of its first image."""


def group_images(dataset: BaseDataset) -> Groups:
    """Put the images that are the same, up to the symmetries of their rectangle, into groups."""
    numbers: dict[bytes, int] = {}
    found = [
        numbers.setdefault(mark, len(numbers))
        for piece in dataset.pieces()
        for mark in _marks(dataset.to_images(piece))
    ]
    groups, labels = torch.tensor(found), dataset.labels.indices
    firsts = labels[_firsts(groups)]
    return Groups(groups, torch.bincount(firsts, minlength=len(dataset.labels.names)).tolist())


def _marks(images: torch.Tensor) -> Iterator[bytes]:
    """For each image [n, C, H, W] what it has in common with its turned and mirrored copies."""
    ways = [
        turned(images, torch.full((len(images),), which)).contiguous().numpy()
        for which in range(symmetries_of(images.shape))
    ]
    for place in range(len(images)):
        yield min(hashlib.sha256(way[place].tobytes()).digest() for way in ways)


def _firsts(groups: torch.Tensor) -> torch.Tensor:
    """The place of the first image of each group, int64 [groups]."""
    places = torch.arange(len(groups)).flip(0)
    firsts = torch.zeros(int(groups.max()) + 1, dtype=torch.long)
    for place in places.tolist():
        firsts[groups[place]] = place
    return firsts


def evaluable(groups: Groups, folds: int) -> list[int]:
    """The classes that have a test image in every fold; the others stay in training."""
    return [label for label, size in enumerate(groups.sizes) if size >= folds]


def split(
    groups: Groups, labels: torch.Tensor, folds: int, repeats: int, seed: int
) -> Iterator[Fold]:
    """Every fold of every repeat, as a function of the seed.

    Args:
        labels: the class of each image, int64 [N].
    """
    tested = evaluable(groups, folds)
    for repeat in range(repeats):
        numbers = _deal(groups, labels, tested, folds, generator(seed, STUDY, repeat))
        for number in range(folds):
            is_test = numbers == number
            train, test = (~is_test).nonzero()[:, 0], is_test.nonzero()[:, 0]
            yield Fold(repeat, number, train, test)


def _deal(
    groups: Groups,
    labels: torch.Tensor,
    tested: list[int],
    folds: int,
    random: torch.Generator,
) -> torch.Tensor:
    """The fold in which each image is tested, int64 [N]; -1 is none.

    The groups of a class are shuffled and dealt out, each to the fold that has the fewest images
    of the class, and of several such to the smallest. The classes go from the smallest to the
    largest, which evens out what the others left.
    """
    members: dict[int, list[int]] = {}
    for place, group in enumerate(groups.of_images.tolist()):
        members.setdefault(group, []).append(place)
    firsts = labels[_firsts(groups.of_images)]
    counts = torch.zeros(folds, int(labels.max()) + 1, dtype=torch.long)
    numbers = torch.full_like(labels, -1)
    for label in sorted(tested, key=groups.sizes.__getitem__):
        own = (firsts == label).nonzero()[:, 0]
        for group in own[torch.randperm(len(own), generator=random)].tolist():
            order = [(int(counts[fold, label]), int(counts[fold].sum())) for fold in range(folds)]
            fold = order.index(min(order))
            for place in members[group]:
                numbers[place] = fold
                counts[fold, labels[place]] += 1
    return numbers
