"""Small line charts side by side, all with the same axes, as a PNG file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from logger.figures import CAPTION_SIZE, MARGIN, SIZE, TITLE, TITLE_LINE, new_figure
from logger.lettering import Ruler, literally, quiet_fonts

# Blue, vermilion and black of Okabe and Ito, as the legend of maps has them.
COLOURS = ((0.0, 0.45, 0.7), (0.84, 0.37, 0.0), (0.0, 0.0, 0.0))
MARKERS = ("o", "s", "^")
ACROSS = 4  # panels in a row
CELL, PLOT = (2.75, 2.25), (2.3, 1.4)  # inches of a panel with its texts, and of its plot
LEAST_ACROSS = 3  # panels whose width the texts have
TEXT_LINE = 0.165  # inches from a line of the explanation to the next
TOP = 1.6  # of the axis; what is above is drawn there


class Curve(NamedTuple):
    """One number along the axis.

    Attributes:
        values: at each tick; None where there is none.
        reference: where a dashed line is drawn across; None for no line.
    """

    values: Sequence[float | None]
    reference: float | None


class Panel(NamedTuple):
    """A chart.

    Attributes:
        title: above it.
        curves: by their names, at most three; the same names in all panels.
        note: beneath its title.
    """

    title: str
    curves: dict[str, Curve]
    note: str = ""


class Panels(NamedTuple):
    """Charts with the same axes.

    Attributes:
        panels: one at least.
        ticks: what is at each place of the axis.
        apart: how many ticks at each end stand for themselves: no line leads there.
        axis: what the ticks are.
        reference: what the dashed lines are.
        title: above all of it.
        explanation: how to read it, beneath the title; its lines are broken where needed.
    """

    panels: Sequence[Panel]
    ticks: Sequence[str]
    apart: int
    axis: str
    reference: str
    title: str
    explanation: Sequence[str]


def save_panels(panels: Panels, path: Path) -> None:
    """Draw charts into a PNG file."""
    with quiet_fonts():
        draw_panels(panels).savefig(path)


def _texts(panels: Panels) -> list[str]:
    return [panels.title, panels.axis, *panels.explanation, *panels.ticks,
            *(panel.title for panel in panels.panels)]  # fmt: skip


@literally(_texts)
def draw_panels(panels: Panels) -> Any:
    """Charts as a figure of matplotlib."""
    across = min(ACROSS, max(LEAST_ACROSS, len(panels.panels)))
    down = -(-len(panels.panels) // across)
    width = across * CELL[0] + 2 * MARGIN
    room, plain = width - 3 * MARGIN, Ruler(size=SIZE)
    title = Ruler(**TITLE).fit(panels.title, room, 3)
    told = "\n".join(plain.fit(line, room, 3) for line in panels.explanation)
    head = 0.2 + TITLE_LINE * (title.count("\n") + 1) + TEXT_LINE * (told.count("\n") + 1)
    height = head + 0.4 + down * CELL[1] + 0.1
    figure = new_figure(width, height)
    left = 1.5 * MARGIN / width
    figure.text(left, 1 - 0.12 / height, title, va="top", **TITLE)
    below = 0.18 + TITLE_LINE * (title.count("\n") + 1)
    figure.text(left, 1 - below / height, told, va="top", size=SIZE, linespacing=1.3)
    handles: dict[str, Any] = {}
    for place, panel in enumerate(panels.panels):
        row, column = divmod(place, across)
        x, y = column * CELL[0] + 0.42, height - head - 0.4 - row * CELL[1] - PLOT[1] - 0.35
        axes = figure.add_axes((x / width, y / height, PLOT[0] / width, PLOT[1] / height))
        handles |= _draw(axes, panel, panels)
    figure.legend(handles.values(), handles.keys(), loc="upper left", ncols=len(handles),
                  bbox_to_anchor=(left, 1 - (head + 0.06) / height), frameon=False, fontsize=SIZE,
                  borderaxespad=0, borderpad=0)  # fmt: skip
    return figure


def _draw(axes: Any, panel: Panel, panels: Panels) -> dict[str, Any]:
    """One panel; what its legend shows, by name."""
    handles = {}
    last = len(panels.ticks) - 1
    inner = range(panels.apart, last + 1 - panels.apart)
    for (name, curve), colour, marker in zip(panel.curves.items(), COLOURS, MARKERS, strict=False):
        heights = [float("nan") if v is None else min(v, TOP) for v in curve.values]
        style = {"color": colour, "marker": marker, "markersize": 4, "clip_on": False}
        (handles[name],) = axes.plot(
            inner, [heights[place] for place in inner], linewidth=1.4, **style
        )
        outer = [place for place in range(last + 1) if place not in inner]
        axes.plot(outer, [heights[place] for place in outer], linestyle="none", **style)
        if curve.reference is not None:
            axes.axhline(
                min(curve.reference, TOP), color=colour, linestyle=(0, (4, 3)), linewidth=0.9
            )
    handles[panels.reference] = axes.plot([], [], color="0.35", linestyle="--", linewidth=0.9)[0]
    axes.set(xlim=(-0.4, last + 0.4), ylim=(0, TOP))
    axes.set_xticks(range(last + 1), panels.ticks)
    axes.set_yticks([0, 0.5, 1, 1.5])
    axes.tick_params(labelsize=CAPTION_SIZE, length=2)
    axes.spines[["top", "right"]].set_visible(False)
    for edge in (panels.apart - 0.5, last - panels.apart + 0.5):
        axes.axvline(edge, color="0.85", linewidth=0.8)
    axes.set_xlabel(panels.axis, fontsize=CAPTION_SIZE, labelpad=1)
    room = CELL[0] - 0.5
    note = Ruler(size=CAPTION_SIZE).fit(panel.note, room)
    axes.text(0, 1.04, note, transform=axes.transAxes, size=CAPTION_SIZE, color="0.35")
    name = Ruler(size=SIZE).fit(
        panel.title, room
    )  # not bold, which few fonts have for all scripts
    axes.text(0, 1.14, name, transform=axes.transAxes, size=SIZE)
    return handles
