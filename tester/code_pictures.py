"""Pictures of the code: what noise, chance and place in it look like as images."""

from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch.nn.functional import pad

from base.base_data_loader import BaseDataLoader
from generation.children import Child
from generation.generator import Generator
from logger.figures import Grid
from logger.lettering import class_names
from logger.scatter import Cloud, save_cloud
from tester.baselines import principal_components
from tester.pictures import UNITS, Drawer
from trainer.evaluator import Evaluator
from utils.config.sections import GenerationSection
from utils.seed import PREVIEW, generator, mix

COLUMNS = 8  # of a picture
MOST_LEVELS = 12  # rows of noise
CLOUD = 3000  # codes in the scatter
FITTED = 600  # of them, which its plane is fitted to
LARGEST_PRINTED = 8  # numbers of a code that fit above a picture
INNER = (0.02, 0.98)  # the share of codes that a grid of codes spans


class Plane(NamedTuple):
    """A plane through the codes, for the eye: that of their first two principal components."""

    mean: torch.Tensor
    directions: torch.Tensor | None
    """[D, 2]; None where a code has two numbers and is such a plane by itself."""

    def of(self, codes: torch.Tensor) -> torch.Tensor:
        """Codes [n, D] as points [n, 2]."""
        if self.directions is None:
            return codes
        points = (codes - self.mean) @ self.directions
        return pad(points, (0, 2 - points.shape[1]))

    @property
    def told(self) -> str:
        """What its two axes are."""
        if self.directions is None:
            return "by its two numbers"
        return f"{len(self.mean):,} numbers, by the first two principal components"


class Spread(NamedTuple):
    """Where the codes of training images lie."""

    points: np.ndarray
    """On the plane, [n, 2]."""
    labels: np.ndarray
    """Their classes, [n]."""
    plane: Plane
    deviation: torch.Tensor
    """Of each number of a code, [D]."""


def spread_of(evaluator: Evaluator, loader: BaseDataLoader) -> Spread:
    """The codes of at most CLOUD of a loader's images, on a plane of their own."""
    some = loader.of(loader.indices[:: max(1, loader.count // CLOUD)])
    codes = evaluator.encode(some).flatten(1)
    plane = plane_of(codes)
    labels = loader.dataset.labels.indices[some.indices].numpy()
    return Spread(plane.of(codes).numpy(), labels, plane, codes.std(0, correction=0))


class CodePictures(Drawer):
    """Pictures of images made from codes, and of the codes themselves."""

    def noise_levels(self, settings: GenerationSection) -> None:
        """Images of several classes, a row for each level of noise alone in their codes.

        Of many levels every second, third, ... is shown; beside a single one its multiples.
        """
        plain = settings.model_copy(update={"method": "noise", "symmetries": False})
        maker, levels = Generator(self.evaluator, self.loader, plain), settings.levels()
        if len(levels) == 1:
            levels = [times * levels[0] for times in (1, 2, 4, 8)]
        levels = levels[:: -(-len(levels) // MOST_LEVELS)]
        places = self.one_of_each_class()
        rows = [self.rgb(self.originals(places))]
        for level in levels:
            children = [Child(place, level, mix(PREVIEW, place)) for place in places]
            rows.append(self.rgb(maker.images(children)))
        unit = UNITS[settings.unit] and f", in units{UNITS[settings.unit]}"
        sides = ["original", *(f"noise {level:g}" for level in levels)]
        title = f"{type(self.model).__name__}: more and more noise in the code{unit}"
        self.save("noise.png", Grid(rows, sides, self.names(places), title, self.dataset.legend))

    def prior(self, seed: int) -> None:
        """Images decoded from codes of the prior, a standard normal distribution.

        Of a conditional model a row for each class, all of the same codes.
        """
        source, shape = generator(seed, PREVIEW), self.model.code_shape
        title = "Images decoded from random codes of the prior"
        if self.model.conditional:
            places = self.one_of_each_class()
            codes = torch.randn((COLUMNS, *shape), generator=source).repeat(
                len(places), *[1] * len(shape)
            )
            labels = self.dataset.labels.indices[places].repeat_interleave(COLUMNS)
            images, sides = self.evaluator.decode(codes, labels), self.names(places)
            title += ", the same in every row"
        else:
            codes = torch.randn((COLUMNS * COLUMNS, *shape), generator=source)
            images, sides = self.evaluator.decode(codes), [""] * COLUMNS
        rows = _in_rows(self.rgb(images), COLUMNS)
        self.save("prior.png", Grid(rows, sides, [], title, self.dataset.legend, cell=0.8))

    def posterior(self, seed: int) -> None:
        """Images, their reconstructions, and images decoded from samples of their posteriors."""
        places = self.one_of_each_class()
        originals = self.originals(places)
        labels = self.dataset.labels.indices[places]
        mean, logvar = self.evaluator.posterior(originals.to(self.evaluator.device), labels)
        noise = torch.randn((6, *mean.shape), generator=generator(seed, PREVIEW, 1))
        decode = partial(self.evaluator.decode, labels=labels)
        made = [decode(mean + sample * (0.5 * logvar).exp()) for sample in noise]
        columns = [self.rgb(images) for images in (originals, decode(mean), *made)]
        titles = ["original", "mean", *(f"sample {number + 1}" for number in range(len(made)))]
        rows = [list(row) for row in zip(*columns, strict=True)]
        title = "Images decoded from samples of their posteriors"
        grid = Grid(rows, self.names(places), titles, title, self.dataset.legend)
        self.save("posterior.png", grid)

    def code_grid(self, spread: Spread, side: int) -> None:
        """Images decoded from a grid over a code of two numbers, which spans nearly all codes.

        Args:
            side: rows and columns of the grid.
        """
        codes = torch.from_numpy(spread.points)
        lowest, highest = torch.quantile(codes, torch.tensor(INNER), dim=0)
        first = torch.linspace(float(lowest[0]), float(highest[0]), side)
        second = torch.linspace(float(lowest[1]), float(highest[1]), side)
        second = second.flip(0)  # upwards, as in the scatter of the codes
        points = torch.cartesian_prod(second, first).flip(1)
        grid = Grid(
            _in_rows(self._decoded(points), side),
            [f"{value:.2f}" for value in second],
            [f"{value:.2f}" for value in first],
            f"Images decoded from a grid over the code{self._as_class}",
            self.dataset.legend,
            cell=0.62,
        )
        self.save("latent_grid.png", grid)

    def random_codes(self, spread: Spread, seed: int) -> None:
        """Images decoded from random codes of the mean and the deviation of those of training
        images, each with its code above it."""
        mean, source = spread.plane.mean, generator(seed, PREVIEW, 2)
        drawn = mean + torch.randn((2 * COLUMNS, len(mean)), generator=source) * spread.deviation
        captions = [_code_text(code) for code in drawn.tolist()]
        grid = Grid(
            _in_rows(self._decoded(drawn), COLUMNS),
            ["", ""],
            [],
            f"Images decoded from random codes{self._as_class}, the code above each",
            self.dataset.legend,
            _in_rows(captions, COLUMNS),
        )
        self.save("random_codes.png", grid)

    def cloud(self, spread: Spread) -> None:
        """A scatter of the codes of images, coloured by class."""
        what = "component"
        title = f"The codes, {self.model.code_size:,} numbers each, by PCA"
        if self.model.code_size == 2:
            what, title = "number", "The codes"
        axes = (f"first {what}", f"second {what}")
        names = class_names(self.dataset.labels.names)
        cloud = Cloud(spread.points, spread.labels, names, axes, title)
        save_cloud(cloud, self.folder / "latent.png")

    @property
    def _commonest(self) -> torch.Tensor:
        """The class of the most training images, int64."""
        return self.dataset.labels.indices[self.loader.indices].mode().values

    @property
    def _as_class(self) -> str:
        """How a title says of which class a conditional model makes images of codes alone."""
        if not self.model.conditional:
            return ""
        return f" as class {class_names(self.dataset.labels.names)[int(self._commonest)]}"

    def _decoded(self, points: torch.Tensor) -> list:
        """Pictures of codes [n, D]; by a conditional model of the commonest class."""
        codes = points.view(-1, *self.model.code_shape)
        return self.rgb(self.evaluator.decode(codes, self._commonest.expand(len(codes))))


def plane_of(codes: torch.Tensor) -> Plane:
    """The plane of the first two principal components of codes [N, D]; of 2-D ones their own.

    Fitted to FITTED of them at most: of long codes the time grows with the square of their number.
    """
    if codes.shape[1] == 2:
        return Plane(codes.mean(0), None)
    return Plane(*principal_components(codes[:: -(-len(codes) // FITTED)], 2))


def _in_rows(entries: list, length: int) -> list[list]:
    return [entries[start : start + length] for start in range(0, len(entries), length)]


def _code_text(code: list[float]) -> str:
    words = [f"{number:.2f}" for number in code]
    return "\n".join("  ".join(words[start : start + 2]) for start in range(0, len(words), 2))
