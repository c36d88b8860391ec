"""New images from the codes of existing ones, each with a record of what it was made from."""

from collections.abc import Iterator
from functools import cache, cached_property, partial
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch

from base.base_data_loader import BaseDataLoader
from data_loader.augmentation import turned
from generation.children import Child, Children
from generation.classifier import Augmentation
from generation.methods import BEYOND, SMALLEST, Gaussians, Neighbours
from generation.units import ClassSpread, class_spread, code_spread
from generation.views import View, Views
from trainer.evaluator import Evaluator
from utils.config.sections import GenerationSection
from utils.errors import ConfigError


class Generated(NamedTuple):
    """Some generated images."""

    children: list[Child]
    """With all that their seeds say."""
    data: np.ndarray
    """As the data file holds images."""
    labels: np.ndarray
    """As the label file holds labels."""


class Generator:
    """Makes images from the codes of other images.

    Args:
        evaluator: with the model.
        loader: of the originals: children's sources are places in its data set, neighbours and
            the spread within a class come from its images only.
        settings: how children are made.
        seen: of the training images, over which the unit "code" is measured; by default `loader`.

    Raises:
        ConfigError: too few originals for a Gaussian.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        loader: BaseDataLoader,
        settings: GenerationSection,
        seen: BaseDataLoader | None = None,
    ) -> None:
        if settings.method == "gaussian" and loader.count < SMALLEST:
            raise ConfigError(
                f'generation.method: "gaussian": a covariance takes {SMALLEST} images, and there '
                f"are {loader.count} of split '{settings.split}'; take 'noise'"
            )
        self.evaluator, self.loader, self.settings = evaluator, loader, settings
        self._seen = loader if seen is None else seen
        self._code_spread = cache(partial(code_spread, evaluator, self._seen))
        self._views = Views(evaluator, loader, settings.unit == "posterior")

    @cached_property
    def neighbours(self) -> Neighbours | None:
        """The neighbours of each original, where the method asks for them."""
        wanted = self.settings.method in ("neighbours", "extrapolate")
        return Neighbours(self._views) if wanted else None

    @cached_property
    def gaussians(self) -> Gaussians | None:
        """The Gaussian of each class, where the method asks for it."""
        return Gaussians(self._views) if self.settings.method == "gaussian" else None

    @property
    def code_spread(self) -> torch.Tensor:
        """The standard deviation of each number of a code over the training images."""
        return self._code_spread()

    def over(self, loader: BaseDataLoader, settings: GenerationSection) -> "Generator":
        """A generator of other originals or settings, for which no training image is encoded
        anew."""
        other = Generator(self.evaluator, loader, settings, self._seen)
        other._code_spread = self._code_spread
        return other

    @cached_property
    def _class_spread(self) -> ClassSpread:
        return class_spread(self._views, self.settings.symmetries)

    def notes(self) -> list[str]:
        """What to say of classes that are too small for the method."""
        labels = self.loader.dataset.labels
        if self.neighbours and self.neighbours.alone:
            names = ", ".join(labels.names[label] for label in self.neighbours.alone)
            noise = "with noise alone" if any(self.settings.levels()) else "itself"
            few = "one image each" if len(self.neighbours.alone) > 1 else "one image"
            return [f"note: there is {few} of {names}: its children are its code {noise}"]
        if self.gaussians and self.gaussians.small:
            names = ", ".join(labels.names[label] for label in self.gaussians.small)
            rule = "their Gaussians take the covariance within all classes, pooled"
            return [f"note: fewer than {SMALLEST} images of {names}: {rule}"]
        return []

    def view(self, children: list[Child]) -> View:
        """What children are made of: their originals, turned as they are, and their codes."""
        children = self.completed(children)
        return self._views.of([(child.source, child.symmetry) for child in children])

    @property
    def turning(self) -> Augmentation | None:
        """What a classifier is taught to take as the same, where children are turned: images
        turned in the ways that keep their height and width."""

        def turn(images: torch.Tensor, random: torch.Generator) -> torch.Tensor:
            which = torch.randint(self._views.symmetries, (len(images),), generator=random)
            return turned(images, which.to(images.device))

        return turn if self.settings.symmetries else None

    def generate(self, children: Children) -> Iterator[Generated]:
        """The planned children as arrays in the layout of the data set, a batch at a time."""
        dataset, planned = self.loader.dataset, iter(children)
        while batch := list(islice(planned, self.loader.batch_size)):
            batch = self.completed(batch)
            data = dataset.to_file(self.images(batch))
            data = data.astype(data.dtype.newbyteorder("="), copy=False)  # this machine's order
            labels = dataset.labels.to_file(self._labels(batch))
            yield Generated(batch, data, labels)

    def completed(self, children: list[Child]) -> list[Child]:
        """Children with all that their seeds say: a turn that keeps their size, a neighbour."""
        count, near = self._views.symmetries, self.neighbours
        turned = [
            child if child.symmetry < count else child._replace(symmetry=child.symmetry % count)
            for child in children
        ]
        return [near.drawn(child) for child in turned] if near else turned

    def images(self, children: list[Child], view: View | None = None) -> torch.Tensor:
        """The planned children as images [n, C, H, W].

        Args:
            view: of them, where it is known: that of children that differ in their noise alone is
                the same.

        Raises:
            ConfigError: one of them is not finite, so much noise is in its code.
        """
        children = self.completed(children)
        own = self.view(children) if view is None else view
        codes = self._noisy(self._begun(children, own.codes), children, own)
        images = self.evaluator.decode(codes, self._labels(children))
        if not images.isfinite().all():
            most = max(child.noise for child in children)
            raise ConfigError(
                f"generation.noise: {most:g} is so much that the decoder makes no finite numbers "
                "of the codes; lower it"
            )
        if self.settings.keep_outline:
            return self.loader.dataset.keep_outline(images, own.images)
        return images

    def _labels(self, children: list[Child]) -> torch.Tensor:
        """The class of each child, int64 [n]."""
        return self.loader.dataset.labels.indices[[child.source for child in children]]

    def _begun(self, children: list[Child], codes: torch.Tensor) -> torch.Tensor:
        """What the method makes of the codes of the originals, before noise, [n, *code_shape].

        Source: Chawla et al. 2002, "SMOTE"; DeVries and Taylor 2017, "Dataset augmentation in
        feature space".
        """
        if self.gaussians:
            return self.gaussians.draw(children, self._labels(children)).view_as(codes)
        if not self.neighbours:
            return codes
        # An original without a neighbour is its own, so that its code stays as it is.
        near = [child.source if child.neighbour is None else child.neighbour for child in children]
        turns = [child.symmetry for child in children]
        others = self._views.of(list(zip(near, turns, strict=True))).codes
        if self.settings.method == "extrapolate":
            return codes + BEYOND * (codes - others)
        shares = torch.tensor([child.u or 0.0 for child in children])
        return codes + shares.view(-1, *[1] * (codes.dim() - 1)) * (others - codes)

    def _noisy(self, codes: torch.Tensor, children: list[Child], own: View) -> torch.Tensor:
        """Codes [n, *code_shape] with the noise of each child, in the unit of the settings."""
        noise = torch.stack([_noise(child, codes.shape[1:]) for child in children])
        if self.settings.unit == "class":
            levels = torch.tensor([child.noise for child in children])
            return self._class_spread.smoothed(codes, noise, levels, self._labels(children))
        if self.settings.unit == "code":
            noise *= self.code_spread
        elif self.settings.unit == "posterior":
            noise *= own.deviations
        return codes + noise


def _noise(child: Child, shape: torch.Size) -> torch.Tensor:
    source = torch.Generator().manual_seed(child.seed)
    return torch.randn(shape, generator=source) * child.noise
