"""Whether the watched value is one that is measured, and watched the right way."""

from collections.abc import Iterator

from model.metric import MAP_METRICS, METRICS
from trainer.rehearsal import Parts
from utils.config.messages import Problem, hint
from utils.config.sections import Config

WAYS = {"min": "lower", "max": "higher"}


def watched(config: Config) -> str:
    """The name of the monitored value, '' where there is none."""
    return config.trainer.monitor.partition(" ")[2]


def check_monitor(config: Config, parts: Parts) -> Iterator[Problem]:
    """The monitored value is one that is measured, and the best model is not the worst."""
    name, monitor = watched(config), config.trainer.monitor
    loss = parts["loss"][config.loss.type]
    known = [prefix + name for prefix in ("val_", "") for name in (*loss.terms, *config.metrics)]
    if name and name not in known:
        yield Problem("trainer.monitor", monitor, f"nothing measures it{hint(name, known)}")
    elif name:
        measure = name.removeprefix("val_")
        best = _best_of_term(loss, measure) if measure in loss.terms else _best_of_metric(measure)
        if best is None:
            rule = f'write @best("min") or @best("max") above {measure} in model/metric.py'
            yield Problem("trainer.monitor", monitor, f"which way is better is not said; {rule}")
        elif not monitor.startswith(best):
            rule = f"would keep the worst model: {name} is better the {WAYS[best]} it is"
            yield Problem("trainer.monitor", monitor, f"{rule}; write '{best} {name}'")


def _best_of_term(loss: type, term: str) -> str:
    return "max" if term in loss.rising else "min"


def _best_of_metric(name: str) -> str | None:
    return getattr((METRICS | MAP_METRICS).get(name), "best", None)


def check_early_stop(config: Config, parts: Parts) -> Iterator[Problem]:
    """Stopping early goes by a monitored value."""
    if config.trainer.early_stop and not watched(config):
        rule = 'needs a value to watch, but trainer.monitor is "off"'
        yield Problem("trainer.early_stop", config.trainer.early_stop, rule)


def check_plateau(config: Config, parts: Parts) -> Iterator[Problem]:
    """A scheduler that waits for a plateau watches a value, the same way as the monitor."""
    scheduler = config.lr_scheduler
    if not scheduler or scheduler.type != "ReduceLROnPlateau":
        return
    monitor, mode = config.trainer.monitor, scheduler.args["mode"]
    if not watched(config):
        yield Problem("trainer.monitor", monitor, "ReduceLROnPlateau needs a value to watch")
    elif not monitor.startswith(mode):
        rule = f'must be that of trainer.monitor, "{monitor}"'
        yield Problem("lr_scheduler.args.mode", mode, rule)
