"""A run's metrics.jsonl as curves: training beside validation images, and the best epoch."""

import json
from pathlib import Path
from typing import Any

from report.charts import Chart, Points, chart
from report.page import number

VALIDATION = "val_"
# Numbers of an epoch that say how it went, not how good it is.
UNSHOWN = ("epoch", "step", "images_per_second", "seconds")


def read_history(run: Path) -> list[dict[str, Any]]:
    """The numbers of each epoch of a run; what is no whole line is left out."""
    epochs = []
    try:
        lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return []
    for line in lines:
        try:
            numbers = json.loads(line)
        except ValueError:
            continue
        if isinstance(numbers, dict) and isinstance(numbers.get("epoch"), int):
            epochs.append(numbers)
    return epochs


def best_epoch(epochs: list[dict[str, Any]], monitor: str) -> int | None:
    """The epoch of the best model by 'min NAME' or 'max NAME'; None where nothing is watched."""
    mode, _, name = monitor.partition(" ")
    points = points_of(epochs, name)
    if not points:
        return None
    choose = min if mode == "min" else max
    return int(choose(points, key=lambda point: point[1])[0])


def points_of(epochs: list[dict[str, Any]], name: str) -> Points:
    """(epoch, value) of a number, where it has one."""
    return [(own["epoch"], own[name]) for own in epochs if isinstance(own.get(name), int | float)]


def charts_of(epochs: list[dict[str, Any]], best: int | None) -> list[Chart]:
    """A chart for each number: the loss first, the learning rate last."""
    found = dict.fromkeys(name.removeprefix(VALIDATION) for own in epochs for name in own)
    names = [name for name in found if name not in (*UNSHOWN, "lr")]
    charts = []
    for name in [*sorted(names, key=lambda name: name != "loss"), "lr"]:
        both = {"training": name, "validation": VALIDATION + name}
        curves = {of: points for of, key in both.items() if (points := points_of(epochs, key))}
        if name in ("lr", "active_units"):
            curves = {name: points_of(epochs, name)}
        if any(curves.values()):
            title = {"lr": "learning rate"}.get(name, name.replace("_", " "))
            charts.append(chart(title, _told(title, curves), curves, best))
    return charts


def _told(title: str, curves: dict[str, Points]) -> str:
    ways = [
        f"{title if name in ('lr', 'active_units') else name} from {number(points[0][1])} to "
        f"{number(points[-1][1])}"
        for name, points in curves.items()
    ]
    return "; ".join(ways)
