"""What only the parts themselves can tell: whether they fit one another, and this machine.

A model is looked at before its weights exist: on torch's meta device it has shapes alone.
"""

import math
from collections.abc import Iterator

import torch

from base.base_data_loader import BaseDataLoader
from base.base_dataset import BaseDataset
from base.base_model import BaseModel
from model.loss import BaseLoss
from model.metric import SSIM_WINDOW
from model.network import REACH
from model.sizes import shape_text
from trainer.catalogue import build_model
from trainer.first_weights import first_weights
from trainer.memory import check_memory, needs_of
from trainer.rules import watched
from utils.config.build import build
from utils.config.check import Catalogue
from utils.config.messages import MISSING, Problem, refuse
from utils.config.sections import Config
from utils.errors import ConfigError, first_line


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
    outline = _outline(config, classes, dataset)
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


def _outline(config: Config, classes: Catalogue, dataset: BaseDataset) -> BaseModel:
    """The model on the meta device; in earnest where its constructor computes with numbers."""
    of = dataset.shape, len(dataset.labels.names)
    try:
        with torch.device("meta"):
            return build_model(config, classes, *of)
    except ConfigError:
        return build_model(config, classes, *of)


def _check_reach(
    config: Config, network: BaseModel, value_range: tuple[float, float]
) -> Iterator[Problem]:
    """The last activation reaches every value that an image may hold."""
    ending = network.output_activation
    lowest, highest = REACH.get(ending or "", (-math.inf, math.inf))
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


def check_fit(
    config: Config,
    network: BaseModel,
    loss: BaseLoss,
    loader: BaseDataLoader,
    validation: BaseDataLoader | None,
) -> None:
    """Check what only the built parts can tell.

    Raises:
        ConfigError: every problem, a line each.
    """
    dataset = loader.dataset
    problems = list(_check_shapes(config, network, dataset.shape))
    if problems:
        refuse("config", problems)
    problems = [
        *_check_held_out(config, validation),
        *_check_sizes(config, network, loader),
        *_check_images(config, network, loss, dataset),
    ]
    if problems:
        refuse("config", problems)


def check_later(config: Config, classes: Catalogue, dataset: BaseDataset) -> None:
    """Check a run that is to be trained later: whether its parts fit one another.

    Whether there is memory for it shows then.

    Raises:
        ConfigError: every problem, a line each.
    """
    whole = build(config, classes, "data_loader", dataset, torch.device("cpu"), config.seed)
    outline = _outline(config, classes, dataset)
    build(config, classes, "augmentation", dataset)
    build(config, classes, "corruption", dataset.shape, dataset.value_range)
    problems = [
        *_check_reach(config, outline, dataset.value_range),
        *_check_held_out(config, whole.split_validation()),
        *_check_images(config, outline, build(config, classes, "loss"), dataset),
    ]
    if problems:
        refuse("config", problems)
    if config.trainer.init:
        first_weights(outline, config.trainer.init)


def _check_held_out(config: Config, validation: BaseDataLoader | None) -> Iterator[Problem]:
    """What needs images held out has some, however few the data set gave."""
    if not validation and watched(config).startswith("val_"):
        rule = (
            "no image is held out for validation; raise data_loader.args.validation_split "
            "or watch 'min loss'"
        )
        yield Problem("trainer.monitor", config.trainer.monitor, rule)
    if not validation and config.generation and config.generation.split == "validation":
        rule = "no image is held out for validation; take 'train'"
        yield Problem("generation.split", "validation", rule)


def _check_sizes(config: Config, network: BaseModel, loader: BaseDataLoader) -> Iterator[Problem]:
    """Codes, images and processes are as many and as large as is asked of them."""
    if config.generation and config.generation.grid and network.code_size != 2:
        rule = f"needs a code of 2 numbers, this one has {network.code_size:,}; leave it out"
        yield Problem("generation.grid", config.generation.grid, rule)
    if loader.ranks.count > loader.count:
        rule = (
            f"are more than the {loader.count} training images, and each needs one; lower "
            "--nproc_per_node"
        )
        yield Problem("torchrun processes", loader.ranks.count, rule)


def _check_images(
    config: Config, network: BaseModel, loss: BaseLoss, dataset: BaseDataset
) -> Iterator[Problem]:
    """The images are such as metrics and loss can compare, and of classes where those count."""
    if network.conditional and len(dataset.labels.indices.unique()) < 2:
        rule = (
            "shows the model the class of each image, and all images are of one; give labels of "
            "two classes at least, or leave it out"
        )
        yield Problem("arch.args.conditional", True, rule)
    if "ssim" in config.metrics and min(dataset.shape[1:]) < SSIM_WINDOW:
        rule = f"needs {SSIM_WINDOW} pixels a side, images are {shape_text(dataset.shape)}"
        yield Problem("metrics", "ssim", rule)
    if loss.needs_probabilities and network.output_activation != "sigmoid":
        rule = 'needs reconstructions in [0, 1]; end the decoder with "activation": "sigmoid"'
        yield Problem("loss.type", config.loss.type, rule)
    if loss.needs_probabilities and dataset.value_range != (0.0, 1.0):
        rule = f"needs images in [0, 1], not in {list(dataset.value_range)}"
        yield Problem("loss.type", config.loss.type, rule)


def _check_shapes(
    config: Config, network: BaseModel, shape: tuple[int, int, int]
) -> Iterator[Problem]:
    """The model computes, and its code and its images have the shapes that they should."""
    cls = config.arch.type
    if getattr(network, "code_shape", None) is None:
        yield Problem("arch.type", cls, "sets no code_shape; set it in the constructor")
        return
    device = next(network.parameters()).device
    labels = torch.zeros(2, dtype=torch.int64, device=device)
    told = (labels,) if network.conditional else ()
    network.eval()
    try:
        with torch.no_grad():
            code = network.encode(torch.zeros(2, *shape, device=device), *told)
            made = network.decode(code, *told)
    except (RuntimeError, ValueError) as error:  # what torch raises for what does not fit
        reason = first_line(error)
        yield Problem("arch.type", cls, f"cannot compute images of {shape_text(shape)}: {reason}")
        return
    for what, found, due in (("codes", code, network.code_shape), ("images", made, shape)):
        if tuple(found.shape[1:]) != tuple(due):
            rule = f"makes {what} of {shape_text(found.shape[1:])}, not of {shape_text(due)}"
            yield Problem("arch.type", cls, rule)
