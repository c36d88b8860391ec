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
    """The sections whose files a folder holds: <name>.json, <name>.csv or <name>.png."""
    found = []
    for key, (title, told) in KNOWN.items():
        tables = _tables_of_json(folder / f"{key}.json") + _table_of_csv(folder / f"{key}.csv")
        drawn = folder / f"{key}.png"
        shown = picture(drawn, title, told) if drawn.exists() else None
        if tables or shown:
            found.append(Extra(key, title, tables, shown))
    return found


def _table_of_csv(path: Path) -> list[Table]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        rows = [[_value(cell) for cell in row] for row in csv.reader(file)]
    return [Table(path.stem, [str(name) for name in rows[0]], rows[1:])] if rows else []


def _tables_of_json(path: Path) -> list[Table]:
    """An object as tables: objects of objects are rows and columns, what is plain a list."""
    if not path.exists():
        return []
    content = json.loads(path.read_text(encoding="utf-8"))
    return _tables(path.stem, content) if isinstance(content, dict) else []


def _tables(title: str, content: dict[str, Any]) -> list[Table]:
    plain = [[name, value] for name, value in content.items() if _is_plain(value)]
    flat = {
        name: value
        for name, value in content.items()
        if isinstance(value, dict) and value and all(map(_is_plain, value.values()))
    }
    tables = [Table(title, ["", "value"], plain)] if plain else []
    if flat:
        names = list(dict.fromkeys(key for value in flat.values() for key in value))
        rows = [[name, *(value.get(key) for key in names)] for name, value in flat.items()]
        tables.append(Table(title, ["", *names], rows))
    for name, value in content.items():
        if isinstance(value, dict) and name not in flat:
            tables += _tables(f"{title}: {name}", value)
    return tables


def _is_plain(value: Any) -> bool:
    return not isinstance(value, dict | list)


def _value(cell: str) -> Any:
    try:
        return float(cell)
    except ValueError:
        return cell
