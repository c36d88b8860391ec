"""What TensorBoard shows of a run, and of a sweep."""

import json
import shutil
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.functional import interpolate, pad

from utils.output import writing

# TensorBoard gathers charts under what stands before the slash, in alphabetical order: what a
# sweep compares comes first, as in its table of HParams, and pictures come after the curves.
BEST, CURVES, TRAINING = "best/", "curves/", "training/"
# Numbers of an epoch that are no scores: charts of their own, or none.
UNSPLIT = ("lr", "images_per_second", "seconds", "active_units")
NOT_DRAWN = ("epoch", "step")
HELD_OUT = "validation"  # the folder, within a run's, of the second curve in a chart
BEGINNING = 4096  # bytes of an event file, in which the numbers of its first epoch begin
OF_SWEEP = ".sweep"  # how an event file ends that a sweep has put into a run's folder
LEAST_SIDE, MOST_SIDE, GAP = 128, 256, 4  # pixels of a picture's longer side; between pictures


class TensorBoard:
    """Writes numbers, pictures and the model's graph for `tensorboard --logdir saved/`.

    Two curves are in one chart where two runs of TensorBoard have a tag in common: the numbers of
    held-out images are in the folder `validation` of a run's folder, everything else is in the
    latter. There is no file before there is something to write.

    Args:
        folder: that of the run.
        after: the epoch after which what older event files say is to be forgotten.
    """

    def __init__(self, folder: Path, after: int | None = None) -> None:
        self._folder = folder
        self._purge_step = None if after is None else after + 1
        self._writers: dict[Path, Any] = {}

    def _writer(self, folder: Path) -> Any:
        from torch.utils.tensorboard import SummaryWriter

        if folder not in self._writers:
            with writing(folder):
                self._writers[folder] = SummaryWriter(str(folder), purge_step=self._purge_step)
        return self._writers[folder]

    def add_numbers(self, epoch: int, numbers: dict[str, float]) -> None:
        """One point of every curve; 'loss' and 'val_loss' are curves in one chart.

        They are in the files when this returns, before any checkpoint of the epoch: a killed run
        goes on after a checkpoint, and nobody would write them again.
        """
        self._add_numbers(epoch, numbers)
        self._flush()

    def _add_numbers(self, epoch: int, numbers: dict[str, float]) -> None:
        for name, value in numbers.items():
            if name in NOT_DRAWN or value is None:
                continue
            score = name.removeprefix("val_")
            tag = f"{TRAINING}{name}" if name in UNSPLIT else f"{CURVES}{score}"
            folder = self._folder if score == name else self._folder / HELD_OUT
            writer = self._writer(folder)
            with writing(self._folder):
                writer.add_scalar(tag, value, epoch)

    def _flush(self) -> None:
        with writing(self._folder):
            for writer in self._writers.values():
                writer.flush()

    def catch_up(self, epochs: Iterable[dict[str, Any]]) -> None:
        """Draw the epochs before, where the folder has not these charts yet.

        It was written by an earlier version then, or without TensorBoard.

        Args:
            epochs: 'epoch' and the numbers of each.
        """
        if any(map(_has_charts, self._folder.glob("events.*"))):
            return
        for numbers in epochs:
            self._add_numbers(numbers["epoch"], numbers)
        self._flush()

    def add_pictures(self, epoch: int, group: str, pictures: dict[str, torch.Tensor]) -> None:
        """Pictures, [H, W, 3] in [0, 1] by their names, under a heading of their own."""
        writer = self._writer(self._folder)
        with writing(self._folder):
            for name, rgb in pictures.items():
                writer.add_image(f"{group}/{name}", rgb, epoch, dataformats="HWC")

    def add_spread(self, epoch: int, name: str, values: torch.Tensor) -> None:
        """How some values are spread, as a histogram."""
        writer = self._writer(self._folder)
        with writing(self._folder):
            writer.add_histogram(name, values, epoch)

    def add_graph(self, model: nn.Module, *inputs: torch.Tensor) -> None:
        """The model's graph, traced with what it takes."""
        writer = self._writer(self._folder)
        with warnings.catch_warnings(), writing(self._folder):
            # TensorBoard still traces in a way that torch will drop.
            warnings.simplefilter("ignore")
            writer.add_graph(model, inputs, use_strict_trace=False)

    def add_codes(
        self,
        epoch: int,
        codes: torch.Tensor,
        told: dict[str, Sequence[Any]],
        thumbnails: torch.Tensor,
    ) -> None:
        """Codes [n, D] for the projector, with pictures [n, h, w, 3].

        Args:
            told: what is known of each, by the name under which the projector offers it as
                label and as colour: at least two such names, as a table needs a heading.
        """
        high, wide = thumbnails.shape[1:3]
        # The projector's pictures are square; what is added is white.
        missing = (0, max(high - wide, 0), 0, max(wide - high, 0))
        pictures = pad(thumbnails.permute(0, 3, 1, 2), missing, value=1.0)
        rows = [[_in_a_cell(value) for value in row] for row in zip(*told.values(), strict=True)]
        writer = self._writer(self._folder)
        with writing(self._folder):
            # Of an epoch that is trained again after a kill.
            shutil.rmtree(self._folder / f"{epoch:05}" / "codes", ignore_errors=True)
            writer.add_embedding(codes, rows, pictures, epoch, "codes", list(told))

    def close(self) -> None:
        """Write what is still in memory."""
        with writing(self._folder):
            for writer in self._writers.values():
                writer.close()


def write_hparams(
    folder: Path, settings: dict[str, Any], scores: dict[str, float], epoch: int
) -> None:
    """A row of TensorBoard's HParams table: a column for each setting and each score.

    It is in the folder of the run that it tells of, so that TensorBoard lists that run alone, with
    its curves. Of the summaries that torch makes, the one that names the columns is left out:
    TensorBoard takes it from one run and has it stand for all, those of other sweeps included;
    without any it gathers the columns from all rows.

    Args:
        folder: of the run; what another sweep has written there is replaced.
        settings: whole numbers are shown with decimals, unless they are given as text.
        scores: each is a chart, too.
        epoch: of the model that reached the scores.
    """
    from torch.utils import tensorboard

    for old in folder.glob(f"events.*{OF_SWEEP}"):
        old.unlink()
    plain = {name: _number_or_text(value) for name, value in settings.items()}
    _, begun, ended = tensorboard.summary.hparams(plain, {})
    writer: Any = tensorboard.SummaryWriter(str(folder), filename_suffix=OF_SWEEP)
    with writing(folder), writer:
        for summary in (begun, ended):
            writer.file_writer.add_summary(summary)
        for name, value in scores.items():
            writer.add_scalar(f"{BEST}{name}", value, epoch)


def side_by_side(pictures: Sequence[torch.Tensor]) -> torch.Tensor:
    """Pictures of one image, [h, w, 3] in [0, 1] -> one picture [H, W, 3] with white gaps.

    Small ones are enlarged, every pixel to a square; large ones are made smaller, for they are
    written again and again.
    """
    first, *others = map(_sized, pictures)
    gap = torch.ones(len(first), GAP, 3)
    return torch.cat([first, *(part for other in others for part in (gap, other))], 1)


def _sized(picture: torch.Tensor) -> torch.Tensor:
    """A picture [h, w, 3] with a longer side of LEAST_SIDE to MOST_SIDE pixels."""
    longest = max(picture.shape[:2])
    if longest > MOST_SIDE:
        size = [max(1, round(side * MOST_SIDE / longest)) for side in picture.shape[:2]]
        return interpolate(picture.permute(2, 0, 1)[None], size, mode="area")[0].permute(1, 2, 0)
    times = -(-LEAST_SIDE // longest)
    return picture.repeat_interleave(times, 0).repeat_interleave(times, 1)


def _has_charts(path: Path) -> bool:
    """Whether an event file begins with the numbers of an epoch, as they are written now."""
    with open(path, "rb") as file:
        return CURVES.encode() in file.read(BEGINNING)


def _number_or_text(value: Any) -> float | str:
    """A value of a config as the HParams table takes it; it filters by no text with quotes."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    return (value if isinstance(value, str) else json.dumps(value)).replace('"', "")


def _in_a_cell(value: Any) -> str:
    """A value as text without the characters that end a cell or a line of a table."""
    return " ".join(str(value).split())
