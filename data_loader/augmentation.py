"""What training makes of its images, so that it sees more of them than there are.

An augmentation makes of an image another one that could as well be in the data set: it is what
the model is shown, if nothing damages it further, and it is the target too. Images that are
evaluated are never augmented. An augmentation works on a whole batch, on its device, and draws
nothing by itself: its randomness comes from a `Draws`, which follows from (seed, epoch, step).

The transforms of torchvision turn and shift all images of a batch the same way, or one image a
call; here each image of a batch is changed in its own way by a few operations on all of them.
"""

from typing import Annotated

import torch
from pydantic import Field, PositiveInt

from base.base_dataset import BaseDataset
from data_loader.draws import Draws, Ways
from data_loader.wafers import BaseWafers
from utils.seed import AUGMENTATION

Share = Annotated[float, Field(ge=0, le=1)]
SYMMETRIES, FLIPS = 8, 4


class BaseAugmentation:
    """A way to make other images of images.

    Args:
        dataset: where the images come from; the new ones must be such as it could hold.
    """

    runtime: tuple[str, ...] = ("dataset",)

    def __init__(self, dataset: BaseDataset) -> None:
        self.dataset = dataset

    def __call__(self, images: torch.Tensor, draws: Draws) -> torch.Tensor:
        """Images [n, C, H, W] -> other images [n, C, H, W] in the same range."""
        raise NotImplementedError


class Symmetries(BaseAugmentation):
    """Turns and mirrors every image in one of the eight ways of a square, each as likely.

    Args:
        flips_only: whether to leave out quarter turns: as it is, left to right, upside down or
            both; for images that are not square, or whose rows and columns are not alike.

    Raises:
        ValueError: a quarter turn of images that are not square.
    """

    def __init__(self, dataset: BaseDataset, flips_only: bool = False) -> None:
        super().__init__(dataset)
        height, width = dataset.shape[1:]
        if height != width and not flips_only:
            raise ValueError(
                f"flips_only: false: images of {height}x{width} pixels are not square, and a "
                "quarter turn changes their size; write true"
            )
        self.count = FLIPS if flips_only else SYMMETRIES

    def __call__(self, images: torch.Tensor, draws: Draws) -> torch.Tensor:
        return turned(images, draws.below(self.count))


class Shift(BaseAugmentation):
    """Moves every image by whole pixels, up or down and left or right, each way as likely.

    What comes in is what lies outside of an image: off the wafer, or the lowest value.

    Args:
        most: the rows and columns by which an image moves at most.

    Raises:
        ValueError: nothing of an image might be left.
    """

    def __init__(self, dataset: BaseDataset, most: PositiveInt = 2) -> None:
        super().__init__(dataset)
        _check_reach("most", most, dataset)
        self.most = most

    def __call__(self, images: torch.Tensor, draws: Draws) -> torch.Tensor:
        rows, columns = _windows(images, draws, self.most)
        height, width = images.shape[2:]
        moved = _picked(images, rows.clamp(0, height - 1), columns.clamp(0, width - 1))
        is_in_row, is_in_column = (rows >= 0) & (rows < height), (columns >= 0) & (columns < width)
        is_inside = is_in_row[:, None, :, None] & is_in_column[:, None, None, :]
        outside = self.dataset.outside.to(images.device)[:, None, None]
        return torch.where(is_inside, moved, outside)


class RandomCrop(BaseAugmentation):
    """Continues every image by its mirror image, and cuts out its size at a random place.

    As `Shift`, but nothing comes in from outside: for pictures without a border of their own.

    Args:
        padding: the rows and columns by which an image is continued on each side.

    Raises:
        ValueError: an image cannot be mirrored so far.
    """

    def __init__(self, dataset: BaseDataset, padding: PositiveInt = 4) -> None:
        super().__init__(dataset)
        _check_reach("padding", padding, dataset)
        self.padding = padding

    def __call__(self, images: torch.Tensor, draws: Draws) -> torch.Tensor:
        rows, columns = _windows(images, draws, self.padding)
        height, width = images.shape[2:]
        return _picked(images, _mirrored(rows, height), _mirrored(columns, width))


class DieNoise(BaseAugmentation):
    """Makes some normal dice of every wafer map defective and some defective ones normal.

    Args:
        share: the chance of each die on the wafer.

    Raises:
        ValueError: the images are not wafer maps.
    """

    def __init__(self, dataset: BaseDataset, share: Share = 0.01) -> None:
        super().__init__(dataset)
        if not isinstance(dataset, BaseWafers):
            raise ValueError(
                f"changes dice of wafer maps, and {type(dataset).__name__} has none; leave it out"
            )
        self.share = share

    def __call__(self, images: torch.Tensor, draws: Draws) -> torch.Tensor:
        is_changed = draws.uniform(1, *images.shape[2:]) < self.share
        off, normal, defective = images.split(1, 1)
        # Off the wafer both are 0, so that it stays as it is.
        return torch.where(is_changed, torch.cat([off, defective, normal], 1), images)


class Lighting(BaseAugmentation):
    """Makes every picture brighter or darker, and its contrast higher or lower.

    Args:
        brightness: the most that is added to an image or taken from it, as a share of the value
            range: 0.2 is 0.2 for images in [0, 1] and 0.4 for images in [-1, 1].
        contrast: by how much, at the most, what differs from an image's mean grows or shrinks:
            0.2 is a factor from 0.8 to 1.2.

    Raises:
        ValueError: the images are wafer maps.
    """

    def __init__(
        self, dataset: BaseDataset, brightness: Share = 0.2, contrast: Share = 0.2
    ) -> None:
        super().__init__(dataset)
        if isinstance(dataset, BaseWafers):
            raise ValueError("wafer maps have no brightness; leave it out, DieNoise is for them")
        self.brightness, self.contrast = brightness, contrast

    def __call__(self, images: torch.Tensor, draws: Draws) -> torch.Tensor:
        brighter, sharper = (2 * draws.uniform(2, 1, 1, 1) - 1).unbind(1)
        mean = images.mean((1, 2, 3), keepdim=True)
        added = brighter * (self.brightness * self.dataset.data_range)
        lit = (images - mean) * (1 + self.contrast * sharper) + mean + added
        return lit.clamp(*self.dataset.value_range)


class Augmenter(Ways):
    """Makes other images of those of a training batch, as a config says; without it, none."""

    stream = AUGMENTATION


def symmetries_of(shape: tuple[int, ...]) -> int:
    """In how many ways, of those of `turned`, images (..., H, W) keep their height and width."""
    return SYMMETRIES if shape[-2] == shape[-1] else FLIPS


def turned(images: torch.Tensor, which: torch.Tensor) -> torch.Tensor:
    """Images turned and mirrored in the eight ways of a square, each image in its own.

    A number is a sum: with 4 rows become columns; then with 1 left becomes right; then with 2 top
    becomes bottom. So 0 is the image as it is, 1, 2 and 3 are flips, 3 being a half turn; 5 is a
    quarter turn clockwise and 6 one counter-clockwise.

    Args:
        images: [n, C, H, W].
        which: int64 [n] in 0 ... 7, on the device of the images.

    Raises:
        ValueError: 4 or more for images that are not square.
    """
    by_image = which[:, None, None, None]
    if images.shape[2] == images.shape[3]:
        # In this order what comes out lies in memory as the images do, not as their transpose.
        images = torch.where(by_image < 4, images, images.transpose(2, 3))
    elif (which >= FLIPS).any():
        height, width = images.shape[2:]
        raise ValueError(f"which: images of {height}x{width} pixels have no quarter turn; 0 ... 3")
    images = torch.where((by_image & 1).bool(), images.flip(3), images)
    return torch.where((by_image & 2).bool(), images.flip(2), images)


def _check_reach(name: str, pixels: int, dataset: BaseDataset) -> None:
    """Raise a ValueError where so many pixels are no less than an image has."""
    height, width = dataset.shape[1:]
    if pixels >= min(height, width):
        raise ValueError(
            f"{name}: {pixels}: must be less than the sides of images of {height}x{width} pixels"
        )


def _windows(images: torch.Tensor, draws: Draws, most: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The rows [n, H] and columns [n, W] that each image shows; up to `most` lie outside of it."""
    start = draws.below(2 * most + 1, 2, 1) - most
    row, column = (torch.arange(length, device=images.device) for length in images.shape[2:])
    return start[:, 0] + row, start[:, 1] + column


def _mirrored(places: torch.Tensor, length: int) -> torch.Tensor:
    """Places along an axis, those outside led back in: -1 is 1, and `length` is `length` - 2."""
    last = length - 1
    return last - (last - places.abs()).abs()


def _picked(images: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """The given rows [n, H] and columns [n, W] of each image [n, C, H, W]."""
    image = torch.arange(len(images), device=images.device)[:, None, None]
    pixels = images.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None, :]]
    return pixels.permute(0, 3, 1, 2)
