"""New images from the codes of existing ones, each with a record of what it was made from."""

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch

from base.base_data_loader import BaseDataLoader
from generation.children import Child, Children
from trainer.evaluator import Evaluator
from utils.errors import ConfigError


class Generated(NamedTuple):
    """Some generated images."""

    children: list[Child]
    data: np.ndarray
    """As the data file holds images."""
    labels: np.ndarray
    """As the label file holds labels."""


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
