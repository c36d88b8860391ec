"""Points in a plane, coloured by class, as a PNG file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib import colormaps

from logger.figures import MARGIN, SIZE, TITLE, new_figure
from logger.lettering import Ruler, literally, quiet_fonts

HEIGHT, PLOT_END, LEGEND_START = 6.2, 6.314, 6.396  # inches
LEAST_WIDTH = 8.2
MARKER = 0.5  # inches of a legend that are not text
NAME_WIDTH = 3.0  # inches of text in a legend, at most
# Of more classes than there are colours the largest have one each, the others are grey together.
COLOURED, OTHERS = 18, "0.75"


class Cloud(NamedTuple):
    """Points in a plane, coloured by class.

    Attributes:
        points: [N, 2].
        labels: the class of each point, [N].
        names: the name of each class.
        axes: what the two axes are.
        title: above all of it.
    """

    points: np.ndarray
    labels: np.ndarray
    names: Sequence[str]
    axes: tuple[str, str]
    title: str


class _Group(NamedTuple):
    """Points of one colour."""

    points: np.ndarray
    colour: Any
    name: str


def save_cloud(cloud: Cloud, path: Path) -> None:
    """Draw a scatter of points into a PNG file; the largest classes lie lowest."""
    with quiet_fonts():
        draw_cloud(cloud).savefig(path)


@literally(lambda cloud: cloud.names)
def draw_cloud(cloud: Cloud) -> Any:
    """A scatter as a figure of matplotlib."""
    groups = _groups(cloud)
    ruler = Ruler(size=SIZE)
    names = [_entry(group, ruler) for group in groups]
    width = max(LEAST_WIDTH, LEGEND_START + MARKER + max(map(ruler.width, names)) + MARGIN)
    figure = new_figure(width, HEIGHT)
    left = 0.738
    axes = figure.add_axes((left / width, 0.09, (PLOT_END - left) / width, 0.82))
    handles: list[Any] = [None] * len(groups)
    for place in sorted(range(len(groups)), key=lambda place: -len(groups[place].points)):
        own, colour, _ = groups[place]
        handles[place] = axes.scatter(*own.T, s=9, alpha=0.7, color=colour, linewidths=0)
    axes.set(xlabel=cloud.axes[0], ylabel=cloud.axes[1])
    axes.set_title(cloud.title, loc="left", **TITLE)
    figure.legend(handles, names, loc="center left", bbox_to_anchor=(LEGEND_START / width, 0.5),
                  frameon=False, fontsize=SIZE, markerscale=2)  # fmt: skip
    return figure


def _palette(name: str) -> list[Any]:
    """The colours of one of matplotlib's lists of them."""
    return list(getattr(colormaps[name], "colors"))  # noqa: B009, not every map is a list


def _groups(cloud: Cloud) -> list[_Group]:
    """The points of each class that has a colour, in the order of classes, and all others."""
    present, sizes = np.unique(cloud.labels, return_counts=True)
    if len(cloud.names) <= 20:
        palette = _palette("tab10" if len(cloud.names) <= 10 else "tab20")
        colours = {int(label): palette[label] for label in present}
    else:
        palette = [colour for colour in _palette("tab20") if len(set(colour)) > 1]
        largest = np.sort(present[np.argsort(-sizes, kind="stable")[:COLOURED]])
        colours = dict(zip(largest.tolist(), palette, strict=False))
    groups = [
        _Group(cloud.points[cloud.labels == label], colour, cloud.names[label])
        for label, colour in colours.items()
    ]
    others = cloud.points[~np.isin(cloud.labels, list(colours))]
    if len(others):
        groups.append(_Group(others, OTHERS, f"{len(present) - len(colours)} further classes"))
    return groups


def _entry(group: _Group, ruler: Ruler) -> str:
    """A line of the legend; the count stays where the name has to be shortened."""
    count = f" ({len(group.points)})"
    return ruler.fit(group.name, NAME_WIDTH - ruler.width(count)) + count
