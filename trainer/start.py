"""How a command begins: a new run, one that goes on, or a trained model to test."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

from trainer.catalogue import catalogue
from trainer.own_folder import check_own, run_config
from trainer.rules import TESTED
from utils.checkpoint import Checkpoint
from utils.checkpoint_files import best_of, files_of_runs, find_run, newest_checkpoint
from utils.config.changes import Key, changes_of, keys_of
from utils.config.check import Catalogue, check_config
from utils.config.overrides import apply_overrides, key_of, value_at
from utils.config.sections import Config, Part
from utils.errors import CheckpointError, ConfigError
from utils.lock import hold, last_held_by_sibling, refuse_held
from utils.output import check_writable, say
from utils.ranks import refuse_ranks, restarts

LEARNING_RATE = "optimizer.args.lr"
# These set the rate of every epoch themselves, whatever the optimizer was told.
RATE_SETTERS = ("OneCycleLR", "CyclicLR")


class Change(NamedTuple):
    """What the rest of a run does otherwise than the epochs before."""

    key: str
    before: Any
    now: Any


@dataclass(frozen=True)
class Start:
    """A checked config, and what it goes on from."""

    config: Config
    checkpoint: Checkpoint | None = None
    """None where training begins with its first step."""
    folder: Path | None = None
    """Of the run."""
    path: Path | None = None
    """The checkpoint's file, where its model is tested."""
    overrides: tuple[str, ...] = ()
    """KEY=VALUE of the command line."""

    @property
    def is_test(self) -> bool:
        """Whether a trained model is tested rather than trained."""
        return self.path is not None

    def report_folder(self, name: str) -> Path:
        """Where a report of a name goes by itself."""
        return (self.folder or Path()) / name

    @classmethod
    def new(cls, content: dict[str, Any], source: Path, overrides: list[str]) -> Self:
        """A run from the content of a config file, the overrides already in it.

        Where torchrun has restarted a job, the run that it had begun.

        Raises:
            ConfigError: the config is wrong, or its runs cannot be written.
        """
        config = check_config(content, catalogue(), source, overrides)
        if config.sweep:
            refuse_ranks("a sweep")
        if config.study:
            refuse_ranks("a study")
        runs = Path(config.trainer.save_dir)
        if restarts() and (begun := last_held_by_sibling(runs / config.name)):
            return cls.resumed(begun, [])
        check_writable(runs)
        return cls(config, overrides=tuple(overrides))

    @classmethod
    def resumed(cls, path: Path, overrides: list[str]) -> Self:
        """A run that goes on; its folder is then held by this process.

        Args:
            path: a run folder, for its newest checkpoint that verifies; or one checkpoint.

        Raises:
            CheckpointError, ConfigError: nothing to go on from, an override that cannot be,
                another process that trains in the folder, or what is not of this run in it. It
                is as it was then.
        """
        classes = catalogue()
        folder = path.parent if path.is_file() else _run_folder(path)
        check_writable(folder)
        refuse_held(folder)
        checkpoint = _pick_checkpoint(path, folder)
        content = apply_overrides(run_config(folder, checkpoint, classes), overrides)
        config = check_config(content, classes, path, overrides)
        for override in overrides:
            _check_resumed(override, config, checkpoint, classes)
        check_own(folder, checkpoint, config.trainer.monitor, classes)
        if not checkpoint:
            say(f"{folder}: no checkpoint yet, so it begins again")
        hold(folder)  # last, for it writes into the folder
        return cls(config, checkpoint, folder, overrides=tuple(overrides))

    @classmethod
    def trained(cls, path: Path, overrides: list[str]) -> Self:
        """A trained model.

        Args:
            path: a checkpoint; a run folder, for its best model or else its newest checkpoint;
                or a folder of runs, for the newest run.

        Raises:
            CheckpointError, ConfigError: nothing to test, or an override that cannot be.
        """
        if path.is_dir():
            run = find_run(path)
            _say_passed_over(path, run)
            path = best_of(run)
        checkpoint = Checkpoint.read(path)
        # Nothing is trained, so that optimizer and scheduler need not be tried, which takes a
        # second.
        classes = catalogue()._replace(checks=TESTED)
        content = apply_overrides(checkpoint.config, overrides)
        config = check_config(content, classes, path, overrides)
        for override in overrides:
            _check_tested(override, config, classes)
        return cls(config, checkpoint, path.parent, path, tuple(overrides))

    def without_corruption(self) -> Self:
        """The same model, shown images as they are, unless the command line damages them."""
        if "corruption" in {key_of(override).partition(".")[0] for override in self.overrides}:
            return self
        return replace(self, config=self.config.model_copy(update={"corruption": None}))

    def check_data(self, data: dict[str, Any]) -> None:
        """Raise a CheckpointError where the data are not those the checkpoint was trained on."""
        if self.checkpoint and self.checkpoint.data != data:
            raise CheckpointError(
                f"the data set has changed: {data} now, {self.checkpoint.data} when the run "
                "began; restore the files or begin a new run with -c"
            )

    def changed(self, config: Config) -> Iterator[Change]:
        """What `config` says otherwise than the checkpoint of what may change."""
        if not self.checkpoint:
            return
        before, now = self.checkpoint.config, config.as_json()
        for key in _changeable(config, catalogue()):
            old, new = value_at(before, key), value_at(now, key)
            if old != new:
                yield Change(key, old, new)

    def new_rate(self) -> float | None:
        """The learning rate to go on with, where it is not the scheduler's own."""
        if not self.checkpoint:
            return None
        rate = self.config.optimizer.args.get("lr")
        is_new = rate != value_at(self.checkpoint.config, LEARNING_RATE)
        return rate if is_new or LEARNING_RATE in map(key_of, self.overrides) else None


def _changeable(config: Config, classes: Catalogue) -> list[str]:
    """The keys that may change in a resumed run."""
    return [key.path for key in keys_of(config, classes.parts) if key.changes.resumed]


def _check_resumed(
    override: str, config: Config, checkpoint: Checkpoint | None, classes: Catalogue
) -> None:
    """Raise a ConfigError where a resumed run cannot take an override, saying why."""
    key = key_of(override)
    changes, value = changes_of(key, config, classes.parts), value_at(config.as_json(), key)
    if not changes.resumed or (changes.only_to and value not in changes.only_to):
        raise ConfigError(
            f"-s {override}: cannot change in a resumed run"
            + (f": {changes.because}" if changes.because else "")
            + f"; only {', '.join(_changeable(config, classes))} can. Begin a new run with -c"
        )
    trained = checkpoint.epoch if checkpoint else 0
    if key == "trainer.epochs" and config.trainer.epochs < trained:
        raise ConfigError(
            f"-s {override}: {trained} epochs are trained already; go on from an earlier "
            "checkpoint, -r RUN/checkpoint-epochN.pth"
        )
    scheduler = config.lr_scheduler
    alone = scheduler.type if isinstance(scheduler, Part) else ""
    if key == LEARNING_RATE and alone in RATE_SETTERS:
        raise ConfigError(f"-s {override}: would do nothing: {alone} sets every rate itself")


def _check_tested(override: str, config: Config, classes: Catalogue) -> None:
    """Raise a ConfigError where a test cannot take an override."""
    if not changes_of(key_of(override), config, classes.parts).tested:
        keys = [key for key in keys_of(config, classes.parts) if key.changes.tested]
        raise ConfigError(
            f"-s {override}: the model is trained; only {', '.join(_outermost(keys))} can change "
            "here"
        )


def _outermost(keys: list[Key]) -> list[str]:
    """The paths of keys, without those inside of another one."""
    paths = [key.path for key in keys]
    return [path for path in paths if not any(path.startswith(f"{other}.") for other in paths)]


def _run_folder(path: Path) -> Path:
    """The run to go on with: of several the newest, be it stopped before its first checkpoint."""
    if not any(files_of_runs(path, "config.json")):
        return find_run(path)
    return find_run(path, "config.json")


def _pick_checkpoint(path: Path, folder: Path) -> Checkpoint | None:
    if path.is_file():
        return Checkpoint.read(path)
    if not any(folder.glob("*.pth")):
        return None
    _, checkpoint, skipped = newest_checkpoint(folder)
    for reason in skipped:
        say(f"skipped: {reason}")
    return checkpoint


def _say_passed_over(path: Path, run: Path) -> None:
    """Say on stderr which runs below `path` are newer than `run`, but have no checkpoint yet."""
    if run == path or not (run / "config.json").exists():
        return
    begun = (run / "config.json").stat().st_mtime
    newer = [
        log.parent
        for log in sorted(files_of_runs(path, "info.log"))
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
