"""Opening array files: .npy and .npz, never pickles, and one clear line for what is wrong."""

import zipfile
from pathlib import Path

import numpy as np

from utils.errors import DataError


def open_array(path: str, name: str) -> np.ndarray:
    """The array in a .npy file (mapped, not read), or the one called `name` in a .npz file.

    Raises:
        DataError: no such file, not an array file, truncated, holding Python objects, or
            without an array of that name.
    """
    file = Path(path)
    if not file.exists():
        raise DataError(f"{path}: no such file")
    if not file.is_file():
        raise DataError(f"{path}: a folder, not a .npy or .npz file")
    try:
        if zipfile.is_zipfile(file):
            return _from_archive(file, name)
        return np.load(file, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise DataError(f"{path}: {_reason(error)}") from None
    except (OSError, EOFError, zipfile.BadZipFile, MemoryError) as error:
        raise DataError(f"{path}: cannot be read as a .npy or .npz file: {error}") from None


def _reason(error: ValueError) -> str:
    if "pickle" in str(error) or "Python objects" in str(error):
        return "holds pickled Python objects, which can run code; save it as a plain array"
    return f"is damaged or no array file: {error}"


def _from_archive(file: Path, name: str) -> np.ndarray:
    with np.load(file, allow_pickle=False) as archive:
        if name not in archive.files:
            raise DataError(
                f"{file}: holds no array '{name}' but {', '.join(archive.files)}; "
                "say which with dataset.args.data_name or label_name"
            )
        return archive[name]


def holds(path: str, name: str) -> bool:
    """Whether `path` is a .npz file with an array called `name`."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return f"{name}.npy" in archive.namelist()


def check_finite(chunk: np.ndarray, path: str, start: int) -> None:
    """Raise a DataError for the first NaN or infinity; `chunk` begins with image `start`."""
    if chunk.dtype.kind == "f" and not np.isfinite(chunk).all():
        _refuse(chunk, ~np.isfinite(chunk), path, start, "every value must be finite")


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
