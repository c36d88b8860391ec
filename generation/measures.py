"""How good generated images are: measures of the literature, as functions of arrays.

Arrays are points [n, D]: images of one class as features of a classifier, or as pixels. Distances
are Euclidean. Where there are too few images for a number, there is a reason in its place.
"""

from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import cdist

from utils.seed import QUALITY, mix

NEIGHBOURS = 5  # k of density and coverage, as in their paper
DRAWS = 10  # over which a measure that needs equally many of both is averaged
PERMUTATIONS = 500
FEWEST_RANKED = 5  # images of each kind from which ranks are near a normal distribution
AT_ONCE = 2**22  # distances held together


class Measure(NamedTuple):
    """A number, or why there is none."""

    value: float | None
    reason: str = ""


def null_coverage(real: int, generated: int, k: int = NEIGHBOURS) -> float:
    """The coverage to expect where both are of one distribution, from their numbers of images.

    Source: Naeem et al. 2020, "Reliable fidelity and diversity metrics for generative models",
    lemma 2: 1 - prod_{i=1..k} (N - i) / (N + M - i).
    """
    steps = np.arange(1, k + 1)
    return float(1 - np.prod((real - steps) / (real + generated - steps)))


def density(real: np.ndarray, generated: np.ndarray, k: int = NEIGHBOURS) -> Measure:
    """In how many of the balls of real images a generated one lies, beside the k to expect.

    The ball of a real image reaches to the k-th nearest of the other real ones, its border
    included: distances of maps of few values are often the same. About 1 where both are of one
    distribution, near 0 for noise; it can be above 1, where generated images crowd.

    Args:
        real: [N, D].
        generated: [M, D].

    Source: Naeem et al. 2020, equation 3: 1 / (k M) sum_j sum_i 1[y_j in B(x_i, NND_k(x_i))].
    """
    if lack := _lack(("real", real, k + 1), ("generated", generated, 1)):
        return lack
    return Measure(float(_in_balls(real, generated, k).sum() / (k * len(generated))))


def coverage(real: np.ndarray, generated: np.ndarray, seed: int, k: int = NEIGHBOURS) -> Measure:
    """The share of real images with a generated one in their ball, to be held against
    `null_coverage`.

    Of more generated than real images as many are drawn, several times: with very many every ball
    would have one, however bad they are.

    Args:
        real: [N, D].
        generated: [M, D].

    Source: Naeem et al. 2020, equation 4: 1 / N sum_i 1[some y_j in B(x_i, NND_k(x_i))].
    """
    if lack := _lack(("real", real, k + 1), ("generated", generated, 1)):
        return lack
    inside = _in_balls(real, generated, k)
    draws = draws_of(len(generated), len(real), seed)
    return Measure(float(np.mean([inside[:, drawn].any(1).mean() for drawn in draws])))


def draws_of(count: int, most: int, seed: int) -> list[np.ndarray]:
    """`most` of `count` places, drawn several times; all of them, once, where they are as few."""
    if count <= most:
        return [np.arange(count)]
    random = np.random.default_rng(mix(seed, QUALITY))
    return [random.choice(count, most, replace=False) for _ in range(DRAWS)]


def kid(real: np.ndarray, generated: np.ndarray, seed: int) -> tuple[Measure, Measure]:
    """The kernel distance of two samples, and the p-value of its being so large by chance.

    Without bias: its mean is 0 where both are of one distribution, so that it can be negative. The
    p-value is (1 + permutations with a distance at least as large) / (1 + permutations).

    Args:
        real: [N, D].
        generated: [M, D].

    Source: Binkowski et al. 2018, "Demystifying MMD GANs", section 4: the kernel
    (x.y / D + 1)^3; Gretton et al. 2012, "A kernel two-sample test", equation 3.
    """
    if lack := _lack(("real", real, 2), ("generated", generated, 2)):
        return lack, lack
    both = np.concatenate([real, generated]).astype(np.float64)
    kernel = (both @ both.T / both.shape[1] + 1) ** 3
    is_real = np.arange(len(both)) < len(real)
    random = np.random.default_rng(mix(seed, QUALITY, 1))
    shuffled = [random.permutation(is_real) for _ in range(PERMUTATIONS)]
    distances = _distances_of_halves(kernel, np.stack([is_real, *shuffled], 1).astype(np.float64))
    # Sums in another order differ in their last digits.
    as_large = int((distances[1:] >= distances[0] - 1e-9 * abs(distances[0])).sum())
    return Measure(float(distances[0])), Measure((1 + as_large) / (1 + PERMUTATIONS))


def _distances_of_halves(kernel: np.ndarray, first: np.ndarray) -> np.ndarray:
    """The squared distance (MMD^2) of the rows that are 1 in a column from the others, for every
    column of `first` [n, P] -> [P]."""
    second = 1 - first
    count, other = first[:, 0].sum(), second[:, 0].sum()
    sums, own = kernel @ first, np.diag(kernel)
    within = ((first * sums).sum(0) - own @ first) / (count * (count - 1))
    across = (second * sums).sum(0) / (count * other)
    others = (second * (kernel @ second)).sum(0) - own @ second
    return within + others / (other * (other - 1)) - 2 * across


def authenticity(training: np.ndarray, generated: np.ndarray) -> Measure:
    """The share of generated images that are new, as `are_new` has it.

    0 for copies; of images from the training distribution about half are new.

    Args:
        training: [N, D], those that the model was trained on.
        generated: [M, D].

    Source: Alaa et al. 2022, "How faithful is your synthetic data?", section 4.3.
    """
    if lack := _lack(("training", training, 2), ("generated", generated, 1)):
        return lack
    return share_of(are_new(training, generated))


def are_new(training: np.ndarray, generated: np.ndarray) -> np.ndarray:
    """Whether each generated image is further from its nearest training image than that one is
    from its own nearest, bool [M].

    Args:
        training: [N, D], two at least.
        generated: [M, D].

    Source: Alaa et al. 2022, section 4.3.
    """
    places, distances = nearest(generated, training)
    used, back = np.unique(places, return_inverse=True)
    return distances > _other_distances(training, used)[back]


def copying_score(generated: np.ndarray, held_out: np.ndarray) -> Measure:
    """Whether generated images lie nearer to training images than real held-out ones do.

    The z-score of a Mann-Whitney test: about N(0, 1) where neither is nearer, far below 0 for
    copies, above 0 for images further off than real ones.

    Args:
        generated: the distance of each generated image to its nearest training image, [M].
        held_out: those of held-out real ones, [N].

    Source: Meehan et al. 2020, "A non-parametric test to detect data-copying in generative
    models", section 3; with the usual correction of the variance for ties.
    """
    few = FEWEST_RANKED
    if lack := _lack(("held-out", held_out, few), ("generated", generated, few)):
        return lack
    m, n = len(generated), len(held_out)
    _, ties = np.unique(np.concatenate([generated, held_out]), return_counts=True)
    tied = float((ties.astype(np.float64) ** 3 - ties).sum()) / ((m + n) * (m + n - 1))
    variance = m * n / 12 * (m + n + 1 - tied)
    if variance <= 0:
        return Measure(0.0)
    # Pairs of which the generated one is further off, and half of the ties.
    ordered = np.sort(held_out)
    below, upto = (np.searchsorted(ordered, generated, side).sum() for side in ("left", "right"))
    wins = (below + upto) / 2
    return Measure(float((wins - m * n / 2) / np.sqrt(variance)))


def vendi(points: np.ndarray) -> Measure:
    """How many images that have nothing in common would be as diverse: 1 for copies of one, n at
    the most.

    Args:
        points: [n, D], compared by their cosine.

    Source: Friedman and Dieng 2023, "The Vendi score", equation 1: the exponential of the entropy
    of the eigenvalues of K / n.
    """
    if lack := _lack(("such", points, 1)):
        return lack
    scaled = points.astype(np.float64)
    lengths = np.linalg.norm(scaled, axis=1, keepdims=True)
    scaled = scaled / np.maximum(lengths, 1e-12) / np.sqrt(len(scaled))
    shares = np.linalg.svd(scaled, compute_uv=False) ** 2
    shares = shares[shares > 0]
    return Measure(float(np.exp(-(shares * np.log(shares)).sum())))


def class_kept(probabilities: np.ndarray, labels: np.ndarray) -> Measure:
    """The share of images that a classifier puts in the class they were made for.

    Args:
        probabilities: of the classes, [n, classes].
        labels: the class of each image, [n].
    """
    return share_of(probabilities.argmax(1) == labels)


def share_of(is_so: np.ndarray) -> Measure:
    """The share of images of which something is true, bool [n]."""
    return _lack(("such", is_so, 1)) or Measure(float(is_so.mean()))


def nearest(points: np.ndarray, among: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each point the place of the nearest of others and the distance to it, [n] and [n].

    Args:
        points: [n, D].
        among: the others, [N, D].
    """
    places = _neighbours(points, among, 1)[:, 0]
    return places, _apart(points, among[places])


def _other_distances(points: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The distance of the points at some places to the nearest other point."""
    found = _neighbours(points[places], points, 2)
    others = np.where(found[:, 0] == places, found[:, 1], found[:, 0])
    return _apart(points[places], points[others])


def _neighbours(points: np.ndarray, among: np.ndarray, count: int) -> np.ndarray:
    """The places of the nearest of others, [n, count], the nearest first."""
    others = among.astype(np.float64)
    lengths = np.square(others).sum(1)
    found = []
    for piece in np.array_split(points, len(points) * len(among) // AT_ONCE + 1):
        # |a - b|^2 but for |a|^2, which is the same for all others.
        apart = lengths - 2 * piece.astype(np.float64) @ others.T
        nearest = np.argpartition(apart, count - 1, axis=1)[:, :count]
        order = np.take_along_axis(apart, nearest, 1).argsort(1, kind="stable")
        found.append(np.take_along_axis(nearest, order, 1))
    return np.concatenate(found)


def _apart(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The distance of each point to the other at its place, exactly 0 for a copy."""
    pieces = max(1, points.size // AT_ONCE + 1)
    pairs = zip(np.array_split(points, pieces), np.array_split(others, pieces), strict=True)
    return np.concatenate([np.linalg.norm(a.astype(np.float64) - b, axis=1) for a, b in pairs])


def _in_balls(real: np.ndarray, generated: np.ndarray, k: int) -> np.ndarray:
    """Whether each generated image lies in the ball of each real one, bool [N, M]."""
    # The real image itself, at 0, is the first of its neighbours.
    radii = np.partition(cdist(real, real), k, axis=1)[:, k]
    return cdist(real, generated) <= radii[:, None]


def _lack(*kinds: tuple[str, np.ndarray, int]) -> Measure | None:
    """Why there is no number: too few images of a kind; None where there are enough.

    Args:
        kinds: what they are called, the images, and how many it takes.
    """
    for name, images, least in kinds:
        if len(images) < least:
            return Measure(None, f"{len(images)} {name} images, and it takes {least}")
    return None
