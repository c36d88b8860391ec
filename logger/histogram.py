"""How numbers are distributed, several groups over one axis, as a PNG file."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from logger.figures import SIZE, TITLE, new_figure
from logger.lettering import literally, quiet_fonts

WIDTH, HEIGHT = 7.4, 4.2  # inches
BINS = 50
TICKS = 8  # along the axis of the numbers, the two ends left out
# Black, blue and vermilion of Okabe and Ito, as the legend of maps has them.
COLOURS = ((0.0, 0.0, 0.0), (0.0, 0.45, 0.7), (0.84, 0.37, 0.0))


class Histogram(NamedTuple):
    """Groups of numbers over one axis.

    Attributes:
        groups: the numbers of each group by its name, at most three; none below zero.
        line: where a line is drawn across, and what it is called; None for no line.
        axis: what the numbers are.
        title: above all of it.
    """

    groups: dict[str, np.ndarray]
    line: tuple[float, str] | None
    axis: str
    title: str


def save_histogram(histogram: Histogram, path: Path) -> None:
    """Draw the share of each group's numbers in each bin into a PNG file."""
    with quiet_fonts():
        draw_histogram(histogram).savefig(path)


@literally(lambda histogram: [histogram.title, histogram.axis, *histogram.groups])
def draw_histogram(histogram: Histogram) -> Any:
    """A histogram as a figure of matplotlib."""
    figure = new_figure(WIDTH, HEIGHT)
    axes = figure.add_axes((0.09, 0.13, 0.88, 0.77))
    groups = histogram.groups
    ends = [histogram.line[0]] if histogram.line else []
    edges = _edges(np.concatenate([*groups.values(), ends]))
    for (name, numbers), colour in zip(groups.items(), COLOURS, strict=False):
        counts, _ = np.histogram(numbers.clip(edges[0], edges[-1]), edges)
        label = f"{name} ({len(numbers):,})"
        axes.stairs(counts / len(numbers), edges, label=label, color=colour, linewidth=1.4)
        axes.stairs(counts / len(numbers), edges, color=colour, alpha=0.12, fill=True)
    if histogram.line:
        place, name = histogram.line
        axes.axvline(place, color="0.35", linestyle="--", linewidth=1.2, label=name)
    axes.set_xscale("log")
    axes.set_xlim(edges[0], edges[-1])
    ticks = [float(f"{tick:.2g}") for tick in np.geomspace(edges[0], edges[-1], TICKS)[1:-1]]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])  # powers of ten may lie outside
    axes.minorticks_off()
    axes.set_xlabel(histogram.axis, fontsize=SIZE)
    axes.set_ylabel("share of the images", fontsize=SIZE)
    axes.tick_params(labelsize=SIZE)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(histogram.title, loc="left", **TITLE)
    axes.legend(frameon=False, fontsize=SIZE)
    return figure


def _edges(numbers: np.ndarray) -> np.ndarray:
    """Edges of bins that are equally wide on a logarithmic axis; zero is in the first."""
    positive = numbers[numbers > 0]
    low, high = (positive.min(), positive.max()) if len(positive) else (0.1, 1.0)
    return np.geomspace(low / 1.1, high * 1.1, BINS + 1)
