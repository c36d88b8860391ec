"""The page of a test: how good the model is, where it fails, what it made."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from report.extras import extras_in
from report.gallery import Gallery, gallery_content
from report.history import best_epoch, charts_of, read_history
from report.page import number, write_page
from report.pictures import pictures_in
from report.sentences import (
    SPLITS,
    is_copy,
    maker_name,
    numbers_of_image,
    relative_size,
    size_of_code,
    verdicts,
)


class Facts(NamedTuple):
    """What a page says of a test besides its files."""

    config: dict[str, Any]
    """Of the model, complete."""
    run: Path
    """The folder of its run."""
    layers: list[tuple[str, str, str]]
    """Layer, output, parameters."""
    best: dict[str, str]
    """Which way each metric is better, "min" or "max"."""
    classes: list[dict[str, Any]]
    """For each class its name, and by split the number of images and their mean error."""
    notes: list[str]
    """What else is to be said at the top."""
    commands: dict[str, str]
    versions: dict[str, Any]
    date: str


def write_test_page(folder: Path, facts: Facts, gallery: Gallery) -> None:
    """Write the page of the test whose files are in `folder`."""
    report = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    epochs = read_history(facts.run)
    monitor = facts.config["trainer"]["monitor"]
    best = best_epoch(epochs, monitor)
    content = {
        "title": facts.config["name"],
        "description": facts.config["description"],
        "facts": facts,
        "about": _about(facts, report),
        "verdicts": [*verdicts(report), *_hardest(facts), size_of_code(report), *facts.notes],
        "scores": score_rows(report, facts.best),
        "metrics": list(report["baselines"]["mean_image"][next(iter(report["splits"]))]),
        "best_ways": facts.best,
        "is_copy": is_copy(report),
        "splits": {name: SPLITS[name] for name in report["splits"]},
        "charts": charts_of(epochs, best),
        "epoch_told": epoch_told(best, monitor, report["epoch"], epochs),
        "pictures": pictures_in(folder),
        "extras": extras_in(folder),
        "gallery": gallery_content(gallery),
    }
    write_page(folder, "test.html", content)


def score_rows(report: dict[str, Any], best: dict[str, str]) -> list[dict[str, Any]]:
    """A row for each split and maker: "split", "maker", "cells" of (value, whether best).

    A PCA that has room for the whole image is no rival: it is never the best.
    """
    rows = []
    for split, own in report["splits"].items():
        makers = {"model": own} | {name: of[split] for name, of in report["baselines"].items()}
        if "corrupted" in own:
            makers["corrupted"] = own["corrupted"]
        names = list(report["baselines"]["mean_image"][split])
        rivals = [name for name in makers if not (name == "pca" and is_copy(report))]
        winners = {name: _best_of(makers, rivals, name, best.get(name)) for name in names}
        for maker, numbers in makers.items():
            cells = [(numbers.get(name), winners[name] == maker) for name in names]
            rows.append({
                "split": split, "count": own["count"], "maker": maker_name(maker, report),
                "is_exact": maker == "pca" and is_copy(report), "cells": cells,
            })  # fmt: skip
    return rows


def _best_of(makers: dict[str, Any], rivals: list[str], name: str, mode: str | None) -> str | None:
    found = {maker: value for maker in rivals if (value := makers[maker].get(name)) is not None}
    if not found or mode is None:
        return None
    return (min if mode == "min" else max)(found, key=lambda maker: found[maker])


def _about(facts: Facts, report: dict[str, Any]) -> list[tuple[str, str]]:
    config = facts.config
    parts = {"Data": config["dataset"], "Model": config["arch"], "Loss": config["loss"]}
    counts = ", ".join(
        f"{own['count']:,} {SPLITS[name]}" for name, own in report["splits"].items()
    )
    return [
        *((name, part["type"]) for name, part in parts.items()),
        ("Images", counts),
        ("Parameters", number(report["parameters"])),
        ("An image", numbers_of_image(report)),
        ("A code", f"{report['code_size']:,} numbers, {relative_size(report)}"),
        ("Checkpoint", report["checkpoint"]),
        ("Epoch", str(report["epoch"])),
        ("Changed for this test", ", ".join(report["changed"]) or "nothing"),
        ("Date", facts.date),
        ("Versions", ", ".join(f"{name} {value}" for name, value in facts.versions.items())),
    ]


def _hardest(facts: Facts) -> list[str]:
    """Which class has the largest error among images that training has not seen."""
    if len(facts.classes) < 2:
        return []
    for split in ("test", "validation", "train"):
        own = [(of["splits"][split], of["name"]) for of in facts.classes if split in of["splits"]]
        if len(own) > 1:
            (count, error), name = max(own, key=lambda entry: entry[0][1])
            (_, least), easiest = min(own, key=lambda entry: entry[0][1])
            return [
                f'Of the {SPLITS[split]} those of "{name}" are hardest: a mean error of '
                f'{number(error)} over {count:,}; those of "{easiest}" are easiest, '
                f"{number(least)}."
            ]
    return []


def epoch_told(best: int | None, monitor: str, tested: int, epochs: list[dict[str, Any]]) -> str:
    """Which epoch was tested, and which is the best of those that the run has trained."""
    if not epochs:
        return f"This test is of epoch {tested}; the run has left no metrics.jsonl."
    told = f"The run trained {len(epochs):,} epochs; this test is of epoch {tested}."
    if best is None:
        return told
    told += f" The best by '{monitor}' is epoch {best}, the dotted line."
    if best == epochs[-1]["epoch"]:
        told += " That is the last one: the model may still get better, so train longer."
    return told
