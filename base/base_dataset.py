"""What every data set is: images held once, in their own small type, and what they mean."""

import copy
import math
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional, Self

import numpy as np
import torch

from utils.errors import DataError

PIECE = 2**24  # bytes looked at together: much for one read, little for any memory


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

    def examples(self, places: torch.Tensor, number: int) -> list[int]:
        """Of the images at `places`, so many to show: the first of each class, then further ones.

        They are in the order of the classes.
        """
        own = self.indices[places]
        by_class = [places[own == label].tolist() for label in own.unique()[:number]]
        chosen: list[int] = []
        turn = 0
        while len(chosen) < number and any(len(places) > turn for places in by_class):
            chosen += [places[turn] for places in by_class if len(places) > turn]
            turn += 1
        return sorted(chosen[:number], key=lambda place: int(self.indices[place]))

    def to_file(self, indices: torch.Tensor) -> np.ndarray:
        """Class indices [n] -> an array as the label file holds them."""
        values = self.values[indices.numpy()]
        return values[:, None] if self.is_column else values


class BaseReader:
    """Images that stay in their files until some of them are asked for.

    Threads read side by side, so that `read` must not change anything.

    Args:
        shape: the shape of all images as `read` gives them, (N, ...).
        dtype: their type.
    """

    def __init__(self, shape: tuple[int, ...], dtype: torch.dtype) -> None:
        self.shape = shape
        self.dtype = dtype

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def nbytes(self) -> int:
        """What all images would take in memory."""
        return math.prod(self.shape) * self.dtype.itemsize

    def read(self, places: torch.Tensor) -> torch.Tensor:
        """The images at `places` int64 [n], as the data set stores them, [n, ...].

        Raises:
            DataError: one cannot be read; the message names it.
        """
        raise NotImplementedError


class BaseDataset:
    """Images, labels and all that metrics, figures and generated arrays need to know of them.

    Args:
        stored: the images as they are held, [N, ...] in any dtype, or a reader of them;
            `to_images` makes them images.
        labels: the class of each image.
        shape: C, H, W of an image.
        value_range: the lowest and the highest value that an image may hold.

    Attributes:
        legend: the meaning of each colour in a picture, if colours have one.
        extra_metrics: the names of metrics that make sense here besides the usual ones.
        note: what a run should warn of at its start, if anything.
        movable: the arguments that say where the images are, which may change when a run goes on
            or is tested: what the images are, `fingerprint` tells.
        looked_through: those of them that name a folder of which every picture is an image, so
            that none is to be written there.
    """

    runtime: tuple[str, ...] = ()
    movable: tuple[str, ...] = ()
    looked_through: tuple[str, ...] = ()
    legend: tuple[LegendEntry, ...] = ()
    extra_metrics: tuple[str, ...] = ()
    note = ""

    def __init__(
        self,
        stored: torch.Tensor | BaseReader,
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

    def keep_outline(self, made: torch.Tensor, originals: torch.Tensor) -> torch.Tensor:
        """Made images [n, C, H, W] with the outline of their originals [n, C, H, W].

        By default as they are: most images have no outline.
        """
        return made

    def are_valid(self, made: torch.Tensor, originals: torch.Tensor) -> torch.Tensor:
        """Whether made images [n, C, H, W] could be in the data set, bool [n].

        By default those are of finite numbers in the value range.

        Args:
            originals: those that they were made of, [n, C, H, W].
        """
        low, high = self.value_range
        return ((made >= low) & (made <= high)).flatten(1).all(1)

    def facts(self) -> dict[str, Any]:
        """How arrays of such images are laid out, in plain values; a checkpoint keeps them."""
        return {
            "shape": list(self.shape),
            "value_range": list(self.value_range),
            "classes": list(self.labels.names),
        }

    @classmethod
    def of_array(cls, array: np.ndarray, facts: dict[str, Any], source: str) -> "BaseDataset":
        """A data set of other images, in an array laid out as those that gave `facts`.

        All are put in the first class. A data set of one's own says here how it reads arrays.

        Args:
            source: where the array is from, as messages say it.

        Raises:
            DataError: the array is laid out otherwise, or holds what such images cannot.
        """
        raise DataError(
            f"{source}: {cls.__name__} does not say how it reads arrays; give tensors "
            "[N, C, H, W] as the model takes them"
        )

    def of_pictures(self, files: list[Path]) -> "BaseDataset":
        """A data set of other images, in picture files, as the model of this one takes them.

        All are put in the first class. A data set of one's own says here how it reads pictures.

        Raises:
            DataError: a picture of another size or other channels, or none; the message names it.
        """
        raise DataError(
            f"{files[0]}: {type(self).__name__} does not say how it reads pictures; give an "
            "array as it is in gen_data.npy"
        )

    @classmethod
    def of_none(cls, facts: dict[str, Any]) -> "BaseDataset":
        """A data set without images, which writes arrays as those that gave `facts`.

        Raises:
            DataError: a data set of one's own that does not say how.
        """
        raise DataError(
            f"{cls.__name__} does not say how it writes arrays; give codes as tensors to get "
            "images as tensors"
        )

    def only(self, places: torch.Tensor) -> Self:
        """A data set of the images at `places` int64 [n] alone, in that order, held in memory."""
        part, part.labels = copy.copy(self), copy.copy(self.labels)
        part.stored, part.labels.indices = self.stored_at(places), self.labels.indices[places]
        return part

    def test_split(self) -> Optional["BaseDataset"]:
        """The images that whoever made the data set keeps for testing, where there are any."""
        return None

    def hold(self) -> None:
        """Read the images into memory, where they are not there yet."""
        if not isinstance(self.stored, BaseReader):
            return
        stored = torch.empty(self.stored.shape, dtype=self.stored.dtype)
        start = 0
        for piece in self.pieces():
            stored[start : start + len(piece)] = piece
            start += len(piece)
        self.stored = stored

    def stored_at(self, places: torch.Tensor) -> torch.Tensor:
        """The stored images at `places` int64 [n], out of memory or their files, [n, ...]."""
        if isinstance(self.stored, BaseReader):
            return self.stored.read(places)
        return self.stored[places]

    def pieces(self) -> Iterator[torch.Tensor]:
        """The stored images in order, a few at a time: memory need not hold them all."""
        at_once = max(1, PIECE * len(self) // max(self.stored.nbytes, 1))
        for places in torch.arange(len(self)).split(at_once):
            if isinstance(self.stored, BaseReader):
                yield self.stored.read(places)
            else:
                yield self.stored[places[0] : places[-1] + 1]

    @property
    def outside(self) -> torch.Tensor:
        """The pixel that stands for what lies outside of an image, float32 [C].

        By default the lowest value in all channels.
        """
        return torch.full(self.shape[:1], self.value_range[0])

    @property
    def data_range(self) -> float:
        """The distance from the lowest to the highest value, as PSNR and SSIM need it."""
        return self.value_range[1] - self.value_range[0]

    def fingerprint(self) -> dict[str, int | list[int]]:
        """What tells these images and labels, in this order, from any others."""
        checksum = 0
        for piece in self.pieces():
            checksum = zlib.crc32(piece.contiguous().numpy().data, checksum)
        checksum = zlib.crc32(self.labels.indices.numpy().data, checksum)
        return {"count": len(self), "shape": list(self.shape), "crc32": checksum}
