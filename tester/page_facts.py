"""What the page of a test shows besides its files: images with their codes, errors by class."""

import math
import platform
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from base.base_data_loader import BaseDataLoader
from report.gallery import MOST, WORST, Gallery
from report.of_test import Facts
from tester.code_pictures import Plane
from trainer.evaluator import Evaluator
from trainer.experiment import Experiment
from utils.arguments import command_line
from utils.device import describe_machine

MOST_SIDE = 48  # pixels of an image in the page


class Split(NamedTuple):
    """Images that were scored."""

    name: str
    loader: BaseDataLoader
    errors: np.ndarray
    """Of each image, in the loader's order, [n]."""
    labels: np.ndarray
    """The class of each, [n]."""
    title: Callable[[int], str]
    """What an image is called by its place in the data set."""


def _versions() -> dict[str, Any]:
    return {"Python": platform.python_version(), "torch": torch.__version__}


def gallery_of(
    splits: list[Split], evaluator: Evaluator, plane: Plane, classes: list[str]
) -> Gallery:
    """A sample of all splits' images, the worst of all among them.

    Args:
        plane: onto which codes are brought.
        classes: the names that the splits' labels count.
    """
    pairs = list(zip(splits, _chosen(splits), strict=True))
    shown = [_run(split, places, evaluator, plane) for split, places in pairs if len(places)]
    images, made, points = (np.concatenate(parts) for parts in zip(*shown, strict=True))
    return Gallery(
        points=points,
        labels=np.concatenate([split.labels[places] for split, places in pairs]),
        splits=[split.name for split, places in pairs for _ in places],
        names=[
            split.title(int(split.loader.indices[place])) for split, places in pairs
            for place in places
        ],
        errors=np.concatenate([split.errors[places] for split, places in pairs]),
        images=images, made=made, classes=classes, axes=plane.told,
        total=sum(len(split.errors) for split in splits),
    )  # fmt: skip


def _chosen(splits: list[Split]) -> list[np.ndarray]:
    """For each split the places to show: evenly spaced ones and the worst of all splits."""
    errors = np.concatenate([split.errors for split in splits])
    step = max(1, math.ceil(len(errors) / (MOST - WORST)))
    chosen = np.zeros(len(errors), bool)
    chosen[::step] = True
    chosen[np.argsort(-errors, kind="stable")[:WORST]] = True
    ends = np.cumsum([len(split.errors) for split in splits])
    return [np.flatnonzero(part) for part in np.split(chosen, ends[:-1])]


@torch.no_grad()
def _run(
    split: Split, places: np.ndarray, evaluator: Evaluator, plane: Plane
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Thumbnails of images and of their reconstructions, and their codes on the plane."""
    evaluator.model.eval()
    images: list[np.ndarray] = []
    made: list[np.ndarray] = []
    points: list[np.ndarray] = []
    chosen = split.loader.of(split.loader.indices[torch.from_numpy(places)])
    for batch in chosen.batches():
        labels = split.loader.labels_of(batch)
        output = evaluator.run(evaluator.shown(batch), labels=labels)
        for own, of in ((images, batch.images), (made, output["reconstruction"])):
            own.append(_small(split.loader.dataset.to_rgb(of.cpu())))
        points.append(plane.of(output["code"].flatten(1).cpu()).numpy())
    return np.concatenate(images), np.concatenate(made), np.concatenate(points)


def _small(pictures: torch.Tensor) -> np.ndarray:
    """Pictures [n, H, W, 3] in [0, 1] -> uint8, MOST_SIDE pixels a side at most."""
    high, wide = pictures.shape[1:3]
    scale = MOST_SIDE / max(high, wide, MOST_SIDE)
    size = max(1, round(high * scale)), max(1, round(wide * scale))
    if scale < 1:
        pictures = torch.nn.functional.adaptive_avg_pool2d(pictures.permute(0, 3, 1, 2), size)
        pictures = pictures.permute(0, 2, 3, 1)
    return (pictures.clamp(0, 1) * 255).round().to(torch.uint8).numpy()


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
