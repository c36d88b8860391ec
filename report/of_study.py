"""The page of a study: whether generated images helped, arm by arm and class by class."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from report.page import write_page
from report.strips import Interval, Row, Strips, strips

MOST_NAMED = 20  # classes that are named at the top
ON_PAPER = 6  # arms side by side; a sheet cannot be scrolled
UNITS = {
    "absolute": "in the code's own numbers",
    "code": "in standard deviations of each code number over the training images",
    "class": "in widths of a smoothed bootstrap of the class",
    "posterior": "in standard deviations of the original's posterior",
}


class StudyClass(NamedTuple):
    """A class of the images that were studied."""

    name: str
    images: int
    different: int
    """Turned and mirrored ones count once."""
    is_evaluated: bool
    """Whether it has a test image in every fold."""


class StudyFacts(NamedTuple):
    """What a page says of a study besides its arms."""

    name: str
    description: str
    settings: dict[str, Any]
    """`folds`, `repeats`, `seeds`, `steps`, `check` of the config's `study`."""
    classes: list[StudyClass]
    conclusions: Sequence[tuple[str, str]]
    """The name of an arm, and what came out of it."""
    seed: int
    command: str
    """Makes the study again."""
    date: str
    versions: dict[str, Any]


class StudyArm(NamedTuple):
    """What came out of one way to train a classifier."""

    name: str
    generates: bool
    is_best: bool
    """Whether it is what the others are compared with: the best that generates nothing."""
    macro_f1: Interval
    balanced_accuracy: float
    check: float | None
    """The macro-F1 of the second classifier."""
    difference: Interval | None
    """Of its macro-F1 to that of the best without; None of that arm itself."""
    differences: list[float]
    """The same fold by fold."""
    p_value: float | None
    verdict: str
    least_seen: float | None
    """The smallest difference that these folds could have shown."""
    classes: list[tuple[float, float, float]]
    """F1 and its bounds for each class that is evaluated."""
    noise: dict[str, list[float]]
    """The levels that were chosen for each class, of as many folds as had it."""
    unit: str
    """Of the noise."""
    minutes: float


class Levels(NamedTuple):
    """The noise that an arm chose for a class."""

    name: str
    middle: float
    least: float
    most: float
    often: str
    """Each level, and in how many folds it was found."""


def write_study_page(folder: Path, facts: StudyFacts, arms: list[StudyArm]) -> None:
    """Write the page of a study beside its tables."""
    evaluated = [own for own in facts.classes if own.is_evaluated]
    content = {
        "title": f"{facts.name}, study",
        "facts": facts,
        "answer": _answer(arms),
        "about": _about(facts, arms),
        "arms": arms,
        "best": next(arm for arm in arms if arm.is_best),
        "arms_on_paper": ON_PAPER,
        "top": _top(arms),
        "charts": [_scores(arms), *_differences(arms)],
        "classes": evaluated,
        "top_of_class": [
            max(arm.classes[place][0] for arm in arms) for place in range(len(evaluated))
        ],
        "set_aside": [own for own in facts.classes if not own.is_evaluated],
        "noise": [(arm, UNITS[arm.unit], _levels(arm)) for arm in arms if arm.noise],
    }
    write_page(folder, "study.html", content)


def _answer(arms: list[StudyArm]) -> str:
    """How many arms help, in a sentence; "" where none generates."""
    counts = Counter(arm.verdict.partition(":")[0] for arm in arms if arm.generates)
    if not counts:
        return ""
    best = next(arm.name for arm in arms if arm.is_best)
    helps, worse, total = counts["helps"], counts["does worse"], counts.total()
    return (
        f"{total} {'arm uses' if total == 1 else 'arms use'} generated images. Beside {best}, the "
        f"best without them, {helps} {'helps' if helps == 1 else 'help'}, {worse} "
        f"{'does' if worse == 1 else 'do'} worse, and for {total - helps - worse} no difference "
        "is seen."
    )


def _about(facts: StudyFacts, arms: list[StudyArm]) -> list[tuple[str, str]]:
    settings, classes = facts.settings, facts.classes
    folds, repeats, seeds = (settings[name] for name in ("folds", "repeats", "seeds"))
    names = ", ".join(own.name for own in classes)
    evaluated = sum(own.is_evaluated for own in classes)
    different = sum(own.different for own in classes)
    rows = [
        ("Arms", f"{len(arms)}, of which {sum(arm.generates for arm in arms)} generate images"),
        ("Images", f"{sum(own.images for own in classes):,}, of them {different:,} different; "
         "turned and mirrored ones count once"),
        ("Classes", names if len(classes) <= MOST_NAMED else f"{len(classes)}, named below"),
        ("Classes evaluated", f"{evaluated} of {len(classes)}"),
        ("Classifiers of each arm", f"folds × repeats × seeds: {folds} × {repeats} × {seeds} = "
         f"{folds * repeats * seeds:,}, of {settings['steps']:,} steps each"),
        ("Seed", str(facts.seed)),
        ("Date", facts.date),
        ("Versions", ", ".join(f"{name} {value}" for name, value in facts.versions.items())),
    ]  # fmt: skip
    if settings["check"]:
        rows.insert(5, ("Second classifier", settings["check"]))
    return rows


def _top(arms: list[StudyArm]) -> dict[str, float | None]:
    """The highest of each score."""
    checks = [arm.check for arm in arms if arm.check is not None]
    return {
        "macro_f1": max(arm.macro_f1.mean for arm in arms),
        "balanced_accuracy": max(arm.balanced_accuracy for arm in arms),
        "check": max(checks, default=None),
    }


def _scores(arms: list[StudyArm]) -> Strips:
    rows = [
        Row(arm.name, arm.generates, arm.macro_f1, [], f"{arm.macro_f1.mean:.3f}{_within(arm)}")
        for arm in arms
    ]
    told = (
        "The mean over the folds; the line is its interval of 95 %. The lines of two arms may "
        "overlap and the arms still differ, for they met the same hard and easy folds: the "
        "differences below tell."
    )
    return strips("Macro-F1 of each arm", told, rows)


def _within(arm: StudyArm) -> str:
    bounds = arm.macro_f1.bounds
    return f" ({bounds[0]:.3f} to {bounds[1]:.3f})" if bounds else " (alike in all folds)"


def _differences(arms: list[StudyArm]) -> list[Strips]:
    """How each arm differs from the best without generated images, in points."""
    best = next(arm for arm in arms if arm.is_best)
    rows = [_difference(arm) for arm in arms if arm is not best]
    told = (
        f"In points of macro-F1 (hundredths) beside {best.name}, right of 0 is better. Each small "
        "mark is a fold: both arms with the same training and test images. The large one is their "
        "mean, the line its interval: where the line crosses 0, chance could have done it."
    )
    return [strips("Difference, fold by fold", told, rows, with_zero=True)] if rows else []


def _difference(arm: StudyArm) -> Row:
    points = [100 * value for value in arm.differences]
    if arm.difference is None:
        return Row(arm.name, arm.generates, None, points, "")
    mean, bounds = arm.difference
    scaled = (100 * bounds[0], 100 * bounds[1]) if bounds else None
    within = f"{scaled[0]:+.1f} to {scaled[1]:+.1f}" if scaled else "alike in all folds"
    interval = Interval(100 * mean, scaled)
    return Row(arm.name, arm.generates, interval, points, f"{100 * mean:+.1f} ({within})")


def _levels(arm: StudyArm) -> list[Levels]:
    """The levels of each class, the classes in their order."""
    rows = []
    for name, levels in arm.noise.items():
        counts = Counter(sorted(levels))
        often = ", ".join(f"{level:g} in {count}" for level, count in counts.items())
        rows.append(Levels(name, median(levels), min(levels), max(levels), often))
    return rows
