"""What must hold between the sections of a config, as far as it can be told before the data are
read; and what only the built parts can tell."""

from collections.abc import Iterator
from typing import Any

import torch

from base.base_data_loader import BaseDataLoader
from base.base_dataset import BaseDataset
from base.base_model import BaseModel
from model.loss import BaseLoss
from model.metric import MAP_METRICS, SMALLEST_SSIM_SIDE, metrics_for
from model.sizes import shape_text
from trainer.monitoring import check_early_stop, check_monitor, check_plateau, watched
from trainer.rehearsal import Parts, check_length, rehearse_optimizer, rehearse_scheduler
from utils.config.build import build_part
from utils.config.messages import MISSING, Problem, hint, refuse
from utils.config.sections import Config
from utils.errors import ConfigError, first_line


def check_metrics(config: Config, parts: Parts) -> Iterator[Problem]:
    """Every metric is one that there is, and is named once."""
    dataset = parts["dataset"].get(config.dataset.type)  # none while its section is wrong
    metrics = metrics_for(dataset.extra_metrics if dataset else tuple(MAP_METRICS))
    for place, name in enumerate(config.metrics):
        if name not in metrics:
            rule = f"there is no such metric{hint(name, metrics)}"
            yield Problem(f"metrics.{place}", name, rule)
        elif name in config.metrics[:place]:
            yield Problem(f"metrics.{place}", name, "is named twice; once is enough")


def check_needs(config: Config, parts: Parts) -> Iterator[Problem]:
    """The model gives what the loss is made of."""
    given = parts["arch"][config.arch.type].gives
    lacking = [name for name in parts["loss"][config.loss.type].needs if name not in given]
    if lacking:
        rule = f'{config.arch.type} gives no {" and ".join(lacking)}; write "VAE" into arch.type'
        yield Problem("loss.type", config.loss.type, f'{rule}, or "MSE" here')


def check_loss(config: Config, parts: Parts) -> Iterator[Problem]:
    """The loss takes its arguments together."""
    try:
        build_part(config.loss, parts["loss"], "loss")
    except ConfigError as error:
        path, _, rule = str(error).partition(": ")
        yield Problem(path, MISSING, rule)


def check_generation(config: Config, parts: Parts) -> Iterator[Problem]:
    """The number of new images is said in one way."""
    section = config.generation
    # The config of a run is complete: it has the default of what was not written, too.
    is_complete = section.model_fields_set == section.__class__.model_fields.keys()
    if section.per_class and "samples" in section.model_fields_set and not is_complete:
        rule = "has no effect beside generation.per_class; leave one of them out"
        yield Problem("generation.samples", section.samples, rule)


def check_held_out(config: Config, parts: Parts) -> Iterator[Problem]:
    """What needs images held out for validation has some."""
    if config.data_loader.args.get("validation_split") != 0:
        return
    remedy = "no image is held out; raise data_loader.args.validation_split or"
    if watched(config).startswith("val_"):
        known = config.trainer.monitor.replace("val_", "")
        yield Problem("trainer.monitor", config.trainer.monitor, f"{remedy} watch '{known}'")
    if config.generation.split == "validation":
        yield Problem("generation.split", "validation", f"{remedy} take 'train'")


def check_sweep(config: Config, parts: Parts) -> Iterator[Problem]:
    """The members of a sweep differ in what is theirs to differ in, each seed counted once."""
    if not config.sweep:
        return
    for place, overrides in enumerate(config.sweep.runs):
        for key, value in overrides.items():
            first, _, rest = key.partition(".")
            at = f"sweep.runs.{place}.{key}"
            if first == "seed":
                yield Problem(at, value, "seeds are written into sweep.seeds")
            elif first in ("name", "sweep") or rest == "save_dir" or _sets(value, "save_dir"):
                yield Problem(at, value, "is the same for all members; change it outside of sweep")
    seeds = config.sweep.seeds or []
    if len(set(seeds)) < len(seeds):
        yield Problem("sweep.seeds", seeds, "names a seed twice, which would count twice")


def _sets(value: Any, key: str) -> bool:
    return isinstance(value, dict) and key in value


# Each with the sections that it looks at.
CHECKS = [
    ({"metrics"}, check_metrics),
    ({"metrics", "trainer", "loss"}, check_monitor),
    ({"loss", "arch"}, check_needs),
    ({"loss"}, check_loss),
    ({"generation"}, check_generation),
    ({"trainer"}, check_early_stop),
    ({"trainer", "lr_scheduler"}, check_plateau),
    ({"trainer", "data_loader", "generation"}, check_held_out),
    ({"sweep"}, check_sweep),
    ({"optimizer"}, rehearse_optimizer),
    ({"lr_scheduler", "trainer"}, check_length),
    ({"optimizer", "lr_scheduler", "trainer"}, rehearse_scheduler),
]


def check_fit(
    config: Config,
    network: BaseModel,
    loss: BaseLoss,
    dataset: BaseDataset,
    loader: BaseDataLoader,
    validation: BaseDataLoader | None,
) -> None:
    """Check what only the built parts can tell.

    Raises:
        ConfigError: every problem, a line each.
    """
    problems = list(_check_shapes(config, network, dataset.shape))
    if problems:
        refuse("config", problems)
    if config.generation.grid and network.code_size != 2:
        rule = f"needs a code of 2 numbers, this one has {network.code_size:,}; leave it out"
        problems.append(Problem("generation.grid", config.generation.grid, rule))
    if loader.ranks.count > loader.count:
        rule = (
            f"are more than the {loader.count} training images, and each needs one; lower "
            "--nproc_per_node"
        )
        problems.append(Problem("torchrun processes", loader.ranks.count, rule))
    if watched(config).startswith("val_") and not validation:
        rule = (
            "no image is held out for validation; raise data_loader.args.validation_split "
            "or watch 'min loss'"
        )
        problems.append(Problem("trainer.monitor", config.trainer.monitor, rule))
    if config.generation.split == "validation" and not validation:
        rule = "no image is held out for validation; take 'train'"
        problems.append(Problem("generation.split", "validation", rule))
    if "ssim" in config.metrics and min(dataset.shape[1:]) < SMALLEST_SSIM_SIDE:
        rule = f"needs {SMALLEST_SSIM_SIDE} pixels a side, images are {shape_text(dataset.shape)}"
        problems.append(Problem("metrics", "ssim", rule))
    if loss.needs_probabilities and network.output_activation != "sigmoid":
        rule = 'needs reconstructions in [0, 1]; end the decoder with "activation": "sigmoid"'
        problems.append(Problem("loss.type", config.loss.type, rule))
    if loss.needs_probabilities and dataset.value_range != (0.0, 1.0):
        rule = f"needs images in [0, 1], not in {list(dataset.value_range)}"
        problems.append(Problem("loss.type", config.loss.type, rule))
    if problems:
        refuse("config", problems)


def _check_shapes(
    config: Config, network: BaseModel, shape: tuple[int, int, int]
) -> Iterator[Problem]:
    """The model computes, and its code and its images have the shapes that they should."""
    cls = config.arch.type
    if getattr(network, "code_shape", None) is None:
        yield Problem("arch.type", cls, "sets no code_shape; set it in the constructor")
        return
    device = next(network.parameters()).device
    network.eval()
    try:
        with torch.no_grad():
            code = network.encode(torch.zeros(2, *shape, device=device))
            made = network.decode(code)
    except (RuntimeError, ValueError) as error:  # what torch raises for what does not fit
        reason = first_line(error)
        yield Problem("arch.type", cls, f"cannot compute images of {shape_text(shape)}: {reason}")
        return
    for what, found, due in (("codes", code, network.code_shape), ("images", made, shape)):
        if tuple(found.shape[1:]) != tuple(due):
            rule = f"makes {what} of {shape_text(found.shape[1:])}, not of {shape_text(due)}"
            yield Problem("arch.type", cls, rule)
