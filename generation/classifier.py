"""A small classifier of the images of a data set: the judge of generated ones."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import OneCycleLR

from utils.device import autocast, computes_bf16
from utils.seed import CLASSIFIER, generator, mix

WIDTHS = (16, 32, 64)  # channels of the convolutions; the last is the number of features
AT_ONCE = 512  # images in a batch where nothing is learnt
Augmentation = Callable[[torch.Tensor, torch.Generator], torch.Tensor]


class Labelled(NamedTuple):
    """Images and their classes."""

    images: torch.Tensor
    """float32 [n, C, H, W], on the device that computes."""
    labels: torch.Tensor
    """int64 [n], on the CPU."""


@dataclass(frozen=True)
class ClassifierSettings:
    """How a classifier is trained.

    Attributes:
        steps: updates.
        batch_size: images in each of them.
        rate: the highest learning rate, of AdamW in one cycle.
        balanced: whether every class is drawn equally often; else every image is.
        weighted: whether a class of n_c images weighs 1 / n_c in the loss.
        share: of the images of a batch that are generated, where there are any.
    """

    steps: int = 700
    batch_size: int = 64
    rate: float = 4e-3
    balanced: bool = True
    weighted: bool = False
    share: float = 0.5


class Classifier(nn.Module):
    """Three convolutions, each halving the sides of an image, the mean over its places, a layer.

    Args:
        channels: of an image, whose height and width may be anything.
        classes: how many there are.
        images: those whose mean and spread in each channel bring all images to one scale.
    """

    mean: torch.Tensor
    spread: torch.Tensor

    def __init__(self, channels: int, classes: int, images: torch.Tensor | None = None) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        for before, width in zip((channels, *WIDTHS), WIDTHS, strict=False):
            # Pooled first, since a norm of a quarter of the places costs a quarter of the time.
            # Rounding up leaves a place of every image, however small.
            blocks += [
                nn.Conv2d(before, width, 3, padding=1, bias=False),
                nn.MaxPool2d(2, ceil_mode=True), nn.BatchNorm2d(width), nn.ReLU(),
            ]  # fmt: skip
        self.blocks = nn.Sequential(*blocks)
        self.last = nn.Linear(WIDTHS[-1], classes)
        mean, spread = torch.zeros(channels), torch.ones(channels)
        if images is not None:
            spread, mean = torch.std_mean(images, (0, 2, 3), correction=0)
        self.register_buffer("mean", mean.view(-1, 1, 1))
        spread = torch.where(spread > 0, spread, 1.0)  # of a channel that is all the same
        self.register_buffer("spread", spread.view(-1, 1, 1))

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Images [n, C, H, W] -> what the last layer sees of them, [n, 64]."""
        scaled = (images - self.mean) / self.spread
        return self.blocks(scaled.contiguous(memory_format=torch.channels_last)).mean((2, 3))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images [n, C, H, W] -> logits [n, classes]."""
        return self.last(self.features(images))


class _AdamW(torch.optim.AdamW):
    """AdamW beneath what torch wraps it in, which loads torch's compiler at the first use: that
    takes as long as a small classifier learns."""

    add_param_group = inspect.unwrap(torch.optim.AdamW.add_param_group)
    zero_grad = inspect.unwrap(torch.optim.AdamW.zero_grad)
    step = torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step))


def train_classifier(
    real: Labelled,
    classes: int,
    settings: ClassifierSettings,
    seed: int,
    augmentation: Augmentation | None = None,
    generated: Labelled | None = None,
) -> Classifier:
    """Train a classifier, on the device where the images are.

    All that is random follows from the seed; the state of torch's own random numbers stays as it
    is. The last digits depend on the number of threads.

    Args:
        real: images of the data set.
        classes: how many there are; real images of some may be missing.
        augmentation: (images [n, C, H, W], random numbers) -> such images, for every batch.
        generated: further images, which are `settings.share` of every batch.

    Returns:
        A classifier in evaluation mode.
    """
    device = real.images.device
    classifier = _untrained(real.images, classes, seed)
    classifier.to(device).to(memory_format=torch.channels_last).train()
    optimizer = _AdamW(classifier.parameters(), fused=True)
    schedule = OneCycleLR(optimizer, settings.rate, total_steps=settings.steps)
    weights = _loss_weights(real.labels, classes).to(device) if settings.weighted else None
    precision = _precision(device)
    random = generator(seed, CLASSIFIER, 1)
    for images, labels in _batches(real, generated, settings, random):
        if augmentation:
            images = augmentation(images, random)
        with autocast(device, precision):
            logits = classifier(images)
        optimizer.zero_grad()
        cross_entropy(logits.float(), labels, weights).backward()
        optimizer.step()
        schedule.step()
    return classifier.eval()


def _untrained(images: torch.Tensor, classes: int, seed: int) -> Classifier:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(mix(seed, CLASSIFIER))
        return Classifier(images.shape[1], classes, images)


def predict(classifier: Classifier, images: torch.Tensor) -> torch.Tensor:
    """Images [n, C, H, W] -> probabilities of the classes, float32 [n, classes] on the CPU."""
    return _in_batches(classifier, images).softmax(1)


def features_of(classifier: Classifier, images: torch.Tensor) -> torch.Tensor:
    """Images [n, C, H, W] -> what the last layer sees of them, float32 [n, 64] on the CPU."""
    return _in_batches(classifier.features, images)


@torch.no_grad()
def _in_batches(
    call: Callable[[torch.Tensor], torch.Tensor], images: torch.Tensor
) -> torch.Tensor:
    """In float32: in bfloat16 images that lie close together would become one."""
    return torch.cat([call(piece).cpu() for piece in images.split(AT_ONCE)])


def _precision(device: torch.device) -> str:
    return "bf16" if computes_bf16(device) else "fp32"


def _batches(
    real: Labelled,
    generated: Labelled | None,
    settings: ClassifierSettings,
    random: torch.Generator,
) -> Iterator[Labelled]:
    """Batches drawn with replacement: a small class is drawn often, and no batch is short."""
    parts = [(real, settings.batch_size)]
    if generated is not None:
        count = round(settings.share * settings.batch_size)
        parts = [(real, settings.batch_size - count), (generated, count)]
    drawn = [(part, _draw(part.labels, count, settings, random)) for part, count in parts if count]
    for step in range(settings.steps):
        places = [(part, order[step]) for part, order in drawn]
        images = torch.cat([part.images[chosen] for part, chosen in places])
        labels = torch.cat([part.labels[chosen] for part, chosen in places])
        yield Labelled(images, labels.to(images.device))


def _draw(
    labels: torch.Tensor, count: int, settings: ClassifierSettings, random: torch.Generator
) -> torch.Tensor:
    """Places of images for every step, int64 [steps, count]."""
    total = settings.steps * count
    chances = torch.ones(len(labels))
    if settings.balanced:
        chances = 1 / torch.bincount(labels)[labels].float()
    return torch.multinomial(chances, total, replacement=True, generator=random).view(-1, count)


def _loss_weights(labels: torch.Tensor, classes: int) -> torch.Tensor:
    """The weight of each class, on average 1 over the images, 0 without any image."""
    sizes = torch.bincount(labels, minlength=classes).float()
    return torch.where(sizes > 0, len(labels) / ((sizes > 0).sum() * sizes.clamp_min(1)), 0.0)
