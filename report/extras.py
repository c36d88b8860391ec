"""Sections that a page has where their files lie in its folder, each by itself."""

import csv
import json
from collections.abc import Sequence
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


# What is shown of quality.json -> its heading; an arrow where more is better.
SHOWN = {"noise": "noise", "images": "images", "class_kept": "class kept ↑", "new": "new ↑",
         "density": "density ↑", "coverage": "coverage ↑",
         "to_nearest_pixels": "to nearest pixels"}  # fmt: skip
MAKERS = {"copies": "copies of originals", "symmetries": "turned originals"}
LEAST = (
    "All children have the least of these: where one class has more noise than another, a "
    "classifier that learns from them tells classes by their noise.",
)
HOW_READ = (
    "↑: more is better, up to about what the {real} have; above that a number is no merit.",
    "New: the share of images that are further from the nearest training image than that one is "
    "from its own nearest, in the features of the classifier. Only near copies fail it: images "
    "unlike anything real count as new, too, so it says nothing without density.",
    "To nearest pixels: the median distance to the nearest training image, in pixels: 0 is an "
    "exact copy. It has no better direction. An image can be far in pixels and near in features, "
    "as a turned one may be, so the two can disagree.",
    "Density: 1 where images lie as thickly among the {real} as those do themselves. Coverage: "
    "the share of the {real} that have such an image nearby.",
    "All classes: of the images made each class has the share that it has among the {real}, so "
    "they are fewer than those of the classes together. Density and coverage of the {real} "
    "themselves are those of one half beside the other.",
)


class Table(NamedTuple):
    """Rows of text and numbers, the first column naming each."""

    title: str
    names: list[str]
    rows: list[list[Any]]
    told: Sequence[str] = ()
    """How it is read, beneath it."""


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
    """How much noise each class bears, where that was looked for, and how good children are."""
    if not path.exists():
        return []
    content = json.loads(path.read_text(encoding="utf-8"))
    chosen = [
        [", ".join(own["labels"]), own["noise"], own["reason"]]
        for own in content.get("chosen", [])
    ]
    real = f"{content.get('held_out', {}).get('split', 'held-out')} images"
    makers = MAKERS | {"held out": real}
    rows = [
        [
            group["class"],
            makers.get(row["made_by"], row["made_by"]),
            *(row[name] for name in SHOWN),
        ]
        for group in content.get("classes", [])
        for row in group["rows"]
    ]
    names = ["class", "made by", *SHOWN.values()]
    told = [line.format(real=real) for line in HOW_READ]
    tables = (
        [Table("The most noise of each class", ["class", "noise", "why"], chosen, LEAST)]
        if chosen
        else []
    )
    return tables + (
        [Table("Children and what they are held beside", names, rows, told)] if rows else []
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
