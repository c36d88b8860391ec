"""Optimizer and scheduler tried on a single weight, before anything is built in earnest.

The constructors of torch.optim check the ranges of their arguments themselves, and schedulers
some only when they step; so they are built and stepped through the epochs of the run.
"""

import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from trainer.schedule import check_phases, stretches
from utils.config.check import Catalogue
from utils.config.classes import arguments_model
from utils.config.messages import Problem
from utils.config.sections import Config, Part
from utils.errors import first_line

LONGEST = 100_000  # epochs stepped through: half a second


def rehearse_optimizer(config: Config, catalogue: Catalogue) -> Iterator[Problem]:
    """The optimizer takes its arguments."""
    cls = catalogue.parts["optimizer"][config.optimizer.type]
    yield from _refusal(config.optimizer, cls, "optimizer", lambda part: _optimizer(cls, part))


def rehearse_scheduler(config: Config, catalogue: Catalogue) -> Iterator[Problem]:
    """Each scheduler takes its arguments and gives every epoch that is its own a learning rate."""
    if config.lr_scheduler and any(rehearse_optimizer(config, catalogue)):
        return  # said already
    if any(check_phases(config, catalogue)) or _is_wrong_cycle(config, catalogue):
        return
    for path, part, epochs in stretches(config):
        cls = catalogue.parts["lr_scheduler"][part.type]

        def rehearse(part: Part, cls: type = cls, epochs: int = epochs) -> None:
            own = catalogue.parts["optimizer"][config.optimizer.type]
            optimizer = _optimizer(own, config.optimizer)
            _step_through(optimizer, cls(optimizer, **part.args), epochs)

        yield from _refusal(part, cls, path, rehearse)


def _is_wrong_cycle(config: Config, catalogue: Catalogue) -> bool:
    section = config.lr_scheduler
    is_cycle = isinstance(section, Part) and section.type == "OneCycleLR"
    return is_cycle and any(check_length(config, catalogue))


def check_length(config: Config, catalogue: Catalogue) -> Iterator[Problem]:
    """A cycle that torch counts in batches is counted in epochs here.

    One that is written longer than the run is a plan: the run may go on with more epochs.
    """
    scheduler, epochs = config.lr_scheduler, config.trainer.epochs
    if isinstance(scheduler, list):
        return  # cycles stand alone
    once = "the scheduler steps once an epoch"
    if scheduler and scheduler.type == "OneCycleLR":
        written, *factors = map(scheduler.args.get, ("total_steps", "epochs", "steps_per_epoch"))
        steps = written or math.prod(factor or 0 for factor in factors)
        if 0 < steps < epochs or (steps > epochs and not written):
            key = "total_steps" if written else "steps_per_epoch"
            rule = f"{once}, and {epochs} epochs are no cycle of {steps:,} steps"
            fix = f'write "total_steps": {epochs}, the number of trainer.epochs'
            instead = "" if written else ", instead of epochs and steps_per_epoch"
            value = scheduler.args[key]
            yield Problem(f"lr_scheduler.args.{key}", value, f"{rule}; {fix}{instead}")
    if scheduler and scheduler.type == "CyclicLR":
        rise, cls = scheduler.args["step_size_up"], catalogue.parts["lr_scheduler"]["CyclicLR"]
        if epochs < rise == arguments_model(cls).model_fields["step_size_up"].default:
            rule = f"{once}, and max_lr would not be reached in {epochs} epochs; lower it"
            yield Problem("lr_scheduler.args.step_size_up", rise, rule)


def _optimizer(cls: type, part: Part) -> torch.optim.Optimizer:
    return cls([torch.nn.Parameter(torch.zeros(1))], **part.args)


def _step_through(optimizer: torch.optim.Optimizer, scheduler: Any, epochs: int) -> None:
    """Step the scheduler as often as the run will.

    Raises:
        ValueError: a learning rate that is negative or no number; or whatever torch raises.
    """
    value = (0.0,) if isinstance(scheduler, ReduceLROnPlateau) else ()
    optimizer.step()  # moves nothing, there are no gradients; without it schedulers warn
    for epoch in range(1, min(epochs, LONGEST) + 1):
        rate = float(optimizer.param_groups[0]["lr"])
        if not 0 <= rate < math.inf:
            raise ValueError(f"the learning rate of epoch {epoch} would be {rate:g}")
        scheduler.step(*value)


def _refusal(
    part: Part, cls: type, path: str, attempt: Callable[[Part], Any]
) -> Iterator[Problem]:
    """The problem of a part that torch refuses, with the argument to blame where it is one."""
    reason = _reason(attempt, part)
    if reason is None:
        return
    harmless = _harmless(part, cls)
    culprits = [
        name
        for name, other in harmless.items()
        if _reason(attempt, part.model_copy(update={"args": part.args | {name: other}})) is None
    ]
    if len(culprits) == 1:
        path, value = f"{path}.args.{culprits[0]}", part.args[culprits[0]]
    else:
        path, value = f"{path}.args", {name: part.args[name] for name in harmless}
    yield Problem(path, value, f"{part.type} refuses it: {reason}")


def _reason(attempt: Callable[[Part], Any], part: Part) -> str | None:
    """Why torch refuses `part`, or None where it does not."""
    try:
        with warnings.catch_warnings(action="ignore"):  # the real ones will say it again
            attempt(part)
    except Exception as error:  # torch raises nearly anything, for no argument twice the same
        return first_line(error)
    return None


def _harmless(part: Part, cls: type) -> dict[str, Any]:
    """For each argument that is not at its default, the default; 1 where there is none."""
    usual = {}
    for name, field in arguments_model(cls).model_fields.items():
        value = 1 if field.is_required() else field.default
        usual[name] = list(value) if isinstance(value, tuple) else value
    return {name: value for name, value in usual.items() if part.args[name] != value}
