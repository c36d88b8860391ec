"""Means and their intervals, a strip for each, one below another over a common axis.

Places are shares of a strip's width in per cent: a strip is as wide as the window lets it be, and
what is drawn in it keeps its size.
"""

from collections.abc import Sequence
from typing import NamedTuple

from report.charts import Axis, Tick, short

LEFT, RIGHT = 6, 94  # room for half of the text of the first and of the last tick


class Interval(NamedTuple):
    """A mean, and between what bounds it is."""

    mean: float
    bounds: tuple[float, float] | None
    """None where nothing says how sure the mean is."""


class Row(NamedTuple):
    """What a strip shows."""

    name: str
    is_square: bool
    """Whether its mean is drawn as a square; else as a dot."""
    interval: Interval | None
    points: Sequence[float]
    """What the mean is of, where that is shown."""
    told: str
    """The interval in words."""


class Strip(NamedTuple):
    """A row brought onto the axis."""

    row: Row
    mean: float | None
    low: float
    high: float
    points: list[float]


class Strips(NamedTuple):
    """Rows over a common axis."""

    title: str
    told: str
    """How it is read."""
    ticks: list[Tick]
    zero: float | None
    """Where 0 is, if that is to be seen."""
    strips: list[Strip]


def strips(title: str, told: str, rows: Sequence[Row], with_zero: bool = False) -> Strips:
    """Bring rows onto a common axis that holds all that they show.

    Args:
        with_zero: whether the axis has 0 on it, marked.
    """
    values = [0.0] if with_zero else []
    for row in rows:
        values += row.points
        if row.interval:
            values += [row.interval.mean, *(row.interval.bounds or ())]
    axis = Axis(min(values), max(values), LEFT, RIGHT)
    ticks = [Tick(axis.at(value), short(value)) for value in axis.ticks()]
    zero = axis.at(0.0) if with_zero else None
    return Strips(title, told, ticks, zero, [_strip(row, axis) for row in rows])


def _strip(row: Row, axis: Axis) -> Strip:
    points = [axis.at(value) for value in row.points]
    if row.interval is None:
        return Strip(row, None, 0, 0, points)
    mean, bounds = row.interval
    low, high = bounds or (mean, mean)
    return Strip(row, axis.at(mean), axis.at(low), axis.at(high), points)
