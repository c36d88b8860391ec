"""What the records of a study say of each arm."""

from typing import Any, NamedTuple

import numpy as np

from study.plan import Arm, Plan
from study.statistics import Pooled, Spread, holm, pooled_f1, spread_of, verdict


class ArmSummary(NamedTuple):
    """What came out of an arm."""

    name: str
    generates: bool
    macro_f1: Spread
    """Over the folds."""
    values: list[float]
    """The macro-F1 of each fold, in the order of the folds."""
    balanced_accuracy: float
    per_class: Pooled
    check: float | None
    """The macro-F1 of the second classifier."""
    seconds: float
    """Of all its folds together."""
    difference: Spread | None = None
    """Of its macro-F1 to that of the best arm without generation; None for that arm itself."""
    p_value: float | None = None
    """That there is none, corrected for the number of arms tested; of arms that generate."""
    verdict: str = ""
    """In words; of arms that generate."""


def summarize(plan: Plan, records: list[list[dict[str, Any]]]) -> list[ArmSummary]:
    """Every arm, and how it compares with the best one without generated images.

    Args:
        records: for each arm those of all folds, in the order of the folds.
    """
    summaries = [_of_arm(plan, arm, own) for arm, own in zip(plan.arms, records, strict=True)]
    best = best_baseline(summaries)
    tested = [summary for summary in summaries if summary.generates]
    differences = {
        summary.name: _difference(summary, best, plan.settings.folds)
        for summary in summaries
        if summary is not best
    }
    p_values = holm([differences[summary.name].p_value() for summary in tested])
    corrected = {summary.name: p for summary, p in zip(tested, p_values, strict=True)}
    told = []
    for summary in summaries:
        difference, p_value = differences.get(summary.name), corrected.get(summary.name)
        words = ""
        if difference and p_value is not None:
            words = verdict(difference, p_value, len(tested))
        told.append(summary._replace(difference=difference, p_value=p_value, verdict=words))
    return told


def best_baseline(summaries: list[ArmSummary]) -> ArmSummary:
    """The arm without generation whose mean macro-F1 is the highest."""
    plain = (summary for summary in summaries if not summary.generates)
    return max(plain, key=lambda summary: summary.macro_f1.mean)


def _difference(summary: ArmSummary, best: ArmSummary, folds: int) -> Spread:
    pairs = zip(summary.values, best.values, strict=True)
    return spread_of([own - other for own, other in pairs], folds)


def _of_arm(plan: Plan, arm: Arm, records: list[dict[str, Any]]) -> ArmSummary:
    values = [_mean(record["classifiers"], "macro_f1") for record in records]
    checks = [record["check"]["macro_f1"] for record in records if record["check"]]
    return ArmSummary(
        name=arm.name,
        generates=arm.section.generation is not None,
        macro_f1=spread_of(values, plan.settings.folds),
        values=values,
        balanced_accuracy=float(
            np.mean([_mean(record["classifiers"], "balanced_accuracy") for record in records])
        ),
        per_class=_pooled(plan, records),
        check=float(np.mean(checks)) if checks else None,
        seconds=sum(record["seconds"] for record in records),
    )


def _mean(classifiers: list[dict[str, Any]], name: str) -> float:
    return float(np.mean([classifier[name] for classifier in classifiers]))


def _pooled(plan: Plan, records: list[dict[str, Any]]) -> Pooled:
    """F1 of each class over the predictions of all folds together."""
    truth = plan.dataset.labels.indices.numpy()
    settings = plan.settings
    pooled = np.zeros((settings.repeats, settings.seeds, len(truth)), int)
    is_tested = np.zeros(len(truth), bool)
    for record in records:
        is_tested[record["test"]] = True
        for number, classifier in enumerate(record["classifiers"]):
            pooled[record["repeat"], number, record["test"]] = classifier["predictions"]
    places = np.flatnonzero(is_tested)
    return pooled_f1(
        truth[places],
        pooled.reshape(-1, len(truth))[:, places],
        plan.groups.of_images.numpy()[places],
        plan.classes,
        plan.config.seed,
    )
