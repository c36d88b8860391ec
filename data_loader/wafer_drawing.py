"""Draw wafer maps, the pass/fail results of every die on a silicon wafer, from a random generator.

The nine pattern names are those of the WM-811K data set: M.-J. Wu, J.-S. R. Jang, J.-L. Chen,
"Wafer Map Failure Pattern Recognition and Similarity Ranking for Large-Scale Data Sets",
IEEE Transactions on Semiconductor Manufacturing 28(1), 2015.

Each pattern is a function that gives every die its probability of failing for that cause, with
lengths in wafer radii, so that it keeps its shape at any number of dies. Rates and proportions
imitate the WM-811K maps of 26 x 26 dies: one die in seven fails even on a wafer without a pattern.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

# Dies are slightly taller than wide, which trims the corners of the top and bottom rows.
_DIE_ASPECT = 1.015

# Median and log-scale spread of the rate of scattered failures, where they are not the usual ones.
_DUST = {"none": (0.112, 0.2), "Scratch": (0.1, 0.35), "Edge-Ring": (0.122, 0.2)}
_USUAL_DUST = (0.122, 0.35)


class _Grid(NamedTuple):
    """Die positions in wafer radii: x as a row, y as a column, and the same as polar maps."""

    x: np.ndarray
    y: np.ndarray
    radius: np.ndarray
    angle: np.ndarray


def draw_wafer(pattern: str, size: int, random: np.random.Generator) -> np.ndarray:
    """Draw one map, uint8 [size, size]: 0 off the wafer, 1 normal die, 2 defective die.

    The pattern is one of CLASSES. Equal generator states give equal maps.
    """
    if pattern not in _PATTERNS:
        raise ValueError(f"unknown pattern {pattern!r}: expected one of {', '.join(CLASSES)}")
    if size < 1:
        raise ValueError(f"a wafer map needs a size of at least 1, not {size}")
    grid = _grid(size)
    level, spread = _DUST.get(pattern, _USUAL_DUST)
    survival = 1 - _background(random, grid, level * np.exp(random.normal(0, spread)))
    survival *= 1 - _PATTERNS[pattern](random, grid)
    defective = random.random((size, size)) >= survival
    return np.where(grid.radius <= 1, 1 + defective, 0).astype(np.uint8)


def _grid(size: int) -> _Grid:
    """Place size x size dies so that the wafer's disk just fills the square."""
    position = (np.arange(size) - (size - 1) / 2) / (size / 2)
    x, y = position[None, :], position[:, None] * _DIE_ASPECT
    return _Grid(x, y, np.hypot(x, y), np.arctan2(y, x))


def _background(random: np.random.Generator, grid: _Grid, level: float) -> np.ndarray:
    """Scattered failures of any wafer: dust, a weaker rim, and a test site by the centre."""
    rim = random.uniform(0.2, 0.45) * np.exp((grid.radius - 1) / 0.04)
    rim *= 1 + 0.25 * np.cos(grid.angle - 0.75 * np.pi)  # real maps fail most at the bottom left
    dust = (level + rim) * np.exp(0.35 * _cloud(random, grid, 0.4))
    test_site = 0.2 * (np.hypot(grid.x - 0.04, grid.y) < 0.1)
    return np.minimum(dust + test_site, 1)


def _cloud(random: np.random.Generator, grid: _Grid, length: float, waves: int = 8) -> np.ndarray:
    """Smooth random field of mean 0 and variance 1: plane waves of about the given length."""
    heading, phase = random.uniform(0, 2 * np.pi, (2, waves))
    frequency = 2 * np.pi / (length * random.uniform(0.7, 1.6, waves))
    across = grid.x.T * (frequency * np.cos(heading)) + phase
    down = grid.y * (frequency * np.sin(heading))
    # cos(a + b) expanded, so that a matrix product replaces one cosine per wave and die.
    field = np.cos(down) @ np.cos(across).T - np.sin(down) @ np.sin(across).T
    return field * np.sqrt(2 / waves)


def _soft_step(height: np.ndarray) -> np.ndarray:
    """Logistic step from 0 to 1, written with tanh because exp could overflow."""
    return 0.5 + 0.5 * np.tanh(height / 2)


def _blob(
    random: np.random.Generator, grid: _Grid, distance: float, length: float, width: float
) -> np.ndarray:
    """Ragged, slightly bent ellipse, 0 to 1, at a distance from the centre in any direction."""
    direction, tilt = random.uniform(0, 2 * np.pi, 2)
    # Complex numbers, to shift and turn the dies into the frame of the ellipse.
    turned = (grid.x + 1j * grid.y - distance * np.exp(1j * direction)) * np.exp(-1j * tilt)
    along = turned.real / length
    aside = turned.imag / width + random.normal(0, 0.4) * along**2
    ragged = 1 - np.hypot(along, aside) + 0.15 * _cloud(random, grid, 1.2 * length)
    return _soft_step(ragged / (0.04 * np.exp(random.uniform(0, 1.7))))


def _center(random: np.random.Generator, grid: _Grid) -> np.ndarray:
    """Either a solid disk over half the radius or, more often, a small cluster."""
    if random.random() < 0.28:
        length, width = random.uniform(0.48, 0.65), random.uniform(0.4, 0.52)
    else:
        length = random.uniform(0.13, 0.3)
        width = length * random.uniform(0.5, 1)
    return random.uniform(0.85, 1) * _blob(random, grid, random.uniform(0, 0.1), length, width)


def _donut(random: np.random.Generator, grid: _Grid) -> np.ndarray:
    """Ring around the centre with a quieter hole."""
    shift_x, shift_y = random.normal(0, 0.06, 2)
    distance = np.hypot(grid.x - shift_x, grid.y - shift_y) + 0.05 * _cloud(random, grid, 0.6)
    inner = random.uniform(0.15, 0.35)
    outer = inner + random.uniform(0.25, 0.4)
    softness = random.uniform(0.02, 0.06)
    ring = _soft_step((distance - inner) / softness) * _soft_step((outer - distance) / softness)
    return random.uniform(0.65, 0.97) * ring


def _edge_loc(random: np.random.Generator, grid: _Grid) -> np.ndarray:
    """Crescent along part of the rim, or at times a blob that reaches in from it."""
    if random.random() < 0.25:
        length = random.uniform(0.25, 0.95)
        width = length * random.uniform(0.5, 1)
        return _blob(random, grid, random.uniform(0.65, 1), length, width)
    extent, depth = random.uniform(0.4, 1.7), 0.09 + random.exponential(0.1)
    return random.uniform(0.75, 1) * _crescent(random, grid, random.normal(0, 1.8), extent, depth)


def _edge_ring(random: np.random.Generator, grid: _Grid) -> np.ndarray:
    """Crescent round most of the rim, thin and broken on the far side."""
    extent, depth = random.uniform(1.3, 3.8), random.uniform(0.09, 0.16)
    return 0.92 * _crescent(random, grid, random.normal(0.3, 0.7), extent, depth)


def _crescent(
    random: np.random.Generator, grid: _Grid, direction: float, extent: float, depth: float
) -> np.ndarray:
    """Part of the rim, 0 to 1: deepest at a direction (0 is the bottom), over +-extent radians."""
    turn = (grid.angle - direction + np.pi / 2) % (2 * np.pi) - np.pi
    reach = depth * (1 - (turn / extent) ** 2) + 0.02 * _cloud(random, grid, 0.4)
    return _soft_step((reach - (1 - grid.radius)) / (0.01 + random.exponential(0.015)))


def _loc(random: np.random.Generator, grid: _Grid) -> np.ndarray:
    """One cluster away from both centre and rim, mostly small and somewhat stretched."""
    length = 0.36 * np.exp(random.normal(0, 0.35))
    width = length * random.uniform(0.3, 0.9)
    return random.uniform(0.7, 1) * _blob(random, grid, random.uniform(0.2, 0.75), length, width)


def _random(random: np.random.Generator, grid: _Grid) -> np.ndarray:
    """Failures all over the wafer at about one half, a little denser in some regions."""
    unevenness = random.uniform(0, 1) ** 2 * 1.5
    return _soft_step(random.normal(-0.5, 0.4) + unevenness * _cloud(random, grid, 1.3))


def _scratch(random: np.random.Generator, grid: _Grid) -> np.ndarray:
    """One line of failures, rarely more, about one die wide, straight or gently curved."""
    lines = 1 + random.binomial(3, 0.06)
    half_width = max(1.1 / grid.x.size, random.uniform(0.02, 0.05))  # dies are 2 / size apart
    nearest = np.min([_distance_to_stroke(random, grid) for _ in range(lines)], axis=0)
    return random.uniform(0.85, 1) * (nearest < half_width)


def _distance_to_stroke(random: np.random.Generator, grid: _Grid, pieces: int = 10) -> np.ndarray:
    """Distance of every die to a random polyline of gently changing heading."""
    aligned = random.random() < 0.4  # with the rows or columns of dies, as handling marks are
    heading = random.integers(4) * np.pi / 2 if aligned else random.uniform(0, 2 * np.pi)
    bends = random.normal(0, 0.08) * np.arange(pieces) + random.normal(0, 0.12, pieces)
    turns = heading + (not aligned) * bends
    steps = random.uniform(0.5, 1.5) / pieces * np.exp(1j * turns)
    middle = random.uniform(0.25, 0.85) * np.exp(2j * np.pi * random.random())
    ends = middle + np.cumsum(steps) - steps.sum() / 2
    offset = (grid.x + 1j * grid.y)[..., None] - (ends - steps)
    along = np.clip((offset / steps).real, 0, 1)
    return np.abs(offset - along * steps).min(axis=-1)


def _near_full(random: np.random.Generator, grid: _Grid) -> np.ndarray:
    """Nearly every die fails; on a third of such wafers all but a stray one do."""
    if random.random() < 0.35:
        return np.full(grid.radius.shape, 0.999)
    return _soft_step(random.uniform(0.55, 3) + 0.5 * _cloud(random, grid, 0.8))


def _no_pattern(random: np.random.Generator, grid: _Grid) -> np.ndarray:
    """Nothing beyond the background."""
    return np.zeros(grid.radius.shape)


_PATTERNS: dict[str, Callable[[np.random.Generator, _Grid], np.ndarray]] = {
    "Center": _center,
    "Donut": _donut,
    "Edge-Loc": _edge_loc,
    "Edge-Ring": _edge_ring,
    "Loc": _loc,
    "Random": _random,
    "Scratch": _scratch,
    "Near-full": _near_full,
    "none": _no_pattern,
}
CLASSES = tuple(_PATTERNS)
