"""Whether a folder is that of a checkpoint's own run: nothing else in it may be touched."""

import json
import math
from pathlib import Path
from typing import Any

from utils.checkpoint import Checkpoint
from utils.checkpoint_files import places_in
from utils.config.changes import changes_of
from utils.config.check import Catalogue, check_config
from utils.config.messages import shown
from utils.config.overrides import flat
from utils.config.sections import Config
from utils.config.source import read_json
from utils.errors import CheckpointError, ConfigError, OtherProgramError

ON_PURPOSE = (
    "to go on here on purpose, move it away; or go on in a folder that holds nothing but the "
    "checkpoint and its run's config.json"
)


def run_config(
    folder: Path, checkpoint: Checkpoint | None, catalogue: Catalogue
) -> dict[str, Any]:
    """The config of a run folder, compared key by key with the checkpoint's.

    Raises:
        CheckpointError: there is none, or they differ in what cannot change.
        ConfigError: it cannot be run.
    """
    path = folder / "config.json"
    if not path.exists():
        raise CheckpointError(
            f"{path}: no such file, so this is not the folder of the checkpoint's run; give -r "
            "that folder, or copy its config.json into this one to go on here"
        )
    content = read_json(path)
    ours = check_config(content, catalogue, str(path)).as_json()
    if not checkpoint:
        _check_complete(path, content, ours)
        return ours
    theirs = check_config(checkpoint.config, catalogue, "the checkpoint's config").as_json()
    if differing := _differences(ours, theirs, catalogue):
        raise CheckpointError(
            f"{path} and the checkpoint differ: {'; '.join(differing)}; put the first back to "
            "the second, give the checkpoint in its own run's folder, or begin a new run with -c"
        )
    return ours


def check_own(
    folder: Path, checkpoint: Checkpoint | None, monitor: str, catalogue: Catalogue
) -> None:
    """Check that all that going on from the checkpoint would touch is of its run.

    A folder that was moved or copied whole is as much the run's as before.

    Args:
        monitor: the config's, whose best value the checkpoint holds.

    Raises:
        CheckpointError: numbers or other checkpoints of something else; nothing is touched.
    """
    if checkpoint:
        for path in _touched(folder, checkpoint):
            _check_checkpoint(path, checkpoint, catalogue)
    _check_numbers(folder / "metrics.jsonl", checkpoint, monitor)


def _check_complete(path: Path, content: dict[str, Any], complete: dict[str, Any]) -> None:
    """Tell the config that a run wrote, which has every key, from one that begins runs.

    Where a run's lock lies beside it, it may be of an earlier version, which had fewer keys.
    """
    if (path.parent / ".lock").exists():
        return
    missing = sorted(flat(complete).keys() - flat(content).keys(), key=len)
    if missing:
        raise CheckpointError(
            f"{path}: not written by a run, for it leaves out '{missing[0]}'; -r takes the folder "
            f"of a run or a checkpoint. To begin a run, give -c {path}"
        )


def _touched(folder: Path, checkpoint: Checkpoint) -> list[Path]:
    """The checkpoints that make way: the later ones, those within epochs, the best model."""
    here = checkpoint.place
    touched = [path for place, path in places_in(folder) if place > here or place[1] != math.inf]
    best = folder / "model_best.pth"
    return [*touched, best] if best.exists() else touched


def _check_checkpoint(path: Path, checkpoint: Checkpoint, catalogue: Catalogue) -> None:
    """Raise a CheckpointError where `path` holds another run's. What is damaged tells nothing."""
    try:
        other = Checkpoint.read(path)
    except OtherProgramError as error:
        raise CheckpointError(f"{error}; {ON_PURPOSE}") from None
    except CheckpointError:
        return
    filled = catalogue._replace(checks=[])
    try:
        ours, theirs = (
            check_config(content.config, filled, path).as_json() | {"data": content.data}
            for content in (checkpoint, other)
        )
    except ConfigError:
        differing = ["its config cannot be run"]
    else:
        differing = _differences(ours, theirs, catalogue)
    if differing:
        raise CheckpointError(
            f"{path}: of another run than the checkpoint: {'; '.join(differing)}; {ON_PURPOSE}"
        )


def _check_numbers(path: Path, checkpoint: Checkpoint | None, monitor: str) -> None:
    """Raise a CheckpointError where metrics.jsonl is another run's or another program's."""
    if not path.exists():
        return
    lines = path.read_bytes().splitlines(keepends=True)
    if lines and not lines[-1].endswith(b"\n"):
        lines.pop()  # a kill or a full disk cut it off
    numbers: list[dict[str, Any]] = []
    for line in lines:
        found = _numbers_of(line)
        # A power cut may lose lines that a checkpoint is ahead of, but none comes twice.
        if found is None or (numbers and found["epoch"] <= numbers[-1]["epoch"]):
            raise CheckpointError(
                f"{path}: line {len(numbers) + 1} is none that this run wrote; {ON_PURPOSE}"
            )
        numbers.append(found)
    if checkpoint and not _lead_to(checkpoint, numbers, monitor):
        raise CheckpointError(
            f"{path}: its numbers do not lead to the checkpoint of epoch {checkpoint.epoch}, "
            f"step {checkpoint.step}, so they are another run's; {ON_PURPOSE}"
        )


def _numbers_of(line: bytes) -> dict[str, Any] | None:
    """A line of metrics.jsonl as `Run.record` writes it, else None."""
    try:
        numbers = json.loads(line)
        is_ours = type(numbers["epoch"]) is int and type(numbers["step"]) is int
        return numbers if is_ours and numbers["epoch"] > 0 else None
    except (ValueError, KeyError, TypeError):
        return None


def _lead_to(checkpoint: Checkpoint, lines: list[dict[str, Any]], monitor: str) -> bool:
    """Whether steps, and the best value so far, are those that the checkpoint holds.

    The best value is known only where no line is missing: somebody may have begun a new file.
    """
    epoch, step = checkpoint.epoch, checkpoint.step
    before = [line for line in lines if line["epoch"] <= epoch]
    after = lines[len(before) :]
    if any(line["step"] > step for line in before) or any(line["step"] < step for line in after):
        return False
    mode, _, name = monitor.partition(" ")
    if mode == "off" or len(before) < epoch:
        return True
    values = [line[name] for line in before if isinstance(line.get(name), float)]
    best = (min if mode == "min" else max)(values, default=None)
    return best == checkpoint.monitor_best


def _differences(ours: dict[str, Any], theirs: dict[str, Any], catalogue: Catalogue) -> list[str]:
    """What two configs say differently of what makes the run what it is."""
    config = Config.model_validate({key: ours[key] for key in ours.keys() - {"data"}})
    first, second = flat(ours), flat(theirs)
    return [
        f"{key} is {shown(first.get(key))} and {shown(second.get(key))}"
        for key in sorted(first.keys() | second.keys())
        if first.get(key) != second.get(key) and _matters(key, config, catalogue)
    ]


def _matters(key: str, config: Config, catalogue: Catalogue) -> bool:
    changes = changes_of(key, config, catalogue.parts)
    return changes.trains and not changes.resumed
