"""Checkpoints: written so that a crash cannot spoil them, verified before anything is believed.

A checkpoint is one file of tensors and plain values that `torch.load(path, weights_only=True)`
opens on any device.
"""

import io
import math
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self

import torch

from utils.archive import verify_archive
from utils.errors import CheckpointError, OtherProgramError, TrainingError, first_line
from utils.finite import largest
from utils.output import write_file

FORMAT = 1
CONTENT = {
    "arch": str,
    "config": dict,
    "epoch": int,
    "step": int,
    "within_epoch": dict,
    "state_dict": dict,
    "optimizer": dict,
    "lr_scheduler": dict | None,
    "monitor_best": float | None,
    "early_stop_count": int,
    "data": dict,
    "versions": dict,
    "machine": dict,
}
# What checkpoints did not hold from the beginning.
LATER = {"images": dict, "more": dict}
COUNTS = ("epoch", "step", "early_stop_count")
PLAIN = (str, int, float, bool, type(None))


@dataclass(frozen=True)
class Checkpoint:
    """All that a run needs to go on, and a trained model to be used."""

    arch: str
    """The class of the model."""
    config: dict[str, Any]
    """Complete, as plain values."""
    epoch: int
    """Epochs trained to their end."""
    step: int
    """Updates made."""
    within_epoch: dict[str, Any]
    """"count" and "totals" of the images trained of the epoch that has begun."""
    state_dict: dict[str, torch.Tensor]
    optimizer: dict[str, Any]
    lr_scheduler: dict[str, Any] | None
    monitor_best: float | None
    """The best value of what is monitored, and for how many epochs there was no better: """
    early_stop_count: int
    data: dict[str, Any]
    """What tells the images that it was trained with from others."""
    versions: dict[str, str]
    machine: dict[str, Any]
    images: dict[str, Any] = field(default_factory=dict)
    """How arrays of such images are laid out; empty in the first checkpoints of this format."""
    more: dict[str, Any] = field(default_factory=dict)
    """The states of what a trainer of one's own keeps besides, by name."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """The verified checkpoint in a file; raises as `load_checkpoint`."""
        content = load_checkpoint(path)
        known = {one.name for one in fields(cls)}
        return cls(**{name: value for name, value in content.items() if name in known})

    def write(self, path: Path) -> None:
        """Write it to `path`; raises as `save_checkpoint`."""
        content = {one.name: getattr(self, one.name) for one in fields(self)}
        save_checkpoint({k: v for k, v in content.items() if v or k not in LATER}, path)

    @property
    def trained(self) -> int:
        """The images trained of the epoch that has begun, 0 at an epoch's end."""
        return self.within_epoch["count"]

    @property
    def place(self) -> tuple[int, float]:
        """Its epoch and step as `place_of` gives them for its file."""
        return (self.epoch + 1, self.step) if self.trained else (self.epoch, math.inf)


def save_checkpoint(content: dict[str, Any], path: Path) -> None:
    """Write `content` to `path`; a crash at any instant leaves the old file or the new one.

    Raises:
        TrainingError: a weight is not finite, or the file cannot be written; `path` is as it was.
    """
    if name := _first_not_finite(content["state_dict"]):
        raise TrainingError(
            f"'{name}' is no longer finite after step {content['step']}; {path.name} is not "
            "written and the checkpoints before it are unharmed. Try a lower optimizer.args.lr"
        )
    buffer = io.BytesIO()  # in memory first, so that a full disk is a plain OSError
    # A plain dict: the notes that torch hangs onto its own are not needed to load it.
    plain = {"format": FORMAT, **content, "state_dict": dict(content["state_dict"])}
    torch.save(plain, buffer)
    write_file(path, buffer.getbuffer())


def load_checkpoint(path: Path) -> dict[str, Any]:
    """The verified content of a checkpoint, its tensors on the CPU.

    Raises:
        CheckpointError: no such file, not a checkpoint, damaged, or of another format.
        OtherProgramError: the file is whole, and no checkpoint of this program.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    try:
        verify_archive(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
        _check_values(content, path)
        _check_content(content, path)
    except CheckpointError:
        raise
    except Exception as error:  # a damaged file makes torch raise nearly anything
        reason = first_line(error)
        raise CheckpointError(f"{path}: damaged or no checkpoint: {reason}") from None
    return content


def _check_values(content: Any, path: Path) -> None:
    """Check that all is plain values and dense tensors, no larger than the file they are in."""
    size = path.stat().st_size
    values, letters, numbers = 0, 0, 0  # one value may be referred to from many places
    waiting = [content]
    while waiting:
        value = waiting.pop()
        values += 1
        if type(value) is dict:
            waiting += value.keys()
            waiting += value.values()
        elif type(value) in (list, tuple):
            waiting += value
        elif type(value) is torch.Tensor:
            numbers += value.numel() * value.element_size()
            if value.layout != torch.strided or value.device.type != "cpu":
                raise CheckpointError(f"{path}: holds a tensor of another kind than dense")
        elif type(value) is str:
            letters += len(value)
        elif type(value) not in PLAIN:
            raise CheckpointError(f"{path}: holds a {type(value).__name__}; no checkpoint does")
        if numbers > 2 * size or max(values, letters) > 4 * size:
            raise CheckpointError(f"{path}: damaged: holds more than fits into it")


def _check_content(content: Any, path: Path) -> None:
    """Check what a checkpoint has to hold."""
    if not isinstance(content, dict):
        raise OtherProgramError(f"{path}: holds a {type(content).__name__}; this is no checkpoint")
    if content.get("format") != FORMAT:
        raise OtherProgramError(
            f"{path}: format {content.get('format')}; this version reads {FORMAT}"
        )
    for key, kind in CONTENT.items():
        if key not in content:
            raise OtherProgramError(f"{path}: has no '{key}'; this program did not write it")
        if not isinstance(content[key], kind) or isinstance(content[key], bool):
            raise CheckpointError(f"{path}: '{key}' is a {type(content[key]).__name__}")
    for key, kind in LATER.items():
        if not isinstance(content.get(key, {}), kind):
            raise CheckpointError(f"{path}: '{key}' is a {type(content[key]).__name__}")
    for key in COUNTS:
        if content[key] < 0:
            raise CheckpointError(f"{path}: '{key}' is {content[key]}; it counts from 0")
    _check_within(content["within_epoch"], path)
    if name := _first_not_finite(content["state_dict"]):
        raise CheckpointError(f"{path}: '{name}' in its weights is no finite tensor")


def _check_within(state: dict, path: Path) -> None:
    count, totals = state.get("count"), state.get("totals")
    is_right = isinstance(count, int) and count >= 0 and isinstance(totals, dict)
    if is_right and isinstance(totals, dict):
        are_floats = all(type(total) is float for total in totals.values())
        is_right = ("loss" in totals) == bool(count) and are_floats and type(count) is int
    if not is_right:
        raise CheckpointError(f"{path}: 'within_epoch' must hold a count and totals")


def _first_not_finite(state: dict[str, Any]) -> str | None:
    """The first entry that is no finite tensor, or None."""
    if not all(isinstance(value, torch.Tensor) for value in state.values()):
        return next(name for name, value in state.items() if not isinstance(value, torch.Tensor))
    floats = {name: value for name, value in state.items() if value.is_floating_point()}
    if math.isfinite(largest(floats.values())):
        return None
    return next(name for name, value in floats.items() if not value.isfinite().all())
