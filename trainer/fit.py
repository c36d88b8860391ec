"""What a model shows before its weights exist: on torch's meta device it has shapes alone."""

import math
from collections.abc import Iterator

import torch

from base.base_data_loader import BaseDataLoader
from base.base_dataset import BaseDataset
from base.base_model import BaseModel
from model.network import REACH
from trainer.memory import check_memory, needs_of
from utils.config.build import build
from utils.config.check import Catalogue
from utils.config.messages import MISSING, Problem, refuse
from utils.config.sections import Config
from utils.errors import ConfigError


def check_network(
    config: Config,
    classes: Catalogue,
    dataset: BaseDataset,
    loader: BaseDataLoader,
    device: torch.device,
) -> None:
    """Check the model that a config describes before its memory is taken.

    Raises:
        ConfigError: every problem, a line each.
    """
    outline = _outline(config, classes, dataset.shape)
    problems = list(_check_reach(config, outline, dataset.value_range))
    if any(parameter.requires_grad for parameter in outline.parameters()):
        optimizer = classes.parts["optimizer"][config.optimizer.type]
        needs = needs_of(outline, optimizer, config, loader.batch_size)
        problems += check_memory(config, needs, device, loader.batch_size)
    else:
        rule = "has no weight that could be trained; give it a conv, deconv or linear layer"
        problems.append(Problem("arch.type", config.arch.type, rule))
    if problems:
        refuse("config", problems)


def _outline(config: Config, classes: Catalogue, shape: tuple[int, int, int]) -> BaseModel:
    """The model on the meta device; in earnest where its constructor computes with numbers."""
    try:
        with torch.device("meta"):
            return build(config, classes, "arch", shape)
    except ConfigError:
        return build(config, classes, "arch", shape)


def _check_reach(
    config: Config, network: BaseModel, value_range: tuple[float, float]
) -> Iterator[Problem]:
    """The last activation reaches every value that an image may hold."""
    ending = network.output_activation
    lowest, highest = REACH.get(ending, (-math.inf, math.inf))
    if lowest <= value_range[0] and value_range[1] <= highest:
        return
    fitting = "tanh" if value_range[0] >= -1 and value_range[1] <= 1 else None
    better = f"'{fitting}'" if fitting else "null, which is linear,"
    rule = (
        f"reconstructions end in '{ending}', which reaches {lowest:g} to {highest:g}, and images "
        f"hold {value_range[0]:g} to {value_range[1]:g}; end the decoder in {better}"
    )
    if "scale_to" in config.dataset.args:
        rule += ", or change dataset.args.scale_to"
    is_mirrored = config.arch.args.get("output_activation") == ending
    path = "arch.args.output_activation" if is_mirrored else "arch"
    yield Problem(path, ending if is_mirrored else MISSING, rule)
