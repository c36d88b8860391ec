"""Pictures for people: grids of images with titles and a legend, as PNG files."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

Entry = tuple[str, tuple[float, float, float]]


class Grid(NamedTuple):
    """Pictures in rows and columns.

    Attributes:
        pictures: the rows, each a list of [h, w, 3] in [0, 1]; rows may differ in length.
        rows, columns: the title of each row and of each column.
        title: above all of it.
        legend: the meaning of each colour, if colours have one.
    """

    pictures: list[list[np.ndarray]]
    rows: Sequence[str]
    columns: Sequence[str]
    title: str
    legend: Sequence[Entry] = ()


CELL = 1.15  # inches a picture takes
MARGIN = 0.12  # inches around everything


def save_grid(grid: Grid, path: Path) -> None:
    """Draw a grid into a PNG file, every pixel of a picture as a sharp square."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    across, down = max(map(len, grid.pictures)), len(grid.pictures)
    left = 0.2 + 0.085 * max(map(len, grid.rows))
    top, bottom = 0.62, 0.45 if grid.legend else 0.1
    width, height = left + across * CELL + MARGIN, top + down * CELL + bottom
    width = max(width, 0.095 * len(grid.title) + 2 * MARGIN, 4.6 if grid.legend else 0)
    figure = Figure(figsize=(width, height), dpi=130)
    FigureCanvasAgg(figure)
    for row, pictures in enumerate(grid.pictures):
        for column, picture in enumerate(pictures):
            x, y = left + column * CELL, height - top - (row + 1) * CELL
            side = CELL - 0.1
            axes = figure.add_axes((x / width, y / height, side / width, side / height))
            axes.imshow(picture, interpolation="nearest")
            axes.set_axis_off()
            if row == 0 and grid.columns:
                axes.set_title(grid.columns[column], fontsize=9, pad=5)
        middle = (height - top - (row + 0.5) * CELL - 0.05) / height
        figure.text((left - 0.1) / width, middle, grid.rows[row], ha="right", va="center", size=9)
    figure.text(MARGIN / width, 1 - 0.22 / height, grid.title, size=11, weight="bold", va="center")
    if grid.legend:
        patches = [
            Patch(facecolor=colour, edgecolor="0.4", label=label, linewidth=0.5)
            for label, colour in grid.legend
        ]
        figure.legend(
            handles=patches,
            loc="lower left",
            ncols=len(patches),
            frameon=False,
            fontsize=9,
            borderaxespad=0.3,
        )
    figure.savefig(path)
