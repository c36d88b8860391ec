"""A second classifier, of another kind: whether arms rank alike is no accident of the first."""

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier

from generation.classifier import Augmentation, Labelled

COMPONENTS, TREES = 50, 100
AUGMENTED = 8  # copies of each real image where batches of the first classifier are augmented


def forest_predictions(
    parts: list[tuple[Labelled, float]],
    is_balanced: bool,
    augmentation: Augmentation | None,
    test: torch.Tensor,
    random: torch.Generator,
) -> np.ndarray:
    """The classes that a random forest on principal components tells of test images, int64 [n].

    It learns from what the first classifier learns from, by weights instead of draws. The
    components are those of the first part.

    Args:
        parts: real images, and generated ones if any, each with its share.
        is_balanced: whether all classes weigh the same.
        test: images [n, C, H, W].

    Source: Breiman 2001, "Random forests".
    """
    real = _pixels(parts[0][0].images)
    seed = int(torch.randint(2**31, (), generator=random))
    pca = PCA(min(COMPONENTS, *real.shape), random_state=seed).fit(real)
    features, labels, weights = [], [], []
    for place, (part, share) in enumerate(parts):
        classes = part.labels.numpy()
        sizes = np.bincount(classes)
        own = 1 / sizes[classes] if is_balanced else np.ones(len(classes))
        rounds = AUGMENTED if augmentation and not place else 1
        for _ in range(rounds):
            images = augmentation(part.images, random) if augmentation else part.images
            features.append(pca.transform(_pixels(images)))
            labels.append(classes)
            weights.append(own * (share / (rounds * own.sum())))
    forest = RandomForestClassifier(TREES, random_state=seed)
    weight = np.concatenate(weights)
    forest.fit(np.concatenate(features), np.concatenate(labels), weight * len(weight))
    return forest.predict(pca.transform(_pixels(test)))


def _pixels(images: torch.Tensor) -> np.ndarray:
    """Images [n, C, H, W] -> [n, C H W]."""
    return images.flatten(1).cpu().numpy()
