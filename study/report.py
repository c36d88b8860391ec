"""The report of a study: study.md for people, study.csv for programs."""

import csv
import io
from collections.abc import Iterator
from statistics import stdev
from typing import Any, NamedTuple

from study.plan import Plan
from study.statistics import DRAWS, Spread
from study.summary import ArmSummary, best_baseline

METHOD = """\
All that learns - autoencoder, noise, features, classifier - has seen the training images of a
fold only; the images that classifiers are tested on are real and come as they are. Images that
are the same, be it turned or mirrored, are on one side. All arms have the same folds, seeds and
numbers of steps.

- macro-F1: the mean over the classes of 2 TP / (2 TP + FP + FN), a mean over classifiers and
  folds. ± is the standard deviation over the folds.
- The difference d to the best arm without generated images is paired, fold by fold, and tested as
  Nadeau and Bengio (2003) do: t = mean(d) / (sd(d) sqrt(1 / n + 1 / (K - 1))) with n = K R folds
  and n - 1 degrees of freedom; the interval is mean(d) ± t(0.975) times the same standard error.
  p is corrected for the number of arms that generate (Holm 1979). The best arm was picked by the
  same folds, which is to its advantage.
- What could not be seen: a true difference below (t(1 - 0.025 / m) + t(0.8)) times that standard
  error, with m tested arms, is found less often than in 80 of 100 studies.
- F1 of a class: from the predictions of all folds together; the interval holds 95 % of {draws}
  bootstrap samples of the images."""


class Conclusion(NamedTuple):
    """What came out of an arm, in a sentence that begins with its name."""

    arm: str
    said: str


def markdown(plan: Plan, summaries: list[ArmSummary]) -> str:
    """The report as Markdown."""
    settings, names = plan.settings, [summary.name for summary in summaries]
    rows = [_row(summary, plan) for summary in summaries]
    lines = [f"# Do generated images help? {plan.config.name}", ""]
    lines += [f"- **{_cell(arm)}**: {_cell(said)}." for arm, said in conclusions(summaries)]
    lines += [
        "",
        f"Images: {len(plan.dataset)}. Folds: K = {settings.folds}, repeats: R = "
        f"{settings.repeats}. Classifiers of each arm in each fold: {settings.seeds}, steps of "
        f"each: {settings.steps}. Seed: {plan.config.seed}. {_set_aside(plan)}",
        "",
        *_table(list(rows[0]), [list(row.values()) for row in rows]),
        "",
        "F1 of each class:",
        "",
        *_table(["class", "images", *names], list(_class_rows(plan, summaries))),
        "",
        "## How it was measured",
        "",
        METHOD.format(draws=DRAWS),
    ]
    return "\n".join(lines) + "\n"


def conclusions(summaries: list[ArmSummary]) -> list[Conclusion]:
    """One for each arm that generates, or one that names the best where none does."""
    best = best_baseline(summaries)
    found = []
    for summary in summaries:
        if summary.difference and summary.p_value is not None:
            gain = f"{100 * summary.difference.mean:+.1f} points beside {best.name}"
            told = f"{gain}{_within(summary.difference)}, {_p(summary)}"
            found.append(Conclusion(summary.name, f"{summary.verdict} ({told})"))
    return found or [Conclusion(best.name, "the best; no arm generates images")]


def _within(difference: Spread) -> str:
    """The interval of a difference in points, where there is one."""
    interval = difference.interval(-1, 1)
    if interval is None:
        return ""
    low, high = interval
    return f", between {100 * low:+.1f} and {100 * high:+.1f}"


def _p(summary: ArmSummary) -> str:
    value = summary.p_value or 0.0
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def _set_aside(plan: Plan) -> str:
    """Which classes cannot be evaluated, and why."""
    names = plan.dataset.labels.names
    few = [
        f"{_cell(name)} ({size})"
        for label, (name, size) in enumerate(zip(names, plan.groups.sizes, strict=True))
        if label not in plan.classes and size
    ]
    if not few:
        return "All classes are evaluated."
    return (
        f"Not evaluable, and always in training, for they have fewer different images than there "
        f"are folds: {', '.join(few)}."
    )


def _row(summary: ArmSummary, plan: Plan) -> dict[str, str]:
    row = {
        "arm": summary.name,
        "macro-F1": f"{summary.macro_f1.mean:.3f} ± {stdev(summary.values):.3f}",
        "balanced accuracy": f"{summary.balanced_accuracy:.3f}",
        "difference, points": "the best without" if summary.difference is None else "",
        "p": "" if summary.p_value is None else f"{summary.p_value:.3f}",
    }
    if summary.difference:
        half = 100 * summary.difference.half_width()
        row["difference, points"] = f"{100 * summary.difference.mean:+.1f} ± {half:.1f}"
    if plan.settings.check:
        row[f"macro-F1 of the {plan.settings.check}"] = f"{summary.check or 0:.3f}"
    return row | {"minutes": f"{summary.seconds / 60:.1f}"}


def _class_rows(plan: Plan, summaries: list[ArmSummary]) -> Iterator[list[str]]:
    """Name, images and the F1 in every arm of each class that is evaluated."""
    labels = plan.dataset.labels
    for place, label in enumerate(plan.classes):
        scores = ([part[place] for part in summary.per_class] for summary in summaries)
        told = [f"{f1:.2f} ({low:.2f} to {high:.2f})" for f1, low, high in scores]
        yield [labels.names[label], str(int((labels.indices == label).sum())), *told]


def _table(names: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(map(_cell, row))} |" for row in [names, ["---"] * len(names), *rows]]


def _cell(text: str) -> str:
    """A name or a number as it may stand between bars: in one line, and no markup."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def csv_text(plan: Plan, summaries: list[ArmSummary]) -> str:
    """A row for each arm, with all numbers in full."""
    names = [plan.dataset.labels.names[label] for label in plan.classes]
    lines = io.StringIO()
    rows = [_numbers(summary, names) for summary in summaries]
    writer = csv.DictWriter(lines, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return lines.getvalue()


def _numbers(summary: ArmSummary, names: list[str]) -> dict[str, Any]:
    difference = summary.difference
    row: dict[str, Any] = {
        "arm": summary.name,
        "generates": summary.generates,
        "folds": summary.macro_f1.trials,
        "macro_f1": summary.macro_f1.mean,
        "macro_f1 sd": stdev(summary.values),
        "balanced_accuracy": summary.balanced_accuracy,
        "check macro_f1": summary.check,
        "difference": difference and difference.mean,
        "difference error": difference and difference.error,
        "p": summary.p_value,
        "verdict": summary.verdict,
    }
    for name, f1, low, high in zip(names, *summary.per_class, strict=True):
        # What is measured comes first: after the name, "a low" would be two classes' column.
        row |= {f"f1 {name}": f1, f"f1_low {name}": low, f"f1_high {name}": high}
    return row
