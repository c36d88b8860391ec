"""Splits, orders and batches."""

import pytest
import torch

from base.base_dataset import Labels
from data_loader.image_loader import ImageLoader, stratified_split
from data_loader.wafers import BaseWafers

CPU = torch.device("cpu")


def dataset_of(labels):
    """Maps 2x2 whose first die tells nothing and whose class is in `labels`."""
    codes = torch.ones(len(labels), 2, 2, dtype=torch.uint8)
    indices = torch.tensor(labels).numpy()
    return BaseWafers(codes, Labels(indices, [str(i) for i in range(max(labels) + 1)]))


def test_a_split_takes_of_each_class_in_proportion_and_leaves_a_class_of_one_alone():
    labels = torch.tensor([0] * 60 + [1] * 30 + [2] * 10 + [3])
    training, held_out = stratified_split(labels, 20, seed=0)
    assert torch.bincount(labels[held_out], minlength=4).tolist() == [12, 6, 2, 0]
    assert sorted([*training.tolist(), *held_out.tolist()]) == list(range(101))


def test_a_split_follows_from_the_seed_alone():
    labels = torch.tensor([0, 1] * 50)
    first, again, other = (stratified_split(labels, 10, seed)[1].tolist() for seed in (5, 5, 6))
    assert first == again
    assert first != other


def test_a_split_may_be_a_number_of_images():
    loader = ImageLoader(dataset_of([0] * 50), CPU, 0, batch_size=8, validation_split=7)
    assert loader.count == 43
    assert loader.split_validation().count == 7
    assert ImageLoader(dataset_of([0] * 50), CPU, 0, validation_split=0).split_validation() is None


def test_more_images_than_can_be_held_out_are_refused():
    with pytest.raises(ValueError, match="validation_split: holds out 5 of 6 .* 4 at most"):
        ImageLoader(dataset_of([0] * 5 + [1]), CPU, 0, validation_split=5)


def test_an_epoch_visits_every_image_once_in_an_order_of_its_own():
    loader = ImageLoader(dataset_of([0] * 129), CPU, 3, batch_size=128, validation_split=0)
    assert [len(batch.images) for batch in loader.batches(1)] == [128, 1]
    orders = [
        torch.cat([batch.indices for batch in loader.batches(e)]).tolist() for e in (1, 1, 2)
    ]
    assert sorted(orders[0]) == list(range(129))
    assert orders[0] == orders[1] != orders[2]


def test_in_order_means_the_order_of_the_data_set():
    loader = ImageLoader(dataset_of([0] * 20), CPU, 3, batch_size=6, validation_split=0)
    places = torch.cat([batch.indices for batch in loader.in_order().batches()])
    assert places.tolist() == list(range(20))
