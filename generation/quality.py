"""How good the children of a model are at each level of noise, beside copies and real images."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch

from base.base_data_loader import BaseDataLoader
from base.base_dataset import BaseDataset
from data_loader.augmentation import symmetries_of, turned
from generation.children import Child, plan_children
from generation.classifier import Labelled
from generation.generator import Generator
from generation.judge import Judge, Looked, images_of, shrunk, some_of
from generation.measures import (
    Measure,
    copying_score,
    coverage,
    density,
    draws_of,
    kid,
    null_coverage,
    share_of,
    vendi,
)
from utils.errors import DataError
from utils.seed import QUALITY, generator, mix

PER_CLASS = 64  # children of a class at each level of noise
MOST_CLASSES = 16  # the largest of more are measured
MOST_TRAINING, MOST_HELD_OUT = 4000, 1000  # real images that are looked at
FEWEST = 10  # held-out images of a class that its children are compared with
HALVES = 10  # ways to halve the held-out images, to compare them with themselves
MOST_LEVELS = 5  # of noise, beside none: more have no room in the picture
STEPS = (0.5, 1.0, 2.0, 4.0)  # levels of noise measured, as multiples of a single one
ALL = "all classes"
COMPARED = ("density", "coverage", "null_coverage", "kid", "kid_p")  # with held-out images


class Row(NamedTuple):
    """What was measured of some images of a class."""

    made_by: str
    """ "children", "copies", "symmetries" or "held out"."""
    noise: float | None
    """The level of children."""
    images: int
    measures: dict[str, Measure]


class Group(NamedTuple):
    """The images of one class, or those of all."""

    label: int | None
    """The class; None is all of them."""
    training: int
    held_out: int
    rows: list[Row]


class Quality(NamedTuple):
    """How good the children of a model are."""

    groups: list[Group]
    """All classes together first."""
    levels: list[float]
    left_out: int
    """Classes that were not measured, being smaller than those that were."""


def measure_quality(maker: Generator, held_out: BaseDataLoader, seed: int) -> Quality:
    """Measure the children of training images, beside copies, turned and held-out real images.

    Args:
        maker: over the training images, of two classes at least.
        held_out: of real images that the model was not trained on, of the same classes.
    """
    chosen = some_of(maker.loader, MOST_TRAINING)
    labels = maker.loader.dataset.labels
    judge = Judge(images_of(chosen), len(labels.names), seed, maker.turning)
    held = judge.look(images_of(some_of(held_out, MOST_HELD_OUT)))
    sizes = torch.bincount(labels.indices[maker.loader.indices], minlength=len(labels.names))
    measured = sizes.argsort(descending=True, stable=True)[:MOST_CLASSES]
    measured = measured[sizes[measured] > 0].sort().values
    own = torch.isin(labels.indices[maker.loader.indices], measured)
    originals = maker.loader.of(maker.loader.indices[own])
    made = _made(maker, originals, judge, seed)
    groups = [_group(None, held, made, seed)]
    groups += [_group(label, held, made, seed) for label in measured.tolist()]
    counts = [int(sizes.sum()), *sizes[measured].tolist()]
    groups = [group._replace(training=count) for group, count in zip(groups, counts, strict=True)]
    return Quality(groups, _levels(maker), int((sizes > 0).sum()) - len(measured))


def _levels(maker: Generator) -> list[float]:
    """No noise, which tells what noise does from what encoding and decoding do, and the levels of
    the config, some of them where they are many; around a single one further ones, so that there
    is a curve."""
    levels = sorted({*maker.settings.levels()} - {0.0})
    if len(levels) == 1:
        levels = sorted({step * levels[0] for step in STEPS})
    if len(levels) > MOST_LEVELS:
        places = np.linspace(0, len(levels) - 1, MOST_LEVELS).round().astype(int)
        levels = [levels[place] for place in places]
    return [0.0, *levels]


def _made(
    maker: Generator, originals: BaseDataLoader, judge: Judge, seed: int
) -> dict[tuple[str, float | None], Looked]:
    """Copies, children of each level and turned images of the same originals, looked at."""
    labels, levels = originals.dataset.labels.indices, _levels(maker)
    plans = []
    for level in levels:
        settings = maker.settings.model_copy(update={"noise": [level], "per_class": PER_CLASS})
        plans.append(list(plan_children(originals.indices, labels, settings, seed)))
    sources = [child.source for child in plans[0]]
    made: dict[tuple[str, float | None], Looked] = {}
    for level, (images, is_valid) in zip(levels, _children(maker, plans), strict=True):
        children = Labelled(images.to(judge.device), labels[sources])
        made["children", level] = judge.look(children, is_valid)
    copies = images_of(originals.of(torch.tensor(sources)))
    count = symmetries_of(copies.images.shape)
    random = generator(seed, QUALITY, 2)
    which = torch.randint(1, count, (len(sources),), generator=random).to(copies.images.device)
    made["copies", None] = judge.look(copies)
    made["symmetries", None] = judge.look(Labelled(turned(copies.images, which), copies.labels))
    return made


def _children(
    maker: Generator, plans: list[list[Child]]
) -> Iterator[tuple[torch.Tensor, np.ndarray]]:
    """For each level children as their file will hold them, smaller where they are large, and
    which of them are valid.

    Args:
        plans: the children of each level, the same but for their noise: each original is encoded
            once for all levels.
    """
    dataset = maker.loader.dataset
    pieces: list[list[torch.Tensor]] = [[] for _ in plans]
    valid: list[list[torch.Tensor]] = [[] for _ in plans]
    for start in range(0, len(plans[0]), maker.loader.batch_size):
        batches = [plan[start : start + maker.loader.batch_size] for plan in plans]
        view = maker.view(batches[0])
        for level, batch in enumerate(batches):
            images = _as_filed(dataset, maker.images(batch, view))
            valid[level].append(dataset.are_valid(images, view.images))
            pieces[level].append(shrunk(images))
    for images_of_level, valid_of_level in zip(pieces, valid, strict=True):
        yield torch.cat(images_of_level), torch.cat(valid_of_level).numpy()


def _as_filed(dataset: BaseDataset, images: torch.Tensor) -> torch.Tensor:
    """Images [n, C, H, W] as they come back from a file."""
    try:
        held = type(dataset).of_array(dataset.to_file(images), dataset.facts(), "gen_data.npy")
    except DataError:  # a data set of one's own that does not say how it reads arrays
        return images.clamp(*dataset.value_range)
    held.hold()
    return held.to_images(held.stored_at(torch.arange(len(images))))


def _group(
    label: int | None, held: Looked, made: dict[tuple[str, float | None], Looked], seed: int
) -> Group:
    """Everything that was made for a class, and its held-out images."""
    real = held if label is None else held.of(held.labels == label)
    rows = []
    for (made_by, noise), looked in made.items():
        own = _in_shares(looked, real) if label is None else looked.of(looked.labels == label)
        rows.append(Row(made_by, noise, len(own.labels), _measures(own, real, seed)))
    rows.append(Row("held out", None, len(real.labels), _measures_of_real(real, seed)))
    return Group(label, 0, len(real.labels), rows)


def _in_shares(looked: Looked, real: Looked) -> Looked:
    """Made images of each class in proportion to its held-out ones, the most that there are."""
    labels, sizes = np.unique(real.labels, return_counts=True)
    chosen = []
    for label, size in zip(labels, sizes, strict=True):
        places = np.flatnonzero(looked.labels == label)
        count = min(int(np.ceil(PER_CLASS * size / sizes.max())), len(places))
        chosen.append(places[np.arange(count) * len(places) // max(count, 1)])
    return looked.of(np.concatenate(chosen) if chosen else np.zeros(0, int))


def _alone(looked: Looked) -> dict[str, Measure]:
    """What needs no other images than those of training."""

    def median(distances: np.ndarray) -> Measure:
        if not len(distances):
            return Measure(None, "no such images")
        return Measure(float(np.median(distances)))

    return {
        "class_kept": share_of(looked.is_kept),
        "new": share_of(looked.is_new),
        "valid": share_of(looked.is_valid),
        "to_nearest_pixels": median(looked.in_pixels),
        "to_nearest_features": median(looked.in_features),
    }


def _compared(own: Looked, real: Looked, seed: int) -> dict[str, Measure]:
    """How made images lie beside held-out real ones."""
    count = len(real.labels)
    if count < FEWEST:
        return dict.fromkeys(COMPARED, _too_few(count))
    found = (
        density(real.features, own.features),
        coverage(real.features, own.features, seed),
        Measure(null_coverage(count, min(count, len(own.labels)))),
        *kid(real.features, own.features, seed),
    )
    return dict(zip(COMPARED, found, strict=True))


def _too_few(count: int) -> Measure:
    return Measure(None, f"{count} held-out images, and it takes {FEWEST}")


def _measures(own: Looked, real: Looked, seed: int) -> dict[str, Measure]:
    """All that was measured of made images, beside held-out real ones."""
    return _alone(own) | _compared(own, real, seed) | _ranked(own, real, seed)


def _ranked(own: Looked, real: Looked, seed: int) -> dict[str, Measure]:
    """What is said of images beside as many held-out real ones."""
    count = len(real.labels)
    if count < FEWEST:
        return dict.fromkeys(("copying", "diversity"), _too_few(count))
    return {
        "copying": copying_score(own.in_features, real.in_features),
        "diversity": _diversity(own.features, count, seed),
    }


def _measures_of_real(real: Looked, seed: int) -> dict[str, Measure]:
    """The same of held-out images, one half beside the other, averaged over ways to halve them."""
    count = len(real.labels)
    if count - count // 2 < FEWEST:
        reason = f"{count} held-out images, and a half of them, as it takes, is below {FEWEST}"
        compared = dict.fromkeys(COMPARED, Measure(None, reason))
    else:
        halves = [_compared(*pair, seed) for pair in _halves(real, seed)]
        compared = {name: _mean([half[name] for half in halves]) for name in COMPARED}
    return _alone(real) | compared | _ranked(real, real, seed)


def _diversity(features: np.ndarray, most: int, seed: int) -> Measure:
    """The Vendi score of as many images as there are held out: it grows with their number."""
    return _mean([vendi(features[drawn]) for drawn in draws_of(len(features), most, seed)])


def _mean(measures: list[Measure]) -> Measure:
    """The mean, or the first reason why there is none."""
    values = [measure.value for measure in measures if measure.value is not None]
    if len(values) < len(measures):
        return Measure(None, next(measure.reason for measure in measures if measure.reason))
    return Measure(float(np.mean(values)))


def _halves(real: Looked, seed: int) -> list[tuple[Looked, Looked]]:
    random = np.random.default_rng(mix(seed, QUALITY, 3))
    orders = [random.permutation(len(real.labels)) for _ in range(HALVES)]
    middle = len(real.labels) // 2
    return [(real.of(order[:middle]), real.of(order[middle:])) for order in orders]


def as_json(quality: Quality, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """The groups in plain values: a measure that there is not is null, with its reason.

    Args:
        names: of the classes.
    """
    groups = []
    for group in quality.groups:
        rows = []
        for row in group.rows:
            numbers = {name: measure.value for name, measure in row.measures.items()}
            reasons = {n: measure.reason for n, measure in row.measures.items() if measure.reason}
            told = {"made_by": row.made_by, "noise": row.noise, "images": row.images, **numbers}
            rows.append(told | ({"reasons": reasons} if reasons else {}))
        name = ALL if group.label is None else names[group.label]
        counts = {"training": group.training, "held_out": group.held_out}
        groups.append({"class": name, **counts, "rows": rows})
    return groups
