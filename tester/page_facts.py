"""What the page of a test says besides its files: errors by class, how the test was made."""

import platform
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from report.of_test import Facts
from tester.page_images import Split
from trainer.experiment import Experiment
from utils.arguments import command_line
from utils.device import describe_machine


def _versions() -> dict[str, Any]:
    return {"Python": platform.python_version(), "torch": torch.__version__}


def errors_by_class(splits: list[Split], classes: list[str]) -> list[dict[str, Any]]:
    """For each class that has images its name, and by split how many and their mean error."""
    found: list[dict[str, Any]] = [{"name": name, "splits": {}} for name in classes]
    for split in splits:
        counts = np.bincount(split.labels, minlength=len(classes))
        totals = np.bincount(split.labels, split.errors, minlength=len(classes))
        for own, count, total in zip(found, counts.tolist(), totals.tolist(), strict=True):
            if count:
                own["splits"][split.name] = (count, total / count)
    return [own for own in found if own["splits"]]


def page_facts(
    experiment: Experiment, classes: list[dict[str, Any]], repeat: list[str], notes: list[str]
) -> Facts:
    """What the page says of the model and of how the test was made.

    Args:
        classes: errors by class.
        repeat: the arguments of test.py that make this test again.
        notes: what else is to be said at the top.
    """
    start, metrics = experiment.start, experiment.metrics
    commands = {
        "Made by": command_line(sys.argv),
        "Made again by": command_line(["test.py", "-r", str(start.path), *repeat]),
    }
    return Facts(
        config=experiment.config.as_json(),
        run=start.folder or Path(),
        layers=[(row.layer, row.output, row.parameters) for row in experiment.model.rows()],
        best={name: metric.best for name, metric in metrics.items()},
        classes=classes,
        notes=notes,
        commands=commands,
        versions=_versions() | describe_machine(experiment.device),
        date=f"{datetime.now():%Y-%m-%d %H:%M}",
    )
