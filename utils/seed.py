"""Randomness without state: every random number follows from the seed and its place in the run.

The order of an epoch is a function of (seed, epoch), the noise of a step one of
(seed, epoch, step). Nothing random has to be saved, and a resumed run draws what the
uninterrupted one would have drawn.
"""

import torch

# Where a random number is used, so that equal places in different uses draw different numbers.
INIT, ORDER, SPLIT, STEP, GENERATION, PREVIEW, CORRUPTION, AUGMENTATION = range(8)
TURN, METHOD, CLASSIFIER, QUALITY, STUDY, NOISE = range(8, 14)


def mix(*numbers: int) -> int:
    """Any whole numbers -> one 63-bit seed; neighbours give unrelated seeds.

    Source: Steele et al. 2014, "Fast splittable pseudorandom number generators" (SplitMix64).
    """
    mask = (1 << 64) - 1
    state = 0
    for number in numbers:
        state = (state + (number & mask) + 0x9E3779B97F4A7C15) & mask
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & mask
        state ^= state >> 31
    return state >> 1  # torch takes signed 64-bit seeds


def generator(*numbers: int) -> torch.Generator:
    """A CPU generator seeded by `mix`: the same numbers on every device."""
    return torch.Generator().manual_seed(mix(*numbers))


def epoch_order(count: int, seed: int, epoch: int) -> torch.Tensor:
    """The order in which `epoch` visits `count` images, int64 [count]."""
    return torch.randperm(count, generator=generator(seed, ORDER, epoch))


def seed_init(seed: int) -> None:
    """Seed the drawing of a model's first weights."""
    torch.manual_seed(mix(seed, INIT))


def seed_step(seed: int, epoch: int, step: int, rank: int = 0) -> None:
    """Seed what layers and losses draw within one step on one rank, dropout for example."""
    torch.manual_seed(mix(seed, STEP, epoch, step) + rank)
