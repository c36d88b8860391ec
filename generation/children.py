"""Which new images are made of which existing ones, how: planned, not yet made."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch

from base.base_data_loader import BaseDataLoader
from data_loader.augmentation import SYMMETRIES
from utils.config.sections import GenerationSection
from utils.seed import GENERATION, TURN, mix


class Child(NamedTuple):
    """How one generated image is made."""

    source: int
    """The place of its original in the data set."""
    noise: float
    """Standard deviation of the noise in its code."""
    seed: int
    """Of that noise, and of all else that is drawn for it."""
    symmetry: int = 0
    """How its original is turned before it is encoded, as `turned` counts: 0 is as it is. Of
    images that are not square it is one of the four flips, the remainder by 4."""
    neighbour: int | None = None
    """The place of the other original that it is made of, where there is one."""
    u: float | None = None
    """The share of the way from its original's code to the neighbour's."""

    def told(self, settings: GenerationSection) -> dict[str, Any]:
        """What a record says of it: what plays a part in how it is made."""
        keys = ["source", "noise", "seed"] + ["symmetry"] * settings.symmetries
        keys += {"neighbours": ["neighbour", "u"], "extrapolate": ["neighbour"]}.get(
            settings.method, []
        )
        return {key: getattr(self, key) for key in keys}


class Children:
    """The children to make, in the originals' order; each is worked out when its turn comes.

    Args:
        sources: the places of the originals, int64 [n].
        turns: for each original its place among those of its class, and how many these are;
            None where every original has `samples` children.
        levels: of noise, for each original; as many for all.

    Attributes:
        count: how many children there are.
    """

    def __init__(
        self,
        sources: list[int],
        turns: list[tuple[int, int]] | None,
        settings: GenerationSection,
        seed: int,
    ) -> None:
        self._sources, self._turns = sources, turns
        self._levels, self._seed = settings.levels(), seed
        self._is_turned = settings.symmetries
        self._samples, self._per_class = settings.samples, settings.per_class or 0
        if turns is None:
            self.count = self._samples * len(self._levels) * len(sources)
        else:
            self.count = self._per_class * sum(turn == 0 for turn, _ in turns)

    def __iter__(self) -> Iterator[Child]:
        for place in self._having():
            yield from self._of(place)

    def of(self, source: int) -> Iterator[Child]:
        """The children of one original."""
        return self._of(self._sources.index(source))

    def sources(self) -> list[int]:
        """The originals that have a child."""
        return [self._sources[place] for place in self._having()]

    def _having(self) -> Iterator[int]:
        """The places in `_sources` of the originals that have a child."""
        for place in range(len(self._sources)):
            if self._turns is None or self._turns[place][0] < self._per_class:
                yield place

    def levels(self) -> list[float]:
        """The levels of noise that some child has, in ascending order."""
        every = set(self._levels)
        used: set[float] = set()
        for place in range(len(self._sources)):
            used.update(self._levels[level] for _, level in self._numbers(place))
            if used == every:
                break
        return sorted(used)

    def _of(self, place: int) -> Iterator[Child]:
        source = self._sources[place]
        for number, level in self._numbers(place):
            seed = mix(self._seed, GENERATION, source, number, level)
            symmetry = mix(seed, TURN) % SYMMETRIES if self._is_turned else 0
            yield Child(source, self._levels[level], seed, symmetry)

    def _numbers(self, place: int) -> Iterator[tuple[int, int]]:
        """The number of each child of an original, and which level of noise it has.

        The images of a class take turns, so that none has two children more than another, and so
        do the levels, in each class and, from one child to the next, for each image.
        """
        if self._turns is None:
            for number in range(self._samples):
                for level in range(len(self._levels)):
                    yield number, level
            return
        turn, size = self._turns[place]
        for number in range(-(-max(self._per_class - turn, 0) // size)):
            yield number, (number + turn) % len(self._levels)


def plan_children(
    sources: torch.Tensor, labels: torch.Tensor, settings: GenerationSection, seed: int
) -> Children:
    """Which children of which originals to make.

    Args:
        sources: the places of the originals, int64 [n].
        labels: the class of every image of the data set.
    """
    turns = None if settings.per_class is None else _turns(labels[sources].tolist())
    return Children(sources.tolist(), turns, settings, seed)


def _turns(labels: list[int]) -> list[tuple[int, int]]:
    """For each image its place among those of its class, and how many these are."""
    sizes = Counter(labels)
    seen: Counter[int] = Counter()
    turns = []
    for label in labels:
        turns.append((seen[label], sizes[label]))
        seen[label] += 1
    return turns


def originals(loader: BaseDataLoader, split: str) -> torch.Tensor:
    """The places of the images of "train", "validation" or "all" of them, in ascending order.

    Args:
        loader: of the training images.
    """
    parts = {"train": loader, "validation": loader.split_validation()}
    chosen = [part.indices for name, part in parts.items() if part and split in (name, "all")]
    return torch.cat(chosen).sort().values
