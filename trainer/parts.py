"""The classes that a config may name, and what must hold between its parts."""

import inspect
from types import ModuleType

import torch

import data_loader
import model
from base.base_data_loader import BaseDataLoader
from base.base_dataset import BaseDataset
from base.base_model import BaseModel
from data_loader.corruption import BaseCorruption
from model.loss import BaseLoss
from model.metric import metrics_for
from utils.config import Catalogue, Config
from utils.errors import ConfigError
from utils.explain import hint, shown
from utils.registry import discover, is_buildable


def catalogue() -> Catalogue:
    """Every class that each part of a config can name."""
    optim = torch.optim
    return {
        "dataset": discover(data_loader, BaseDataset),
        "data_loader": discover(data_loader, BaseDataLoader),
        "corruption": discover(data_loader, BaseCorruption),
        "arch": discover(model, BaseModel),
        "loss": discover(model, BaseLoss),
        "optimizer": _torch_classes(optim, optim.Optimizer),
        "lr_scheduler": _torch_classes(optim.lr_scheduler, optim.lr_scheduler.LRScheduler),
    }


def _torch_classes(module: ModuleType, base: type) -> dict[str, type]:
    """The optimizers or schedulers of torch whose arguments a config can write."""
    return {
        name: value
        for name, value in vars(module).items()
        if inspect.isclass(value)
        and issubclass(value, base)
        and value is not base
        and not name.startswith("_")
        and value not in (torch.optim.LBFGS, torch.optim.SparseAdam)  # not for this kind of step
        and is_buildable(value)
    }


def fuse(optimizer: torch.optim.Optimizer, device: torch.device) -> torch.optim.Optimizer:
    """Let an optimizer that can update all weights in one pass do so, unless told otherwise."""
    for group in optimizer.param_groups:
        if group.get("fused", False) is None and not group.get("foreach"):
            group["fused"] = device.type in ("cpu", "cuda")
    return optimizer


def check_together(config: Config, classes: Catalogue) -> None:
    """Check what no part can know alone.

    Raises:
        ConfigError: every problem, a line each.
    """
    metrics = metrics_for(classes["dataset"][config.dataset.type].extra_metrics)
    problems = [
        f"metrics.{place}: {shown(name)}: {config.dataset.type} has no such metric"
        + hint(name, metrics)
        for place, name in enumerate(config.metrics)
        if name not in metrics
    ]
    watched = config.trainer.monitor.partition(" ")[2]
    known = [prefix + name for prefix in ("val_", "") for name in ("loss", *config.metrics)]
    if watched and watched not in known:
        problems.append(
            f"trainer.monitor: {shown(config.trainer.monitor)}: nothing measures it"
            + hint(watched, known)
        )
    plateau = config.lr_scheduler and config.lr_scheduler.type == "ReduceLROnPlateau"
    if plateau and not watched:
        problems.append('trainer.monitor: "off": ReduceLROnPlateau needs a value to watch')
    if config.trainer.early_stop and not watched:
        problems.append("trainer.early_stop: needs a value to watch, but trainer.monitor is off")
    lacking = set(classes["loss"][config.loss.type].needs)
    lacking -= set(classes["arch"][config.arch.type].gives)
    if lacking:
        problems.append(
            f"loss.type: {shown(config.loss.type)}: {config.arch.type} gives no "
            f'{" and ".join(lacking)}; write "VAE" into arch.type or "MSE" here'
        )
    if problems:
        raise ConfigError("\n".join(problems))


def check_fit(
    config: Config, network: BaseModel, loss: BaseLoss, dataset: BaseDataset, has_validation: bool
) -> None:
    """Check what only the built parts can tell.

    Raises:
        ConfigError: the first problem.
    """
    watched = config.trainer.monitor.partition(" ")[2]
    if watched.startswith("val_") and not has_validation:
        raise ConfigError(
            f"trainer.monitor: {shown(config.trainer.monitor)}: no image is held out for "
            f"validation; raise data_loader.args.validation_split or watch 'min loss'"
        )
    if config.generation.grid and network.code_size != 2:
        raise ConfigError(
            f"generation.grid: {config.generation.grid}: a grid needs a code of 2 numbers, this "
            f"one has {network.code_size:,}; leave generation.grid out"
        )
    if loss.needs_probabilities:
        if network.output_activation != "sigmoid":
            raise ConfigError(
                f"loss: {config.loss.type} needs reconstructions in [0, 1]; "
                'end the decoder with "activation": "sigmoid"'
            )
        if dataset.value_range != (0.0, 1.0):
            raise ConfigError(
                f"loss: {config.loss.type} needs images in [0, 1], "
                f"not in {list(dataset.value_range)}"
            )
