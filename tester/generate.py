"""New images from the codes of existing ones, each with a record of what it was made from."""

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch

from base.base_data_loader import BaseDataLoader
from trainer.evaluator import Evaluator
from utils.config.sections import GenerationSection
from utils.errors import ConfigError
from utils.seed import GENERATION, mix


class Child(NamedTuple):
    """How one generated image is made."""

    source: int
    """The place of its original in the data set."""
    noise: float
    """Standard deviation of the noise in its code."""
    seed: int
    """Of that noise."""


class Children:
    """The children to make, in the originals' order; each is worked out when its turn comes.

    Args:
        sources: the places of the originals, int64 [n].
        turns: for each original its place among those of its class, and how many these are;
            None where every original has `samples` children.

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
        self._samples, self._per_class = settings.samples, settings.per_class or 0
        if turns is None:
            self.count = len(sources) * self._samples * len(self._levels)
        else:
            self.count = self._per_class * sum(turn == 0 for turn, _ in turns)

    def __iter__(self) -> Iterator[Child]:
        for place in range(len(self._sources)):
            yield from self._of(place)

    def of(self, source: int) -> Iterator[Child]:
        """The children of one original."""
        return self._of(self._sources.index(source))

    def sources(self) -> list[int]:
        """The originals that have a child."""
        return [
            source
            for place, source in enumerate(self._sources)
            if self._turns is None or self._turns[place][0] < self._per_class
        ]

    def levels(self) -> list[float]:
        """The levels of noise that some child has, in ascending order."""
        used: set[int] = set()
        for place in range(len(self._sources)):
            for _, level in self._numbers(place):
                used.add(level)
                if len(used) == len(self._levels):
                    return sorted(set(self._levels))
        return sorted({self._levels[level] for level in used})

    def _of(self, place: int) -> Iterator[Child]:
        source = self._sources[place]
        for number, level in self._numbers(place):
            seed = mix(self._seed, GENERATION, source, number, level)
            yield Child(source, self._levels[level], seed)

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


class Generated(NamedTuple):
    """Some generated images."""

    children: list[Child]
    data: np.ndarray
    """As the data file holds images."""
    labels: np.ndarray
    """As the label file holds labels."""


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


class Generator:
    """Makes images from the codes of other images.

    Args:
        evaluator: with the model.
        loader: of the data set that the children's sources are places in.
        unit: of noise for each number of a code, [*code_shape]; None is 1.
    """

    def __init__(
        self, evaluator: Evaluator, loader: BaseDataLoader, unit: torch.Tensor | None = None
    ) -> None:
        self.evaluator, self.loader, self.unit = evaluator, loader, unit

    def generate(self, children: Children) -> Iterator[Generated]:
        """The planned children as arrays in the layout of the data set, a batch at a time."""
        dataset, planned = self.loader.dataset, iter(children)
        while batch := list(islice(planned, self.loader.batch_size)):
            data = dataset.to_file(self.images(batch))
            data = data.astype(data.dtype.newbyteorder("="), copy=False)  # this machine's order
            sources = torch.tensor([child.source for child in batch])
            labels = dataset.labels.to_file(dataset.labels.indices[sources])
            yield Generated(batch, data, labels)

    def images(self, children: list[Child]) -> torch.Tensor:
        """The planned children as images [n, C, H, W].

        Raises:
            ConfigError: one of them is not finite, so much noise is in its code.
        """
        sources = torch.tensor([child.source for child in children])
        originals, places = sources.unique_consecutive(return_inverse=True)
        codes = self.evaluator.encode(self.loader.of(originals))[places]
        codes += torch.stack([self._noise(child, codes.shape[1:]) for child in children])
        images = self.evaluator.decode(codes)
        if not images.isfinite().all():
            most = max(child.noise for child in children)
            raise ConfigError(
                f"generation.noise: {most:g} is so much that the decoder makes no finite numbers "
                "of the codes; lower it"
            )
        return images

    def between(self, first: int, second: int, steps: int) -> torch.Tensor:
        """Images on the straight line between the codes of two others, [steps, C, H, W]."""
        start, end = self.evaluator.encode(self.loader.of(torch.tensor([first, second])))
        way = torch.linspace(0, 1, steps).view(-1, *[1] * start.dim())
        return self.evaluator.decode(start + way * (end - start))

    def _noise(self, child: Child, shape: torch.Size) -> torch.Tensor:
        source = torch.Generator().manual_seed(child.seed)
        noise = torch.randn(shape, generator=source) * child.noise
        return noise if self.unit is None else noise * self.unit


def code_spread(evaluator: Evaluator, loader: BaseDataLoader) -> torch.Tensor:
    """The standard deviation of each number of the code over a loader's images, [*code_shape]."""
    total = squares = torch.zeros(())
    for start in range(0, loader.count, loader.batch_size):
        chosen = loader.indices[start : start + loader.batch_size]
        codes = evaluator.encode(loader.of(chosen)).double()
        total, squares = total + codes.sum(0), squares + codes.square().sum(0)
    mean = total / loader.count
    return (squares / loader.count - mean.square()).clamp_min(0).sqrt().float()
