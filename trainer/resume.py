"""Going on with a run that was interrupted, or making a finished one longer."""

from pathlib import Path
from typing import Any

import torch

from base.base_trainer import BaseTrainer
from utils.checkpoint import checkpoints_in, find_run, load_checkpoint, newest_checkpoint
from utils.config import Catalogue, Config, apply_overrides, check_config
from utils.errors import CheckpointError, ConfigError

# What may change between a run's beginning and its end; all else would make it another run.
CHANGEABLE = (
    "trainer.epochs",
    "trainer.save_period",
    "trainer.early_stop",
    "trainer.tensorboard",
    "data_loader.args.num_workers",
    "data_loader.args.memory",
    "optimizer.args.lr",
)
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
    for override in overrides:
        key = override.partition("=")[0]
        if key not in CHANGEABLE:
            raise ConfigError(
                f"-s {override}: '{key}' cannot change in a resumed run, only "
                f"{', '.join(CHANGEABLE)} can; begin a new run with -c"
            )
    if path.is_dir():
        path, checkpoint, skipped = newest_checkpoint(find_run(path))
        for reason in skipped:
            print(f"skipped: {reason}")
    else:
        checkpoint = load_checkpoint(path)
    content = apply_overrides(checkpoint["config"], overrides)
    return check_config(content, catalogue, str(path)), checkpoint, path.parent


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
    return check_config(content, catalogue, str(path)), checkpoint, path


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
    if any(override.startswith("optimizer.args.lr=") for override in overrides):
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
    for group in trainer.optimizer.param_groups:
        group["lr"] = rate
        group["initial_lr"] = rate
    if isinstance(trainer.scheduler, torch.optim.lr_scheduler.LRScheduler):
        trainer.scheduler.base_lrs = [rate] * len(trainer.optimizer.param_groups)
