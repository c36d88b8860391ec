"""Sections that a page has where their files lie in its folder, each by itself."""

import csv
import json
from pathlib import Path
from typing import Any, NamedTuple

from report.pictures import Picture, picture

# The name of the files -> heading and how the picture is read.
KNOWN = {
    "quality": (
        "Quality of the generated images",
        "How good generated images are by class and level of noise, beside real ones.",
    ),
    "study": (
        "Study",
        "What each choice changes, over several folds and seeds.",
    ),
}


SHOWN = ("noise", "images", "class_kept", "new", "density", "coverage", "to_nearest_pixels")


class Table(NamedTuple):
    """Rows of text and numbers, the first column naming each."""

    title: str
    names: list[str]
    rows: list[list[Any]]


class Extra(NamedTuple):
    """One such section."""

    key: str
    title: str
    tables: list[Table]
    picture: Picture | None


def extras_in(folder: Path) -> list[Extra]:
    """The sections whose files a folder holds: quality.json, <name>.csv or <name>.png."""
    found = []
    for key, (title, told) in KNOWN.items():
        tables = _tables_of_quality(folder / "quality.json") if key == "quality" else []
        tables += _table_of_csv(folder / f"{key}.csv")
        drawn = folder / f"{key}.png"
        shown = picture(drawn, title, told) if drawn.exists() else None
        if tables or shown:
            found.append(Extra(key, title, tables, shown))
    return found


def _tables_of_quality(path: Path) -> list[Table]:
    """How much noise was chosen for each class, where it was, and how good children are."""
    if not path.exists():
        return []
    content = json.loads(path.read_text(encoding="utf-8"))
    chosen = [
        [", ".join(own["labels"]), own["noise"], own["reason"]]
        for own in content.get("chosen", [])
    ]
    rows = [
        [group["class"], row["made_by"], *(row[name] for name in SHOWN)]
        for group in content.get("classes", [])
        for row in group["rows"]
    ]
    names = ["class", "made by", *(name.replace("_", " ") for name in SHOWN)]
    tables = (
        [Table("The noise of each class", ["class", "noise", "why"], chosen)] if chosen else []
    )
    return tables + (
        [Table("Children and what they are held beside", names, rows)] if rows else []
    )


def _table_of_csv(path: Path) -> list[Table]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        rows = [[_value(cell) for cell in row] for row in csv.reader(file)]
    return [Table(path.stem, [str(name) for name in rows[0]], rows[1:])] if rows else []


def _value(cell: str) -> Any:
    try:
        return float(cell)
    except ValueError:
        return cell
