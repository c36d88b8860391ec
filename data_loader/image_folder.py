"""Pictures in folders: PNG, JPEG and what else Pillow reads, one folder for each class."""

import zlib
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field

from base.base_dataset import BaseReader, Labels
from data_loader.pixel_dataset import BaseImages, Scale
from utils.config.source import is_text
from utils.errors import DataError, first_line

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
# Pillow's names of images whose numbers do not fit into 8 bits.
DEEP = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
TRANSPOSING = (5, 6, 7, 8)  # the values of the orientation tag that swap height and width
ORIENTATION = 0x0112  # the tag's number in EXIF

Side = Annotated[int, Field(ge=1, le=65_500)]


class ImageFolder(BaseImages):
    """Pictures in a folder, held as 8-bit numbers.

    Args:
        root: a folder with one folder of pictures for each class, or with pictures of one class.
        size: height and width that every picture is resized to, one number for both or two;
            null takes the pictures as they are, all of one size.
        colour: three channels or one.
        scale_to: what black and white are for the model, [0, 1] or [-1, 1].

    Raises:
        DataError: no pictures, pictures of several sizes, or one that cannot be read; the
            message names it.
    """

    def __init__(
        self,
        root: str,
        size: Side | tuple[Side, Side] | None = None,
        colour: Literal["RGB", "grey"] = "RGB",
        scale_to: Scale = (0.0, 1.0),
    ) -> None:
        try:
            files, labels = find_pictures(root)
        except OSError as error:
            raise DataError(f"{root}: cannot be looked through: {error.strerror}") from None
        sizes = [picture_size(file) for file in files]
        if size is None:
            _check_one_size(files, sizes)
            size = sizes[0]
        size = (size, size) if isinstance(size, int) else tuple(size)
        reader = PictureReader(files, size, "RGB" if colour == "RGB" else "L")
        layout = "HWC" if colour == "RGB" else "HW"
        super().__init__(reader, labels, layout, np.uint8, (0.0, 255.0), scale_to)
        self._files = files

    def fingerprint(self) -> dict[str, int | list[int]]:
        """What tells these pictures from any others: the bytes of their files, not decoded."""
        checksum = zlib.crc32(self.labels.indices.numpy())
        for file in self._files:
            checksum = zlib.crc32(file.read_bytes(), checksum)
        return {"count": len(self), "shape": list(self.shape), "crc32": checksum}


class PictureReader(BaseReader):
    """Pictures that are decoded when they are asked for.

    Args:
        files: the picture files.
        size: the height and width they are resized to.
        mode: "RGB" or "L", which is grey.
    """

    def __init__(self, files: list[Path], size: tuple[int, int], mode: str) -> None:
        channels = (3,) if mode == "RGB" else ()
        super().__init__((len(files), *size, *channels), torch.uint8)
        self._files, self._size, self._mode = files, size, mode

    def read(self, places: torch.Tensor) -> torch.Tensor:
        """The pictures at `places` [n], uint8 [n, H, W, 3] or, grey, [n, H, W]."""
        pictures = torch.empty((len(places), *self.shape[1:]), dtype=torch.uint8)
        for picture, place in zip(pictures, places.tolist(), strict=True):
            picture.numpy()[:] = self._decode(self._files[place])
        return pictures

    def _decode(self, file: Path) -> np.ndarray:
        from PIL import Image, ImageOps

        height, width = self._size
        try:
            with Image.open(file) as picture:
                if _may_be_turned(picture):
                    picture = ImageOps.exif_transpose(picture)
                picture = picture.convert(self._mode)
            if picture.size != (width, height):
                picture = picture.resize((width, height), Image.Resampling.BILINEAR)
            return np.asarray(picture)
        except Exception as error:  # a damaged picture makes Pillow raise nearly anything
            raise _unreadable(file, error) from None


def find_pictures(root: str) -> tuple[list[Path], Labels]:
    """The pictures in a folder and their classes, in the order of their names.

    Raises:
        DataError: no folder, no pictures, or an order that is none.
    """
    folder = Path(root)
    if not folder.is_dir():
        raise DataError(f"{root}: {'no folder' if folder.exists() else 'no such folder'}")
    classes = sorted(entry.name for entry in folder.iterdir() if _is_shown_folder(entry))
    loose = [entry for entry in folder.iterdir() if _is_picture(entry, folder)]
    if classes and loose:
        raise DataError(
            f"{root}: has the picture {min(loose).name} beside the class folder {classes[0]}; "
            "move every picture into a class folder"
        )
    files, indices = sorted(loose), [0] * len(loose)
    for index, name in enumerate(classes):
        if not is_text(name):
            raise DataError(f"{root}: the name of folder {ascii(name)} is not UTF-8; rename it")
        own = sorted(file for file in (folder / name).rglob("*") if _is_picture(file, folder))
        if not own:
            raise DataError(f"{folder / name}: a class without a picture; add some or remove it")
        files += own
        indices += [index] * len(own)
    if not files:
        raise DataError(f"{root}: no picture in this folder; known are {', '.join(SUFFIXES)}")
    return files, Labels(np.array(indices, np.int64), classes or [folder.resolve().name])


def _is_shown_folder(entry: Path) -> bool:
    return entry.is_dir() and not entry.name.startswith(".")


def _is_picture(entry: Path, folder: Path) -> bool:
    # What is hidden are notes of the file system, and other programs' copies.
    is_shown = not any(part.startswith(".") for part in entry.relative_to(folder).parts)
    return is_shown and entry.suffix.lower() in SUFFIXES and entry.is_file()


def picture_size(file: Path) -> tuple[int, int]:
    """Height and width of a picture, from the head of its file.

    Raises:
        DataError: it is no picture, or one that Pillow reads with more than 8 bits a number.
    """
    from PIL import Image

    try:
        with Image.open(file) as picture:
            (width, height), mode = picture.size, picture.mode
            is_turned = (
                _may_be_turned(picture) and picture.getexif().get(ORIENTATION) in TRANSPOSING
            )
    except Exception as error:
        raise _unreadable(file, error) from None
    if mode in DEEP:
        raise DataError(
            f"{file}: has more than 8 bits a pixel ({mode}); save such images as .npy for Arrays"
        )
    return (width, height) if is_turned else (height, width)


def _may_be_turned(picture: Any) -> bool:
    """Whether to look for the tag: Pillow itself has turned what is in a TIFF file; in a PNG file
    it costs a decoding, and no camera writes one."""
    return picture.format not in ("PNG", "TIFF")


def _check_one_size(files: list[Path], sizes: list[tuple[int, int]]) -> None:
    for file, size in zip(files, sizes, strict=True):
        if size != sizes[0]:
            raise DataError(
                f"{file}: {size[0]}x{size[1]} pixels, but {files[0]} has "
                f"{sizes[0][0]}x{sizes[0][1]}; resize all with dataset.args.size"
            )


def _unreadable(file: Path, error: Exception) -> DataError:
    return DataError(f"{file}: damaged or no picture: {first_line(error)}")
