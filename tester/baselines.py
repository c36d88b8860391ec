"""What a model has to beat: the mean image, and as many principal components as its code."""

import math
from collections.abc import Callable

import torch

from base.base_data_loader import BaseDataLoader
from tester.principal_components import principal_components

# Numbers in the images that the components are fitted to: half a gigabyte, whatever the data set.
MOST_NUMBERS = 2**27

Reconstruct = Callable[[torch.Tensor], torch.Tensor]


def baselines(loader: BaseDataLoader, code_size: int) -> dict[str, Reconstruct]:
    """Name -> a function from images [n, C, H, W] to what the baseline makes of them.

    Args:
        loader: the training images, which both baselines are fitted to.
        code_size: the numbers in the model's code; PCA gets as many components, or as many as
            the images have.
    """
    step = -(-loader.count * math.prod(loader.dataset.shape) // MOST_NUMBERS)
    spaced = loader.of(loader.indices[::step])
    images = torch.cat([batch.images.flatten(1).cpu() for batch in spaced.batches()])
    mean, components = principal_components(images, code_size)

    def mean_image(images: torch.Tensor) -> torch.Tensor:
        return mean.to(images).expand(len(images), -1).view_as(images)

    def pca(images: torch.Tensor) -> torch.Tensor:
        basis = components.to(images)
        centred = images.flatten(1) - mean.to(images)
        return (centred @ basis @ basis.T + mean.to(images)).view_as(images)

    return {"mean_image": mean_image, "pca": pca}
