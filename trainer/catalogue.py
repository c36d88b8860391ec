"""The classes that a config may name."""

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
from trainer.rules import CHECKS
from utils.config.check import Catalogue
from utils.config.classes import discover, is_buildable

# Needs a closure, needs sparse gradients, takes matrices only: none of them can train our models.
_UNFIT = (torch.optim.LBFGS, torch.optim.SparseAdam, getattr(torch.optim, "Muon", None))


def catalogue() -> Catalogue:
    """Every class that each part of a config can name, and the checks between parts."""
    optim = torch.optim
    parts = {
        "dataset": discover(data_loader, BaseDataset),
        "data_loader": discover(data_loader, BaseDataLoader),
        "corruption": discover(data_loader, BaseCorruption),
        "arch": discover(model, BaseModel),
        "loss": discover(model, BaseLoss),
        "optimizer": _torch_classes(optim, optim.Optimizer),
        "lr_scheduler": _torch_classes(optim.lr_scheduler, optim.lr_scheduler.LRScheduler),
    }
    return Catalogue(parts, CHECKS)


def _torch_classes(module: ModuleType, base: type) -> dict[str, type]:
    """The optimizers or schedulers of torch whose arguments a config can write."""
    return {
        name: value
        for name, value in vars(module).items()
        if inspect.isclass(value)
        and issubclass(value, base)
        and value is not base
        and not name.startswith("_")
        and value not in _UNFIT
        and is_buildable(value)
    }


def fuse(optimizer: torch.optim.Optimizer, device: torch.device) -> torch.optim.Optimizer:
    """Let an optimizer that can update all weights in one pass do so, unless told otherwise."""
    for group in optimizer.param_groups:
        if group.get("fused", False) is None and not group.get("foreach"):
            group["fused"] = device.type in ("cpu", "cuda")
    return optimizer
