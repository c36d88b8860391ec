"""Schedulers of the learning rate that follow one another, as a warm-up and a decay do."""

from collections.abc import Iterator
from itertools import accumulate
from typing import Any, NamedTuple

import torch
from torch.optim.lr_scheduler import SequentialLR

from utils.config.check import Catalogue
from utils.config.messages import MISSING, Problem
from utils.config.sections import Config, Part, Phase

_WHOLE_RUN = (
    "it sets the rates of a whole run, not of a part of it; name it alone, or take another"
)
# What cannot be one of several.
ALONE = {
    "ReduceLROnPlateau": "it waits for a value to stand still, and one of several is told none; "
    "name it alone",
    "OneCycleLR": _WHOLE_RUN,
    "CyclicLR": _WHOLE_RUN,
}


class Stretch(NamedTuple):
    """Some epochs of a run and the scheduler that rules them."""

    path: str
    """Where the config has it."""
    part: Part
    epochs: int


def stretches(config: Config) -> Iterator[Stretch]:
    """The schedulers of a config, which is one for the whole run, several, or none."""
    section, epochs = config.lr_scheduler, config.trainer.epochs
    if section is None:
        return
    if not isinstance(section, list):
        yield Stretch("lr_scheduler", section, epochs)
        return
    for place, phase in enumerate(section):
        lasts = phase.epochs or max(epochs, 1)
        yield Stretch(f"lr_scheduler.{place}", phase, lasts)
        epochs -= lasts


def check_phases(config: Config, catalogue: Catalogue) -> Iterator[Problem]:
    """Of several schedulers each can be one of them, and each but the last says when it ends."""
    section = config.lr_scheduler
    phases = section if isinstance(section, list) else []
    for place, phase in enumerate(phases):
        path, is_last = f"lr_scheduler.{place}", place == len(phases) - 1
        if phase.type in ALONE:
            yield Problem(f"{path}.type", phase.type, ALONE[phase.type])
        if is_last and phase.epochs:
            rule = "the last scheduler lasts to the end of the run, whenever that is; leave it out"
            yield Problem(f"{path}.epochs", phase.epochs, rule)
        elif not is_last and not phase.epochs:
            rule = "is missing; the next scheduler begins after so many epochs"
            yield Problem(f"{path}.epochs", MISSING, rule)


def in_sequence(
    optimizer: torch.optim.Optimizer, schedulers: list[Any], phases: list[Phase]
) -> SequentialLR:
    """The schedulers as one, each of which begins with the optimizer's own learning rate."""
    ends = accumulate(phase.epochs or 0 for phase in phases[:-1])
    return SequentialLR(optimizer, schedulers, list(ends))
