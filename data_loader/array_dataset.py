"""Images from array files, whatever their layout, type and range."""

import numpy as np

from data_loader.array_files import (
    DataPath,
    check_finite,
    check_numbers,
    check_range,
    in_pieces,
    open_array,
    stored_pixels,
)
from data_loader.labels import USUAL_NAME, ClassNames, read_labels, unread_note
from data_loader.pixel_dataset import BaseImages, Layout, Range, Scale, limits, narrow_note
from utils.errors import DataError

OWN_RANGE = {"uint8": (0.0, 255.0), "bool": (0.0, 1.0)}
FOUR_AXES: tuple[Layout, ...] = ("HWC", "CHW")
AXES = {"HW": "(N, H, W)", "HWC": "(N, H, W, C)", "CHW": "(N, C, H, W)"}


class Arrays(BaseImages):
    """Images from array files.

    Args:
        data: a .npy or .npz file of images (N, H, W), (N, H, W, C) or (N, C, H, W), of any
            whole or floating-point type.
        label: a .npy or .npz file of classes (N,) or (N, 1); null takes `label_name` from `data`
            where that is a .npz file that has it, else all images are of one class.
        layout: the axes of one image in the file; null tells it from the shape.
        value_range: the lowest and the highest number an image may hold, which the file's type
            must hold too; null is [0, 255], which only uint8 says by itself.
        scale_to: what these two are for the model, [0, 1] or [-1, 1].
        classes: the names of the classes 0, 1, 2, ..., or the words of `label` in this order.
        data_name: what the images are called in a .npz file.
        label_name: what the labels are called in a .npz file; any name but "label" must be there.

    Raises:
        DataError: a file that does not hold what is said here; the message names it.
    """

    movable = ("data", "label")

    def __init__(
        self,
        data: DataPath,
        label: DataPath | None = None,
        layout: Layout | None = None,
        value_range: Range | None = None,
        scale_to: Scale = (0.0, 1.0),
        classes: ClassNames | None = None,
        data_name: str = "data",
        label_name: str = USUAL_NAME,
    ) -> None:
        array = open_array(data, data_name)
        check_numbers(array, data)
        axes = check_layout(array.shape, layout, data)
        value_range = value_range or _own_range(array.dtype, data)
        _check_limits(value_range, array.dtype, data)
        ends: list[float] = []
        for start, piece in in_pieces(array):
            check_finite(piece, data, start)
            ends += check_range(piece, value_range, data, start)
        labels = read_labels(label, label_name, len(array), classes, data)
        stored = stored_pixels(array)
        super().__init__(stored, labels, axes, array.dtype, value_range, scale_to)
        is_right = "is dataset.args.value_range right?"
        notes = (
            narrow_note(min(ends), max(ends), value_range, is_right),
            unread_note(label, label_name, len(array), data),
        )
        self.note = "; ".join(filter(None, notes))


def _own_range(dtype: np.dtype, path: str) -> tuple[float, float]:
    if dtype.name not in OWN_RANGE:
        raise DataError(
            f"{path}: numbers of type {dtype} do not say which is darkest and which lightest; "
            "write dataset.args.value_range, as in [0, 1] or [0, 65535]"
        )
    return OWN_RANGE[dtype.name]


def _check_limits(value_range: tuple[float, float], dtype: np.dtype, path: str) -> None:
    """Refuse a range that the file's type cannot hold: new images could not be written in it."""
    least, most = limits(dtype)
    # The limits as the config can write them: the highest uint64 is no double.
    if value_range[0] < float(least) or value_range[1] > float(most):
        raise DataError(
            f"{path}: dataset.args.value_range is {list(value_range)}, but its numbers are of "
            f"type {dtype}, which holds {least} to {most} only; declare the file's own range"
        )
    # What is between is computed in float32, or in doubles where the file has them.
    if value_range[1] - value_range[0] > max(most, limits(np.dtype("float32"))[1]):
        raise DataError(
            f"{path}: dataset.args.value_range {list(value_range)} is too wide to compute with; "
            "declare the range that the images use"
        )


def check_layout(shape: tuple[int, ...], layout: Layout | None, path: str) -> Layout:
    """The layout of the images in an array of `shape`, told from it where `layout` is None.

    Raises:
        DataError: the shape does not fit, or could be read in two ways.
    """
    if layout is None:
        return _told_by(shape, path)
    if len(shape) != len(layout) + 1:
        raise DataError(
            f"{path}: shape {shape}, but dataset.args.layout {layout} is {AXES[layout]}"
        )
    other = {"HWC": "CHW", "CHW": "HWC"}.get(layout)
    if other and _channels(shape, layout) > 4 and _channels(shape, other) in (1, 3):
        raise DataError(
            f"{path}: shape {shape} would be images of {_channels(shape, layout)} channels; "
            f"dataset.args.layout is rather {other}"
        )
    return layout


def _told_by(shape: tuple[int, ...], path: str) -> Layout:
    """HW, HWC or CHW; the channels are the one axis of length 1 or 3, or else 2 or 4."""
    if len(shape) == 3 and shape[2] > 4:
        return "HW"
    if len(shape) == 4:
        for usual in ((1, 3), (2, 4)):
            found = [layout for layout in FOUR_AXES if _channels(shape, layout) in usual]
            if len(found) == 1:
                return found[0]
            if found:
                break
    elif len(shape) != 3:
        raise DataError(f"{path}: shape {shape}; must be {', '.join(AXES.values())}")
    raise DataError(
        f"{path}: shape {shape} does not tell which axis is which; "
        'write dataset.args.layout: "HW", "HWC" or "CHW", one image without N'
    )


def _channels(shape: tuple[int, ...], layout: str) -> int:
    return shape[3] if layout == "HWC" else shape[1]
