"""New images from the codes of existing ones, each with a record of what it was made from."""

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import numpy as np
import torch

from base.base_data_loader import BaseDataLoader
from trainer.evaluator import Evaluator
from utils.config.sections import GenerationSection
from utils.seed import GENERATION, mix


class Child(NamedTuple):
    """How one generated image is made."""

    source: int
    """The place of its original in the data set."""
    noise: float
    """Standard deviation of the noise in its code."""
    seed: int
    """Of that noise."""


class Generated(NamedTuple):
    """Generated images, in the order of the children they were planned as."""

    data: np.ndarray
    """As the data file holds images."""
    labels: np.ndarray
    """As the label file holds labels."""


def plan_children(
    sources: torch.Tensor, labels: torch.Tensor, settings: GenerationSection, seed: int
) -> list[Child]:
    """Which children of which originals to make, in the originals' order.

    Args:
        sources: the places of the originals, int64 [n].
        labels: the class of every image of the data set.
    """
    levels = settings.levels()
    if settings.per_class is None:
        made = list(product(range(len(sources)), range(settings.samples), range(len(levels))))
    else:
        made = sorted(_of_classes(labels[sources], settings.per_class, len(levels)))
    children = []
    for place, number, level in made:
        source = int(sources[place])
        seed_of_child = mix(seed, GENERATION, source, number, level)
        children.append(Child(source, levels[level], seed_of_child))
    return children


def _of_classes(
    labels: torch.Tensor, per_class: int, levels: int
) -> Iterator[tuple[int, int, int]]:
    """`per_class` children of each class: place in `labels`, number for that place, noise level.

    The images of a class take turns, so that none has two children more than another, and so do
    the levels, in each class and, from one child to the next, for each image.
    """
    for label in labels.unique():
        places = (labels == label).nonzero()[:, 0].tolist()
        for turn in range(per_class):
            number, image = divmod(turn, len(places))
            yield places[image], number, (number + image) % levels


def generate(
    evaluator: Evaluator, loader: BaseDataLoader, children: list[Child], scale: torch.Tensor | None
) -> Generated:
    """The planned children as arrays in the layout of the data set.

    Args:
        loader: of the data set that the children's sources are places in.
        scale: the unit of noise for each number of a code, [*code_shape]; None is 1.
    """
    dataset = loader.dataset
    data = []
    for start in range(0, len(children), loader.batch_size):
        batch = children[start : start + loader.batch_size]
        data.append(dataset.to_file(generate_images(evaluator, loader, batch, scale)))
    sources = torch.tensor([child.source for child in children])
    labels = dataset.labels.to_file(dataset.labels.indices[sources])
    return Generated(np.concatenate(data), labels)


def generate_images(
    evaluator: Evaluator, loader: BaseDataLoader, children: list[Child], scale: torch.Tensor | None
) -> torch.Tensor:
    """The planned children as images [n, C, H, W]; arguments as in `generate`."""
    sources = torch.tensor([child.source for child in children])
    originals, places = sources.unique_consecutive(return_inverse=True)
    codes = evaluator.encode(loader.of(originals))[places]
    codes += torch.stack([_noise(child, codes.shape[1:], scale) for child in children])
    return evaluator.decode(codes)


def code_spread(evaluator: Evaluator, loader: BaseDataLoader) -> torch.Tensor:
    """The standard deviation of each number of the code over a loader's images, [*code_shape]."""
    total = squares = torch.zeros(())
    for start in range(0, loader.count, loader.batch_size):
        chosen = loader.indices[start : start + loader.batch_size]
        codes = evaluator.encode(loader.of(chosen)).double()
        total, squares = total + codes.sum(0), squares + codes.square().sum(0)
    mean = total / loader.count
    return (squares / loader.count - mean.square()).clamp_min(0).sqrt().float()


def interpolate(
    evaluator: Evaluator, loader: BaseDataLoader, first: int, second: int, steps: int
) -> torch.Tensor:
    """Images decoded along the straight line between two images' codes, [steps, C, H, W]."""
    start, end = evaluator.encode(loader.of(torch.tensor([first, second])))
    way = torch.linspace(0, 1, steps).view(-1, *[1] * start.dim())
    return evaluator.decode(start + way * (end - start))


def _noise(child: Child, shape: torch.Size, scale: torch.Tensor | None) -> torch.Tensor:
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(child.seed)) * child.noise
    return noise if scale is None else noise * scale
