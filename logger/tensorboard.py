"""What TensorBoard shows of a run."""

import json
import warnings
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from utils.output import writing

# Numbers of an epoch that are of no split.
UNSPLIT = ("lr", "images_per_second", "seconds", "step", "active_units")


class TensorBoard:
    """Writes numbers, pictures and the model's graph for `tensorboard --logdir saved/`.

    There is no file before there is something to write.

    Args:
        folder: where the event files go.
        after: the epoch after which what older event files say is to be forgotten.
    """

    def __init__(self, folder: Path, after: int | None = None) -> None:
        self._folder = folder
        self._purge_step = None if after is None else after + 1
        self._is_open = False

    @cached_property
    def _writer(self) -> Any:
        from torch.utils.tensorboard import SummaryWriter

        self._is_open = True
        with writing(self._folder):
            return SummaryWriter(str(self._folder), purge_step=self._purge_step)

    def add_numbers(self, epoch: int, numbers: dict[str, float]) -> None:
        """One point of every curve: 'val_loss' becomes 'loss/validation'."""
        with writing(self._folder):
            self._add_numbers(epoch, numbers)

    def _add_numbers(self, epoch: int, numbers: dict[str, float]) -> None:
        for name, value in numbers.items():
            if name in UNSPLIT:
                tag = name
            elif name.startswith("val_"):
                tag = f"{name.removeprefix('val_')}/validation"
            else:
                tag = f"{name}/train"
            self._writer.add_scalar(tag, value, epoch)

    def add_picture(self, epoch: int, name: str, rgb: torch.Tensor) -> None:
        """A picture, [H, W, 3] in [0, 1]."""
        with writing(self._folder):
            self._writer.add_image(name, rgb, epoch, dataformats="HWC")

    def add_spread(self, epoch: int, name: str, values: torch.Tensor) -> None:
        """How some values are spread, as a histogram."""
        with writing(self._folder):
            self._writer.add_histogram(name, values, epoch)

    def add_graph(self, model: nn.Module, *inputs: torch.Tensor) -> None:
        """The model's graph, traced with what it takes."""
        with warnings.catch_warnings(), writing(self._folder):
            # TensorBoard still traces in a way that torch will drop.
            warnings.simplefilter("ignore")
            self._writer.add_graph(model, inputs, use_strict_trace=False)

    def add_codes(
        self, epoch: int, codes: torch.Tensor, names: list[str], thumbnails: torch.Tensor
    ) -> None:
        """Codes [n, D] for the projector, with their classes and pictures [n, h, w, 3]."""
        high, wide = thumbnails.shape[1:3]
        # The projector's pictures are square; what is added is white.
        missing = (0, max(high - wide, 0), 0, max(wide - high, 0))
        pictures = torch.nn.functional.pad(thumbnails.permute(0, 3, 1, 2), missing, value=1.0)
        with writing(self._folder):
            self._writer.add_embedding(codes, names, pictures, epoch, "codes")

    def close(self) -> None:
        """Write what is still in memory."""
        if self._is_open:
            with writing(self._folder):
                self._writer.close()


def write_hparams(folder: Path, settings: dict[str, Any], numbers: dict[str, float]) -> None:
    """One line of TensorBoard's HParams table: a column for each setting and each score."""
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder)) as writer:
        plain = {
            name: value if isinstance(value, bool | int | float | str) else json.dumps(value)
            for name, value in settings.items()
        }
        scores = {f"score/{name}": value for name, value in numbers.items()}
        writer.add_hparams(plain, scores, run_name=".")


def tile(rows: list[torch.Tensor], gap: int = 2) -> torch.Tensor:
    """Rows of pictures [n, h, w, 3] in [0, 1] -> one picture [H, W, 3] with white gaps."""
    return torch.cat([_row(row, gap) for row in rows])


def _row(pictures: torch.Tensor, gap: int) -> torch.Tensor:
    n, height, width, _ = pictures.shape
    framed = torch.ones(n, height + gap, width + gap, 3)
    framed[:, :height, :width] = pictures
    return framed.permute(1, 0, 2, 3).reshape(height + gap, n * (width + gap), 3)
