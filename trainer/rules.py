"""What must hold between the sections of a config, before any data are read."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from model.metric import metrics_for
from trainer.rehearsal import check_length, rehearse_optimizer, rehearse_scheduler
from trainer.schedule import check_phases
from trainer.study_rules import check_study
from utils.config.build import build_part
from utils.config.changes import changes_of
from utils.config.check import Catalogue
from utils.config.messages import MISSING, Problem, hint
from utils.config.sections import Config
from utils.errors import ConfigError

WAYS = {"min": "lower", "max": "higher"}
# The keys of `generation` that every complete config has, those of earlier versions too.
COMPLETE = {"samples", "per_class", "noise", "unit", "split", "grid"}
Check = Callable[[Config, Catalogue], Iterator[Problem]]


def watched(config: Config) -> str:
    """The name of the monitored value, '' where there is none."""
    return config.trainer.monitor.partition(" ")[2]


def check_monitor(config: Config, catalogue: Catalogue) -> Iterator[Problem]:
    """The monitored value is one that is measured, and the best model is not the worst."""
    name, monitor = watched(config), config.trainer.monitor
    loss = catalogue.parts["loss"][config.loss.type]
    known = [prefix + name for prefix in ("val_", "") for name in (*loss.terms, *config.metrics)]
    if name and name not in known:
        yield Problem("trainer.monitor", monitor, f"nothing measures it{hint(name, known)}")
    elif name:
        measure = name.removeprefix("val_")
        if measure in loss.terms:
            best = "max" if measure in loss.rising else "min"
        else:
            best = getattr(catalogue.metrics.get(measure), "best", "")
        if not best:
            rule = f'write @best("min") or @best("max") above {measure} in its file'
            yield Problem("trainer.monitor", monitor, f"which way is better is not said; {rule}")
        elif not monitor.startswith(best):
            rule = f"would keep the worst model: {name} is better the {WAYS[best]} it is"
            yield Problem("trainer.monitor", monitor, f"{rule}; write '{best} {name}'")


def check_early_stop(config: Config, catalogue: Catalogue) -> Iterator[Problem]:
    """Stopping early goes by a monitored value."""
    if config.trainer.early_stop and not watched(config):
        rule = 'needs a value to watch, but trainer.monitor is "off"'
        yield Problem("trainer.early_stop", config.trainer.early_stop, rule)


def check_plateau(config: Config, catalogue: Catalogue) -> Iterator[Problem]:
    """A scheduler that waits for a plateau watches a value, the same way as the monitor."""
    scheduler = config.lr_scheduler
    if isinstance(scheduler, list) or not scheduler or scheduler.type != "ReduceLROnPlateau":
        return
    monitor, mode = config.trainer.monitor, scheduler.args["mode"]
    if not watched(config):
        yield Problem("trainer.monitor", monitor, "ReduceLROnPlateau needs a value to watch")
    elif not monitor.startswith(mode):
        rule = f'must be that of trainer.monitor, "{monitor}"'
        yield Problem("lr_scheduler.args.mode", mode, rule)


def check_metrics(config: Config, catalogue: Catalogue) -> Iterator[Problem]:
    """Every metric is one that there is, and is named once."""
    dataset = catalogue.parts["dataset"].get(
        config.dataset.type
    )  # none while its section is wrong
    metrics = metrics_for(catalogue.metrics, dataset and dataset.extra_metrics)
    for place, name in enumerate(config.metrics):
        if name not in metrics:
            rule = f"there is no such metric{hint(name, metrics)}"
            yield Problem(f"metrics.{place}", name, rule)
        elif name in config.metrics[:place]:
            yield Problem(f"metrics.{place}", name, "is named twice; once is enough")


def check_needs(config: Config, catalogue: Catalogue) -> Iterator[Problem]:
    """The model gives what the loss is made of."""
    given = catalogue.parts["arch"][config.arch.type].gives
    lacking = [
        name for name in catalogue.parts["loss"][config.loss.type].needs if name not in given
    ]
    if lacking:
        rule = f'{config.arch.type} gives no {" and ".join(lacking)}; write "VAE" into arch.type'
        yield Problem("loss.type", config.loss.type, f'{rule}, or "MSE" here')


def check_loss(config: Config, catalogue: Catalogue) -> Iterator[Problem]:
    """The loss takes its arguments together."""
    try:
        build_part(config.loss, catalogue.parts["loss"], "loss")
    except ConfigError as error:
        path, _, rule = str(error).partition(": ")
        yield Problem(path, MISSING, rule)


def check_generation(config: Config, catalogue: Catalogue) -> Iterator[Problem]:
    """The number of new images is said in one way, and their method goes with the rest."""
    section = config.generation
    if section is None:
        return
    # The config of a run is complete: it has the default of what was not written, too.
    is_complete = section.model_fields_set >= COMPLETE
    if section.per_class and "samples" in section.model_fields_set and not is_complete:
        rule = "has no effect beside generation.per_class; leave one of them out"
        yield Problem("generation.samples", section.samples, rule)
    if (
        section.unit == "posterior"
        and "logvar" not in catalogue.parts["arch"][config.arch.type].gives
    ):
        rule = f"{config.arch.type} gives no logvar, so its codes have no posterior; take 'code'"
        yield Problem("generation.unit", "posterior", rule)
    if section.method != "gaussian":
        return
    if section.unit in ("class", "posterior"):
        rule = "is for noise around originals, and method 'gaussian' begins at none; take 'code'"
        yield Problem("generation.unit", section.unit, rule)
    if section.symmetries:
        rule = "has no effect: method 'gaussian' begins at no original to turn; leave it out"
        yield Problem("generation.symmetries", True, rule)


def check_held_out(config: Config, catalogue: Catalogue) -> Iterator[Problem]:
    """What needs images held out for validation has some."""
    if config.data_loader.args.get("validation_split") != 0:
        return
    remedy = "no image is held out; raise data_loader.args.validation_split or"
    if watched(config).startswith("val_"):
        known = config.trainer.monitor.replace("val_", "")
        yield Problem("trainer.monitor", config.trainer.monitor, f"{remedy} watch '{known}'")
    if config.generation and config.generation.split == "validation":
        yield Problem("generation.split", "validation", f"{remedy} take 'train'")


def check_runs_apart(config: Config, catalogue: Catalogue) -> Iterator[Problem]:
    """Runs, which have pictures, do not lie where every picture is an image of the data set."""
    saved = Path(config.trainer.save_dir).resolve()
    for name in catalogue.parts["dataset"][config.dataset.type].looked_through:
        if saved.is_relative_to(Path(config.dataset.args[name]).resolve()):
            rule = f"lies in dataset.args.{name}, where every picture is taken for an image"
            yield Problem("trainer.save_dir", config.trainer.save_dir, f"{rule}; name another")


def check_sweep(config: Config, catalogue: Catalogue) -> Iterator[Problem]:
    """The members of a sweep differ in what is theirs to differ in, each seed counted once."""
    if not config.sweep:
        return
    for place, overrides in enumerate(config.sweep.runs):
        for key, value in overrides.items():
            at = f"sweep.runs.{place}.{key}"
            if key.partition(".")[0] == "seed":
                yield Problem(at, value, "seeds are written into sweep.seeds")
            elif not all(
                changes_of(inner, config, catalogue.parts).members for inner in _keys(key, value)
            ):
                yield Problem(at, value, "is the same for all members; change it outside of sweep")
    seeds = config.sweep.seeds or []
    if len(set(seeds)) < len(seeds):
        yield Problem("sweep.seeds", seeds, "names a seed twice, which would count twice")


def _keys(key: str, value: Any) -> list[str]:
    """The keys that an override sets: its own, and those in the object that it writes there."""
    return [key, *(f"{key}.{inner}" for inner in value)] if isinstance(value, dict) else [key]


# What is still to be checked when a trained model is tested.
TESTED: list[tuple[set[str], Check]] = [({"generation", "arch"}, check_generation)]
# Each with the sections that it looks at.
CHECKS: list[tuple[set[str], Check]] = [
    ({"metrics"}, check_metrics),
    ({"metrics", "trainer", "loss"}, check_monitor),
    ({"loss", "arch"}, check_needs),
    ({"loss"}, check_loss),
    *TESTED,
    ({"trainer"}, check_early_stop),
    ({"trainer", "lr_scheduler"}, check_plateau),
    ({"trainer", "data_loader", "generation"}, check_held_out),
    ({"dataset", "trainer"}, check_runs_apart),
    ({"sweep"}, check_sweep),
    ({"sweep", "study"}, check_study),
    ({"lr_scheduler"}, check_phases),
    ({"optimizer"}, rehearse_optimizer),
    ({"lr_scheduler", "trainer"}, check_length),
    ({"optimizer", "lr_scheduler", "trainer"}, rehearse_scheduler),
]
