"""Pictures of wafer maps: every pixel is a die, its colour says what the die is."""

from pathlib import Path

import numpy as np
import torch

from base.base_dataset import BaseReader
from data_loader.pictures import PictureReader, check_picture
from utils.errors import DataError

Colour = tuple[float, float, float]
SAME = 3  # of 255: so far may a colour be off, as rounding and converting programs have it


class MapReader(BaseReader):
    """Maps that are read from pictures when they are asked for, uint8 [N, H, W] of codes.

    Args:
        files: pictures in the colours given, or grey ones that hold the codes themselves.
        shape: C, H, W of the images that the maps become.
        colours: the name and the colour of each code 0, 1, ..., in [0, 1].

    Raises:
        DataError: a picture of another size, or none; the message names it.
    """

    def __init__(
        self, files: list[Path], shape: tuple[int, int, int], colours: dict[str, Colour]
    ) -> None:
        size = shape[1:]
        super().__init__((len(files), *size), torch.uint8)
        heads = [check_picture(file, shape, takes_any_colour=True) for file in files]
        self._files, self._is_grey = files, [head.is_grey for head in heads]
        self._grey = PictureReader(files, size, "L", "white")
        self._coloured = PictureReader(files, size, "RGB", "white")
        self._palette = np.rint(np.array(list(colours.values())) * 255).astype(np.int16)
        self._names = list(colours)

    def read(self, places: torch.Tensor) -> torch.Tensor:
        """The maps at `places` int64 [n], as codes uint8 [n, H, W].

        Raises:
            DataError: a pixel has a colour that no die has; the message names both.
        """
        maps = torch.empty((len(places), *self.shape[1:]), dtype=torch.uint8)
        for codes, place in zip(maps.numpy(), places, strict=True):
            codes[:] = self._codes(place)
        return maps

    def _codes(self, place: torch.Tensor) -> np.ndarray:
        file = self._files[place]
        if self._is_grey[place]:
            codes = self._grey.read(place[None])[0].numpy()
            _check_dies(codes < len(self._palette), codes, file, "0, 1, 2")
            return codes
        pixels = self._coloured.read(place[None])[0].numpy().astype(np.int16)
        distances = np.abs(pixels[:, :, None] - self._palette).max(3)
        _check_dies(distances.min(2) <= SAME, pixels, file, self._colours_in_words())
        return distances.argmin(2)

    def _colours_in_words(self) -> str:
        pairs = zip(self._names, self._palette.tolist(), strict=True)
        return ", ".join(f"{name} {tuple(colour)}" for name, colour in pairs)


def _check_dies(is_right: np.ndarray, pixels: np.ndarray, file: Path, allowed: str) -> None:
    if not is_right.all():
        row, column = map(int, np.argwhere(~is_right)[0])
        found = pixels[row, column].tolist()
        value = tuple(found) if isinstance(found, list) else found
        raise DataError(f"{file}: pixel ({row}, {column}) is {value}; a map has {allowed} only")
