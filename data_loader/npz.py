"""Archives of arrays: the .npz files of numpy, read without trusting what they say."""

import zipfile
from pathlib import Path
from typing import IO

import numpy as np

from utils.errors import DataError

ZIP_START = b"PK"
# A .npz entry may grow to this size whatever it is made of, beyond it to this multiple of itself.
HARMLESS, USUAL_RATIO = 2**28, 100


def begins_with(file: Path, start: bytes) -> bool:
    """Whether the first bytes of a file are these."""
    with file.open("rb") as opened:
        return opened.read(len(start)) == start


def is_archive(file: Path) -> bool:
    """Whether a file begins like a .npz file."""
    return begins_with(file, ZIP_START)


def read_from_archive(file: Path, name: str) -> np.ndarray:
    """The array called `name` in a .npz file.

    Raises:
        DataError: there is none, or it is not what its entry says.
    """
    with zipfile.ZipFile(file) as archive:
        names = [entry.removesuffix(".npy") for entry in archive.namelist()]
        if not names:
            raise DataError(f"{file}: holds no array at all; save the images with numpy.savez")
        if name not in names:
            raise DataError(
                f"{file}: holds no array '{name}' but {', '.join(names)}; "
                "say which with dataset.args.data_name or label_name"
            )
        entry = archive.getinfo(archive.namelist()[names.index(name)])
        with archive.open(entry) as stream:
            _check_entry(entry, stream, file)
        with archive.open(entry) as stream:
            return np.lib.format.read_array(stream, allow_pickle=False)


def _head(stream: IO[bytes], name: str) -> tuple[tuple[int, ...], np.dtype]:
    """The shape and type that a .npy stream says."""
    version = np.lib.format.read_magic(stream)
    read_header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read_header is None:
        raise ValueError(f"array format {version} of '{name}' is for named fields only")
    shape, _, dtype = read_header(stream)
    return shape, dtype


def _check_entry(entry: zipfile.ZipInfo, stream: IO[bytes], file: Path) -> None:
    """Refuse an entry that is not what its header says, or a small one that becomes gigabytes."""
    shape, dtype = _head(stream, entry.filename)
    size = dtype.itemsize
    for length in shape:  # whole numbers of Python: numpy's own would overflow
        size *= length
    if not dtype.hasobject and size != entry.file_size - stream.tell():
        raise DataError(
            f"{file}: '{entry.filename}' says shape {shape} of {dtype}, {size} bytes, "
            f"but holds {entry.file_size - stream.tell()}; it is damaged"
        )
    if size > max(HARMLESS, USUAL_RATIO * entry.compress_size):
        raise DataError(
            f"{file}: '{entry.filename}' would grow from {entry.compress_size:,} to {size:,} "
            "bytes; if that is meant, save it with numpy.save as .npy"
        )


def array_shapes(path: str) -> dict[str, tuple[int, ...]]:
    """The names and shapes of the arrays in a .npz file; empty for any other file."""
    if not Path(path).is_file() or not is_archive(Path(path)):  # a pipe would be waited for
        return {}
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".npy")]
        return {name.removesuffix(".npy"): _shape(archive, name) for name in names}


def _shape(archive: zipfile.ZipFile, name: str) -> tuple[int, ...]:
    """The shape that an entry's head says; () where it says none."""
    try:
        with archive.open(name) as stream:
            return _head(stream, name)[0]
    except Exception:  # whatever is wrong there matters where it is read only
        return ()
