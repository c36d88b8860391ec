"""Putting a trainer where a checkpoint was, or saying why that cannot be."""

import math
from typing import Any

import torch
from torch import nn

from base.base_trainer import BaseTrainer
from trainer.start import LEARNING_RATE, log_changes
from utils.checkpoint import (
    checkpoints_in,
    load_checkpoint,
    place_of,
    remove_passed,
    scheduler_state,
)
from utils.config.overrides import key_of
from utils.errors import CheckpointError
from utils.finite import largest

SHOWN = 6  # differences a message lists at most


def load_weights(model: nn.Module, state: dict[str, Any]) -> None:
    """Give a model the weights of a checkpoint.

    Raises:
        CheckpointError: they are another model's; the model is as it was.
    """
    check_weights(model, state)
    model.load_state_dict(state)


def check_weights(model: nn.Module, state: dict[str, Any]) -> None:
    """Raise a CheckpointError that lists the names and shapes in which the two differ."""
    own = model.state_dict()
    problems = [f"the model has no '{name}'" for name in state if name not in own]
    problems += [f"the checkpoint has no '{name}'" for name in own if name not in state]
    problems += [
        f"'{name}' is {_kind(state[name])} in the checkpoint and {_kind(value)} in the model"
        for name, value in own.items()
        if name in state and _kind(state[name]) != _kind(value)
    ]
    _refuse("the weights do not fit the model", problems)


def restore(trainer: BaseTrainer, checkpoint: dict[str, Any], overrides: list[str]) -> None:
    """Put a trainer where the checkpoint was; what lies after it in the folder is set aside.

    Args:
        overrides: of the command line; a learning rate given there is that of the next epoch.

    Raises:
        CheckpointError: the checkpoint is of other parts than the trainer's.
    """
    check_weights(trainer.model, checkpoint["state_dict"])
    if (checkpoint["lr_scheduler"] is None) != (trainer.scheduler is None):
        raise CheckpointError("lr_scheduler: only one of checkpoint and config has one")
    try:
        _load_optimizer(trainer.optimizer, checkpoint["optimizer"])
        if trainer.scheduler:
            _load_scheduler(trainer.scheduler, checkpoint["lr_scheduler"])
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise CheckpointError(f"the optimizer's state cannot be used: {error}") from None
    trainer.resume(checkpoint)
    trainer.model.load_state_dict(checkpoint["state_dict"])
    trainer.run.keep_config(trainer.config)
    log_changes(trainer, checkpoint)
    rate = trainer.config.optimizer.args.get("lr")
    is_new = rate != checkpoint["config"]["optimizer"]["args"].get("lr")
    if is_new or LEARNING_RATE in map(key_of, overrides):
        _set_learning_rate(trainer, rate)
    _report_differences(trainer, checkpoint)
    if trainer.ranks.leads:
        _tidy(trainer)


def _load_optimizer(optimizer: torch.optim.Optimizer, saved: dict[str, Any]) -> None:
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    before = [set(group) for group in optimizer.param_groups]
    problems = [
        f"{name} of weight {place} is {tuple(value.shape)}, the weight {tuple(weight.shape)}"
        for place, weight in enumerate(weights)
        for name, value in saved["state"].get(place, {}).items()
        if isinstance(value, torch.Tensor) and not _may_describe(value, weight)
    ]
    problems += [
        f"{key} is {saved_group[key]!r}"
        for saved_group, group in zip(saved["param_groups"], optimizer.param_groups, strict=True)
        for key in set(group) & set(saved_group)
        if not _is_like(saved_group[key], group[key])
    ]
    _refuse("the optimizer's state does not fit the model", problems)
    _check_finite([saved["state"], saved["param_groups"]], "optimizer")
    optimizer.load_state_dict({**saved, "state": _laid_out_as(weights, saved["state"])})
    for group, keys in zip(optimizer.param_groups, before, strict=True):
        _refuse(
            "the optimizer's settings are another optimizer's",
            [f"no '{key}'" for key in keys - set(group)],
        )


def _may_describe(value: torch.Tensor, weight: torch.Tensor) -> bool:
    """Whether a state is one number, or as large as the weight but for axes averaged over."""
    if value.numel() == 1:
        return True
    sides = zip(value.shape, weight.shape, strict=False)
    return value.dim() == weight.dim() and all(own in (1, full) for own, full in sides)


def _laid_out_as(weights: list[torch.Tensor], state: dict[int, Any]) -> dict[int, Any]:
    """The state with memory of its own in the order of the weights', as a fresh one would be."""
    return {
        place: {
            name: torch.empty_like(weights[place], dtype=value.dtype, device="cpu").copy_(value)
            if isinstance(value, torch.Tensor) and value.shape == weights[place].shape
            else value.clone()
            if isinstance(value, torch.Tensor)
            else value
            for name, value in one.items()
        }
        for place, one in state.items()
    }


def _load_scheduler(scheduler: Any, saved: dict[str, Any]) -> None:
    """Schedulers take whatever they are given as attributes: only their own are let through."""
    own = scheduler_state(scheduler)
    problems = [f"'{name}' is on one side only" for name in sorted(set(own) ^ set(saved))]
    problems += [
        f"'{name}' is a {type(saved[name]).__name__}, not a {type(value).__name__}"
        for name, value in own.items()
        if name in saved and not _is_like(saved[name], value)
    ]
    _refuse("the scheduler's state is another scheduler's", problems)
    _check_finite(saved, "lr_scheduler")
    scheduler.load_state_dict(saved)


def _is_like(saved: Any, own: Any) -> bool:
    numbers = (int, float, type(None))
    both_numbers = isinstance(saved, numbers) and isinstance(own, numbers)
    return both_numbers or type(saved) is type(own)


def _check_finite(content: Any, part: str) -> None:
    """Raise a CheckpointError for a state tensor that holds a NaN or an infinity."""
    if isinstance(content, dict | list | tuple):
        for value in content.values() if isinstance(content, dict) else content:
            _check_finite(value, part)
    elif isinstance(content, torch.Tensor):
        if content.is_floating_point() and not math.isfinite(largest([content])):
            raise CheckpointError(f"{part}: holds a tensor that is not finite")
    elif isinstance(content, float) and math.isnan(content):
        raise CheckpointError(f"{part}: holds a NaN")


def _kind(value: torch.Tensor) -> str:
    return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"


def _refuse(what: str, problems: list[str]) -> None:
    if problems:
        more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise CheckpointError(f"{what}: {'; '.join(problems[:SHOWN])}{more}")


def _set_learning_rate(trainer: BaseTrainer, rate: float) -> None:
    """Let training go on from `rate`: the scheduler counts on from there."""
    groups = trainer.optimizer.param_groups
    trainer.run.log(f"the learning rate is {rate:g} from here, it was {groups[0]['lr']:g}")
    for group in groups:
        group["lr"] = rate
        group["initial_lr"] = rate
    if hasattr(trainer.scheduler, "base_lrs"):  # ReduceLROnPlateau has none
        trainer.scheduler.base_lrs = [rate] * len(groups)


def _report_differences(trainer: BaseTrainer, checkpoint: dict[str, Any]) -> None:
    """Say what is not as it was: the last digits of results may then differ."""
    now = trainer.machine() | trainer.versions()
    then = checkpoint["machine"] | checkpoint["versions"]
    for name in sorted(now):
        if now[name] == then.get(name):
            continue
        if name == "processes":
            trainer.run.log(
                f"note: an update is made by {now[name]} processes from here, one batch each, and "
                f"was made by {then.get(name)} before"
            )
        else:
            trainer.run.log(
                f"note: {name} is {now[name]} now and was {then.get(name)} when the checkpoint "
                "was written; the last digits may differ from an uninterrupted run's"
            )


def _tidy(trainer: BaseTrainer) -> None:
    """Make the run's folder what it was when the checkpoint had just been written."""
    _set_aside_later(trainer)
    here = trainer.run.folder / trainer.checkpoint_name()
    if here.exists():
        remove_passed(here)  # a kill may have come between the writing and this
    elif trainer.is_save_due() and not trainer.seen:
        trainer.save()  # the best model was written, and then there was no time for this one


def _set_aside_later(trainer: BaseTrainer) -> None:
    """Rename the checkpoints after this one, then cut the numbers: a kill between is harmless."""
    folder = trainer.run.folder
    here = place_of(folder / trainer.checkpoint_name())
    later = [path for path in checkpoints_in(folder) if place_of(path) > here]
    best = folder / "model_best.pth"
    is_best_later = best.exists() and _is_after(best, trainer.epoch)
    for path in [*later, best] if is_best_later else later:
        path.replace(path.with_name(f"{path.name}.superseded"))
        trainer.run.log(f"{path.name} is now {path.name}.superseded")
    if is_best_later:
        _make_up_best(trainer)
    trainer.run.cut_back(trainer.epoch)


def _make_up_best(trainer: BaseTrainer) -> None:
    """Put the checkpoint in the place of a later best model, where it was itself the best."""
    monitor = trainer.monitor
    if monitor.best is not None and monitor.epochs_without == 0 and not trainer.seen:
        trainer.run.save(trainer.checkpoint(), "model_best.pth")
    elif monitor.best is not None:
        trainer.run.log(
            f"the weights that reached {monitor.name} {monitor.best:.4g} before this checkpoint "
            "are gone; there is no model_best.pth until an epoch is better"
        )


def _is_after(best: Any, epoch: int) -> bool:
    try:
        return load_checkpoint(best)["epoch"] > epoch
    except CheckpointError:
        return True  # nobody can use it
