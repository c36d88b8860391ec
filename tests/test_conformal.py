"""P-values: the numbers of the formula, and the promise that they make."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tester import use_exported
from tester.conformal import Conformal, images_needed

ERRORS = st.lists(st.integers(0, 9), min_size=1, max_size=40)


def test_p_values_are_counted_with_ties_against_the_image():
    conformal = Conformal(np.array([3.0, 1.0, 4.0, 2.0]), alpha=0.4)
    p_values = conformal.p_values(np.array([0.5, 2.0, 2.5, 4.0, 5.0]))
    assert p_values.tolist() == [5 / 5, 4 / 5, 3 / 5, 2 / 5, 1 / 5]
    assert conformal.is_flagged(p_values).tolist() == [False, False, False, True, True]
    assert conformal.threshold == 3.0  # 3.5 has one held-out image above it: p = 2/5
    assert conformal.note == ""


def test_an_error_that_differs_by_rounding_alone_is_the_same():
    held_out = np.array([0.0, 0.1, 0.25, 0.5])
    errors = np.concatenate([held_out * (1 + share) for share in (0, 3e-7, -3e-7)])
    due = [1.0, 4 / 5, 3 / 5, 2 / 5] * 3
    assert Conformal(held_out, alpha=0.2).p_values(errors).tolist() == due
    assert use_exported.p_values(errors, held_out).tolist() == due
    assert Conformal(held_out, alpha=0.2).p_values(np.array([0.5001])).tolist() == [1 / 5]


@pytest.mark.parametrize(("alpha", "needed"), [(0.01, 99), (0.05, 19), (0.07, 14), (0.5, 1)])
def test_an_alpha_needs_so_many_held_out_images(alpha, needed):
    assert images_needed(alpha) == needed
    enough = Conformal(np.zeros(needed), alpha)
    assert enough.note == ""
    assert enough.is_flagged(enough.p_values(np.array([1.0]))).all()
    if needed > 1:
        few = Conformal(np.zeros(needed - 1), alpha)
        assert few.threshold is None
        assert not few.is_flagged(few.p_values(np.array([1.0]))).any()
        assert f"takes {needed} held-out images, and there are {needed - 1}," in few.note


def test_rounding_does_not_change_how_many_are_needed():
    assert [images_needed(1 / count) for count in range(2, 5000)] == list(range(1, 4999))


@given(ERRORS, ERRORS, st.sampled_from([0.01, 0.05, 0.1, 0.29, 0.3, 0.5, 0.9]))
def test_what_is_flagged_is_above_the_threshold(held_out, errors, alpha):
    conformal = Conformal(np.array(held_out, float), alpha)
    errors = np.array(errors, float)
    flagged = conformal.is_flagged(conformal.p_values(errors))
    above = errors > (np.inf if conformal.threshold is None else conformal.threshold)
    assert flagged.tolist() == above.tolist()


def test_of_images_like_the_held_out_ones_the_promised_share_is_flagged():
    random, shares = np.random.default_rng(0), []
    for _ in range(2000):
        held_out, new = random.exponential(size=59), random.exponential(size=50)
        conformal = Conformal(held_out, alpha=0.05)
        shares.append(conformal.is_flagged(conformal.p_values(new)).mean())
    # 3 of 60 places in the order of all lead to a p-value of at most 0.05.
    assert np.mean(shares) == pytest.approx(3 / 60, abs=0.003)


def test_a_tiny_alpha_needs_very_many_images_and_is_answered_at_once():
    assert images_needed(1e-12) == pytest.approx(10**12, rel=1e-6)
    assert images_needed(1e-300) > 10**299
