"""What the page of a study is told: plain facts out of its plan, records and summaries."""

import platform
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from importlib.metadata import version
from typing import Any

from report.of_study import StudyArm, StudyClass, StudyFacts
from report.strips import Interval
from study.plan import Arm, Plan
from study.statistics import LEVEL, Spread
from study.summary import ArmSummary, best_baseline
from utils.arguments import command_line
from utils.device import describe_machine, pick_device

LIBRARIES = ("torch", "scikit-learn", "imbalanced-learn")


def page_facts(plan: Plan, conclusions: Sequence[tuple[str, str]], device: str) -> StudyFacts:
    """What is said of the study as a whole.

    Args:
        conclusions: the name of an arm, and what came out of it.
        device: the command line's -d.
    """
    versions: dict[str, Any] = {"Python": platform.python_version()}
    versions |= {name: version(name) for name in LIBRARIES}
    machine = describe_machine(pick_device(device))
    return StudyFacts(
        name=plan.config.name,
        description=plan.config.description,
        settings=plan.settings.model_dump(exclude={"arms", "workers"}),
        classes=list(_classes(plan)),
        conclusions=conclusions,
        seed=plan.config.seed,
        command=command_line(sys.argv),
        date=f"{datetime.now():%Y-%m-%d %H:%M}",
        versions=versions | {"device": machine["device"]},
    )


def _classes(plan: Plan) -> Iterator[StudyClass]:
    """The classes that have images."""
    labels = plan.dataset.labels
    counts = labels.indices.bincount(minlength=len(labels.names)).tolist()
    for label, (name, count) in enumerate(zip(labels.names, counts, strict=True)):
        if count:
            yield StudyClass(name, count, plan.groups.sizes[label], label in plan.classes)


def arms_on_page(
    plan: Plan, summaries: list[ArmSummary], records: list[list[dict[str, Any]]]
) -> list[StudyArm]:
    """What is said of each arm.

    Args:
        records: for each arm those of all folds.
    """
    best = best_baseline(summaries)
    tests = sum(summary.generates for summary in summaries)
    rows = zip(plan.arms, summaries, records, strict=True)
    return [_arm(arm, own, best, tests, _noise(plan, of)) for arm, own, of in rows]


def _arm(
    arm: Arm, summary: ArmSummary, best: ArmSummary, tests: int, noise: dict[str, list[float]]
) -> StudyArm:
    difference, generation, least = summary.difference, arm.section.generation, None
    if summary.generates and difference and not difference.is_alike:
        shown = difference.least_seen(LEVEL / tests)
        least = shown if shown <= 1 else None  # of which no two F1 differ by more
    pairs = zip(summary.values, best.values, strict=True)
    scores = zip(*summary.per_class, strict=True)
    return StudyArm(
        name=summary.name,
        generates=summary.generates,
        is_best=summary is best,
        macro_f1=_interval(summary.macro_f1, 0),
        balanced_accuracy=summary.balanced_accuracy,
        check=summary.check,
        difference=_interval(difference, -1) if difference else None,
        differences=[own - other for own, other in pairs],
        p_value=summary.p_value,
        verdict=summary.verdict,
        least_seen=least,
        classes=[(float(f1), float(low), float(high)) for f1, low, high in scores],
        noise=noise,
        unit=generation.unit if generation else "",
        minutes=summary.seconds / 60,
    )


def _interval(spread: Spread, least: float) -> Interval:
    return Interval(spread.mean, spread.interval(least, 1))


def _noise(plan: Plan, records: list[dict[str, Any]]) -> dict[str, list[float]]:
    """The levels that were chosen for each class, fold by fold; {} where none were."""
    found: dict[str, list[float]] = {name: [] for name in plan.dataset.labels.names}
    for record in records:
        for choice in record["used"].get("noise", []):
            for name in choice["labels"]:
                found[name].append(choice["noise"])
    return {name: levels for name, levels in found.items() if levels}
