"""How much noise is right: the most at which children of every class are as good as without it.

It is found among the training images alone. Some of them are set aside; a small classifier learns
from the others; children are made of those set aside, which the classifier has not seen, and held
beside those without noise, and beside the images that they are made of. So the images that a test
or a study holds out have no part in the choice.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from base.base_data_loader import BaseDataLoader
from generation.children import Child, plan_children
from generation.generator import Generator
from generation.judge import Judge, images_of, shrunk, some_of
from generation.measures import density
from utils.config.sections import GenerationSection
from utils.seed import NOISE, generator, mix

# What is tried, in each unit; in absolute numbers it is so many mean deviations of a code number.
LEVELS = {
    "code": (0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0),
    "class": (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0),
    "posterior": (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0),
}
SHARE = 0.3  # of the images of a class, set aside
ROUNDS = 2  # with other images set aside each time
PER_CLASS = 32  # children of a class at each level and in each round
MOST = 4000  # training images that are looked at
FEWEST = 30  # images of a class, below which its level is chosen together with that of others
# What children may lose by noise and still be as good: of class kept and purity, and of density.
KEPT, DENSE = 0.05, 0.1


class Step(NamedTuple):
    """What was measured at one level of noise."""

    noise: float
    class_kept: float
    """The share of children that the classifier puts in their class."""
    density: float | None
    """Of children among the images that the classifier knows, by `measures.density`; None of too
    few."""
    purity: float | None = None
    """The share of its own children among all that the classifier puts in the class, of which it
    is shown as many of each class; None where it puts none there."""


class Choice(NamedTuple):
    """What was found for one class, or for several small ones together."""

    labels: list[int]
    noise: float
    """The most at which they are good."""
    reason: str
    originals: Step
    """What the originals themselves have."""
    curve: list[Step]
    """From children without noise on."""


class NoiseChoice(NamedTuple):
    """What was found for every class."""

    choices: list[Choice]
    looked_at: list[int]
    """The places of the images that it was chosen by."""

    @property
    def noise(self) -> float:
        """The level of all children, the least of those of the classes.

        Where one class has more noise than another, a classifier that learns from the children
        tells them by the noise, which no real image has.
        """
        return min(choice.noise for choice in self.choices)

    def levels(self) -> dict[int, float]:
        """The most noise at which each class would be good."""
        return {label: choice.noise for choice in self.choices for label in choice.labels}

    def as_json(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """The choices in plain values.

        Args:
            names: of the classes.
        """
        return [
            choice._asdict()
            | {
                "labels": [names[label] for label in choice.labels],
                "originals": choice.originals._asdict(),
                "curve": [step._asdict() for step in choice.curve],
            }
            for choice in self.choices
        ]


def choose_noise(maker: Generator, seed: int) -> NoiseChoice:
    """Find the most noise at which each class is good.

    Args:
        maker: over the training images; what its settings say of levels does not matter.
    """
    chosen = some_of(maker.loader, MOST)
    labels = chosen.dataset.labels.indices[chosen.indices]
    levels = _levels(maker)
    rounds = [_looked_at(maker, chosen, levels, mix(seed, NOISE, turn)) for turn in range(ROUNDS)]
    groups = _groups(labels)
    choices = [_choice(group, rounds, levels) for group in groups]
    return NoiseChoice(choices, chosen.indices.tolist())


def _levels(maker: Generator) -> list[float]:
    """No noise, and what is tried."""
    settings = maker.settings
    if settings.unit in LEVELS:
        return [0.0, *LEVELS[settings.unit]]
    spread = float(maker.code_spread.mean())
    return [0.0, *(float(f"{level * spread:.2g}") for level in LEVELS["code"])]


def _groups(labels: torch.Tensor) -> list[list[int]]:
    """Each class with enough images by itself, and the others together."""
    sizes = {label: int((labels == label).sum()) for label in labels.unique().tolist()}
    large = [[label] for label, size in sizes.items() if size >= FEWEST]
    small = [label for label, size in sizes.items() if size < FEWEST]
    return large + ([small] if small else [])


class _Round(NamedTuple):
    """What became of children of the images that were set aside once."""

    known: tuple[np.ndarray, np.ndarray]
    """The classes and features of the images that the classifier learnt from."""
    labels: np.ndarray
    """The class of each child."""
    made: list[tuple[np.ndarray, np.ndarray]]
    """Features, and the class that the classifier finds: of the originals, then of children of
    each level."""


def _looked_at(maker: Generator, chosen: BaseDataLoader, levels: list[float], seed: int) -> _Round:
    """Set images aside, teach a classifier the others, and show it children."""
    labels = chosen.dataset.labels
    aside, others = _set_aside(chosen, seed)
    known = images_of(chosen.of(others))
    judge = Judge(known, len(labels.names), seed, maker.turning)
    plans = [_plan(maker.settings, level, aside, labels.indices, seed) for level in levels]
    originals = maker.completed(plans[0])
    of_children = labels.indices[[child.source for child in originals]]
    view = maker.view(originals)
    images = [view.images, *(maker.images(plan, view) for plan in plans)]
    made = [judge.tell(shrunk(some).to(judge.device)) for some in images]
    return _Round((known.labels.numpy(), judge.features), of_children.numpy(), made)


def _set_aside(chosen: BaseDataLoader, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The places of the images that are set aside, of each class its share, and of the others.

    A class of one image is not parted: it is looked at, and known.
    """
    labels = chosen.dataset.labels.indices[chosen.indices]
    aside, others = [], []
    for label in labels.unique().tolist():
        own = chosen.indices[labels == label]
        own = own[torch.randperm(len(own), generator=generator(seed, label))]
        count = max(1, round(SHARE * len(own)))
        aside.append(own[:count])
        others.append(own[count:] if len(own) > 1 else own)
    return torch.cat(aside), torch.cat(others)


def _plan(
    settings: GenerationSection,
    level: float,
    places: torch.Tensor,
    labels: torch.Tensor,
    seed: int,
) -> list[Child]:
    """Children of some images; those of another level are made with the same random numbers."""
    wanted = settings.model_copy(update={"noise": level, "per_class": PER_CLASS})
    return list(plan_children(places, labels, wanted, seed))


def _choice(labels: list[int], rounds: list[_Round], levels: list[float]) -> Choice:
    """The most noise up to which children of some classes are as good as without it."""
    originals, *curve = _steps(labels, rounds, levels)
    good = 1
    while good < len(curve) and not lacks(curve[good], curve[0]):
        good += 1
    if good == 1:
        reason = f"the least that was tried, though already there {lacks(curve[1], curve[0])}"
    elif good == len(curve):
        reason = "the most that was tried, and children are still as good as without noise"
    else:
        reason = f"at {curve[good].noise:g} {lacks(curve[good], curve[0])}"
    if lack := lacks(curve[0], originals):
        reason += f"; beside their originals {lack} even without noise"
    return Choice(labels, curve[max(good - 1, 1)].noise, reason, originals, curve)


def _steps(labels: list[int], rounds: list[_Round], levels: list[float]) -> Iterator[Step]:
    """What was measured of the originals, and of children at each level, means over the rounds."""
    for place, level in enumerate([0.0, *levels]):
        kept, dense, pure = [], [], []
        for part in rounds:
            own, (known, points) = np.isin(part.labels, labels), part.known
            features, found = part.made[place]
            is_kept, taken = found == part.labels, np.isin(found, labels)
            kept.append(is_kept[own].mean())
            dense.append(density(points[np.isin(known, labels)], features[own]).value)
            pure.append(own[taken].mean() if taken.any() else None)
        yield Step(level, float(np.mean(kept)), _mean(dense), _mean(pure))


def _mean(values: Sequence[float | None]) -> float | None:
    """The mean of those that there are."""
    there = [value for value in values if value is not None]
    return float(np.mean(there)) if there else None


def lacks(step: Step, other: Step) -> str:
    """What images have less of than others, '' where they are as good.

    Of noise alone a classifier may make one class: its children are kept, then, whatever they
    are, but those of others are taken for them.
    """
    if step.class_kept < other.class_kept - KEPT:
        return f"class kept falls to {step.class_kept:.2f} from {other.class_kept:.2f}"
    if step.purity is not None and other.purity is not None:
        if step.purity < other.purity - KEPT:
            return f"purity falls to {step.purity:.2f} from {other.purity:.2f}"
    if step.density is not None and other.density is not None:
        if step.density < other.density - DENSE:
            return f"density falls to {step.density:.2f} from {other.density:.2f}"
    return ""
