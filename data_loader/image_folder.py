"""Pictures in folders: PNG, JPEG and what else Pillow reads, one folder for each class."""

import zlib
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field

from base.base_dataset import BaseDataset, Labels
from data_loader.array_files import DataPath
from data_loader.pictures import Head, PictureReader, check_picture, read_head
from data_loader.pixel_dataset import BaseImages, Layout, Scale, narrow_note
from utils.config.source import is_text
from utils.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")

Side = Annotated[int, Field(ge=1, le=65_500)]


# Pillow's name of a picture's mode, and the axes of an image of it.
_MODES: dict[str, tuple[str, Layout]] = {"RGB": ("RGB", "HWC"), "grey": ("L", "HW")}


class ImageFolder(BaseImages):
    """Pictures in a folder, held as 8-bit numbers; of an animated one the first frame.

    Args:
        root: a folder with one folder of pictures for each class, or with pictures of one class.
        size: height and width that every picture is resized to, one number for both or two;
            null takes the pictures as they are, all of one size.
        colour: three channels or one.
        scale_to: what black and white are for the model, [0, 1] or [-1, 1].
        background: what pictures with transparency are laid on; null is white, with a warning.

    Raises:
        DataError: no pictures, pictures of several sizes, or one that cannot be read or has more
            than 8 bits a number; the message names it.
    """

    movable = looked_through = ("root",)

    def __init__(
        self,
        root: DataPath,
        size: Side | tuple[Side, Side] | None = None,
        colour: Literal["RGB", "grey"] = "RGB",
        scale_to: Scale = (0.0, 1.0),
        background: Literal["white", "black"] | None = None,
    ) -> None:
        try:
            files, labels = find_pictures(root)
        except OSError as error:
            raise DataError(f"{root}: cannot be looked through: {error.strerror}") from None
        heads = {file: read_head(file) for file in files}
        self._is_resizing = size is not None
        if size is None:
            size = _one_size(heads)
        high, wide = (size, size) if isinstance(size, int) else size
        mode, layout = _MODES[colour]
        reader = PictureReader(files, (high, wide), mode, background or "white")
        dtype = np.dtype(np.uint8)
        super().__init__(reader, labels, layout, dtype, (0.0, 255.0), scale_to)
        self._files, self._mode, self._background = files, mode, background or "white"
        is_laid = any(head.is_transparent for head in heads.values())
        self._ground = (background or "white") if is_laid else ""
        notes = (_heads_note(heads, background), self._range_note(reader))
        self.note = "; ".join(filter(None, notes))

    def of_pictures(self, files: list[Path]) -> BaseDataset:
        """Other pictures, made grey, laid on the background and resized as these are."""
        if not self._is_resizing:
            for file in files:
                check_picture(file, self.shape, takes_any_colour=True)
        heads = {file: read_head(file) for file in files}
        reader = PictureReader(files, self.shape[1:], self._mode, self._background)
        images = self._of_reader(reader, self.layout)
        images.note = _heads_note(heads, self._background)
        return images

    def _range_note(self, reader: PictureReader) -> str:
        """What is to be said where all pictures are one shade; seldom takes more than one."""
        lowest, highest = 255, 0
        for place in range(len(self)):
            picture = reader.read(torch.tensor([place]))
            lowest = min(lowest, int(picture.min()))
            highest = max(highest, int(picture.max()))
            if not narrow_note(lowest, highest, self.file_range, ""):
                return ""
        cure = "numbers that are no shades belong into a .npy file for Arrays"
        if self._ground:
            cure = f"is dataset.args.background={self._ground} right?"
        return narrow_note(lowest, highest, self.file_range, cure)

    def fingerprint(self) -> dict[str, int | list[int]]:
        """What tells these pictures from any others: the bytes of their files, not decoded, and
        what shows through them."""
        checksum = zlib.crc32(self.labels.indices.numpy().data)
        checksum = zlib.crc32(self._ground.encode(), checksum)
        for file in self._files:
            checksum = zlib.crc32(file.read_bytes(), checksum)
        return {"count": len(self), "shape": list(self.shape), "crc32": checksum}


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
    is_picture = is_shown and entry.suffix.lower() in SUFFIXES
    if is_picture and entry.is_symlink() and not entry.exists():
        raise DataError(f"{entry}: links to {entry.readlink()}, which is not there")
    return is_picture and entry.is_file()


def _one_size(heads: dict[Path, Head]) -> tuple[int, int]:
    """The height and width of all pictures."""
    first, wanted = next((file, head.size) for file, head in heads.items())
    for file, (size, *_) in heads.items():
        if size != wanted:
            raise DataError(
                f"{file}: {size[0]}x{size[1]} pixels, but {first} has {wanted[0]}x{wanted[1]}; "
                "resize all with dataset.args.size"
            )
    return wanted


def _heads_note(heads: dict[Path, Head], background: str | None) -> str:
    """What is to be said of pictures that are not shown as they are."""
    notes = []
    laid = [file for file, head in heads.items() if head.is_transparent]
    if laid and background is None:
        notes.append(
            f"{len(laid)} of {len(heads)} pictures have an alpha channel or a transparent colour, "
            f"as {laid[0]}: they are laid on white; say so, or black, with dataset.args.background"
        )
    if moving := [file for file, head in heads.items() if head.is_animated]:
        notes.append(
            f"{len(moving)} of {len(heads)} pictures have several frames, as {moving[0]}: the "
            "first of each is used"
        )
    return "; ".join(notes)
