"""Opening a run that was interrupted or is finished: which checkpoint, and does it belong here."""

import sys
from pathlib import Path
from typing import Any

from base.base_trainer import BaseTrainer
from trainer.belonging import CHANGEABLE, LEARNING_RATE, MOVABLE, check_own, run_config
from utils.checkpoint import find_run, load_checkpoint, newest_checkpoint
from utils.config.check import Catalogue, check_config
from utils.config.messages import shown
from utils.config.overrides import apply_overrides, key_of
from utils.config.sections import Config
from utils.errors import CheckpointError, ConfigError
from utils.lock import hold, last_held_by_sibling, refuse_held
from utils.output import check_writable
from utils.ranks import restarts

# Why all else may not, by how the key begins.
REASONS = {
    "name": "the run keeps its folder",
    "seed": "the order of the images and all noise would be others",
    "dataset": "it would be a run on other images",
    "data_loader": "other images would be held out, or other batches made",
    "arch": "the weights of the checkpoint fit this network only",
    "loss": "the numbers before and after could not be compared",
    "metrics": "the numbers before and after could not be compared",
    "optimizer": "the state of the checkpoint belongs to this optimizer",
    "lr_scheduler": "the state of the checkpoint belongs to this scheduler",
    "trainer.save_dir": "the run keeps its folder",
    "trainer.monitor": "the best value so far is one of the value watched so far",
    "trainer.precision": "the epochs before were trained in this one",
    "generation": "it is for test.py, which takes it with -s",
}
# These set the rate of every epoch themselves, whatever the optimizer was told.
RATE_SETTERS = ("OneCycleLR", "CyclicLR")
# What does not touch the model: where the data lie, how they are read, what the model is shown
# to clean, what to generate.
TESTABLE = (
    *MOVABLE,
    "data_loader.args.batch_size",
    "data_loader.args.num_workers",
    "data_loader.args.memory",
    "corruption",
    "generation.",
)


def reopen(
    path: Path, overrides: list[str], catalogue: Catalogue
) -> tuple[Config, dict[str, Any] | None, Path]:
    """The config and the checkpoint of a run, and its folder, which is then held.

    Args:
        path: a run folder, for its newest checkpoint that verifies; or one checkpoint.
        overrides: KEY=VALUE of the command line; only `CHANGEABLE` keys may change.

    Returns:
        No checkpoint where the run was stopped before its first: it begins again.

    Raises:
        CheckpointError, ConfigError: nothing to go on from, an override that cannot be,
            another process that trains in the folder, or what is not of this run in it. It is
            as it was then.
    """
    folder = path.parent if path.is_file() else _run_folder(path)
    check_writable(folder)
    refuse_held(folder)
    checkpoint = _pick_checkpoint(path, folder)
    content = apply_overrides(run_config(folder, checkpoint, catalogue), overrides)
    config = check_config(content, catalogue, path, overrides)
    for override in overrides:
        _check_changeable(override, config, checkpoint["epoch"] if checkpoint else 0)
    check_own(folder, checkpoint, config.trainer.monitor, catalogue)
    if not checkpoint:
        print(f"{folder}: no checkpoint yet, so it begins again")
    hold(folder)  # last, for it writes into the folder
    return config, checkpoint, folder


def begun_before_restart(parent: Path) -> Path | None:
    """The run in `parent` that this job had begun before torchrun restarted it, if any."""
    return last_held_by_sibling(parent) if restarts() else None


def _check_changeable(override: str, config: Config, trained: int) -> None:
    """Raise a ConfigError where a resumed run cannot take an override, saying why."""
    key = key_of(override)
    if key not in CHANGEABLE:
        reason = next((why for begins, why in REASONS.items() if key.startswith(begins)), None)
        raise ConfigError(
            f"-s {override}: cannot change in a resumed run"
            + (f": {reason}" if reason else "")
            + f"; only {', '.join(CHANGEABLE)} can. Begin a new run with -c"
        )
    if key == "trainer.epochs" and config.trainer.epochs < trained:
        raise ConfigError(
            f"-s {override}: {trained} epochs are trained already; go on from an earlier "
            "checkpoint, -r RUN/checkpoint-epochN.pth"
        )
    scheduler = config.lr_scheduler
    if key == LEARNING_RATE and scheduler and scheduler.type in RATE_SETTERS:
        raise ConfigError(
            f"-s {override}: would do nothing: {scheduler.type} sets every rate itself"
        )


def log_changes(trainer: BaseTrainer, checkpoint: dict[str, Any]) -> None:
    """Write down what the rest of the run does otherwise than the epochs before."""
    before = checkpoint["config"]
    for key in CHANGEABLE:
        old, new = _value_of(before, key), _value_of(trainer.config.as_json(), key)
        if old != new:
            trainer.run.log(f"changed: {key} from {shown(old)} to {shown(new)}")


def _value_of(content: dict[str, Any], key: str) -> Any:
    for step in key.split("."):
        content = content.get(step, {})
    return content


def _run_folder(path: Path) -> Path:
    """The run to go on with: of several the newest, be it stopped before its first checkpoint."""
    if not any(path.glob("**/config.json")):
        return find_run(path)
    return find_run(path, "config.json")


def _pick_checkpoint(path: Path, folder: Path) -> dict[str, Any] | None:
    if path.is_file():
        return load_checkpoint(path)
    if not any(folder.glob("*.pth")):
        return None
    _, checkpoint, skipped = newest_checkpoint(folder)
    for reason in skipped:
        print(f"skipped: {reason}")
    return checkpoint


def open_trained(
    path: Path, overrides: list[str], catalogue: Catalogue
) -> tuple[Config, dict[str, Any], Path]:
    """The config, the checkpoint and its path for testing.

    Args:
        path: a checkpoint; a run folder, for its best model or else its newest checkpoint; or a
            folder of runs, for the newest run.
        overrides: KEY=VALUE of the command line; only `TESTABLE` keys may change.

    Raises:
        CheckpointError, ConfigError: nothing to test, or an override that cannot be.
    """
    for override in overrides:
        if not override.startswith(TESTABLE):
            raise ConfigError(
                f"-s {override}: the model is trained; only keys that begin with "
                f"{', '.join(TESTABLE)} can change here"
            )
    if path.is_dir():
        run = find_run(path)
        _say_passed_over(path, run)
        best = run / "model_best.pth"
        path = best if best.exists() else newest_checkpoint(run)[0]
    checkpoint = load_checkpoint(path)
    content = apply_overrides(checkpoint["config"], overrides)
    # Nothing is trained, so that optimizer and scheduler need not be tried, which takes a second.
    unchecked = catalogue._replace(checks=[])
    return check_config(content, unchecked, path, overrides), checkpoint, path


def _say_passed_over(path: Path, run: Path) -> None:
    """Say on stderr which runs below `path` are newer than `run`, but have no checkpoint yet."""
    if run == path or not (run / "config.json").exists():
        return
    begun = (run / "config.json").stat().st_mtime
    newer = [
        log.parent
        for log in sorted(path.glob("**/info.log"))
        if (config := log.parent / "config.json").exists()
        and config.stat().st_mtime > begun
        and not any(log.parent.glob("*.pth"))
    ]
    if newer:
        names = ", ".join(map(str, newer))
        print(
            f"note: {names}: newer, but without a checkpoint yet, so {run} is tested",
            file=sys.stderr,
        )


def check_data(checkpoint: dict[str, Any], data: dict[str, Any]) -> None:
    """Raise a CheckpointError where the data are not those the checkpoint was trained on."""
    if checkpoint["data"] != data:
        raise CheckpointError(
            f"the data set has changed: {data} now, {checkpoint['data']} when the run began; "
            "restore the files or begin a new run with -c"
        )
