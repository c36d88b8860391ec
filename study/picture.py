"""The picture of a study: how good each arm is, and how it differs from the best baseline."""

from pathlib import Path
from typing import Any

from logger.figures import new_figure
from logger.lettering import Ruler, literally, quiet_fonts
from study.statistics import LEVEL
from study.summary import ArmSummary, best_baseline

MADE, PLAIN, FOLD = "#d55e00", "#0072b2", "0.75"  # vermilion and blue of Okabe and Ito 2008
ROW, PANEL, MARGIN = 0.42, 3.6, 0.15  # inches
BELOW = 0.75  # inches for the axes and what the signs mean
KEY = (
    "blue: real images only, the best of them on grey; vermilion: with generated images, filled "
    "where p < 0.05"
)
NAME_WIDTH = 2.4  # inches of a name, at most


def draw_study(summaries: list[ArmSummary], path: Path) -> None:
    """Draw the arms of a study into a PNG file."""
    with quiet_fonts():
        _draw(summaries).savefig(path)


@literally(lambda summaries: [summary.name for summary in summaries])
def _draw(summaries: list[ArmSummary]) -> Any:
    ruler = Ruler(size=9)
    names = [ruler.fit(summary.name, NAME_WIDTH) for summary in summaries]
    left = max(map(ruler.width, names)) + 2 * MARGIN
    width, height = left + 2 * PANEL + 2 * MARGIN, ROW * len(names) + BELOW + 0.55
    figure = new_figure(width, height)
    panel = (PANEL - 2 * MARGIN) / width, ROW * len(names) / height
    scores = figure.add_axes((left / width, BELOW / height, *panel))
    changes = figure.add_axes(((left + PANEL + MARGIN) / width, BELOW / height, *panel))
    best = best_baseline(summaries)
    _draw_scores(scores, summaries)
    _draw_changes(changes, summaries, best)
    for axes in (scores, changes):
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.tick_params(labelsize=8, left=False)
        axes.grid(axis="x", color="0.92")
        axes.set_axisbelow(True)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.axhspan(*_row_of(best, summaries), color="0.95", zorder=0)
    figure.text(MARGIN / width, MARGIN / height, KEY, size=7, color="0.3")
    scores.set_yticks(range(len(names)), names, fontsize=9)
    changes.set_yticks([])
    return figure


def _row_of(arm: ArmSummary, summaries: list[ArmSummary]) -> tuple[float, float]:
    place = summaries.index(arm)
    return place - 0.5, place + 0.5


def _colour(summary: ArmSummary) -> str:
    return MADE if summary.generates else PLAIN


def _draw_scores(axes: Any, summaries: list[ArmSummary]) -> None:
    for row, summary in enumerate(summaries):
        axes.plot(summary.values, [row] * len(summary.values), "|", color=FOLD, markersize=9)
        axes.plot([summary.macro_f1.mean], [row], "o", color=_colour(summary), markersize=6)
    axes.set_title("macro-F1: mean, and each fold", fontsize=9, loc="left")
    axes.set_xlabel("macro-F1 on images that no arm has seen", fontsize=8)


def _draw_changes(axes: Any, summaries: list[ArmSummary], best: ArmSummary) -> None:
    axes.axvline(0, color="0.4", linewidth=1)
    for row, summary in enumerate(summaries):
        if summary.difference is None:
            axes.plot([0], [row], "D", color=_colour(summary), markersize=6)
            continue
        mean, half = 100 * summary.difference.mean, 100 * summary.difference.half_width()
        is_clear = summary.p_value is not None and summary.p_value < LEVEL
        axes.errorbar(
            [mean], [row], xerr=[half], fmt="o", color=_colour(summary), capsize=3, markersize=6,
            markerfacecolor=_colour(summary) if is_clear else "white",
        )  # fmt: skip
    axes.set_title(f"difference to {best.name}", fontsize=9, loc="left")
    axes.set_xlabel(f"points of macro-F1, {100 * (1 - LEVEL):.0f} % interval", fontsize=8)
