"""What every data set is: images held once, in their own small type, and what they mean."""

import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch


class LegendEntry(NamedTuple):
    """The meaning of one colour in a picture."""

    label: str
    colour: tuple[float, float, float]


class Labels:
    """The class of each image.

    Args:
        indices: the class of each image, int64 [N] in 0 ... len(names) - 1.
        names: the name of each class.
        values: what the label file writes for each class; by default the class's index.
        is_column: whether the file holds labels as (N, 1) rather than (N,).
    """

    def __init__(
        self,
        indices: np.ndarray,
        names: Sequence[str],
        values: np.ndarray | None = None,
        is_column: bool = False,
    ) -> None:
        self.indices = torch.from_numpy(indices)
        self.names = tuple(names)
        self.values = np.arange(len(names)) if values is None else values
        self.is_column = is_column

    def to_file(self, indices: torch.Tensor) -> np.ndarray:
        """Class indices [n] -> an array as the label file holds them."""
        values = self.values[indices.numpy()]
        return values[:, None] if self.is_column else values


class BaseDataset:
    """Images, labels and all that metrics, figures and generated arrays need to know of them.

    Args:
        stored: the images as they are held, [N, ...] in any dtype; `to_images` makes them images.
        labels: the class of each image.
        shape: C, H, W of an image.
        value_range: the lowest and the highest value that an image may hold.

    Attributes:
        legend: the meaning of each colour in a picture, if colours have one.
        extra_metrics: the names of metrics that make sense here besides the usual ones.
    """

    runtime: tuple[str, ...] = ()
    legend: tuple[LegendEntry, ...] = ()
    extra_metrics: tuple[str, ...] = ()

    def __init__(
        self,
        stored: torch.Tensor,
        labels: Labels,
        shape: tuple[int, int, int],
        value_range: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        self.stored = stored
        self.labels = labels
        self.shape = shape
        self.value_range = value_range

    def __len__(self) -> int:
        return len(self.stored)

    def to_images(self, stored: torch.Tensor) -> torch.Tensor:
        """Stored images [n, ...] -> float32 [n, C, H, W] in `value_range`, on the same device."""
        raise NotImplementedError

    def to_file(self, images: torch.Tensor) -> np.ndarray:
        """Images [n, C, H, W] -> an array in the layout, dtype and values of the data file."""
        raise NotImplementedError

    def to_rgb(self, images: torch.Tensor) -> torch.Tensor:
        """Images [n, C, H, W] -> what a person is shown, [n, H, W, 3] in [0, 1]."""
        raise NotImplementedError

    @property
    def data_range(self) -> float:
        """The distance from the lowest to the highest value, as PSNR and SSIM need it."""
        return self.value_range[1] - self.value_range[0]

    def fingerprint(self) -> dict[str, int | list[int]]:
        """What tells these images and labels, in this order, from any others."""
        checksum = zlib.crc32(self.stored.contiguous().numpy())
        checksum = zlib.crc32(self.labels.indices.numpy(), checksum)
        return {"count": len(self), "shape": list(self.shape), "crc32": checksum}
