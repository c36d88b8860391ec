"""The states of model, optimizer and scheduler: taken from a checkpoint, checked before.

`load_state_dict` of torch's optimizers and schedulers takes whatever it is given; here it is
compared with what the parts themselves hold.
"""

import math
from collections import Counter
from typing import Any, Protocol

import torch
from torch import nn

from utils.errors import CheckpointError, TrainingError
from utils.finite import largest

LISTED = 6  # differences a message lists at most
_INNER = "_schedulers"  # where torch has the schedulers that another one is made of
# What torch raises for a state that it cannot use.
UNUSABLE = (KeyError, TypeError, ValueError, AttributeError, RuntimeError)


class Stateful(Protocol):
    """What has a state that a checkpoint can hold: a module, an optimizer."""

    def state_dict(self) -> dict[str, Any]:
        """Its state, of tensors and plain values."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any:
        """Take up a state."""


def load_weights(model: nn.Module, state: dict[str, Any]) -> None:
    """Give a model the weights of a checkpoint.

    Raises:
        CheckpointError: they are another model's; the model is as it was.
    """
    check_weights(model, state)
    model.load_state_dict(state)


def check_weights(model: nn.Module, state: dict[str, Any]) -> None:
    """Raise a CheckpointError that lists the names and shapes in which the two differ."""
    _refuse_all("the weights do not fit the model", misfits(model, state))


def misfits(model: nn.Module, state: dict[str, Any]) -> list[str]:
    """The names and shapes in which a model and the weights of a checkpoint differ, in words."""
    own = model.state_dict()
    problems = [f"the model has no '{name}'" for name in state if name not in own]
    problems += [f"the checkpoint has no '{name}'" for name in own if name not in state]
    return problems + [
        f"'{name}' is {_kind(state[name])} in the checkpoint and {_kind(value)} in the model"
        for name, value in own.items()
        if name in state and _kind(state[name]) != _kind(value)
    ]


def weights_that_fit(model: nn.Module, state: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Those of a checkpoint that the model has by the same name, of the same type and shape."""
    own = model.state_dict()
    return {
        name: value
        for name, value in state.items()
        if name in own and _kind(own[name]) == _kind(value)
    }


def scheduler_state(scheduler: Any) -> dict[str, Any]:
    """What moves in a scheduler. A Counter, as MultiStepLR's milestones, is of the config."""
    state = scheduler.state_dict()
    state = {name: value for name, value in state.items() if not isinstance(value, Counter)}
    if inner := _schedulers_in(scheduler):
        state[_INNER] = [scheduler_state(one) for one in inner]
    return state


def load_states(
    optimizer: torch.optim.Optimizer,
    scheduler: Any,
    saved_optimizer: dict[str, Any],
    saved_scheduler: dict[str, Any] | None,
) -> None:
    """Give optimizer and scheduler, which may be None, the states of a checkpoint.

    Raises:
        CheckpointError: they are of another optimizer, scheduler or model.
    """
    if (saved_scheduler is None) != (scheduler is None):
        raise CheckpointError("lr_scheduler: only one of checkpoint and config has one")
    try:
        _load_optimizer(optimizer, saved_optimizer)
        if saved_scheduler is not None:
            _load_scheduler(scheduler, saved_scheduler)
    except UNUSABLE as error:
        raise CheckpointError(f"the optimizer's state cannot be used: {error}") from None


def states_of(parts: dict[str, Stateful]) -> dict[str, dict[str, Any]]:
    """The states of parts of one's own, by name.

    Raises:
        TrainingError: one is not finite.
    """
    states = {name: dict(part.state_dict()) for name, part in parts.items()}
    try:
        for name, state in states.items():
            _check_finite(state, name)
    except CheckpointError as error:
        raise TrainingError(
            f"{error} any more; no checkpoint is written and those before are unharmed. Try a "
            "lower learning rate"
        ) from None
    return states


def load_part(name: str, part: Stateful, saved: dict[str, Any] | None) -> None:
    """Give a part of one's own, whatever has a `load_state_dict`, its state of a checkpoint.

    Raises:
        CheckpointError: the checkpoint has none, or it is another part's.
    """
    if saved is None:
        raise CheckpointError(f"{name}: the checkpoint has no state of it")
    _check_finite(saved, name)
    try:
        part.load_state_dict(saved)
    except UNUSABLE as error:
        raise CheckpointError(f"{name}: its state cannot be used: {error}") from None


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
    _refuse_all("the optimizer's state does not fit the model", problems)
    _check_finite([saved["state"], saved["param_groups"]], "optimizer")
    optimizer.load_state_dict({**saved, "state": _laid_out_as(weights, saved["state"])})
    for group, keys in zip(optimizer.param_groups, before, strict=True):
        _refuse_all(
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
    _check_scheduler(scheduler, saved)
    _check_finite(saved, "lr_scheduler")
    scheduler.load_state_dict(saved)


def _check_scheduler(scheduler: Any, saved: dict[str, Any]) -> None:
    own = scheduler_state(scheduler)
    problems = [f"'{name}' is on one side only" for name in sorted(set(own) ^ set(saved))]
    problems += [
        f"'{name}' is a {type(saved[name]).__name__}, not a {type(value).__name__}"
        for name, value in own.items()
        if name in saved and not _is_like(saved[name], value)
    ]
    _refuse_all("the scheduler's state is another scheduler's", problems)
    if inner := _schedulers_in(scheduler):
        for one, state in zip(inner, saved[_INNER], strict=True):
            _check_scheduler(one, state)


def _schedulers_in(scheduler: Any) -> list[Any]:
    """Those that a SequentialLR is made of; none in others."""
    return getattr(scheduler, _INNER, [])


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


def _refuse_all(what: str, problems: list[str]) -> None:
    if problems:
        more = f"; and {len(problems) - LISTED} more" if len(problems) > LISTED else ""
        raise CheckpointError(f"{what}: {'; '.join(problems[:LISTED])}{more}")


def set_learning_rate(optimizer: torch.optim.Optimizer, scheduler: Any, rate: float) -> None:
    """Let training go on from `rate`: the scheduler counts on from there."""
    for group in optimizer.param_groups:
        group["lr"] = rate
        group["initial_lr"] = rate
    for one in (scheduler, *_schedulers_in(scheduler)):
        if hasattr(one, "base_lrs"):  # ReduceLROnPlateau has none
            one.base_lrs = [rate] * len(optimizer.param_groups)
