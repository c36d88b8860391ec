"""One picture file: what its head says, and its pixels."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps

from base.base_dataset import BaseReader
from utils.errors import DataError, first_line

# Pillow's names of images whose numbers do not fit into 8 bits.
DEEP = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
GREY = ("1", "L", "LA", "La")  # Pillow's names of images of one channel
TRANSPOSING = (5, 6, 7, 8)  # the values of the orientation tag that swap height and width
ORIENTATION = 0x0112  # the tag's number in EXIF
BITS_PER_SAMPLE = 258  # the tag's number in TIFF


class Head(NamedTuple):
    """What is known of a picture before it is decoded."""

    size: tuple[int, int]
    """Its height and width."""
    is_transparent: bool
    """Whether something may show through it: an alpha channel or a transparent colour."""
    is_animated: bool
    """Whether it has more frames or pages than the first."""
    is_grey: bool
    """Whether it has one channel, transparency aside."""


class PictureReader(BaseReader):
    """Pictures that are decoded when they are asked for.

    Args:
        files: the picture files.
        size: the height and width they are resized to.
        mode: "RGB" or "L", which is grey.
        background: the colour that transparent ones are laid on.
    """

    def __init__(
        self, files: list[Path], size: tuple[int, int], mode: str, background: str
    ) -> None:
        channels = (3,) if mode == "RGB" else ()
        super().__init__((len(files), *size, *channels), torch.uint8)
        self._files, self._size, self._mode = files, size, mode
        self._background = background

    def read(self, places: torch.Tensor) -> torch.Tensor:
        """The pictures at `places` [n], uint8 [n, H, W, 3] or, grey, [n, H, W]."""
        pictures = torch.empty((len(places), *self.shape[1:]), dtype=torch.uint8)
        for picture, place in zip(pictures, places.tolist(), strict=True):
            picture.numpy()[:] = self._decode(self._files[place])
        return pictures

    def _decode(self, file: Path) -> np.ndarray:
        height, width = self._size
        try:
            with Image.open(file) as opened:
                is_turned = _may_be_turned(opened)
                upright = ImageOps.exif_transpose(opened) if is_turned else opened
                picture = self._laid(upright).convert(self._mode)
            if picture.size != (width, height):
                picture = picture.resize((width, height), Image.Resampling.BILINEAR)
            return np.asarray(picture)
        except Exception as error:  # a damaged picture makes Pillow raise nearly anything
            raise _unreadable(file, error) from None

    def _laid(self, picture: Any) -> Any:
        """A picture on the background, where that shows."""
        if not picture.has_transparency_data:
            return picture
        ground = Image.new("RGBA", picture.size, self._background)
        return Image.alpha_composite(ground, picture.convert("RGBA"))


def read_head(file: Path) -> Head:
    """What the head of a picture file says.

    Raises:
        DataError: it is no picture, or one of more than 8 bits a number.
    """
    try:
        with Image.open(file) as picture:
            (width, height), is_deep = picture.size, _is_deep(picture)
            is_turned = (
                _may_be_turned(picture) and picture.getexif().get(ORIENTATION) in TRANSPOSING
            )
            head = Head(
                (width, height) if is_turned else (height, width),
                picture.has_transparency_data,
                # The further pictures of a camera's MPO file are previews and depths.
                picture.format != "MPO" and getattr(picture, "is_animated", False),
                picture.mode in GREY,
            )
    except Exception as error:
        raise _unreadable(file, error) from None
    if is_deep:
        raise DataError(
            f"{file}: has more than 8 bits a number; save such images as .npy for Arrays"
        )
    return head


def check_picture(file: Path, shape: tuple[int, int, int], takes_any_colour: bool = False) -> Head:
    """The head of a picture that has the size and channels of images of `shape`.

    Raises:
        DataError: it has not, or is no picture; the message says both.
    """
    head = read_head(file)
    channels = 1 if head.is_grey else 3
    if head.size != shape[1:] or (channels != shape[0] and not takes_any_colour):
        sizes = ["x".join(map(str, size)) for size in (head.size, shape[1:])]
        raise DataError(
            f"{file}: {sizes[0]} pixels, channels {channels}; the model was trained with images "
            f"of {sizes[1]}, channels {shape[0]}"
        )
    return head


def _is_deep(picture: Any) -> bool:
    """Whether the file has more than 8 bits a number; Pillow cuts those of colour to 8."""
    if picture.format == "TIFF":
        return picture.mode in DEEP or max(picture.tag_v2.get(BITS_PER_SAMPLE, (1,))) > 8
    decoding = picture.tile[0].args if picture.tile else None
    if picture.format == "PPM" and isinstance(decoding, tuple):
        return picture.mode in DEEP or decoding[-1] > 255  # the file's highest number
    return picture.mode in DEEP or str(decoding).endswith(";16B")  # as PNG has them


def _may_be_turned(picture: Any) -> bool:
    """Whether to look for the tag: Pillow itself has turned what is in a TIFF file; in a PNG file
    it costs a decoding, and no camera writes one."""
    return picture.format not in ("PNG", "TIFF")


def _unreadable(file: Path, error: Exception) -> DataError:
    return DataError(f"{file}: damaged or no picture: {first_line(error)}")
