"""What a model has to beat: the mean image, and as many principal components as its code."""

import math
from collections.abc import Callable
from functools import partial

import torch

from base.base_data_loader import BaseDataLoader

# Numbers in the images that the components are fitted to: half a gigabyte, whatever the data set.
MOST_FITTED = 2**27

# Eigenvalues below so much of the largest, for each row of the matrix, are zero but for rounding:
# points are given in float32.
ROUNDING = 1e-13

# Components of the smaller PCA beside one that all but holds the image.
FEW = (16, 64)

Reconstruct = Callable[[torch.Tensor], torch.Tensor]


def baselines(loader: BaseDataLoader, code_size: int) -> dict[str, Reconstruct]:
    """Name -> a function from images [n, C, H, W] to what the baseline makes of them.

    Args:
        loader: the training images, which both baselines are fitted to.
        code_size: the numbers in the model's code; PCA gets as many components, or as many as
            the images have. A code half as large as the image or larger leaves nothing to
            summarise; beside it stand PCA of FEW components, "pca_16" and "pca_64".
    """
    step = -(-loader.count * math.prod(loader.dataset.shape) // MOST_FITTED)
    spaced = loader.of(loader.indices[::step])
    images = torch.cat([batch.images.flatten(1).cpu() for batch in spaced.batches()])
    size = math.prod(loader.dataset.shape)
    few = [most for most in FEW if 2 * code_size >= size > most and most < code_size]
    mean, components = principal_components(images, code_size)

    def mean_image(images: torch.Tensor) -> torch.Tensor:
        return mean.to(images).expand(len(images), -1).view_as(images)

    def pca(images: torch.Tensor, most: int = code_size) -> torch.Tensor:
        basis = components[:, :most].to(images)
        centred = images.flatten(1) - mean.to(images)
        return (centred @ basis @ basis.T + mean.to(images)).view_as(images)

    smaller = {f"pca_{most}": partial(pca, most=most) for most in few}
    return {"mean_image": mean_image, "pca": pca, **smaller}


def principal_components(points: torch.Tensor, most: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean [D] of points [N, D] and their first principal components, orthonormal [D, k].

    k is `most`, or as many directions as the points differ in. From the eigenvectors of the
    smaller of two matrices, D x D or N x N: they give the same components.
    """
    mean = points.mean(0, dtype=torch.float64).float()
    centred = points - mean
    count, size = centred.shape
    if size <= count:
        values, vectors = torch.linalg.eigh(_products(centred))
        kept = _kept(values, most)
        return mean, vectors[:, kept].float()
    values, vectors = torch.linalg.eigh(_products(centred.T))
    kept = _kept(values, most)
    scaled = vectors[:, kept] * values[kept].clamp_min(1e-30).rsqrt()
    return mean, (centred.T.double() @ scaled).float()


def _products(rows: torch.Tensor) -> torch.Tensor:
    """rows.T @ rows, summed in float64 a few rows at a time."""
    total = rows.new_zeros((rows.shape[1], rows.shape[1]), dtype=torch.float64)
    for piece in rows.split(4096):
        total.addmm_(piece.double().T, piece.double())
    return total


def _kept(values: torch.Tensor, most: int) -> torch.Tensor:
    """The places of the largest eigenvalues, the largest first, without those that are rounding.

    One direction at least is kept, so that points that are all the same have one.
    """
    is_real = values > values[-1].clamp_min(1e-30) * len(values) * ROUNDING
    return torch.arange(len(values)).flip(0)[: max(min(most, int(is_real.sum())), 1)]
