"""The tables of a sweep: what came out of each setting, as a mean over its seeds."""

import csv
import io
import json
import statistics
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from trainer.plan import Member
from trainer.sweep_runs import reports_of
from utils.output import say, write_file

Results = list[tuple[Member, dict[str, Any]]]
Table = list[dict[str, Any]]
FACTS = ("parameters", "code_size", "compression_ratio")
# What quality.json has of children, and what the table calls it.
OF_CHILDREN = {
    "class_kept": "class kept",
    "new": "new",
    "density": "density",
    "coverage": "coverage",
    "kid": "KID",
}


def sweep_table(results: Results) -> Table:
    """A row for each setting: its facts, then mean and standard deviation over seeds.

    Scores are those of the test split, else of the validation split, else of the training split.
    """
    rows = []
    for own in _by_setting(results):
        setting, reports = own[0][0].setting, [report for _, report in own]
        split = [name for name in ("test", "validation", "train") if name in reports[0]["splits"]][
            0
        ]
        row = {"setting": setting, "seeds": len(reports), "split": split}
        row |= {fact: reports[0][fact] for fact in FACTS}
        scores = [_flat_scores(report["splits"][split]) for report in reports]
        rows.append(row | _over_seeds(scores, [name for name in scores[0] if name != "count"]))
    return rows


def generation_table(results: Results) -> Table:
    """A row for each setting and level of noise: how good the children of all classes are.

    Empty where no test has looked at its children.
    """
    rows = []
    for own in _by_setting(results):
        levels: dict[float, list[dict[str, Any]]] = {}
        for member, _ in own:
            for row in _children_of(member):
                levels.setdefault(row["noise"], []).append(row)
        for noise, found in sorted(levels.items()):
            scores = [{name: row.get(key) for key, name in OF_CHILDREN.items()} for row in found]
            row = {"setting": own[0][0].setting, "noise": noise, "seeds": len(found)}
            rows.append(row | _over_seeds(scores, list(OF_CHILDREN.values())))
    return rows


def _by_setting(results: Results) -> Iterator[Results]:
    """The results of each setting, which stand together."""
    for _, group in groupby(results, lambda result: result[0].place):
        yield list(group)


def _children_of(member: Member) -> list[dict[str, Any]]:
    """What quality.json says of the children of all classes, a row for each level of noise."""
    path = reports_of(member)[-1].with_name("quality.json")
    content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    rows = content["classes"][0]["rows"] if "classes" in content else []
    return [row for row in rows if row["made_by"] == "children"]


def _over_seeds(scores: list[dict[str, float | None]], names: list[str]) -> dict[str, float]:
    """Mean and standard deviation of each score that all have."""
    found = {}
    for name in names:
        values = [value for numbers in scores if (value := numbers[name]) is not None]
        if len(values) == len(scores):
            found[name] = statistics.fmean(values)
            found[f"{name} sd"] = statistics.stdev(values) if len(values) > 1 else 0.0
    return found


def _flat_scores(scores: dict[str, Any]) -> dict[str, float | None]:
    """The scores of a split; those of the corrupted images, which lie deeper, by both names."""
    flat: dict[str, float | None] = {}
    for name, value in scores.items():
        inner = value if isinstance(value, dict) else {"": value}
        flat |= {f"{name} {key}".strip(): number for key, number in inner.items()}
    return flat


def write_table(table: Table, folder: Path, name: str) -> None:
    """A table as Markdown and CSV, `name`.md and `name`.csv."""
    folder.mkdir(parents=True, exist_ok=True)
    text = markdown(table)
    say(text)
    write_file(folder / f"{name}.md", f"{text}\n".encode())
    lines = io.StringIO()
    writer = csv.DictWriter(lines, _columns(table), restval="")
    writer.writeheader()
    writer.writerows(table)
    write_file(folder / f"{name}.csv", lines.getvalue().encode())


def markdown(table: Table) -> str:
    """The table with mean ± standard deviation in one cell."""
    names = [name for name in _columns(table) if not name.endswith(" sd")]
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    for row in table:
        cells = []
        for name in names:
            value = row.get(name, "")
            cell = f"{value:.4g}" if isinstance(value, float) else str(value)
            spread = row.get(f"{name} sd")
            cells.append(f"{cell} ± {spread:.2g}" if spread else cell)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _columns(table: Table) -> list[str]:
    """What any row has: settings that differ in loss or corruption differ in their scores."""
    return list(dict.fromkeys(name for row in table for name in row))
