"""How good a model's images are, beside those of what it has to beat, in one pass over a split."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from base.base_data_loader import BaseDataLoader, Batch
from tester.baselines import Reconstruct
from trainer.evaluator import Evaluator, Numbers
from trainer.sums import Sums

MODEL, UNCLEANED = "model", "corrupted"  # who made the images measured, besides the baselines


class Measured(NamedTuple):
    """A batch, what the model makes of it and how good that is."""

    batch: Batch
    shown: torch.Tensor
    """What the model was shown, [n, C, H, W]."""
    output: Numbers
    """What it made of that."""
    numbers: dict[str, Numbers]
    """By maker the metrics of each image; the model's have the terms of the loss as well."""


class Scores:
    """Scores of the images of a split, by who made them.

    Args:
        count: how many images there are.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._sums: dict[str, Sums] = {}
        # All at once: small pieces that stay, among large ones that go, would scatter the memory.
        self._errors: dict[str, np.ndarray] = {}

    def add(self, numbers: dict[str, Numbers]) -> None:
        """Add the numbers of the next batch, by maker."""
        for maker, own in numbers.items():
            sums = self._sums.setdefault(maker, Sums())
            errors = self._errors.setdefault(maker, np.empty(self.count))
            errors[sums.count : sums.count + len(own["mse"])] = own["mse"].cpu().numpy()
            sums.add(own)

    def errors(self, maker: str = MODEL) -> np.ndarray:
        """The error of each image, the mean squared one of its pixels, float64 [n]."""
        return self._errors[maker]

    def means(self, maker: str) -> dict[str, float]:
        """The mean of each number over the images."""
        return self._sums[maker].means()

    def of_model(self) -> dict[str, Any]:
        """The model's scores, and without cleaning where it cleans, as plain values."""
        own: dict[str, Any] = {"count": self.count} | self.means(MODEL)
        if UNCLEANED in self._sums:
            uncleaned = self.means(UNCLEANED)
            own |= {UNCLEANED: uncleaned, "psnr_gain": own["psnr"] - uncleaned["psnr"]}
        return own


class Scorer:
    """Measures a model and its baselines on the same batches.

    Args:
        evaluator: with the model.
        baselines: by name, what makes images from those that the model is shown.
    """

    def __init__(self, evaluator: Evaluator, baselines: dict[str, Reconstruct]) -> None:
        self.evaluator, self.baselines = evaluator, baselines
        self._others = dict(baselines)
        if evaluator.corrupter:
            self._others[UNCLEANED] = lambda shown: shown

    @torch.no_grad()
    def measured(self, loader: BaseDataLoader, name: str) -> Iterator[Measured]:
        """Every batch of a loader with its numbers, under a progress bar where someone watches.

        Args:
            name: of the split, for the bar.
        """
        self.evaluator.model.eval()
        bar = tqdm(
            loader.batches(), f"scoring {name}", total=len(loader), leave=False, disable=None
        )
        for batch in bar:
            shown = self.evaluator.shown(batch)
            output = self.evaluator.run(shown, labels=loader.labels_of(batch))
            numbers = {MODEL: self.evaluator.measure(output, batch.images)}
            for maker, make in self._others.items():
                numbers[maker] = self.evaluator.compare(make(shown), batch.images)
            yield Measured(batch, shown, output, numbers)

    def as_json(self, splits: dict[str, Scores]) -> dict[str, Any]:
        """The scores of splits, and those of the baselines on them, as plain values."""
        return {
            "splits": {name: scores.of_model() for name, scores in splits.items()},
            "baselines": {
                maker: {name: scores.means(maker) for name, scores in splits.items()}
                for maker in self.baselines
            },
        }
