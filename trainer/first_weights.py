"""First weights of a new run from the checkpoint of another: those that fit."""

import json
import zlib
from pathlib import Path
from typing import NamedTuple

import torch

from base.base_model import BaseModel
from utils.checkpoint import Checkpoint
from utils.checkpoint_files import best_of, find_run
from utils.errors import CheckpointError, ConfigError
from utils.home import why_unreachable
from utils.optimizer_state import LISTED, misfits, weights_that_fit


class FirstWeights(NamedTuple):
    """What a model can begin with."""

    weights: dict[str, torch.Tensor]
    """By name."""
    notes: list[str]
    """How many they are, and which of the checkpoint or the model are not among them, in words."""


def first_weights(model: BaseModel, where: str) -> FirstWeights:
    """The weights of a checkpoint that fit a model by name, type and shape.

    Args:
        where: a checkpoint; a run folder, for its best model; or a folder of runs, for the newest.

    Raises:
        ConfigError: no checkpoint, none to be trusted, or no weight of it fits.
    """
    path = _file(where)
    try:
        checkpoint = Checkpoint.read(path)
    except CheckpointError as error:
        raise ConfigError(f"trainer.init: {error}") from None
    fitting = weights_that_fit(model, checkpoint.state_dict)
    differing = misfits(model, checkpoint.state_dict)
    more = f"; and {len(differing) - LISTED} more" if len(differing) > LISTED else ""
    rest = "; ".join(differing[:LISTED]) + more
    # A count of a batch norm fits any other.
    if not fitting.keys() & dict(model.named_parameters()).keys():
        raise ConfigError(f"trainer.init: {json.dumps(where)}: no weight of it fits: {rest}")
    count = len(model.state_dict())
    notes = [f"begins with weights of {path}: {len(fitting)} of {count} fit"]
    return FirstWeights(fitting, [*notes, f"not taken: {rest}"] if rest else notes)


def first_checksum(where: str) -> int:
    """What tells the checkpoint that `first_weights` takes from any other.

    Raises:
        ConfigError: there is none.
    """
    return zlib.crc32(_file(where).read_bytes())


def _file(where: str) -> Path:
    """The file of the checkpoint that a path means."""
    path = Path(where)
    reason = why_unreachable(path) or ("" if path.exists() else "no such file or folder")
    if reason:
        raise ConfigError(
            f"trainer.init: {json.dumps(where)}: {reason}; give a checkpoint or a run's folder"
        )
    try:
        return best_of(find_run(path)) if path.is_dir() else path
    except CheckpointError as error:
        raise ConfigError(f"trainer.init: {error}") from None
