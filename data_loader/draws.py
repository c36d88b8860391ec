"""Random numbers for whole batches, and what a config has done to images with them."""

from collections.abc import Callable, Sequence

import torch

from utils.seed import mix


class Draws:
    """Random numbers for a batch of images.

    Args:
        generators: one for the whole batch, on its device; or one for each image, on the CPU.
        images: the batch, [n, C, H, W].
    """

    def __init__(self, generators: Sequence[torch.Generator], images: torch.Tensor) -> None:
        self._generators, self._images = generators, images

    def uniform(self, *shape: int) -> torch.Tensor:
        """Numbers from 0 to 1, [n, *shape]."""
        return self._draw(torch.rand, shape)

    def normal(self, *shape: int) -> torch.Tensor:
        """Numbers of mean 0 and variance 1, [n, *shape]."""
        return self._draw(torch.randn, shape)

    def below(self, count: int, *shape: int) -> torch.Tensor:
        """Whole numbers 0 ... count - 1, each as likely, int64 [n, *shape]."""
        return (self.uniform(*shape) * count).long()

    def _draw(self, function: Callable[..., torch.Tensor], shape: tuple[int, ...]) -> torch.Tensor:
        device = self._images.device
        rows = len(self._images) // len(self._generators)
        drawn = [
            function((rows, *shape), generator=source, device=source.device)
            for source in self._generators
        ]
        return torch.cat(drawn).to(device)


Way = Callable[[torch.Tensor, Draws], torch.Tensor]


class Ways:
    """Changes images in the ways of a config, one after the other; without any, not at all.

    Args:
        ways: one way, several in their order, or None.
        seed: of the run.

    Attributes:
        stream: what the random numbers are for, of `utils/seed.py`.
    """

    stream: int

    def __init__(self, ways: Way | Sequence[Way] | None = None, seed: int = 0) -> None:
        several = ways if isinstance(ways, Sequence) else [ways]
        self.ways, self.seed = tuple(way for way in several if way), seed

    def __bool__(self) -> bool:
        return bool(self.ways)

    def in_step(self, images: torch.Tensor, epoch: int, step: int, rank: int = 0) -> torch.Tensor:
        """What becomes of a training batch [n, C, H, W] on one rank."""
        if not self:
            return images
        source = torch.Generator(images.device)
        source.manual_seed(mix(self.seed, self.stream, epoch, step) + rank)
        return self.change(images, [source])

    @torch.no_grad()
    def change(self, images: torch.Tensor, generators: Sequence[torch.Generator]) -> torch.Tensor:
        """What becomes of images [n, C, H, W] with the random numbers of a `Draws`."""
        draws = Draws(generators, images)
        for way in self.ways:
            images = way(images, draws)
        return images
