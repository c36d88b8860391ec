"""Where a child's code begins, before noise: between codes of its class, beyond them, anywhere."""

from collections.abc import Iterator
from typing import NamedTuple

import torch

from generation.children import Child
from generation.views import Views
from utils.seed import METHOD, generator

NEAREST = 5  # codes of a class of which one is an original's neighbour
BEYOND = 0.5  # lambda of DeVries and Taylor
SMALLEST = 30  # images, from which a class has a covariance of its own
AT_ONCE = 2**24  # numbers of a matrix held at a time


def by_class(places: torch.Tensor, labels: torch.Tensor) -> Iterator[tuple[int, torch.Tensor]]:
    """Each class among the images at `places` int64 [n], and the places of its images.

    Args:
        labels: the class of every image of the data set.
    """
    own = labels[places]
    for label in own.unique().tolist():
        yield label, places[own == label]


class Neighbours:
    """The nearest codes of the same class among the originals, min(5, images of the class - 1).

    Args:
        views: its loader serves the originals. The codes of one class at a time are in memory.

    Attributes:
        alone: the classes of one image, which has no neighbour.

    Source: Chawla et al. 2002, "SMOTE: synthetic minority over-sampling technique".
    """

    def __init__(self, views: Views) -> None:
        self._nearest: dict[int, list[int]] = {}
        self.alone: list[int] = []
        loader = views.loader
        for label, places in by_class(loader.indices, loader.dataset.labels.indices):
            if len(places) == 1:
                self.alone.append(label)
                continue
            codes = torch.cat(list(views.codes(places))).flatten(1)
            nearest = places[_nearest_rows(codes, min(NEAREST, len(places) - 1))]
            self._nearest |= dict(zip(places.tolist(), nearest.tolist(), strict=True))

    def of(self, place: int) -> list[int]:
        """The places of the neighbours of an original, the nearest first."""
        return self._nearest.get(place, [])

    def drawn(self, child: Child) -> Child:
        """The child with the neighbour and the share of the way to it that its seed says."""
        if not (near := self.of(child.source)):
            return child
        source = generator(child.seed, METHOD)
        rank = int(torch.randint(len(near), (), generator=source))
        share = float(torch.rand((), dtype=torch.float64, generator=source))
        return child._replace(neighbour=near[rank], u=share)


def _nearest_rows(codes: torch.Tensor, count: int) -> torch.Tensor:
    """For each row of codes [n, D] the `count` other rows nearest to it, int64 [n, count]."""
    found = []
    for rows in torch.arange(len(codes)).split(max(1, AT_ONCE // len(codes))):
        # Without the product of matrices, which tells near codes from equal ones badly.
        exact = "donot_use_mm_for_euclid_dist"
        distances = torch.cdist(codes[rows], codes, compute_mode=exact)
        distances[torch.arange(len(rows)), rows] = torch.inf
        found.append(distances.sort(dim=1, stable=True).indices[:, :count])
    return torch.cat(found)


class _Gaussian(NamedTuple):
    """A distribution of codes: mean, and a covariance as what it is estimated from."""

    mean: torch.Tensor
    """[D]"""
    centred: torch.Tensor
    """[n, D]"""
    deviation: torch.Tensor
    """Of each number, [D]."""
    freedom: int
    """What the sums of squares and products are divided by."""
    shrinkage: float

    def draw(self, seeds: list[int]) -> torch.Tensor:
        """A code for each seed, [len(seeds), D].

        With weights w ~ N(0, I_n), X^T w / sqrt(freedom) has the covariance of the rows of X, so
        that no D x D matrix is needed; noise in each number by itself has the diagonal's.
        """
        sources = [generator(seed, METHOD) for seed in seeds]
        weights = torch.stack([torch.randn(len(self.centred), generator=one) for one in sources])
        noise = torch.stack([torch.randn(len(self.mean), generator=one) for one in sources])
        drawn = weights @ self.centred * ((1 - self.shrinkage) / self.freedom) ** 0.5
        return self.mean + drawn + noise * self.deviation * self.shrinkage**0.5


class Gaussians:
    """A Gaussian of the codes of each class, its covariance shrunk onto the diagonal.

    Classes below 30 images keep their own mean, and take the pooled covariance within classes.

    Args:
        views: its loader serves the originals, whose codes are all held in memory.

    Attributes:
        small: the classes that take the pooled covariance.

    Raises:
        ValueError: fewer than 30 originals in all.

    Source: Ghosh et al. 2020, "From variational to deterministic autoencoders" (ex-post density).
    """

    def __init__(self, views: Views) -> None:
        loader = views.loader
        if loader.count < SMALLEST:
            raise ValueError(
                f"a covariance takes {SMALLEST} images, and there are {loader.count}; take 'noise'"
            )
        codes = torch.cat(list(views.codes(loader.indices))).flatten(1)
        labels = loader.dataset.labels.indices[loader.indices]
        rows = {label: labels == label for label in labels.unique().tolist()}
        means = {label: codes[own].mean(0) for label, own in rows.items()}
        for label, own in rows.items():
            codes[own] -= means[label]
        self.small = [label for label, own in rows.items() if own.sum() < SMALLEST]
        pooled = self.small and _covariance(codes, max(1, len(codes) - len(rows)))
        self._of_class = {
            label: _Gaussian(means[label], *pooled)
            if pooled and label in self.small
            else _Gaussian(means[label], *_covariance(codes[own], int(own.sum()) - 1))
            for label, own in rows.items()
        }

    def draw(self, children: list[Child], labels: torch.Tensor) -> torch.Tensor:
        """Codes for children of the classes `labels` int64 [n], [n, D]."""
        places = torch.arange(len(children))
        turns, codes = [], []
        for label, own in by_class(places, labels):
            turns.append(own)
            codes.append(
                self._of_class[label].draw([children[turn].seed for turn in own.tolist()])
            )
        return torch.cat(codes)[torch.cat(turns).argsort()]


def _covariance(
    centred: torch.Tensor, freedom: int
) -> tuple[torch.Tensor, torch.Tensor, int, float]:
    """What a `_Gaussian` holds besides its mean."""
    deviation = (centred.square().sum(0) / freedom).sqrt()
    return centred, deviation, freedom, shrinkage(centred)


def shrinkage(centred: torch.Tensor) -> float:
    """The best share of the diagonal in (1 - share) S + share diag(S), S the covariance.

    It is the sum of the variances of the estimates s_ij, i != j, over the sum of their squares;
    both follow from the rows and from the smaller one of X X^T and X^T X.

    Args:
        centred: X [n, D], with a mean of 0.

    Source: Schäfer and Strimmer 2005, "A shrinkage approach to large-scale covariance matrix
    estimation and implications for functional genomics", target D; after Ledoit and Wolf 2003.
    """
    centred = centred.double()
    count, squares = len(centred), centred.square()
    others = _sum_of_squares(centred) / count**2 - float(squares.mean(0).square().sum())
    products = float((squares.sum(1).square() - squares.square().sum(1)).mean())
    if others <= 0:
        return 1.0
    return min(1.0, max(0.0, (products - others) / ((count - 1) * others)))


def _sum_of_squares(rows: torch.Tensor) -> float:
    """The sum of the squares of X^T X, which is that of X X^T."""
    rows = rows if len(rows) <= rows.shape[1] else rows.T
    pieces = rows.split(max(1, AT_ONCE // len(rows)))
    return sum(float((piece @ rows.T).square().sum()) for piece in pieces)
