"""Curves as the geometry of an SVG; a template writes it down."""

import math
from collections.abc import Sequence
from typing import NamedTuple

WIDTH, HEIGHT = 460, 250
LEFT, RIGHT, TOP, BOTTOM = 62, 10, 12, 40
MOST_POINTS = 500  # of a line
WIDE = 20  # times the lowest value: where the highest is more than that, the axis is logarithmic

Points = Sequence[tuple[float, float]]


class Tick(NamedTuple):
    """A mark of an axis."""

    place: float
    text: str


class Line(NamedTuple):
    """One curve."""

    name: str
    style: int
    """Which colour and dashes."""
    path: str


class Chart(NamedTuple):
    """Curves over epochs."""

    title: str
    told: str
    """What a reader who does not see it is told, and the caption."""
    lines: list[Line]
    across: list[Tick]
    upwards: list[Tick]
    mark: float | None
    """Where the epoch of the best model is."""
    is_log: bool
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


def chart(title: str, told: str, curves: dict[str, Points], best: int | None = None) -> Chart:
    """A chart of curves, by name their (epoch, value) points, each at least one.

    Args:
        best: the epoch to mark.
    """
    values = [value for points in curves.values() for _, value in points]
    epochs = [epoch for points in curves.values() for epoch, _ in points]
    is_log = min(values) > 0 and max(values) > WIDE * min(values)
    heights = [math.log10(value) for value in values] if is_log else values
    up = Axis(min(heights), max(heights), HEIGHT - BOTTOM, TOP)
    across = Axis(min(epochs), max(epochs), LEFT, WIDTH - RIGHT)
    lines = []
    for style, (name, points) in enumerate(curves.items()):
        places = [
            f"{across.at(epoch):.1f} {up.at(math.log10(value) if is_log else value):.1f}"
            for epoch, value in thinned(points)
        ]
        # A line of one point has no length: it is drawn as a dot.
        path = "M" + "L".join(places if len(places) > 1 else places * 2)
        lines.append(Line(name, style, path))
    upwards = [Tick(up.at(value), short(10**value if is_log else value)) for value in up.ticks()]
    marks = sorted({round(value) for value in across.ticks()})
    return Chart(
        title, told, lines, [Tick(across.at(value), f"{value}") for value in marks], upwards,
        None if best is None else across.at(best), is_log,
    )  # fmt: skip


def thinned(points: Points) -> Points:
    """Some of many points, the first and the last among them."""
    step = -(-len(points) // MOST_POINTS)
    return [*points[:-1:step], points[-1]]


class Axis:
    """Brings values onto a stretch of the picture."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        room = (high - low) or abs(high) or 1.0
        self.low, self.high = (low, high) if high > low else (low - room / 2, low + room / 2)
        self.start, self.end = start, end

    def at(self, value: float) -> float:
        """Where a value is drawn."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Four or so round values."""
        raw = (self.high - self.low) / 4
        power = 10 ** math.floor(math.log10(raw))
        step = next(times * power for times in (1, 2, 5, 10) if times * power >= raw * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [count * step for count in range(first, last + 1)] or [self.low]


def short(value: float) -> str:
    """A value as an axis has it."""
    return f"{value:.3g}" if abs(value) > 1e-12 else "0"
