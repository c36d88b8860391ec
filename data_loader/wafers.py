"""Wafer maps: every die is off the wafer, normal or defective."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field, NonNegativeInt

from base.base_dataset import BaseDataset, BaseReader, Labels, LegendEntry
from data_loader.array_files import (
    DataPath,
    check_finite,
    check_numbers,
    check_same_shape,
    check_values,
    in_pieces,
    open_array,
    stored_or_read,
)
from data_loader.labels import USUAL_NAME, ClassNames, read_labels, unread_note
from data_loader.map_pictures import MapReader
from data_loader.wafer_drawing import CLASSES, draw_wafer
from utils.channels import largest_channel
from utils.errors import DataError
from utils.seed import mix

# Off-white, blue and vermilion: told apart by people with any of the common colour blindnesses.
# Source: Okabe and Ito 2008, "Color universal design".
LEGEND = (
    LegendEntry("off wafer", (0.93, 0.93, 0.93)),
    LegendEntry("normal die", (0.34, 0.71, 0.91)),
    LegendEntry("defective die", (0.84, 0.37, 0.0)),
)
# The maps that the nine classes have in the 1281-map set this project grew from.
CLASS_COUNTS = (90, 1, 296, 31, 297, 74, 72, 16, 404)


class BaseWafers(BaseDataset):
    """Wafer maps held as codes 0, 1, 2 (uint8 [N, H, W]) and seen as one-hot images.

    Args:
        codes: the maps, or a reader of them.
        labels: the class of each map.
        layout: how the data file writes a map: "codes" [H, W], "channels last" [H, W, 3] or
            "channels first" [3, H, W].
    """

    legend = LEGEND
    extra_metrics = ("pixel_accuracy", "defect_f1")

    def __init__(
        self,
        codes: torch.Tensor | BaseReader,
        labels: Labels,
        layout: str = "codes",
    ) -> None:
        super().__init__(codes, labels, (3, codes.shape[1], codes.shape[2]))
        self.layout = layout

    def to_images(self, stored: torch.Tensor) -> torch.Tensor:
        """Codes [n, H, W] -> one-hot float32 [n, 3, H, W]."""
        values = torch.arange(3, dtype=torch.uint8, device=stored.device)
        return (stored[:, None] == values[:, None, None]).float()

    def to_file(self, images: torch.Tensor) -> np.ndarray:
        """Images [n, 3, H, W] -> maps in the file's layout; each die takes its likeliest value."""
        codes = largest_channel(images).to(torch.uint8).numpy()
        if self.layout == "codes":
            return codes
        one_hot = np.eye(3, dtype=np.uint8)[codes]
        return one_hot if self.layout == "channels last" else one_hot.transpose(0, 3, 1, 2)

    def to_rgb(self, images: torch.Tensor) -> torch.Tensor:
        """Images [n, 3, H, W] -> each die in the colour of its likeliest value, [n, H, W, 3]."""
        colours = torch.tensor([entry.colour for entry in self.legend])
        return colours[largest_channel(images)]

    def keep_outline(self, made: torch.Tensor, originals: torch.Tensor) -> torch.Tensor:
        """Maps [n, 3, H, W], one-hot: off the wafer where their originals are off it.

        Elsewhere a die takes the likelier one of normal and defective.
        """
        is_off = largest_channel(originals) == 0
        codes = torch.where(is_off, 0, 1 + largest_channel(made[:, 1:]))
        return self.to_images(codes.to(torch.uint8))

    def are_valid(self, made: torch.Tensor, originals: torch.Tensor) -> torch.Tensor:
        """Whether maps [n, 3, H, W] are one-hot and have the outline of their originals."""
        is_one_hot = ((made == 1).sum(1) == 1) & ((made == 0).sum(1) == 2)
        is_kept = (largest_channel(made) == 0) == (largest_channel(originals) == 0)
        return (is_one_hot & is_kept).flatten(1).all(1)

    @property
    def outside(self) -> torch.Tensor:
        """A die off the wafer, float32 [3]."""
        return torch.tensor([1.0, 0.0, 0.0])

    def facts(self) -> dict[str, Any]:
        """How arrays of such maps are laid out, in plain values."""
        return super().facts() | {"layout": self.layout}

    @classmethod
    def of_array(cls, array: np.ndarray, facts: dict[str, Any], source: str) -> BaseDataset:
        """Maps in an array that is laid out as those that gave `facts`."""
        layout, (_, height, width) = facts["layout"], facts["shape"]
        shapes = {"codes": (height, width), "channels last": (height, width, 3)}
        check_numbers(array, source)
        check_same_shape(array, shapes.get(layout, (3, height, width)), source)
        for start, piece in in_pieces(array):
            _check_maps(piece, layout, source, start)
        labels = Labels(np.zeros(len(array), np.int64), facts["classes"])
        return BaseWafers(_stored_codes(array, layout, height, width), labels, layout)

    @classmethod
    def of_none(cls, facts: dict[str, Any]) -> BaseDataset:
        """No maps, in the layout of those that gave `facts`."""
        _, height, width = facts["shape"]
        codes = torch.empty(0, height, width, dtype=torch.uint8)
        return BaseWafers(codes, Labels(np.zeros(0, np.int64), facts["classes"]), facts["layout"])

    def of_pictures(self, files: list[Path]) -> BaseDataset:
        """Pictures in the colours of the legend, or grey ones that hold the codes 0, 1, 2."""
        colours = {entry.label: entry.colour for entry in self.legend}
        labels = Labels(np.zeros(len(files), np.int64), self.labels.names)
        return BaseWafers(MapReader(files, self.shape, colours), labels, self.layout)


def _stored_codes(
    array: np.ndarray, layout: str, height: int, width: int
) -> torch.Tensor | BaseReader:
    """Maps in any layout as uint8 codes [N, H, W], or a reader of them."""
    to_codes = partial(_codes, layout=layout)
    return stored_or_read(array, (len(array), height, width), torch.uint8, to_codes)


class WaferMaps(BaseWafers):
    """Wafer maps from array files.

    Args:
        data: a .npy or .npz file of codes 0, 1, 2 (N, H, W), or one-hot (N, H, W, 3) or
            (N, 3, H, W): 0 or channel 0 off the wafer, 1 a normal die, 2 a defective one.
        label: a .npy or .npz file of classes (N,) or (N, 1); null takes `label_name` from `data`
            where that is a .npz file that has it, else all maps are of one class.
        classes: the names of the classes 0, 1, 2, ...
        data_name: what the maps are called in a .npz file.
        label_name: what the labels are called in a .npz file; any name but "label" must be there.

    Raises:
        DataError: a file that does not hold what is said here; the message names it.
    """

    movable = ("data", "label")

    def __init__(
        self,
        data: DataPath,
        label: DataPath | None = None,
        classes: ClassNames | None = None,
        data_name: str = "data",
        label_name: str = USUAL_NAME,
    ) -> None:
        array = open_array(data, data_name)
        check_numbers(array, data)
        layout = _layout(array, data)
        for start, piece in in_pieces(array):
            _check_maps(piece, layout, data, start)
        labels = read_labels(label, label_name, len(array), classes, data)
        height, width = array.shape[2:] if layout == "channels first" else array.shape[1:3]
        super().__init__(_stored_codes(array, layout, height, width), labels, layout)
        self.note = unread_note(label, label_name, len(array), data)


class SyntheticWafers(BaseWafers):
    """Wafer maps drawn on the spot: the nine failure patterns of WM-811K on a round wafer.

    Args:
        size: height and width of a map in dies.
        count: the number of maps. Classes are as unequal as on a real line: of 1281 maps, 404
            show no pattern and 1 a Donut; other counts keep these shares, one of each at least.
        seed: another seed draws other wafers.
    """

    def __init__(
        self,
        size: Annotated[int, Field(ge=1, le=4096)] = 26,
        count: Annotated[int, Field(ge=len(CLASSES))] = 1281,
        seed: NonNegativeInt = 0,
    ) -> None:
        labels = np.repeat(np.arange(len(CLASSES)), shared_out(count, CLASS_COUNTS))
        np.random.default_rng(mix(seed)).shuffle(labels)
        maps = np.empty((count, size, size), np.uint8)
        for place, label in enumerate(labels):
            random = np.random.default_rng((mix(seed), place))
            maps[place] = draw_wafer(CLASSES[label], size, random)
        super().__init__(torch.from_numpy(maps), Labels(labels, CLASSES))


def shared_out(total: int, shares: Sequence[int]) -> list[int]:
    """`total` divided in proportion to `shares` by largest remainder, but at least 1 each."""
    exact = [total * share / sum(shares) for share in shares]
    counts = [int(part) for part in exact]
    by_remainder = sorted(range(len(shares)), key=lambda place: counts[place] - exact[place])
    for place in by_remainder[: total - sum(counts)]:
        counts[place] += 1
    while 0 in counts:
        counts[counts.index(max(counts))] -= 1
        counts[counts.index(0)] += 1
    return counts


def _layout(array: np.ndarray, path: str) -> str:
    """How the file writes a map."""
    if array.ndim == 3:
        return "codes"
    if array.ndim == 4 and array.shape[3] == 3:
        return "channels last"
    if array.ndim == 4 and array.shape[1] == 3:
        return "channels first"
    raise DataError(
        f"{path}: shape {array.shape}; must be (N, H, W) with codes 0, 1, 2, "
        "or one-hot (N, H, W, 3) or (N, 3, H, W)"
    )


def _check_maps(maps: np.ndarray, layout: str, path: str, start: int) -> None:
    """Raise a DataError for the first die that is nothing a die can be."""
    check_finite(maps, path, start)
    if layout == "codes":
        check_values(maps, (0, 1, 2), path, start, "a map of codes holds 0, 1 and 2 only")
    else:
        check_values(maps, (0, 1), path, start, "a one-hot map holds 0 and 1 only")
        _check_one_hot(maps.sum(3 if layout == "channels last" else 1), path, start)


def _codes(maps: np.ndarray, layout: str) -> np.ndarray:
    """Maps as their file has them -> uint8 codes [n, H, W]."""
    if layout != "codes":
        maps = maps.argmax(3 if layout == "channels last" else 1)
    return maps.astype(np.uint8)


def _check_one_hot(ones: np.ndarray, path: str, start: int) -> None:
    """Raise a DataError for the first die that is not exactly one of the three values."""
    if (ones != 1).any():
        image, *place = map(int, np.argwhere(ones != 1)[0])
        raise DataError(
            f"{path}: map {start + image} has {int(ones[(image, *place)])} ones at die "
            f"{tuple(place)}; a one-hot map has exactly one of three"
        )
