"""Going on with a run that was interrupted, or making a finished one longer."""

from pathlib import Path
from typing import Any

import torch

from base.base_trainer import BaseTrainer
from utils.check import Catalogue, check_config
from utils.checkpoint import checkpoints_in, find_run, load_checkpoint, newest_checkpoint
from utils.config import Config
from utils.errors import CheckpointError, ConfigError
from utils.overrides import apply_overrides, key_of
from utils.problems import shown

LEARNING_RATE = "optimizer.args.lr"
# What may change between a run's beginning and its end.
CHANGEABLE = (
    "trainer.epochs",
    "trainer.save_period",
    "trainer.early_stop",
    "trainer.tensorboard",
    "data_loader.args.num_workers",
    "data_loader.args.memory",
    LEARNING_RATE,
)
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
    "dataset.args.",
    "data_loader.args.batch_size",
    "data_loader.args.num_workers",
    "data_loader.args.memory",
    "corruption",
    "generation.",
)


def reopen(
    path: Path, overrides: list[str], catalogue: Catalogue
) -> tuple[Config, dict[str, Any], Path]:
    """The config and the checkpoint of a run, and its folder.

    Args:
        path: a run folder, for its newest checkpoint that verifies; or one checkpoint.
        overrides: KEY=VALUE of the command line; only `CHANGEABLE` keys may change.

    Raises:
        CheckpointError, ConfigError: nothing to go on from, or an override that cannot be.
    """
    if path.is_dir():
        path, checkpoint, skipped = newest_checkpoint(find_run(path))
        for reason in skipped:
            print(f"skipped: {reason}")
    else:
        checkpoint = load_checkpoint(path)
    content = apply_overrides(checkpoint["config"], overrides)
    config = check_config(content, catalogue, path, overrides)
    for override in overrides:
        _check_changeable(override, config, checkpoint["epoch"])
    return config, checkpoint, path.parent


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
        best = run / "model_best.pth"
        path = best if best.exists() else newest_checkpoint(run)[0]
    checkpoint = load_checkpoint(path)
    content = apply_overrides(checkpoint["config"], overrides)
    # Nothing is trained, so that optimizer and scheduler need not be tried, which takes a second.
    unchecked = catalogue._replace(checks=[])
    return check_config(content, unchecked, path, overrides), checkpoint, path


def check_data(checkpoint: dict[str, Any], data: dict[str, Any]) -> None:
    """Raise a CheckpointError where the data are not those the checkpoint was trained on."""
    if checkpoint["data"] != data:
        raise CheckpointError(
            f"the data set has changed: {data} now, {checkpoint['data']} when the run began; "
            "restore the files or begin a new run with -c"
        )


def restore(trainer: BaseTrainer, checkpoint: dict[str, Any], overrides: list[str]) -> None:
    """Put a trainer where the checkpoint was; what lies after it in the folder is set aside."""
    trainer.resume(checkpoint)
    log_changes(trainer, checkpoint)
    if LEARNING_RATE in map(key_of, overrides):
        _set_learning_rate(trainer, trainer.config.optimizer.args["lr"])
    folder = trainer.run.folder
    trainer.run.cut_back(trainer.epoch)
    for later in checkpoints_in(folder):
        if _epoch_of(later) > trainer.epoch:
            later.replace(later.with_name(f"{later.name}.superseded"))
            trainer.run.log(f"{later.name} is now {later.name}.superseded")


def _epoch_of(path: Path) -> int:
    return int(path.stem.removeprefix("checkpoint-epoch"))


def _set_learning_rate(trainer: BaseTrainer, rate: float) -> None:
    """Let training go on from `rate`: the scheduler counts on from there."""
    groups = trainer.optimizer.param_groups
    trainer.run.log(f"the learning rate is {rate:g} from here, it was {groups[0]['lr']:g}")
    for group in groups:
        group["lr"] = rate
        group["initial_lr"] = rate
    if isinstance(trainer.scheduler, torch.optim.lr_scheduler.LRScheduler):
        trainer.scheduler.base_lrs = [rate] * len(groups)
