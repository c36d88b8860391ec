"""The classes that a config may name."""

import inspect
from types import ModuleType

import torch

import data_loader
import model
import trainer
from base.base_data_loader import BaseDataLoader
from base.base_dataset import BaseDataset
from base.base_model import BaseModel
from base.base_trainer import BaseTrainer
from data_loader.augmentation import BaseAugmentation
from data_loader.corruption import BaseCorruption
from model.loss import BaseLoss
from model.metric import MAP_METRICS, METRICS, Metric
from trainer.rules import CHECKS
from utils.config.build import build_part
from utils.config.check import Catalogue
from utils.config.classes import discover, functions_with, is_buildable
from utils.config.sections import Config

_FUNCTION = (
    "its lr_lambda is a function, which a config cannot hold; StepLR, MultiStepLR, ExponentialLR "
    "and PolynomialLR are curves that it can"
)
_SEVERAL = (
    "it is made of other schedulers; those that follow one another are a list, as in "
    '[{"type": "LinearLR", "epochs": 5}, {"type": "ExponentialLR", "args": {"gamma": 0.95}}]'
)
# What torch.optim has and cannot be used here.
UNFIT = {
    "optimizer": {
        "LBFGS": "computes the loss many times a step, and a step computes it once here; "
        "use 'Adam'",
        "SparseAdam": "takes sparse gradients only, which no layer here gives; use 'Adam'",
        "Muon": "trains matrices only, not the kernels of convolutions, biases and norms; "
        "use 'AdamW'",
    },
    "lr_scheduler": {
        "LambdaLR": _FUNCTION,
        "MultiplicativeLR": _FUNCTION,
        "SequentialLR": _SEVERAL,
        "ChainedScheduler": _SEVERAL,
    },
}


def catalogue() -> Catalogue:
    """Every class that each part of a config can name, and the checks between parts."""
    optim = torch.optim
    parts = {
        "dataset": discover(data_loader, BaseDataset),
        "data_loader": discover(data_loader, BaseDataLoader),
        "augmentation": discover(data_loader, BaseAugmentation),
        "corruption": discover(data_loader, BaseCorruption),
        "arch": discover(model, BaseModel),
        "loss": discover(model, BaseLoss),
        "optimizer": _torch_classes(optim, optim.Optimizer),
        "lr_scheduler": _torch_classes(optim.lr_scheduler, optim.lr_scheduler.LRScheduler),
        "trainer": discover(trainer, BaseTrainer),
    }
    return Catalogue(parts, CHECKS, UNFIT, _metrics())


def build_model(
    config: Config, catalogue: Catalogue, shape: tuple[int, int, int], classes: int
) -> BaseModel:
    """The model that a config names.

    Args:
        shape: C, H, W of the images.
        classes: how many there are; a model whose `runtime` names them is told.

    Raises:
        ConfigError: its class refuses an argument.
    """
    cls = catalogue.parts["arch"][config.arch.type]
    takes = set(cls.runtime) & set(inspect.signature(cls).parameters)
    told = {"classes": classes} if "classes" in takes else {}
    return build_part(config.arch, catalogue.parts["arch"], "arch", shape, **told)


def _metrics() -> dict[str, Metric]:
    """The metrics of this project, and every function of `model/` that is marked as one."""
    return METRICS | MAP_METRICS | functions_with(model, "best")


def _torch_classes(module: ModuleType, base: type) -> dict[str, type]:
    """The optimizers or schedulers of torch whose arguments a config can write."""
    return {
        name: value
        for name, value in vars(module).items()
        if inspect.isclass(value)
        and issubclass(value, base)
        and value is not base
        and not name.startswith("_")
        and name not in UNFIT["optimizer"]
        and is_buildable(value)
    }
