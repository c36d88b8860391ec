"""Pictures for people: grids of images with titles and a legend, as PNG files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from logger.lettering import DPI, Ruler, literally, quiet_fonts

Entry = tuple[str, tuple[float, float, float]]

MARGIN = 0.12  # inches around everything
SIZE, CAPTION_SIZE = 9, 7  # of text, in points
TITLE = {"size": 11, "weight": "bold"}
LINE, CAPTION_LINE, TITLE_LINE = 0.155, 0.17, 0.19  # inches from a line to the next
COLUMN_LINES = 3  # of text above a column
ROW_WIDTH = 2.2  # inches of text beside a row, at most
PATCH = 0.65  # inches of a colour in the legend, with the gaps around it
TITLE_WIDTH = 7.0  # inches that a title may take where the pictures take less


class Grid(NamedTuple):
    """Pictures in rows and columns.

    Attributes:
        pictures: the rows, each a list of [h, w, 3] in [0, 1]; rows may differ in length.
        rows, columns: the title of each row and of each column; long ones are wrapped, and
            shortened where they do not fit even so.
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


class _Layout(NamedTuple):
    """Where the parts of a grid are, in inches."""

    width: float
    height: float
    left: float
    """Of the pictures: what the titles of the rows take."""
    top: float
    above: float
    """What captions take over each picture."""


def save_grid(grid: Grid, path: Path) -> None:
    """Draw a grid into a PNG file, every pixel of a picture as a sharp square."""
    with quiet_fonts():
        draw_grid(grid).savefig(path)


def _texts(grid: Grid) -> list[str]:
    captions = (text for row in grid.captions for text in row)
    legend = (label for label, _ in grid.legend)
    return [grid.title, *grid.rows, *grid.columns, *captions, *legend]


@literally(_texts)
def draw_grid(grid: Grid) -> Any:
    """A grid as a figure of matplotlib."""
    grid = _fitted(grid)
    at = _layout(grid)
    figure = new_figure(at.width, at.height)
    side = grid.cell * 0.92
    for row, pictures in enumerate(grid.pictures):
        y = at.height - at.top - (row + 1) * (grid.cell + at.above)
        middle = (y + grid.cell / 2) / at.height
        x = (at.left - 0.1) / at.width
        figure.text(x, middle, grid.rows[row], ha="right", va="center", size=SIZE)
        for column, picture in enumerate(pictures):
            x = at.left + column * grid.cell
            end = _add_picture(figure, picture, (x, y), side)
            centre = (x + side / 2) / at.width
            if grid.captions:
                above = (end + 3 / 72) / at.height
                figure.text(centre, above, grid.captions[row][column], ha="center",
                            size=CAPTION_SIZE)  # fmt: skip
            elif row == 0 and grid.columns:
                above = (end + 5 / 72) / at.height
                figure.text(centre, above, grid.columns[column], ha="center", size=SIZE)
    figure.text(MARGIN / at.width, 1 - 0.14 / at.height, grid.title, va="top", **TITLE)
    if grid.legend:
        _add_legend(figure, grid.legend)
    return figure


def _add_picture(
    figure: Any, picture: np.ndarray, corner: tuple[float, float], side: float
) -> float:
    """Put a picture [h, w, 3] into the middle of a square, as large as fits.

    As pixels of the figure itself: axes for each picture would take most of the time.

    Args:
        corner: the lower left one of the square, in inches.
        side: of the square, in inches.

    Returns:
        Where the picture ends at its top, in inches.
    """
    shape, room = picture.shape[:2], side * DPI
    size = [max(1, round(length * room / max(shape))) for length in shape]
    rows, columns = (np.arange(new) * old // new for new, old in zip(size, shape, strict=True))
    left = round(corner[0] * DPI + (room - size[1]) / 2)
    bottom = round(corner[1] * DPI + (room - size[0]) / 2)
    colours = (np.clip(picture, 0, 1) * 255).round().astype(np.uint8)
    figure.figimage(colours[rows][:, columns], left, bottom)
    return (bottom + size[0]) / DPI


def _fitted(grid: Grid) -> Grid:
    """The grid with its texts in lines that keep to their room."""
    plain, small = Ruler(size=SIZE), Ruler(size=CAPTION_SIZE)
    room = grid.cell * 0.96
    down = max(1, int(grid.cell / LINE))
    fitted = grid._replace(
        rows=[plain.fit(text, ROW_WIDTH, down) for text in grid.rows],
        columns=[plain.fit(text, room, COLUMN_LINES) for text in grid.columns],
        captions=[
            ["\n".join(small.fit(line, room) for line in text.split("\n")) for text in row]
            for row in grid.captions
        ],
        legend=[(plain.fit(label, ROW_WIDTH), colour) for label, colour in grid.legend],
    )
    bold = Ruler(**TITLE)
    room = max(_pictures_end(fitted), TITLE_WIDTH) - 2 * MARGIN
    return fitted._replace(title=bold.fit(grid.title, room, 3))


def _layout(grid: Grid) -> _Layout:
    """The places of the parts of a grid whose texts are fitted."""
    above = CAPTION_LINE * max((_lines(text) for row in grid.captions for text in row),
                                     default=0)  # fmt: skip
    title_end = Ruler(**TITLE).width(grid.title) + 2 * MARGIN
    legend_end = sum(Ruler(size=SIZE).width(label) + PATCH for label, _ in grid.legend)
    width = max(_pictures_end(grid), title_end, legend_end, 4.6 if grid.legend else 0)
    top = 0.45 + TITLE_LINE * (_lines(grid.title) - 1)
    if grid.columns:
        top += 0.17 + LINE * (max(map(_lines, grid.columns)) - 1)
    bottom = 0.45 if grid.legend else MARGIN
    height = top + len(grid.pictures) * (grid.cell + above) + bottom
    return _Layout(width, height, _left(grid), top, above)


def _left(grid: Grid) -> float:
    widest = max(map(Ruler(size=SIZE).width, grid.rows))
    return MARGIN + (widest + 0.1 if widest else 0)


def _pictures_end(grid: Grid) -> float:
    return _left(grid) + max(map(len, grid.pictures)) * grid.cell + MARGIN


def _lines(text: str) -> int:
    return text.count("\n") + 1


def _add_legend(figure: Any, legend: Sequence[Entry]) -> None:
    patches = [
        Patch(facecolor=colour, edgecolor="0.4", label=label, linewidth=0.5)
        for label, colour in legend
    ]
    figure.legend(handles=patches, loc="lower left", ncols=len(patches), frameon=False,
                  fontsize=SIZE, borderaxespad=0.3)  # fmt: skip


def new_figure(width: float, height: float) -> Any:
    """An empty figure of matplotlib, in inches."""
    figure = Figure(figsize=(width, height), dpi=DPI)
    FigureCanvasAgg(figure)
    return figure
