"""Originals as the model sees them: turned where that is asked for, as images and as codes."""

from collections.abc import Iterator
from typing import NamedTuple

import torch

from base.base_data_loader import BaseDataLoader
from data_loader.augmentation import symmetries_of, turned
from trainer.evaluator import Evaluator


class View(NamedTuple):
    """Some originals, all on the CPU."""

    images: torch.Tensor
    """float32 [n, C, H, W]"""
    codes: torch.Tensor
    """float32 [n, *code_shape]"""
    deviations: torch.Tensor
    """The standard deviations of their posteriors, [n, *code_shape]; [n, 0] where not asked for.
    """


class Views:
    """What the model makes of the originals.

    Args:
        loader: of the data set that the originals' places are places in.
        has_posterior: whether the deviations of their posteriors are asked for.

    Attributes:
        symmetries: in how many ways an image can be turned and keep its height and width.
    """

    def __init__(
        self, evaluator: Evaluator, loader: BaseDataLoader, has_posterior: bool = False
    ) -> None:
        self.evaluator, self.loader, self.has_posterior = evaluator, loader, has_posterior
        self.symmetries = symmetries_of(loader.dataset.shape)

    def of(self, turns: list[tuple[int, int]]) -> View:
        """Originals, each by its place and its symmetry; each different one is encoded once."""
        pairs, which = torch.tensor(turns).unique(dim=0, return_inverse=True)
        pieces = list(self._pieces(pairs[:, 0], pairs[:, 1]))
        return View(*(torch.cat(part)[which] for part in zip(*pieces, strict=True)))

    def codes(self, places: torch.Tensor, symmetry: int = 0) -> Iterator[torch.Tensor]:
        """The codes of the originals at `places` int64 [n], all turned alike, in batches."""
        for piece in self._pieces(places, torch.full_like(places, symmetry)):
            yield piece.codes

    def _pieces(self, places: torch.Tensor, symmetries: torch.Tensor) -> Iterator[View]:
        start = 0
        for batch in self.loader.of(places).batches():
            which = symmetries[start : start + len(batch.images)]
            start += len(which)
            images = batch.images
            if which.any():
                images = turned(images, which.to(images.device))
            labels = self.loader.labels_of(batch)
            yield View(images.cpu(), *self._encoded(images, labels))

    def _encoded(
        self, images: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.has_posterior:
            return self.evaluator.encode_batch(images, labels), torch.empty(len(images), 0)
        mean, logvar = self.evaluator.posterior(images, labels)
        return mean, (0.5 * logvar).exp()
