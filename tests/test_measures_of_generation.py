"""Measures of generated images, against hand computation and independent implementations."""

import numpy as np
import prdc
import pytest
import torch
from scipy.stats import mannwhitneyu, norm
from torch import nn
from torchmetrics.image.kid import KernelInceptionDistance

from generation.measures import (
    authenticity,
    class_kept,
    copying_score,
    coverage,
    density,
    kid,
    nearest,
    null_coverage,
    vendi,
)


def normal(count, size=4, seed=0, spread=1.0):
    """Points of a normal distribution, no distance twice."""
    return np.random.default_rng(seed).normal(0, spread, (count, size))


@pytest.mark.parametrize("k", [1, 3, 5])
def test_density_and_coverage_are_those_of_prdc(k):
    real, generated = normal(40), normal(30, seed=1) + 0.3
    expected = prdc.compute_prdc(real, generated, nearest_k=k)
    assert density(real, generated, k).value == pytest.approx(expected["density"], abs=1e-5)
    assert coverage(real, generated, 0, k).value == pytest.approx(expected["coverage"], abs=1e-5)


def test_a_generated_image_on_the_border_of_a_ball_is_in_it():
    real = np.array([[0.0], [1.0], [3.0]])  # radii 1, 1, 2 for k = 1
    generated = np.array([[2.0], [9.0]])  # 2 lies on the border of 1's ball, and in 3's
    assert density(real, generated, 1).value == 2 / (1 * 2)
    assert coverage(real, generated, 0, 1).value == 2 / 3


def test_copies_and_images_of_one_distribution_have_density_one_and_the_null_coverage():
    real, generated = normal(400), normal(400, seed=1)
    assert density(real, generated).value == pytest.approx(1, abs=0.1)
    assert null_coverage(3, 3, 1) == pytest.approx(1 - 2 / 5)
    assert null_coverage(4, 2, 2) == pytest.approx(1 - (3 / 5) * (2 / 4))
    assert coverage(real, generated, 0).value == pytest.approx(null_coverage(400, 400), abs=0.03)
    assert density(real, real).value >= 1
    assert coverage(real, real, 0).value == 1


def test_much_noise_has_no_density():
    real = normal(100)
    assert density(real, real + normal(100, seed=1, spread=20)).value < 0.05


def test_more_generated_than_real_images_are_drawn_before_they_cover():
    real, generated = normal(20), normal(2000, seed=1, spread=3)
    whole = prdc.compute_prdc(real, generated, nearest_k=5)["coverage"]
    pieces = np.split(generated, 100)  # as many as there are real ones in each
    mean = np.mean([coverage(real, piece, 0).value for piece in pieces])
    drawn = coverage(real, generated, 0)
    assert whole == 1
    assert mean < 0.7
    assert drawn.value == pytest.approx(mean, abs=0.15)
    assert drawn == coverage(real, generated, 0) != coverage(real, generated, 1)


def test_the_kernel_distance_is_that_of_torchmetrics():
    real, generated = normal(30, 12), normal(30, 12, seed=1) * 1.5 + 0.5
    with pytest.warns(UserWarning, match="memory"):
        metric = KernelInceptionDistance(feature=nn.Flatten(), subsets=1, subset_size=30)
    metric.set_dtype(torch.float64)
    for points, is_real in ((real, True), (generated, False)):
        metric.update(torch.from_numpy(points).view(30, 3, 2, 2), real=is_real)
    assert kid(real, generated, 0)[0].value == pytest.approx(float(metric.compute()[0]), abs=1e-5)


def test_the_kernel_distance_of_samples_of_other_sizes_is_worked_out_in_full():
    real, generated = normal(5, 2), normal(3, 2, seed=1)

    def mean(first, second, skips):
        pairs = [(a, b) for i, a in enumerate(first) for j, b in enumerate(second)
                 if not (skips and i == j)]  # fmt: skip
        return np.mean([(a @ b / 2 + 1) ** 3 for a, b in pairs])

    by_hand = mean(real, real, True) + mean(generated, generated, True)
    by_hand -= 2 * mean(real, generated, False)
    assert kid(real, generated, 0)[0].value == pytest.approx(by_hand, abs=1e-9)


def test_the_p_value_tells_one_distribution_from_two():
    far = kid(normal(40), normal(40, seed=1) + 2, 0)[1].value
    assert far == pytest.approx(1 / 501)
    same = [kid(normal(20, seed=2 * s), normal(30, seed=2 * s + 1), s)[1].value for s in range(40)]
    assert 0.3 < np.mean(same) < 0.7
    assert np.mean(np.array(same) <= 0.1) < 0.3


def test_copies_are_not_new_and_lie_nearer_than_held_out_images():
    training, held_out = normal(100), normal(60, seed=1)
    assert authenticity(training, training[:50]).value == 0
    distances = [nearest(points, training)[1] for points in (training[:50], held_out)]
    assert distances[0].max() == 0
    assert copying_score(*distances).value < -8
    assert authenticity(training, normal(100, seed=2)).value > 0.3
    others = nearest(normal(60, seed=2), training)[1]
    assert abs(copying_score(others, distances[1]).value) < 2.5


def test_an_image_is_new_beyond_the_neighbour_of_its_nearest():
    training = np.array([[0.0], [1.0], [5.0], [5.0]])
    # 0.4: nearest 0, whose neighbour is at 1. 2.5: nearest 1, at 1.5. 5.1: nearest 5, a twin at 0.
    generated = np.array([[0.4], [2.5], [5.1], [5.0]])
    assert authenticity(training, generated).value == 2 / 4


def test_distances_are_those_worked_out_one_by_one():
    points, among = normal(7, 30), normal(50, 30, seed=1)
    table = np.linalg.norm(points[:, None] - among, axis=2)
    places, distances = nearest(points.astype(np.float32), among.astype(np.float32))
    assert places.tolist() == table.argmin(1).tolist()
    assert distances == pytest.approx(table.min(1), abs=1e-5)


def test_the_copying_score_is_the_z_of_scipys_test_with_and_without_ties():
    random = np.random.default_rng(0)
    for generated, held_out in (
        (random.random(30), random.random(20) + 0.2),
        (random.integers(0, 5, 30), random.integers(1, 6, 20)),
    ):
        p = mannwhitneyu(generated, held_out, use_continuity=False, alternative="less",
                         method="asymptotic").pvalue  # fmt: skip
        assert copying_score(generated, held_out).value == pytest.approx(norm.ppf(p), abs=1e-5)
    assert copying_score(np.ones(9), np.ones(9)).value == 0
    # 1, 2, 3, 4, 5 before 6, ..., 10: U = 0, mean 12.5, variance 25 * 11 / 12.
    by_hand = -12.5 / np.sqrt(25 * 11 / 12)
    assert copying_score(np.arange(1, 6), np.arange(6, 11)).value == pytest.approx(by_hand)


def test_the_vendi_score_is_that_of_the_eigenvalues():
    points = np.abs(normal(20, 6))
    scaled = points / np.linalg.norm(points, axis=1, keepdims=True)
    values = np.linalg.eigvalsh(scaled @ scaled.T / 20)
    values = values[values > 1e-12]
    by_hand = np.exp(-(values * np.log(values)).sum())
    assert vendi(points).value == pytest.approx(by_hand, abs=1e-5)
    assert vendi(np.ones((9, 4))).value == pytest.approx(1)
    assert vendi(np.eye(7)).value == pytest.approx(7)


def test_the_class_kept_is_a_share_of_the_images():
    probabilities = np.array([[0.6, 0.4], [0.2, 0.8], [0.9, 0.1], [0.7, 0.3]])
    assert class_kept(probabilities, np.array([0, 0, 1, 0])).value == 0.5


def test_too_few_images_give_a_reason_in_place_of_a_number():
    few, some = normal(5), normal(9)
    lacks = "5 real images, and it takes 6"
    assert density(few, some) == coverage(few, some, 0) == (None, lacks)
    assert density(some, few).value is not None
    assert density(some, few[:0]) == (None, "0 generated images, and it takes 1")
    assert kid(some, few[:1], 0)[1] == (None, "1 generated images, and it takes 2")
    assert authenticity(few[:1], some) == (None, "1 training images, and it takes 2")
    assert copying_score(some[:, 0], few[:4, 0]).reason == "4 held-out images, and it takes 5"
    assert vendi(few[:0]).value is None
    assert class_kept(few[:0], few[:0, 0]).value is None
