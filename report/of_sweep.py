"""The page of a sweep: its table, the curves of all members in one chart, their pictures."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from report.charts import Chart, chart
from report.extras import extras_in
from report.gallery import colour_of
from report.history import points_of, read_history
from report.page import NAME, number, write_page
from report.pictures import small_copy
from report.sentences import SPLITS

SIDE_BY_SIDE = ("reconstructions.png", "noise.png")
MOST_SHOWN = 12  # settings whose pictures are in the page
PLAIN = ("setting", "seeds", "split")


class SweepMember(NamedTuple):
    """One run of a sweep."""

    setting: str
    seed: int
    test: Path | None
    """The folder of its test, in that of its run."""


class SweepFacts(NamedTuple):
    """What a page says of a sweep besides its table and runs."""

    name: str
    description: str
    monitor: str
    """As a config has it, 'min val_loss'."""
    best: dict[str, str]
    """Which way each metric is better, "min" or "max"."""
    absent: Sequence[str] = ()
    """The names of the runs that have no scores: they failed, or have not ended."""


class Tables(NamedTuple):
    """The tables of a sweep."""

    scores: list[dict[str, Any]]
    """A row for each setting, in the order of their first members."""
    generated: list[dict[str, Any]]
    """A row for each setting and level of noise, if children were looked at."""


def write_sweep_page(
    folder: Path, facts: SweepFacts, tables: Tables, members: list[SweepMember]
) -> None:
    """Write the page of a sweep beside its tables."""
    table = tables.scores
    settings = list(dict.fromkeys(member.setting for member in members))
    colours = {name: colour_of(place, len(settings)) for place, name in enumerate(settings)}
    drawn, lines = _curves(facts.monitor, members)
    content = {
        "title": f"{facts.name}, sweep",
        "description": facts.description,
        "verdicts": [text for text in (_winner(table), *_counted(members, facts)) if text],
        "names": _names(table),
        "rows": [_row(row, table, facts.best) for row in table],
        "generated_names": _names(tables.generated),
        "generated": [_row(row, tables.generated, {}) for row in tables.generated],
        "links": {name: _links(name, members, folder) for name in settings},
        "chart": drawn,
        "colours": [colours[member.setting] for member in lines],
        "legend": colours,
        "sides": _sides(settings, members),
        "left_out": max(0, len(settings) - MOST_SHOWN),
        "extras": extras_in(folder),
    }
    write_page(folder, "sweep.html", content)


def _counted(members: list[SweepMember], facts: SweepFacts) -> Iterator[str]:
    """How many runs there are, and which are missing."""
    if not facts.absent:
        yield f"{len(members):,} runs in all."
        return
    total = len(members) + len(facts.absent)
    yield f"{len(members):,} of {total:,} runs are here."
    yield f"Not here, for they failed or have not ended: {'; '.join(facts.absent)}."


def _names(table: list[dict[str, Any]]) -> list[str]:
    """The columns, but for those of the spread over seeds."""
    names = dict.fromkeys(name for row in table for name in row)
    return [name for name in names if not name.endswith(" sd")]


def _row(row: dict[str, Any], table: list[dict[str, Any]], best: dict[str, str]) -> dict[str, Any]:
    """The cells of a row by the name of their column: value, spread over seeds, whether best.

    The best is that of several rows whose scores are of the same images.
    """
    cells = {}
    alike = [other for other in table if other.get("split") == row.get("split")]
    for name, value in row.items():
        others = [other[name] for other in alike if other.get(name) is not None]
        mode = best.get(name)
        is_best = mode is not None and value == (min if mode == "min" else max)(others)
        cells[name] = (value, row.get(f"{name} sd") or None, is_best and len(alike) > 1)
    return cells


def _links(setting: str, members: list[SweepMember], folder: Path) -> list[tuple[str, str]]:
    """Seed and the way to the page of each run of a setting, "" where it has none."""
    found = []
    for member in members:
        if member.setting == setting:
            page = member.test and member.test / NAME
            way = os.path.relpath(page, folder) if page and page.exists() else ""
            found.append((f"seed {member.seed}", quote(way.replace(os.sep, "/"))))
    return found


def _curves(monitor: str, members: list[SweepMember]) -> tuple[Chart | None, list[SweepMember]]:
    """The watched number of every member in one chart, and which members are in it."""
    watched = monitor.partition(" ")[2]
    curves, drawn = {}, []
    for member in members:
        epochs = read_history(member.test.parent) if member.test else []
        names = [name for name in (watched, "val_loss", "loss") if name]
        points = next(filter(None, (points_of(epochs, name) for name in names)), [])
        if points:
            curves[f"{member.setting}, seed {member.seed}"] = points
            drawn.append(member)
    if not curves:
        return None, []
    title = (watched or "loss").replace("val_", "validation ").replace("_", " ")
    least = min(points[-1][1] for points in curves.values())
    most = max(points[-1][1] for points in curves.values())
    told = f"after its last epoch between {number(float(least))} and {number(float(most))}"
    return chart(title, told, curves), drawn


def _sides(settings: list[str], members: list[SweepMember]) -> dict[str, list[Any]]:
    """By file (setting, picture) of the first run of each setting that has it."""
    found: dict[str, list[Any]] = {}
    for name in SIDE_BY_SIDE:
        for setting in settings[:MOST_SHOWN]:
            tests = [of.test for of in members if of.setting == setting and of.test]
            path = next((test / name for test in tests if (test / name).exists()), None)
            if path:
                found.setdefault(name, []).append((setting, small_copy(path, setting)))
    return found


def _winner(table: list[dict[str, Any]]) -> str:
    """Which setting has the least error, and whether the seeds differ less than settings do."""
    order = sorted(
        (row for row in table if row.get("mse") is not None), key=lambda row: row["mse"]
    )
    if len(order) < 2:
        return ""
    if len(splits := dict.fromkeys(SPLITS[row["split"]] for row in order)) > 1:
        return f"Errors do not compare: some are of the {', others of the '.join(splits)}."
    first, second = order[:2]
    said = (
        f"{first['setting']} has the least error on the {SPLITS[first['split']]}: "
        f"{number(first['mse'])}; then comes {second['setting']} with {number(second['mse'])}."
    )
    spread = max(first.get("mse sd") or 0, second.get("mse sd") or 0)
    if first["seeds"] < 2:
        return f"{said} With one seed each, chance may have decided that."
    word = "more" if second["mse"] - first["mse"] > spread else "less"
    return f"{said} They differ by {word} than the seeds of one of them do ({number(spread)})."
