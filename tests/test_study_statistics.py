"""The numbers of a study: folds without leaks, and what differences between arms say."""

import csv
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from base.base_dataset import BaseDataset, Labels
from study.folds import evaluable, group_images, split
from study.report import _class_rows, _set_aside, csv_text
from study.statistics import (
    Pooled,
    Spread,
    balanced_accuracy,
    f1_scores,
    holm,
    pooled_f1,
    spread_of,
    verdict,
)
from study.summary import ArmSummary


class Pixels(BaseDataset):
    """Images [N, 1, H, W] as they are."""

    def __init__(self, images, labels):
        names = [str(label) for label in range(max(labels) + 1)]
        super().__init__(images, Labels(np.array(labels), names), tuple(images.shape[1:]))

    def to_images(self, stored):
        return stored


def test_f1_and_balanced_accuracy_of_a_few_images():
    truth, predicted = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 0, 1])
    # class 0: TP 2, FP 1, FN 1; class 1: TP 1, FP 2, FN 1; class 2: never right
    assert f1_scores(truth, predicted, [0, 1, 2]).tolist() == [4 / 6, 2 / 5, 0]
    assert balanced_accuracy(truth, predicted, [0, 1]) == pytest.approx((2 / 3 + 1 / 2) / 2)


def test_the_variance_of_folds_has_the_overlap_of_training_sets_added():
    # differences 1, 2, 3, 4 of two repeats of two folds: sd^2 = 5/3, 1/n + 1/(K-1) = 5/4
    spread = spread_of([1.0, 2.0, 3.0, 4.0], folds=2)
    assert spread.mean == 2.5
    assert spread.error == pytest.approx(math.sqrt(5 / 3 * 5 / 4))
    # a table of Student's t with 3 degrees of freedom: 3.182 at 0.975, 0.978 at 0.8
    assert spread.half_width() == pytest.approx(3.182 * spread.error, rel=1e-3)
    assert spread.least_seen() == pytest.approx((3.182 + 0.978) * spread.error, rel=1e-3)
    low, high = spread.interval(-1, 9)
    assert (low, high) == (-1, pytest.approx(2.5 + 3.182 * spread.error, rel=1e-3))
    # of t = 1.7320 with 3 degrees of freedom the two-sided p is 2 (1/2 - (atan 1 + 1/2) / pi)
    t = Spread(math.sqrt(3), 1.0, 4)
    assert t.p_value() == pytest.approx(1 - 2 / math.pi * (math.pi / 4 + 0.5), rel=1e-6)


@pytest.mark.parametrize("difference", [0.0, 0.5, 0.1, -1 / 3])
def test_differences_that_are_all_alike_show_nothing(difference):
    # two folds of a few images have the same score by chance, and three tenths no sd of exactly 0
    for count in (2, 3):
        spread = spread_of([difference] * count, count)
        assert spread.p_value() == 1
        assert spread.interval(-1, 1) is None
        assert verdict(spread, 1.0, 1).startswith("no difference seen: it is the same in every")


def test_p_values_are_corrected_for_their_number():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_verdicts():
    assert verdict(Spread(0.02, 0.001, 20), 0.01, 1) == "helps"
    assert verdict(Spread(-0.02, 0.001, 20), 0.01, 1) == "does worse"
    # 19 degrees of freedom: 2.093 + 0.861 of an error of 0.01 are 2.95 points
    assert verdict(Spread(0.001, 0.01, 20), 0.9, 1) == (
        "no difference seen: a difference below 3.0 points could not be seen with these folds"
    )
    # No two macro-F1 are more than 100 points apart.
    assert verdict(Spread(0.1, 0.4, 20), 0.9, 1) == (
        "no difference seen: these folds are too few, or too unlike, to show any"
    )


def test_pooled_scores_are_means_over_repeats_with_intervals_around_them():
    random = np.random.default_rng(0)
    truth = np.repeat([0, 1], 200)
    noisy = [np.where(random.random(400) < 0.8, truth, 1 - truth) for _ in range(3)]
    pooled = pooled_f1(truth, np.array(noisy), np.arange(400), [0, 1], seed=1)
    assert pooled.f1 == pytest.approx(
        np.mean([f1_scores(truth, row, [0, 1]) for row in noisy], axis=0)
    )
    assert (pooled.low < pooled.f1).all()
    assert (pooled.f1 < pooled.high).all()
    assert (pooled.high - pooled.low < 0.1).all()
    # Where all are copies of two images, as many draws hold but one of the two.
    alike = pooled_f1(truth, np.array(noisy), truth, [0, 1], seed=1)
    assert (alike.high - alike.low > 0.1).all()


@pytest.mark.parametrize("shape", [(4, 4), (4, 6)])
def test_turned_and_mirrored_images_are_one_group(shape):
    images = torch.rand(5, 1, *shape)
    quarters = (0, 1, 2, 3) if shape[0] == shape[1] else (0, 2)
    turned = [images[:1].rot90(quarter, (2, 3)) for quarter in quarters]
    everything = torch.cat([images, *turned, *(image.flip(3) for image in turned)])
    groups = group_images(Pixels(everything, [0] * len(everything)))
    assert groups.of_images.tolist() == [0, 1, 2, 3, 4, *[0] * 2 * len(quarters)]
    assert groups.sizes == [5]


def test_folds_keep_groups_together_and_every_class_in_each():
    torch.manual_seed(0)
    images = torch.rand(60, 1, 3, 3)
    images[30:40] = images[:10].flip(2)  # ten of the first class have a twin, some in the second
    labels = [0] * 35 + [1] * 17 + [2] * 7 + [3]
    dataset = Pixels(images, labels)
    groups = group_images(dataset)
    assert groups.sizes == [30, 12, 7, 1]
    assert evaluable(groups, 5) == [0, 1, 2]
    folds = list(split(groups, dataset.labels.indices, 5, 3, seed=4))
    assert [(fold.repeat, fold.number) for fold in folds[4:7]] == [(0, 4), (1, 0), (1, 1)]
    for fold in folds:
        both = torch.cat([fold.train, fold.test])
        assert both.sort().values.tolist() == list(range(60))
        assert not set(groups.of_images[fold.train].tolist()) & set(
            groups.of_images[fold.test].tolist()
        )
        assert dataset.labels.indices[fold.test].unique().tolist() == [0, 1, 2]
        assert 59 in fold.train
        assert 10 <= len(fold.test) <= 14
    tested = torch.cat([fold.test for fold in folds[:5]]).sort().values
    assert tested.tolist() == list(range(59))
    assert folds[0].test.tolist() != folds[5].test.tolist()
    again = list(split(groups, dataset.labels.indices, 5, 3, seed=4))
    assert all(one.test.equal(other.test) for one, other in zip(folds, again, strict=True))


def test_columns_of_classes_and_arms_stay_apart_whatever_they_are_called():
    numbers = Pooled(*(np.array([low, low + 0.1]) for low in (0.5, 0.3, 0.7)))
    spread = Spread(0.5, 0.1, 2)
    arms = [
        ArmSummary(name, False, spread, [0.4, 0.6], 0.5, numbers, None, 1.0)
        for name in ("images", "class")
    ]
    labels = SimpleNamespace(names=("a", "a low"), indices=torch.tensor([0, 0, 1]))
    plan = SimpleNamespace(dataset=SimpleNamespace(labels=labels), classes=[0, 1])
    (row, _) = csv.DictReader(csv_text(plan, arms).splitlines())
    assert [row[name] for name in ("f1 a", "f1_low a", "f1_high a")] == ["0.5", "0.3", "0.7"]
    assert [row[name] for name in ("f1 a low", "f1_low a low")] == ["0.6", "0.4"]
    assert list(_class_rows(plan, arms))[0][:3] == ["a", "2", "0.50 (0.30 to 0.70)"]


def test_the_name_of_a_class_that_is_set_aside_is_no_markup():
    labels = SimpleNamespace(names=("a", "<b>\nlow"))
    dataset, groups = SimpleNamespace(labels=labels), SimpleNamespace(sizes=[3, 1])
    told = _set_aside(SimpleNamespace(dataset=dataset, groups=groups, classes=[0]))
    assert told.endswith("than there are folds: &lt;b> low (1).")
