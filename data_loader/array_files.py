"""Array files: .npy and .npz, never pickles, and one clear line for what is wrong."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from pydantic import AfterValidator

from base.base_dataset import PIECE, BaseReader
from data_loader.npz import begins_with, is_archive, read_from_archive
from utils.errors import DataError, first_line
from utils.home import at_home, why_unreachable

NPY_START = b"\x93NUMPY"
# What a type's numbers are held as: its own where torch computes with it, else the next wider.
HELD = {
    "bool": np.uint8,
    "uint16": np.int32,
    "uint32": np.int64,
    "uint64": np.float64,
}
Convert = Callable[[np.ndarray], np.ndarray]
# Where a config says its data are; ~ is the home folder.
DataPath = Annotated[str, AfterValidator(at_home)]


def open_array(path: str, name: str) -> np.ndarray:
    """The array in a .npy file (mapped, not read), or the one called `name` in a .npz file.

    Raises:
        DataError: no such file, not an array file, truncated, holding Python objects, or
            without an array of that name.
    """
    file = Path(path)
    if reason := why_unreachable(file):
        raise DataError(f"{path}: {reason}")
    if not file.exists():
        raise DataError(f"{path}: no such file")
    if not file.is_file():
        kind = "a folder" if file.is_dir() else "no ordinary file"
        raise DataError(f"{path}: {kind}, not a .npy or .npz file")
    try:
        if is_archive(file):
            return read_from_archive(file, name)
        if not begins_with(file, NPY_START):
            raise DataError(f"{path}: begins like no .npy or .npz file; save it with numpy.save")
        array = np.load(file, mmap_mode="r", allow_pickle=False)
    except DataError:
        raise
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or first_line(error)}") from None
    except Exception as error:  # a damaged file makes numpy raise nearly anything
        raise DataError(f"{path}: {_reason(error)}") from None
    # Images that lie column by column in their file cannot be read one by one.
    return array if array.flags.c_contiguous else np.ascontiguousarray(array)


def _reason(error: Exception) -> str:
    if "pickle" in str(error) or "Python objects" in str(error):
        return "holds pickled Python objects, which can run code; save it as a plain array"
    return f"is damaged or no array file: {first_line(error)}"


class ArrayReader(BaseReader):
    """Images of a .npy file.

    Each read opens the file and takes what it needs: a mapped file would count as memory of this
    program page by page, until all of it is there.

    Args:
        array: the mapped file.
        shape, dtype: of the images that `convert` makes.
        convert: from images as the file has them to images as the data set stores them.
    """

    def __init__(
        self, array: np.memmap, shape: tuple[int, ...], dtype: torch.dtype, convert: Convert
    ) -> None:
        super().__init__(shape, dtype)
        self._array, self._convert = array, convert

    def read(self, places: torch.Tensor) -> torch.Tensor:
        """The images at `places` [n], as the data set stores them."""
        return torch.from_numpy(self._convert(read_rows(self._array, places.numpy())))


def read_rows(array: np.ndarray, places: np.ndarray) -> np.ndarray:
    """array[places], of a mapped file by plain reading.

    Raises:
        DataError: the file is gone or has become shorter.
    """
    if not isinstance(array, np.memmap):
        return array[places]
    name = array.filename or ""  # of a map there is one
    rows = np.empty((len(places), *array.shape[1:]), array.dtype)
    raw = rows.reshape(len(rows), -1).view(np.uint8)
    breaks = np.flatnonzero(np.diff(places) != 1) + 1
    try:
        with open(name, "rb") as file:
            for run in np.split(np.arange(len(places)), breaks):  # neighbours are read together
                file.seek(array.offset + int(places[run[0]]) * raw.shape[1])
                if file.readinto(raw[run[0] : run[-1] + 1].data) != len(run) * raw.shape[1]:
                    raise DataError(
                        f"{name}: ends before image {places[run[-1]]}; "
                        "it has become shorter since it was opened"
                    )
    except OSError as error:
        raise DataError(f"{name}: image {places[0]} cannot be read: {error.strerror}") from None
    return rows


def in_pieces(array: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """The rows of an array, some at a time, each piece with the place of its first row."""
    at_once = max(1, PIECE // array[:1].nbytes)
    for start in range(0, len(array), at_once):
        yield start, read_rows(array, np.arange(start, min(start + at_once, len(array))))


def stored_or_read(
    array: np.ndarray, shape: tuple[int, ...], dtype: torch.dtype, convert: Convert
) -> torch.Tensor | ArrayReader:
    """Images that are in memory as a tensor, those of a mapped file as a reader of it.

    Args:
        shape, dtype, convert: as in ArrayReader.
    """
    if isinstance(array, np.memmap):
        return ArrayReader(array, shape, dtype, convert)
    # torch takes no array that is turned around, and warns of one that may not be written.
    return torch.from_numpy(np.require(convert(array), requirements=["C", "W"]))


def stored_pixels(array: np.ndarray) -> torch.Tensor | BaseReader:
    """Numbers of any type as torch holds them, or a reader of them where the array is mapped."""
    held = np.dtype(HELD.get(array.dtype.name, array.dtype.newbyteorder("=")))
    kind = torch.from_numpy(np.empty(0, held)).dtype
    return stored_or_read(array, array.shape, kind, partial(np.asarray, dtype=held))


def check_same_shape(array: np.ndarray, shape: tuple[int, ...], source: str) -> None:
    """Check that an array holds images of a shape, and at least one.

    Raises:
        DataError: it does not.
    """
    if array.ndim != len(shape) + 1 or array.shape[1:] != shape or not len(array):
        due = ", ".join(map(str, ("N", *shape)))
        raise DataError(
            f"{source}: shape {array.shape}; the model was trained with images of ({due})"
        )


def check_numbers(array: np.ndarray, path: str) -> None:
    """Raise a DataError where an array does not hold numbers, or none at all."""
    if array.dtype.kind not in "uifb" or array.dtype.itemsize > 8:
        raise DataError(
            f"{path}: values of type {array.dtype}; images are whole or floating-point numbers "
            "of at most 64 bits"
        )
    if 0 in array.shape:
        raise DataError(f"{path}: shape {array.shape} holds no image at all")


def check_finite(chunk: np.ndarray, path: str, start: int) -> None:
    """Raise a DataError for the first NaN or infinity; `chunk` begins with image `start`."""
    if chunk.dtype.kind == "f" and not np.isfinite(chunk).all():
        _refuse(chunk, ~np.isfinite(chunk), path, start, "every value must be finite")


def check_range(
    chunk: np.ndarray, allowed: tuple[float, float], path: str, start: int, rule: str = ""
) -> tuple[float, float]:
    """The lowest and the highest value; `rule` is what the message says must hold.

    Raises:
        DataError: for the first value that is not in the range `allowed`.
    """
    low, high = allowed
    lowest, highest = chunk.min(), chunk.max()
    if lowest < low or highest > high:
        declared = f"dataset.args.value_range says {low:g} to {high:g}"
        rule = rule or f"{declared}; declare the file's own range"
        _refuse(chunk, (chunk < low) | (chunk > high), path, start, rule)
    return float(lowest), float(highest)


def check_values(
    chunk: np.ndarray, allowed: tuple[int, ...], path: str, start: int, rule: str
) -> None:
    """Raise a DataError for the first value that is none of `allowed`."""
    known = np.zeros(chunk.shape, bool)
    for value in allowed:
        known |= chunk == value
    if not known.all():
        _refuse(chunk, ~known, path, start, rule)


def _refuse(chunk: np.ndarray, wrong: np.ndarray, path: str, start: int, rule: str) -> None:
    image, *place = map(int, np.argwhere(wrong)[0])
    value = chunk[(image, *place)]
    raise DataError(f"{path}: image {start + image} holds {value} at {tuple(place)}; {rule}")
