"""The files of new images' scores, written batch by batch: memory never holds more than one."""

import csv
import math
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import numpy as np
import torch

from data_loader.new_images import NewImages
from tester.array_writer import RowFile, free_bytes
from tester.conformal import Conformal
from trainer.evaluator import Numbers
from utils.errors import ConfigError

BYTES_OF_NUMBER = 16  # in scores.csv, with its comma


class ScoreFiles:
    """scores.csv, codes.npy and reconstructions.npy.

    Args:
        folder: where they go.
        images: that are scored.
        metrics: the names of the numbers of each image.
        conformal: gives their p-values.
    """

    def __init__(
        self, folder: Path, images: NewImages, metrics: list[str], conformal: Conformal
    ) -> None:
        self._folder, self._images = folder, images
        self._metrics, self._conformal = metrics, conformal
        self._written = 0

    def __enter__(self) -> Self:
        self._files = ExitStack()
        count = len(self._images.dataset)
        self._codes, self._made = (
            self._files.enter_context(RowFile(self._folder / f"{name}.npy", count))
            for name in ("codes", "reconstructions")
        )
        path = self._folder / "scores.csv"
        # A file name need not be text; a surrogate in it is written as \udcff.
        table = path.open("w", newline="", encoding="utf-8", errors="backslashreplace")
        self._table = csv.writer(self._files.enter_context(table), lineterminator="\n")
        label = ["label"] if self._images.has_labels else []
        self._table.writerow(["image", *label, "error", *self._metrics, "p_value", "flagged"])
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    def add(self, codes: torch.Tensor, made: np.ndarray, numbers: Numbers) -> None:
        """Write the next images: codes [n, ...], reconstructions as their file would have them,
        and the metrics of each."""
        self._codes.add(codes.numpy())
        self._made.add(made.astype(made.dtype.newbyteorder("="), copy=False))
        columns = {name: numbers[name].cpu().double().numpy() for name in self._metrics}
        p_values = self._conformal.p_values(columns["mse"])
        flagged = self._conformal.is_flagged(p_values)
        for row in range(len(p_values)):
            place = self._written + row
            own = (_text(columns[name][row]) for name in ("mse", *self._metrics))
            outcome = (repr(float(p_values[row])), int(flagged[row]))
            self._table.writerow([self._images.name(place), *self._label(place), *own, *outcome])
        self._written += len(p_values)

    def _label(self, place: int) -> list[str]:
        labels = self._images.dataset.labels
        return [labels.names[labels.indices[place]]] if self._images.has_labels else []


def _text(number: float) -> str:
    """A number with all digits that float32 has; nothing where it is none."""
    return f"{number:.9g}" if math.isfinite(number) else ""


def check_apart(folder: Path, names: Sequence[str], inputs: dict[str, Path]) -> None:
    """Check that files of some names in `folder` take the place of nothing that is read.

    Args:
        inputs: what is read, by the option that names it.

    Raises:
        ConfigError: they do.
    """
    made = {(folder / name).resolve() for name in names} | {folder.resolve()}
    for option, path in inputs.items():
        if path.is_dir() and folder.resolve().is_relative_to(path.resolve()):
            raise ConfigError(
                f"{option} {path}: the results would go into this folder, to {folder}, and their "
                "pictures be taken for images the next time; name a folder outside of it with -o"
            )
        if path.resolve() in made:
            raise ConfigError(
                f"{option} {path}: the results would go there too; write them elsewhere with -o"
            )


def check_disk(folder: Path, images: NewImages, code_size: int, metrics: int) -> None:
    """Check that the three files fit on the disk of `folder`, which need not exist.

    Raises:
        ConfigError: they do not; it says how many bytes they need and how many are free.
    """
    dataset = images.dataset
    made = dataset.to_file(torch.zeros(1, *dataset.shape)).nbytes
    row = BYTES_OF_NUMBER * (metrics + 4)
    needed, free = len(dataset) * (made + 4 * code_size + row), free_bytes(folder)
    if needed > free:
        raise ConfigError(
            f"{folder}: the codes and reconstructions of {len(dataset):,} images take about "
            f"{needed:,} bytes, but {free:,} are free there; write to another disk with -o"
        )
