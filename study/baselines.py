"""What is done for rare classes without any autoencoder, in the field's own implementations."""

from collections import Counter

import numpy as np
import torch
from imblearn.over_sampling import SMOTE, RandomOverSampler

from generation.classifier import Labelled

NEIGHBOURS = 5


def copies(real: Labelled, seed: int) -> Labelled:
    """Images of every class drawn again until all classes are as large as the largest."""
    places = np.arange(len(real.labels))[:, None]
    sampler = RandomOverSampler(random_state=seed % 2**32)
    chosen, _ = sampler.fit_resample(places, real.labels.numpy())
    drawn = torch.from_numpy(chosen[:, 0])
    return Labelled(real.images[drawn], real.labels[drawn])


def smote(real: Labelled, seed: int) -> Labelled:
    """New images between those of a class, until all classes are as large as the largest.

    Neighbours are the five nearest of the class in pixel space, or as many as there are. The one
    image of a class that has no other is copied.

    Source: Chawla et al. 2002, "SMOTE: synthetic minority over-sampling technique".
    """
    pixels = real.images.flatten(1).cpu().numpy()
    images, labels = [pixels], [real.labels.numpy()]
    sizes = Counter(real.labels.tolist())
    for label, size in sorted(sizes.items()):
        settings = {
            "sampling_strategy": {label: max(sizes.values())},
            "random_state": (seed + label) % 2**32,
        }
        sampler = (
            SMOTE(k_neighbors=min(NEIGHBOURS, size - 1), **settings)
            if size > 1
            else RandomOverSampler(**settings)
        )
        made, of_made = sampler.fit_resample(pixels, labels[0])
        images.append(made[len(pixels) :])
        labels.append(of_made[len(pixels) :])
    stacked = torch.from_numpy(np.concatenate(images)).view(-1, *real.images.shape[1:])
    return Labelled(stacked.to(real.images.device), torch.from_numpy(np.concatenate(labels)))
