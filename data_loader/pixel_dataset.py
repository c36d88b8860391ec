"""Images of pixels: how a file's numbers become a model's, and a model's a file's."""

import math
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import AfterValidator

from base.base_dataset import BaseDataset, BaseReader, Labels
from data_loader.array_files import (
    check_finite,
    check_numbers,
    check_range,
    check_same_shape,
    in_pieces,
    stored_pixels,
)
from data_loader.pictures import PictureReader, check_picture

Layout = Literal["HW", "HWC", "CHW"]
# Whole numbers this wide, and doubles, lose digits in float32 before they are scaled.
WIDE = (torch.int32, torch.int64, torch.float64)
NARROW = 0.02  # the share of their range below which images are hardly meant


def _is_unit_range(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds not in ((0, 1), (-1, 1)):
        raise ValueError("must be [0, 1] or [-1, 1]")
    return bounds


def _is_range(bounds: tuple[float, float]) -> tuple[float, float]:
    if not bounds[0] < bounds[1]:
        raise ValueError("must be [lowest, highest], as in [0, 1]")
    return bounds


Scale = Annotated[tuple[float, float], AfterValidator(_is_unit_range)]
Range = Annotated[tuple[float, float], AfterValidator(_is_range)]


class BaseImages(BaseDataset):
    """Grey, colour or other images, held as their file has them and scaled on the device.

    Args:
        stored: the images, [N, ...] in `layout`, or a reader of them.
        labels: the class of each image.
        layout: the axes of one image in the file; "HW" is one channel without an axis.
        dtype: the type of the file's numbers.
        file_range: the lowest and the highest number that the file may hold ...
        scale_to: ... and what they are for the model.
    """

    def __init__(
        self,
        stored: torch.Tensor | BaseReader,
        labels: Labels,
        layout: Layout,
        dtype: np.dtype,
        file_range: tuple[float, float],
        scale_to: tuple[float, float],
    ) -> None:
        super().__init__(stored, labels, image_shape(tuple(stored.shape), layout), scale_to)
        self.layout, self.dtype, self.file_range = layout, np.dtype(dtype), file_range

    def to_images(self, stored: torch.Tensor) -> torch.Tensor:
        """Stored images [n, ...] -> float32 [n, C, H, W] in `value_range`."""
        if self.layout == "HW":
            stored = stored[:, None]
        elif self.layout == "HWC":
            stored = stored.permute(0, 3, 1, 2)
        (low, high), (bottom, top) = self.file_range, self.value_range
        is_wide = stored.dtype in WIDE and stored.device.type != "mps"  # which has no doubles
        images = stored.to(torch.float64 if is_wide else torch.float32, copy=True)
        images.sub_(low).div_(high - low)
        if (bottom, top) != (0, 1):
            images.mul_(top - bottom).add_(bottom)
        return images.clamp_(bottom, top).float()  # rounding may lead out of the range

    def to_file(self, images: torch.Tensor) -> np.ndarray:
        """Images [n, C, H, W] -> an array in the layout, type and range of the file."""
        (low, high), (bottom, top) = self.file_range, self.value_range
        shares = (images.double().clamp(bottom, top).numpy() - bottom) / (top - bottom)
        values = shares * (high - low) + low
        if self.layout == "HW":
            values = values[:, 0]
        elif self.layout == "HWC":
            values = values.transpose(0, 2, 3, 1)
        return np.ascontiguousarray(into_type(values, self.dtype, (low, high)))

    def to_rgb(self, images: torch.Tensor) -> torch.Tensor:
        """Images [n, C, H, W] -> [n, H, W, 3] in [0, 1]; other than three channels as grey."""
        bottom, top = self.value_range
        rgb = ((images - bottom) / (top - bottom)).clamp(0, 1).permute(0, 2, 3, 1)
        return rgb if rgb.shape[3] == 3 else rgb.mean(3, keepdim=True).expand(-1, -1, -1, 3)

    def facts(self) -> dict[str, Any]:
        """How arrays of such images are laid out, in plain values."""
        return super().facts() | {
            "layout": self.layout,
            "dtype": self.dtype.name,
            "file_range": list(self.file_range),
        }

    @classmethod
    def of_array(cls, array: np.ndarray, facts: dict[str, Any], source: str) -> BaseDataset:
        """Images in an array of any type that is laid out as those that gave `facts`."""
        check_numbers(array, source)
        check_same_shape(array, _file_shape(facts), source)
        low, high = facts["file_range"]
        rule = f"the model was trained with numbers from {low:g} to {high:g}"
        ends: list[float] = []
        for start, piece in in_pieces(array):
            check_finite(piece, source, start)
            ends += check_range(piece, (low, high), source, start, rule)
        images = _laid_out(stored_pixels(array), facts)
        question = f"{rule}: are these on the same scale?"
        images.note = narrow_note(min(ends), max(ends), (low, high), question)
        return images

    @classmethod
    def of_none(cls, facts: dict[str, Any]) -> BaseDataset:
        """No images, in the layout of those that gave `facts`."""
        return _laid_out(torch.empty(0, *_file_shape(facts)), facts)

    def of_pictures(self, files: list[Path]) -> BaseDataset:
        """Pictures of the same size and channels; black and white are the ends of the range."""
        for file in files:
            check_picture(file, self.shape)
        is_grey = self.shape[0] == 1
        reader = PictureReader(files, self.shape[1:], "L" if is_grey else "RGB", "white")
        return self._of_reader(reader, "HW" if is_grey else "HWC")

    def _of_reader(self, reader: BaseReader, layout: Layout) -> BaseDataset:
        """Pictures of 8 bits for the model that was trained with these images."""
        labels = Labels(np.zeros(len(reader), np.int64), self.labels.names)
        dtype = np.dtype(np.uint8)
        return BaseImages(reader, labels, layout, dtype, (0.0, 255.0), self.value_range)


def _file_shape(facts: dict[str, Any]) -> tuple[int, ...]:
    """The shape of an image in the file."""
    channels, height, width = facts["shape"]
    shapes = {"HW": (height, width), "HWC": (height, width, channels)}
    return shapes.get(facts["layout"], (channels, height, width))


def _laid_out(stored: torch.Tensor | BaseReader, facts: dict[str, Any]) -> BaseImages:
    """Images laid out as those that gave `facts`, all in the first class."""
    labels = Labels(np.zeros(stored.shape[0], np.int64), facts["classes"])
    ranges = tuple(facts["file_range"]), tuple(facts["value_range"])
    return BaseImages(stored, labels, facts["layout"], np.dtype(facts["dtype"]), *ranges)


def limits(dtype: np.dtype) -> tuple[float, float]:
    """The lowest and the highest number that a type holds."""
    if dtype.kind == "b":
        return 0, 1
    if dtype.kind == "f":
        return float(np.finfo(dtype).min), float(np.finfo(dtype).max)
    return np.iinfo(dtype).min, np.iinfo(dtype).max


def into_type(values: np.ndarray, dtype: np.dtype, allowed: tuple[float, float]) -> np.ndarray:
    """Doubles as numbers of another type: the nearest that it and the range `allowed` hold."""
    (least, most), (low, high) = limits(dtype), allowed
    low, high = max(low, least), min(high, most)
    if dtype.kind == "f":
        return values.clip(low, high).astype(dtype)
    lowest, highest = math.ceil(low), math.floor(high)
    values = values.round().clip(lowest, highest)
    # 2**63 - 1 as a double is 2**63: what reaches the highest number is not converted but set.
    is_highest = values >= highest
    values[is_highest] = lowest
    whole = values.astype(dtype)
    whole[is_highest] = highest
    return whole


def narrow_note(lowest: float, highest: float, allowed: tuple[float, float], question: str) -> str:
    """What is to be said where images use next to nothing of their range, and asked."""
    if highest - lowest >= NARROW * (allowed[1] - allowed[0]):
        return ""
    return (
        f"the images hold {lowest:g} to {highest:g} of a range of {allowed[0]:g} to "
        f"{allowed[1]:g}: every score will look good; {question}"
    )


def image_shape(shape: tuple[int, ...], layout: str) -> tuple[int, int, int]:
    """The shape (N, ...) of images in `layout` -> C, H, W of one of them."""
    if layout == "HW":
        return 1, shape[1], shape[2]
    if layout == "HWC":
        return shape[3], shape[1], shape[2]
    return shape[1], shape[2], shape[3]
