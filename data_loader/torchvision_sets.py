"""The data sets that torchvision downloads, by its names for them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from base.base_dataset import Labels
from data_loader.array_files import DataPath
from data_loader.pixel_dataset import BaseImages, Layout, Scale
from utils.errors import DataError, first_line


class BaseTorchvision(BaseImages):
    """The training images of a data set of torchvision; its test images are a split of their own.

    Args:
        root: the folder it is in, or is downloaded to.
        download: whether to download it where `root` does not have it.
        scale_to: what black and white are for the model, [0, 1] or [-1, 1].

    Raises:
        DataError: it is not there, is damaged or cannot be downloaded.
    """

    movable = ("root", "download")

    file_layout: Layout = "HW"

    def __init__(
        self, root: DataPath, download: bool = False, scale_to: Scale = (0.0, 1.0)
    ) -> None:
        self._root, self._download = root, download
        super().__init__(*self._read(is_test=False), scale_to)

    def test_split(self) -> BaseImages:
        """The images that the makers of the data set keep for testing."""
        return BaseImages(*self._read(is_test=True), self.value_range)

    def _read(self, is_test: bool) -> tuple[Any, Any, Any, Any, Any]:
        """The first arguments of BaseImages for the training or the test images."""
        name = type(self).__name__
        try:
            images, labels, names = self._open(is_test)
        except ImportError as error:
            raise DataError(
                f"dataset: {name} needs the package {error.name}; install it"
            ) from None
        except Exception as error:  # damaged files make torchvision raise nearly anything
            raise DataError(f"{self._root}: {self._problem(name, error)}") from None
        stored = torch.from_numpy(np.ascontiguousarray(images))
        labels = Labels(np.asarray(labels, np.int64), names)
        return stored, labels, self.file_layout, np.uint8, (0.0, 255.0)

    def _problem(self, name: str, error: Exception) -> str:
        reason = first_line(error)
        if self._download:
            return f"{name} is not there and cannot be downloaded: {reason}"
        if "not found" in reason.lower() or isinstance(error, FileNotFoundError):
            return (
                f"holds no {name}, or not all of it; say where it is with dataset.args.root, or "
                "have it downloaded with dataset.args.download=true"
            )
        return f"the files of {name} are damaged: {reason}"

    def _open(self, is_test: bool) -> tuple[np.ndarray, Any, list[str]]:
        """Images [N, ...] in `file_layout`, labels [N] and class names."""
        found = self._source()(self._root, train=not is_test, download=self._download)
        names = [name.partition(" - ")[0] for name in found.classes]  # "7 - seven" is a 7
        return np.asarray(found.data), found.targets, names

    def _source(self) -> Callable:
        """The class of torchvision."""
        from torchvision import datasets

        return getattr(datasets, type(self).__name__)


class MNIST(BaseTorchvision):
    """Handwritten digits, 60,000 and 10,000 for testing, 28x28 grey. LeCun et al. 1998."""


class FashionMNIST(BaseTorchvision):
    """Pieces of clothing, 60,000 and 10,000 for testing, 28x28 grey. Xiao et al. 2017."""


class KMNIST(BaseTorchvision):
    """Cursive Japanese characters, 60,000 and 10,000 for testing, 28x28 grey. Clanuwat 2018."""


class CIFAR10(BaseTorchvision):
    """Animals and vehicles, 50,000 and 10,000 for testing, 32x32 RGB. Krizhevsky 2009."""

    file_layout = "HWC"


class SVHN(BaseTorchvision):
    """House numbers, 73,257 digits and 26,032 for testing, 32x32 RGB. Netzer et al. 2011."""

    file_layout = "CHW"

    def _open(self, is_test: bool) -> tuple[np.ndarray, Any, list[str]]:
        split = "test" if is_test else "train"
        found = self._source()(self._root, split=split, download=self._download)
        return found.data, found.labels, [str(digit) for digit in range(10)]
