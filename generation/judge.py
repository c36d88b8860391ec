"""A judge of images: what a small classifier of the training images makes of others."""

from typing import NamedTuple

import numpy as np
import torch
from torch.nn.functional import adaptive_avg_pool2d

from base.base_data_loader import BaseDataLoader
from generation.classifier import (
    Augmentation,
    Classifier,
    ClassifierSettings,
    Labelled,
    features_of,
    train_classifier,
)
from generation.measures import are_new, nearest

SETTINGS = ClassifierSettings(steps=250)  # as many as a report of seconds allows
LARGEST_SIDE = 64  # pixels, to which larger images are averaged down
FEWEST = 10  # images of a class, to which no cut goes


class Looked(NamedTuple):
    """What is known of each of some images."""

    labels: np.ndarray
    features: np.ndarray
    """[n, 64]"""
    is_kept: np.ndarray
    """Whether the classifier puts an image in its class, bool [n]."""
    is_new: np.ndarray
    """As `are_new` has it in features, bool [n]."""
    in_features: np.ndarray
    """The distance to the nearest training image, [n]."""
    in_pixels: np.ndarray
    """The same in pixels, [n]."""
    is_valid: np.ndarray
    """Whether the data set could hold it, bool [n]."""

    def of(self, chosen: np.ndarray) -> "Looked":
        """Of some of the images, chosen by a mask or by their places."""
        return Looked(*(part[chosen] for part in self))


class Judge:
    """Knows the training images as a small classifier sees them, which knows no others.

    Args:
        training: real images that the model was trained on.
        classes: how many there are.
        augmentation: what the classifier is shown of a batch; None shows the images as they are.
    """

    def __init__(
        self,
        training: Labelled,
        classes: int,
        seed: int,
        augmentation: Augmentation | None = None,
    ) -> None:
        self.classifier: Classifier = train_classifier(
            training, classes, SETTINGS, seed, augmentation
        )
        self.features = features_of(self.classifier, training.images).numpy()
        self.pixels = _flat(training.images)

    @property
    def device(self) -> torch.device:
        """Where images are looked at."""
        return self.classifier.mean.device

    @torch.no_grad()
    def tell(self, images: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        """The features of images [n, C, H, W], [n, 64], and the classes that they tell of, [n]."""
        features = features_of(self.classifier, images)
        found = self.classifier.last(features.to(self.device)).argmax(1)
        return features.numpy(), found.cpu().numpy()

    def look(self, made: Labelled, is_valid: np.ndarray | None = None) -> Looked:
        """All that is measured of each image by itself."""
        features, found = self.tell(made.images)
        labels = made.labels.numpy()
        return Looked(
            labels, features, found == labels, are_new(self.features, features),
            nearest(features, self.features)[1], nearest(_flat(made.images), self.pixels)[1],
            np.ones(len(labels), bool) if is_valid is None else is_valid,
        )  # fmt: skip


def some_of(loader: BaseDataLoader, most: int) -> BaseDataLoader:
    """A loader of as many images of each class as there are room for, spread over the data set."""
    labels = loader.dataset.labels.indices[loader.indices]
    room = max(most // max(len(labels.unique()), 1), FEWEST)
    if loader.count <= most:
        return loader.of(loader.indices)
    chosen = []
    for label in labels.unique():
        places = loader.indices[labels == label]
        chosen.append(places[:: -(-len(places) // room)])
    return loader.of(torch.cat(chosen).sort().values)


def images_of(loader: BaseDataLoader) -> Labelled:
    """A loader's images, smaller where they are large, and their classes."""
    images = torch.cat([shrunk(batch.images) for batch in loader.batches()])
    return Labelled(images, loader.dataset.labels.indices[loader.indices])


def shrunk(images: torch.Tensor) -> torch.Tensor:
    """Images [n, C, H, W], averaged down to 64 pixels a side where they are larger."""
    height, width = (min(side, LARGEST_SIDE) for side in images.shape[2:])
    if images.shape[2:] == (height, width):
        return images
    return adaptive_avg_pool2d(images, (height, width))


def _flat(images: torch.Tensor) -> np.ndarray:
    return images.cpu().flatten(1).numpy()
