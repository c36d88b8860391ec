"""What noise in a code is measured in: the spread of codes over images, or within a class."""

from typing import NamedTuple

import torch

from base.base_data_loader import BaseDataLoader
from generation.views import Views
from trainer.evaluator import Evaluator

FEW = 5  # images, from which a class has a deviation of its own


def code_spread(evaluator: Evaluator, loader: BaseDataLoader) -> torch.Tensor:
    """The standard deviation of each number of the code over a loader's images, [*code_shape]."""
    total = squares = torch.zeros(())
    for start in range(0, loader.count, loader.batch_size):
        chosen = loader.indices[start : start + loader.batch_size]
        codes = evaluator.encode(loader.of(chosen)).double()
        total, squares = total + codes.sum(0), squares + codes.square().sum(0)
    mean = total / loader.count
    return (squares / loader.count - mean.square()).clamp_min(0).sqrt().float()


class ClassSpread(NamedTuple):
    """Mean and spread of the codes of each class, and how wide noise smooths them."""

    mean: torch.Tensor
    """[classes, *code_shape]"""
    deviation: torch.Tensor
    """sigma_c, [classes, *code_shape]: of fewer than five images that within all classes, pooled.
    """
    width: torch.Tensor
    """h_c, [classes]; 0 of a class without images."""

    def smoothed(
        self, codes: torch.Tensor, noise: torch.Tensor, levels: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor:
        """Codes of a smoothed bootstrap, [n, *code_shape], whose variance is that of the class.

        Args:
            codes: what is smoothed, [n, *code_shape].
            noise: standard normal noise times its level, [n, *code_shape].
            levels: the level of each, [n].
            labels: the class of each, int64 [n].

        Source: Silverman 1986, "Density estimation for statistics and data analysis", 6.4.
        """
        mean, each = self.mean[labels], (-1, *[1] * (codes.dim() - 1))
        width = self.width[labels]
        step = noise * width.view(each) * self.deviation[labels]
        kept = (1 + (levels * width).square()).sqrt().view(each)
        return mean + (codes - mean + step) / kept


@torch.no_grad()
def class_spread(views: Views, is_turned: bool) -> ClassSpread:
    """The spread within each class over the originals, as deviations of their population.

    Args:
        views: its loader serves the originals.
        is_turned: whether children are of turned originals: the codes are then those of each
            original in all of its symmetries.
    """
    loader, labels = views.loader, views.loader.dataset.labels
    classes = len(labels.names)
    images = torch.bincount(labels.indices[loader.indices], minlength=classes).double()
    turns = views.symmetries if is_turned else 1
    shape = views.evaluator.model.code_shape
    total, squares = torch.zeros(2, classes, *shape, dtype=torch.float64)
    for symmetry in range(turns):
        start = 0
        for codes in views.codes(loader.indices, symmetry):
            own = labels.indices[loader.indices[start : start + len(codes)]]
            start += len(codes)
            total.index_add_(0, own, codes.double())
            squares.index_add_(0, own, codes.double().square())
    each = (-1, *[1] * len(shape))
    counts = (turns * images).view(each)
    mean = total / counts.clamp_min(1)
    within = (squares - counts * mean.square()).clamp_min(0)
    pooled = within.sum(0) / (counts.sum() - (images > 0).sum()).clamp_min(1)
    own_variance = within / counts.clamp_min(1)
    variance = torch.where(images.view(each) < FEW, pooled, own_variance)
    return ClassSpread(mean.float(), variance.sqrt().float(), smoothing_width(images, shape))


def smoothing_width(images: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """The width of Gaussian kernels for `images` [classes] codes of each class, [classes].

    (4 / ((d + 2) n))^(1 / (d + 4)), with d numbers in a code; best where a class is Gaussian.

    Source: Silverman 1986, "Density estimation for statistics and data analysis", eq. 4.14.
    """
    numbers = torch.Size(shape).numel()
    width = (4 / ((numbers + 2) * images.clamp_min(1))) ** (1 / (numbers + 4))
    return torch.where(images > 0, width, 0.0).float()
