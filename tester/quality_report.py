"""What test.py says of how good the children are: numbers, and a picture to choose noise by."""

from pathlib import Path
from typing import Any, NamedTuple

from base.base_data_loader import BaseDataLoader
from generation.making import Making
from generation.quality import ALL, FEWEST, Group, Quality, Row, as_json, measure_quality
from logger.lettering import class_names
from logger.panels import Curve, Panel, Panels, save_panels
from report.sentences import SPLITS
from tester.quality_words import UNITS, summary
from utils.output import say

SHOWN = {"class_kept": "class kept", "new": "new", "density": "density"}
EXPLANATION = (
    "Class kept: the share of children that a small classifier, trained on the real training "
    "images, puts in their class.",
    "New: the share of children that are no near copies of a training image.",
    "Density: 1 where children lie as thickly among the {real} as those do themselves, "
    "0 where they are unlike any of them.",
    'How to read it: too little noise makes copies, so that "new" is low. Too much makes images '
    'of no class, so that "class kept" and "density" fall.',
    "Right is the most noise at which both are still about as high as the dashed lines, those of "
    "the {real}.",
    "What is lost at noise 0 already is lost by decoding, not by noise.",
    "For comparison: copies of the originals, which are never new, and the originals turned or "
    "mirrored.",
    "Dashed lines take {fewest} {real} of a class, that of density nearly twice as many: it is of "
    "one half beside the other.",
)


class Words(NamedTuple):
    """What the picture calls things."""

    unit: str
    """Of the noise, as the config has it."""
    real: str
    """The images that children are held beside: "validation images"."""


def report_quality(
    making: Making, splits: dict[str, BaseDataLoader], seed: int, folder: Path
) -> dict[str, Any]:
    """What quality.json says: of the noise, where that was chosen, and of children at each level,
    where held-out images of two classes or more can tell; draws quality.png into `folder`.

    Args:
        making: its generator is over the training images.
        splits: the images by the name of their split.
    """
    loader = making.generator.loader
    labels = loader.dataset.labels
    content = {"chosen": making.choice.as_json(labels.names)} if making.choice else {}
    if len(labels.indices[loader.indices].unique()) < 2:
        return content
    for name in ("test", "validation"):
        if name in splits and splits[name].dataset.labels.names == labels.names:
            return content | _measured(making, name, splits[name], seed, folder)
    say("note: no image is held out from training, which the children are judged by")
    return content


def _measured(
    making: Making, split: str, loader: BaseDataLoader, seed: int, folder: Path
) -> dict[str, Any]:
    """How good children are at each level, beside the held-out images of a split."""
    maker, choice = making.generator, making.choice
    quality = measure_quality(maker, loader, seed)
    names = maker.loader.dataset.labels.names
    good = choice.levels() if choice else {}
    words = Words(maker.settings.unit, SPLITS[split])
    draw_quality(quality, names, words, good, folder / "quality.png")
    asked = [*maker.settings.levels(), *quality.levels[1:], 0.0]
    level = next(level for level in asked if level in quality.levels)
    say(_sentence(quality, level, SPLITS[split]))
    classes = as_json(quality, names)
    said = summary(classes[0]["rows"], level, SPLITS[split], maker.settings.method)
    return {
        "summary": said or None,
        "held_out": {"split": split, "count": loader.count},
        "unit": maker.settings.unit,
        "levels": quality.levels,
        "classes_left_out": quality.left_out,
        "classes": classes,
    }


def draw_quality(
    quality: Quality, names: tuple[str, ...], words: Words, good: dict[int, float], path: Path
) -> None:
    """For each class a chart over the levels of noise.

    Args:
        words: what its noise is measured in, and what the held-out images are.
        good: the most noise at which each class is good, where that was looked for.
    """
    short = class_names(names)
    panels = []
    for group in quality.groups:
        panel = _panel(group, ALL if group.label is None else short[group.label], words.real)
        if group.label in good:
            panel = panel._replace(note=f"{panel.note}; good up to {good[group.label]:g}")
        panels.append(panel)
    title = "How much noise is still right: the children of each class at each level"
    if quality.left_out:
        title += f" (the {len(panels) - 1} largest of {len(panels) - 1 + quality.left_out})"
    ticks = ["copies", *(f"{level:g}" for level in quality.levels), "turned"]
    told = [line.format(real=words.real, fewest=FEWEST) for line in EXPLANATION]
    picture = Panels(panels, ticks, 1, f"noise, {UNITS[words.unit]}", words.real, title, told)
    save_panels(picture, path)


def _panel(group: Group, title: str, held_out: str) -> Panel:
    order = {"copies": 0, "children": 1, "symmetries": 2}
    made = sorted((row for row in group.rows if row.made_by in order),
                  key=lambda row: (order[row.made_by], row.noise or 0.0))  # fmt: skip
    real = next(row for row in group.rows if row.made_by == "held out")
    is_small = group.held_out < FEWEST
    curves = {
        shown: Curve(
            [row.measures[name].value for row in made],
            None if is_small else real.measures[name].value,
        )
        for name, shown in SHOWN.items()
    }
    note = f"{group.training:,} training, {group.held_out:,} {held_out.removesuffix(' images')}"
    return Panel(title, curves, note)


def _sentence(quality: Quality, level: float, held: str) -> str:
    """The children of a level in words, all classes together, beside the held-out images."""

    def told(row: Row) -> list[str]:
        values = [row.measures[name].value for name in SHOWN]
        return ["none" if value is None else f"{value:.2f}" for value in values]

    rows = quality.groups[0].rows
    made = told(next(row for row in rows if row.noise == level))
    real = told(next(row for row in rows if row.made_by == "held out"))
    parts = ", ".join(
        f"{name} {own} ({other})"
        for name, own, other in zip(SHOWN.values(), made, real, strict=True)
    )
    return f"children at noise {level:g}, and {held}: {parts}; see quality.png"
