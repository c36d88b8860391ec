"""The images of a page, picked while all are scored, so that the model runs once for both."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from base.base_data_loader import BaseDataLoader
from base.base_dataset import BaseDataset
from report.gallery import MOST, WORST, Gallery
from tester.code_pictures import Plane
from tester.scores import MODEL, Measured

MOST_SIDE = 48  # pixels of an image in the page


class Split(NamedTuple):
    """Images that were scored."""

    name: str
    loader: BaseDataLoader
    errors: np.ndarray
    """Of each image, in the loader's order, [n]."""
    labels: np.ndarray
    """The class of each, [n]."""
    title: Callable[[int], str]
    """What an image is called by its place in the data set."""


class PageImages:
    """Evenly spaced images of all splits and the worst of all: as many as a page has room for,
    however many are scored.

    Args:
        plane: onto which codes are brought.
        total: images of all splits.
    """

    def __init__(self, plane: Plane, total: int) -> None:
        self._plane, self._total = plane, total
        self._step = max(1, math.ceil(total / (MOST - WORST)))
        self._seen = 0
        self._worst, self._errors = np.zeros(0, np.int64), np.zeros(0)
        self._rows: dict[int, int] = {}  # which row of the arrays an image has
        self._free = list(range(math.ceil(total / self._step) + WORST))
        self._arrays: list[np.ndarray] = []

    @property
    def numbers(self) -> list[int]:
        """Which images are shown, counted over all splits in the order of their scoring."""
        return sorted(self._rows)

    def add(self, dataset: BaseDataset, measured: Measured) -> None:
        """Keep of the next batch what the page may show.

        Args:
            dataset: of the batch.
        """
        numbers = self._seen + np.arange(len(measured.batch.images))
        self._seen += len(numbers)
        for number in self._no_more_worst(numbers, measured):
            if number % self._step and number in self._rows:
                self._free.append(self._rows.pop(number))
        is_shown = (numbers % self._step == 0) | np.isin(numbers, self._worst)
        if not is_shown.any():
            return
        parts = self._drawn(dataset, measured, torch.from_numpy(is_shown))
        if not self._arrays:  # all at once, as in `Scores`
            size = len(self._free)
            self._arrays = [np.empty((size, *part.shape[1:]), part.dtype) for part in parts]
        rows = [self._free.pop() for _ in parts[0]]
        self._rows |= zip(numbers[is_shown].tolist(), rows, strict=True)
        for array, part in zip(self._arrays, parts, strict=True):
            array[rows] = part

    def _no_more_worst(self, numbers: np.ndarray, measured: Measured) -> list[int]:
        """Hold the next images against the worst; the numbers of those that are not, or no more,
        among them."""
        errors = measured.numbers[MODEL]["mse"].double().cpu().numpy()
        numbers = np.concatenate([self._worst, numbers])
        errors = np.concatenate([self._errors, errors])
        order = np.argsort(-errors, kind="stable")
        self._worst, self._errors = numbers[order[:WORST]], errors[order[:WORST]]
        return numbers[order[WORST:]].tolist()

    def _drawn(
        self, dataset: BaseDataset, measured: Measured, which: torch.Tensor
    ) -> list[np.ndarray]:
        """Thumbnails of some images of a batch, bool [n], of their reconstructions, and their
        codes on the plane."""
        output = measured.output
        parts = (measured.batch.images, output["reconstruction"], output["code"])
        images, made, codes = (part[which.to(part.device)].cpu() for part in parts)
        pictures = [_small(dataset.to_rgb(own)) for own in (images, made)]
        return [*pictures, self._plane.of(codes.flatten(1)).numpy()]

    def gallery(self, splits: list[Split], classes: list[str]) -> Gallery:
        """What the page shows, once all images have been added.

        Args:
            splits: in the order of their scoring.
            classes: the names that the splits' labels count.
        """
        numbers = np.array(self.numbers)
        images, made, points = (
            array[[self._rows[number] for number in self.numbers]] for array in self._arrays
        )
        ends = np.cumsum([len(split.errors) for split in splits])
        own = np.searchsorted(ends, numbers, "right")
        places = numbers - np.concatenate([[0], ends])[own]
        shown = [(splits[of], place) for of, place in zip(own, places.tolist(), strict=True)]
        return Gallery(
            points=points,
            labels=np.concatenate([split.labels for split in splits])[numbers],
            splits=[split.name for split, _ in shown],
            names=[split.title(int(split.loader.indices[place])) for split, place in shown],
            errors=np.concatenate([split.errors for split in splits])[numbers],
            images=images, made=made, classes=classes, axes=self._plane.told, total=self._total,
        )  # fmt: skip


def _small(pictures: torch.Tensor) -> np.ndarray:
    """Pictures [n, H, W, 3] in [0, 1] -> uint8, MOST_SIDE pixels a side at most."""
    high, wide = pictures.shape[1:3]
    scale = MOST_SIDE / max(high, wide, MOST_SIDE)
    size = max(1, round(high * scale)), max(1, round(wide * scale))
    if scale < 1:
        pictures = torch.nn.functional.adaptive_avg_pool2d(pictures.permute(0, 3, 1, 2), size)
        pictures = pictures.permute(0, 2, 3, 1)
    return (pictures.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
