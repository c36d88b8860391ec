"""What the scores of a study say, and what they cannot say."""

from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple

import numpy as np
from scipy import stats

LEVEL, POWER = 0.05, 0.8
NOTHING = 1e-12  # a standard error that is rounding's alone
DRAWS = 1000  # bootstrap samples of an interval


def f1_scores(truth: np.ndarray, predicted: np.ndarray, classes: Sequence[int]) -> np.ndarray:
    """The F1 of each class, 2 TP / (2 TP + FP + FN), [classes].

    Args:
        truth, predicted: the classes of the same images, int64 [n].
    """
    return _f1(truth, predicted, np.ones((1, len(truth))), classes)[0]


def balanced_accuracy(truth: np.ndarray, predicted: np.ndarray, classes: Sequence[int]) -> float:
    """The mean over the classes of the share of their images that is recognised."""
    return float(np.mean([(predicted[truth == label] == label).mean() for label in classes]))


def _f1(
    truth: np.ndarray, predicted: np.ndarray, weights: np.ndarray, classes: Sequence[int]
) -> np.ndarray:
    """F1 where images count as often as `weights` [draws, n] say, [draws, classes]; 0 of none."""
    wanted, given = (labels[:, None] == np.asarray(classes) for labels in (truth, predicted))
    right = weights @ (wanted & given)
    total = weights @ wanted.astype(float) + weights @ given.astype(float)
    return 2 * right / np.maximum(total, 1)


class Pooled(NamedTuple):
    """The scores of predictions for all images."""

    f1: np.ndarray
    """Of each class, [classes]."""
    low: np.ndarray
    high: np.ndarray
    """The bounds within which 95 % of the bootstrap samples lie, [classes] each."""


def pooled_f1(
    truth: np.ndarray,
    predictions: np.ndarray,
    groups: np.ndarray,
    classes: Sequence[int],
    seed: int,
) -> Pooled:
    """The F1 of each class over the images of all folds, a mean over repeats and classifiers.

    The bootstrap draws groups of images that are the same, and the same ones for all repeats.

    Args:
        truth: the class of each image, int64 [n].
        predictions: of every repeat and classifier, int64 [m, n].
        groups: the number of each image's group, int64 [n].

    Source: Efron and Tibshirani 1993, chapter 13 (percentile intervals).
    """
    names, own = np.unique(groups, return_inverse=True)
    random = np.random.default_rng(seed)
    drawn = random.multinomial(len(names), np.full(len(names), 1 / len(names)), DRAWS)[:, own]
    weights = np.vstack([np.ones(len(truth)), drawn])
    scores = np.mean([_f1(truth, row, weights, classes) for row in predictions], axis=0)
    low, high = np.quantile(scores[1:], [LEVEL / 2, 1 - LEVEL / 2], axis=0)
    return Pooled(scores[0], low, high)


class Spread(NamedTuple):
    """A mean over folds, and how sure it is."""

    mean: float
    error: float
    """Its standard error, sd sqrt(1 / n + 1 / (K - 1))."""
    trials: int
    """n = K R, of the folds."""

    @property
    def is_alike(self) -> bool:
        """Whether all folds have the same number, so that nothing says how sure the mean is."""
        return self.error < NOTHING

    def half_width(self) -> float:
        """Half of its interval of 95 %."""
        return float(stats.t.ppf(1 - LEVEL / 2, self.trials - 1)) * self.error

    def interval(self, least: float, most: float) -> tuple[float, float] | None:
        """Its interval of 95 % within what it can be; None where all folds are alike."""
        if self.is_alike:
            return None
        half = self.half_width()
        return max(least, self.mean - half), min(most, self.mean + half)

    def p_value(self) -> float:
        """Of a two-sided test that the mean is 0; 1 where all folds are alike.

        Their spread of 0 is no certainty: scores of few test images take few values, and two folds
        may well have the same one.
        """
        if self.is_alike:
            return 1.0
        t = self.mean / self.error
        return float(2 * stats.t.sf(abs(t), self.trials - 1))

    def least_seen(self, level: float = LEVEL) -> float:
        """The smallest true difference that a test at `level` finds with a power of 80 %.

        (t(1 - level / 2) + t(0.8)) times the standard error, both quantiles of n - 1 degrees of
        freedom.
        """
        quantiles = stats.t.ppf([1 - level / 2, POWER], self.trials - 1)
        return float(quantiles.sum()) * self.error


def spread_of(values: Sequence[float], folds: int) -> Spread:
    """The mean of one number for each fold of each repeat, [K R].

    The training sets of folds overlap, so that the folds tell less than as many independent
    trials would: the variance has the share of test to training images, 1 / (K - 1), added.

    Source: Nadeau and Bengio 2003, "Inference for the generalization error", section 6.
    """
    count = len(values)
    deviation = float(np.std(values, ddof=1))
    return Spread(float(np.mean(values)), deviation * sqrt(1 / count + 1 / (folds - 1)), count)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for their number, so that one below 0.05 is rarely chance's.

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    corrected, largest = [0.0] * len(p_values), 0.0
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = largest
    return corrected


def verdict(difference: Spread, p_value: float, tests: int) -> str:
    """What a difference of macro-F1 to the best baseline says, in words.

    Args:
        p_value: corrected for the number of tests.
        tests: how many arms are tested.
    """
    if p_value < LEVEL:
        return "helps" if difference.mean > 0 else "does worse"
    if difference.is_alike:
        return (
            "no difference seen: it is the same in every fold, so that nothing says how large a "
            "one could have been seen"
        )
    least = 100 * difference.least_seen(LEVEL / tests)
    if least > 100:
        return "no difference seen: these folds are too few, or too unlike, to show any"
    return (
        f"no difference seen: a difference below {least:.1f} points could not be seen with these "
        "folds"
    )
