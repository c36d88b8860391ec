"""The checkpoints of a run: their names, their order, and which is taken."""

import math
import os
import re
from collections.abc import Iterator
from pathlib import Path

from utils.checkpoint import Checkpoint
from utils.errors import CheckpointError


def checkpoint_name(epoch: int, step: int | None = None) -> str:
    """The file name for the end of an epoch, or for a step within it."""
    within = "" if step is None else f"-step{step}"
    return f"checkpoint-epoch{epoch}{within}.pth"


NUMBERED = re.compile(r"checkpoint-epoch(\d+)(?:-step(\d+))?\.pth")


def place_of(path: Path) -> tuple[int, float] | None:
    """Epoch and step of a checkpoint file's name, the end of an epoch as step infinity."""
    match = NUMBERED.fullmatch(path.name)
    return (int(match[1]), int(match[2]) if match[2] else math.inf) if match else None


def places_in(folder: Path) -> list[tuple[tuple[int, float], Path]]:
    """The numbered checkpoints of a run with their places, the newest first: 10 is after 9."""
    found = ((place_of(path), path) for path in folder.glob("checkpoint-epoch*.pth"))
    return sorted(((place, path) for place, path in found if place), reverse=True)


def checkpoints_in(folder: Path) -> list[Path]:
    """The numbered checkpoints of a run, the newest first."""
    return [path for _, path in places_in(folder)]


def remove_passed(newest: Path) -> None:
    """Remove checkpoints within an epoch that `newest` makes needless."""
    places = places_in(newest.parent)
    passed = next((number for number, (_, path) in enumerate(places) if path == newest), None)
    for place, path in places[passed + 1 :] if passed is not None else []:
        if place[1] != math.inf:
            path.unlink(missing_ok=True)


def files_of_runs(path: Path, pattern: str) -> Iterator[Path]:
    """The files so called of the run that `path` is, or of those in it.

    A run lies in <save_dir>/<name>/<time>. What lies deeper, below a home folder or a whole disk,
    nobody meant.
    """
    for place in ("", "*/", "*/*/"):
        yield from path.glob(f"{place}{pattern}")


def find_run(path: Path, pattern: str = "*.pth") -> Path:
    """The run folder that `path` is, or the one in it whose newest file is the newest.

    Args:
        pattern: the files that a run has; those of test.py do not count.

    Raises:
        CheckpointError: there is no run at `path` or where it has runs.
    """
    runs = {file.parent for file in files_of_runs(path, pattern)}
    if not runs and not path.exists():
        raise CheckpointError(f"{path}: no such folder; -r takes a run's folder or a checkpoint")
    if not runs and not path.is_dir():
        raise CheckpointError(f"{path}: neither a folder nor a checkpoint")
    if not runs and not os.access(path, os.R_OK | os.X_OK):
        raise CheckpointError(f"{path}: may not be looked into; allow reading")
    if not runs:
        raise CheckpointError(
            f"{path}: no checkpoint in this folder, nor in a run of it; train first, or name "
            "the folder of a run, or saved/NAME"
        )

    def last_written(run: Path) -> tuple[float, str]:
        return max(file.stat().st_mtime for file in run.glob(pattern)), run.name

    return path if path in runs else max(runs, key=last_written)


def newest_checkpoint(run: Path) -> tuple[Path, Checkpoint, list[str]]:
    """The newest checkpoint of a run that verifies, and what was wrong with newer ones.

    The best model comes last: it may be older than what was skipped, but it is whole.

    Raises:
        CheckpointError: none verifies.
    """
    skipped: list[str] = []
    best = run / "model_best.pth"
    for path in [*checkpoints_in(run), *([best] if best.exists() else [])]:
        try:
            return path, Checkpoint.read(path), skipped
        except CheckpointError as error:
            skipped.append(str(error))
    raise CheckpointError("; ".join(skipped) or f"{run}: holds no checkpoint-epoch<N>.pth")


def best_of(run: Path) -> Path:
    """The checkpoint of a run's best model, or else its newest one that verifies.

    Raises:
        CheckpointError: there is none.
    """
    best = run / "model_best.pth"
    return best if best.exists() else newest_checkpoint(run)[0]
