"""What a denoising autoencoder is shown instead of an image; the image itself is its target.

A corruption works on a whole batch, on its device, and draws nothing by itself: its randomness
comes from a `Draws`, of which there are two. In training it follows from (seed, epoch, step), so
that every epoch sees other damage; in evaluation from (seed, place of the image), so that an
image is damaged the same way in whatever batch it comes.
"""

from typing import Annotated

import torch
from pydantic import Field, PositiveInt

from data_loader.draws import Draws, Ways
from utils.seed import CORRUPTION, generator

Share = Annotated[float, Field(ge=0, le=1)]


class BaseCorruption:
    """A way to damage images.

    Args:
        shape: C, H, W of the images.
        value_range: the lowest and the highest value of an image; a damaged one keeps to it.
    """

    runtime: tuple[str, ...] = ("shape", "value_range")

    def __init__(self, shape: tuple[int, int, int], value_range: tuple[float, float]) -> None:
        self.shape = shape
        self.low, self.high = value_range

    def __call__(self, images: torch.Tensor, draws: Draws) -> torch.Tensor:
        """Images [n, C, H, W] -> damaged images [n, C, H, W] in the same range."""
        raise NotImplementedError


class GaussianNoise(BaseCorruption):
    """Adds Gaussian noise to every number of an image and cuts what leaves the value range.

    Args:
        sigma: the standard deviation, as a share of the value range: 0.5 is 0.5 for images in
            [0, 1] and 1 for images in [-1, 1].
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        value_range: tuple[float, float],
        sigma: Annotated[float, Field(ge=0)] = 0.3,
    ) -> None:
        super().__init__(shape, value_range)
        self.sigma = sigma

    def __call__(self, images: torch.Tensor, draws: Draws) -> torch.Tensor:
        noise = draws.normal(*self.shape) * (self.sigma * (self.high - self.low))
        return (images + noise).clamp(self.low, self.high)


class SaltAndPepper(BaseCorruption):
    """Makes some pixels, in all channels, the lowest or the highest value, as likely either way.

    Args:
        share: the chance of each pixel.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        value_range: tuple[float, float],
        share: Share = 0.1,
    ) -> None:
        super().__init__(shape, value_range)
        self.share = share

    def __call__(self, images: torch.Tensor, draws: Draws) -> torch.Tensor:
        drawn = draws.uniform(1, *self.shape[1:])
        images = images.masked_fill(drawn < self.share / 2, self.low)
        return images.masked_fill(drawn >= 1 - self.share / 2, self.high)


class Occlusion(BaseCorruption):
    """Covers squares of every image with its lowest value; they may overlap.

    Args:
        size: the side of a square in pixels.
        count: the squares in an image.

    Raises:
        ValueError: a square is larger than the images.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        value_range: tuple[float, float],
        size: PositiveInt = 8,
        count: PositiveInt = 1,
    ) -> None:
        super().__init__(shape, value_range)
        if size > min(shape[1:]):
            raise ValueError(f"size: {size}: must fit into images of {shape[1]}x{shape[2]} pixels")
        self.size, self.count = size, count

    def __call__(self, images: torch.Tensor, draws: Draws) -> torch.Tensor:
        in_row, in_column = (
            self._covered(draws.uniform(self.count), length) for length in self.shape[1:]
        )
        covered = (in_row[:, :, :, None] & in_column[:, :, None, :]).any(1, keepdim=True)
        return images.masked_fill(covered, self.low)

    def _covered(self, drawn: torch.Tensor, length: int) -> torch.Tensor:
        """Random numbers [n, count] -> which of `length` pixels each square covers along an axis.

        Returns bool [n, count, length]; every start at which a square fits is as likely.
        """
        start = (drawn * (length - self.size + 1)).long()[..., None]
        pixel = torch.arange(length, device=drawn.device)
        return (start <= pixel) & (pixel < start + self.size)


class Mask(BaseCorruption):
    """Hides a fixed share of the pixels or patches of every image behind its lowest value.

    Args:
        share: the share of the patches, to the nearest whole patch.
        patch: the side of a patch in pixels; the last ones of a row or column may be smaller.

    Raises:
        ValueError: a patch is larger than the images.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        value_range: tuple[float, float],
        share: Share = 0.5,
        patch: PositiveInt = 1,
    ) -> None:
        super().__init__(shape, value_range)
        if patch > min(shape[1:]):
            raise ValueError(
                f"patch: {patch}: must fit into images of {shape[1]}x{shape[2]} pixels"
            )
        self.share, self.patch = share, patch

    def __call__(self, images: torch.Tensor, draws: Draws) -> torch.Tensor:
        _, height, width = self.shape
        down, across = (-(-length // self.patch) for length in (height, width))
        # The patches of the lowest random numbers: as many in every image.
        rank = draws.uniform(down * across).argsort(1).argsort(1)
        hidden = (rank < round(self.share * down * across)).view(-1, 1, down, across)
        hidden = hidden.repeat_interleave(self.patch, 2).repeat_interleave(self.patch, 3)
        return images.masked_fill(hidden[:, :, :height, :width], self.low)


class Corrupter(Ways):
    """Damages images in the ways of a config, one after the other; without any, not at all."""

    stream = CORRUPTION

    def of_images(self, images: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """What the model is shown of the images [n, C, H, W] at `places` [n] in evaluation."""
        if not self:
            return images
        return self.change(
            images, [generator(self.seed, CORRUPTION, place) for place in places.tolist()]
        )
