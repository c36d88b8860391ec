"""Pictures for people: grids of images with titles and a legend, as PNG files."""

from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

Entry = tuple[str, tuple[float, float, float]]


class Grid(NamedTuple):
    """Pictures in rows and columns.

    Attributes:
        pictures: the rows, each a list of [h, w, 3] in [0, 1]; rows may differ in length.
        rows, columns: the title of each row and of each column.
        title: above all of it.
        legend: the meaning of each colour, if colours have one.
        captions: above each picture, row by row; in place of the columns' titles.
        cell: inches that a picture takes.
    """

    pictures: list[list[np.ndarray]]
    rows: Sequence[str]
    columns: Sequence[str]
    title: str
    legend: Sequence[Entry] = ()
    captions: Sequence[Sequence[str]] = ()
    cell: float = 1.15


MARGIN = 0.12  # inches around everything


def _literally(draw: Callable[..., None]) -> Callable[..., None]:
    """Let a drawing function write names as they are: matplotlib takes "$" for mathematics."""

    @wraps(draw)
    def drawn(*args: Any) -> None:
        from matplotlib import rc_context

        with rc_context({"text.parse_math": False}):
            draw(*args)

    return drawn


@_literally
def save_grid(grid: Grid, path: Path) -> None:
    """Draw a grid into a PNG file, every pixel of a picture as a sharp square."""
    across, down = max(map(len, grid.pictures)), len(grid.pictures)
    left = 0.12 + (0.085 * max(map(len, grid.rows)) + 0.1 if any(grid.rows) else 0)
    lines = max((text.count("\n") + 1 for row in grid.captions for text in row), default=0)
    above = 0.17 * lines  # inches of captions over each picture
    top, bottom = 0.62 if grid.columns else 0.45, 0.45 if grid.legend else 0.12
    width = left + across * grid.cell + MARGIN
    width = max(width, 0.095 * len(grid.title) + 2 * MARGIN, 4.6 if grid.legend else 0)
    height = top + down * (grid.cell + above) + bottom
    figure = _figure(width, height)
    side = grid.cell * 0.92
    for row, pictures in enumerate(grid.pictures):
        y = height - top - (row + 1) * (grid.cell + above)
        middle = (y + grid.cell / 2) / height
        figure.text((left - 0.1) / width, middle, grid.rows[row], ha="right", va="center", size=9)
        for column, picture in enumerate(pictures):
            x = left + column * grid.cell
            axes = figure.add_axes((x / width, y / height, side / width, side / height))
            axes.imshow(picture, interpolation="nearest")
            axes.set_axis_off()
            if grid.captions:
                axes.set_title(grid.captions[row][column], fontsize=7, pad=3)
            elif row == 0 and grid.columns:
                axes.set_title(grid.columns[column], fontsize=9, pad=5)
    figure.text(MARGIN / width, 1 - 0.22 / height, grid.title, size=11, weight="bold", va="center")
    if grid.legend:
        _add_legend(figure, grid.legend)
    figure.savefig(path)


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


@_literally
def save_cloud(cloud: Cloud, path: Path) -> None:
    """Draw a scatter of points into a PNG file; the largest classes lie lowest."""
    from matplotlib import colormaps

    figure = _figure(8.2, 6.2)
    axes = figure.add_axes((0.09, 0.09, 0.68, 0.82))
    present, sizes = np.unique(cloud.labels, return_counts=True)
    colours = colormaps["tab10" if len(cloud.names) <= 10 else "tab20"].colors
    for label in present[np.argsort(-sizes)]:
        own = cloud.points[cloud.labels == label]
        colour = colours[int(label) % len(colours)]
        name = f"{cloud.names[int(label)]} ({len(own)})"
        axes.scatter(*own.T, s=9, alpha=0.7, color=colour, label=name, linewidths=0)
    axes.set(xlabel=cloud.axes[0], ylabel=cloud.axes[1])
    axes.set_title(cloud.title, fontsize=11, weight="bold", loc="left")
    figure.legend(*_in_order(axes, cloud.names), loc="center left", bbox_to_anchor=(0.78, 0.5),
                  frameon=False, fontsize=9, markerscale=2)  # fmt: skip
    figure.savefig(path)


def _in_order(axes: Any, names: Sequence[str]) -> tuple[list[Any], list[str]]:
    """Handles and labels of a legend in the order of the classes, 20 at most."""
    entries = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    order = sorted(entries, key=lambda text: list(names).index(text.rpartition(" (")[0]))[:20]
    return [entries[label] for label in order], order


def _figure(width: float, height: float) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=130)
    FigureCanvasAgg(figure)
    return figure


def _add_legend(figure: Any, legend: Sequence[Entry]) -> None:
    from matplotlib.patches import Patch

    patches = [
        Patch(facecolor=colour, edgecolor="0.4", label=label, linewidth=0.5)
        for label, colour in legend
    ]
    figure.legend(handles=patches, loc="lower left", ncols=len(patches), frameon=False,
                  fontsize=9, borderaxespad=0.3)  # fmt: skip
