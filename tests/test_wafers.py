"""Wafer maps: drawn ones, and those of array files."""

import numpy as np
import pytest
import torch

from data_loader.wafers import CLASS_COUNTS, SyntheticWafers, WaferMaps, shared_out
from utils.errors import DataError

CODES = np.random.default_rng(0).integers(0, 3, (6, 4, 5), dtype=np.uint8)
ONE_HOT = np.eye(3, dtype=np.uint8)[CODES]


def saved(folder, name, array):
    path = folder / name
    np.save(path, array)
    return str(path)


def test_drawn_maps_have_the_class_counts_of_the_real_set():
    drawn = SyntheticWafers()
    assert drawn.shape == (3, 26, 26)
    assert torch.bincount(drawn.labels.indices).tolist() == list(CLASS_COUNTS)
    assert len(drawn) == 1281


def test_drawn_maps_follow_from_the_seed():
    first, again, other = (SyntheticWafers(9, 20, seed).stored for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("size", [1, 2, 5, 28, 64])
def test_maps_can_be_drawn_at_any_size(size):
    drawn = SyntheticWafers(size, 9)
    assert drawn.stored.shape == (9, size, size)
    assert set(drawn.stored.unique().tolist()) <= {0, 1, 2}


def test_a_longer_set_keeps_the_maps_of_its_classes_in_proportion():
    assert shared_out(9, CLASS_COUNTS) == [1] * 9
    assert shared_out(2562, CLASS_COUNTS) == [2 * count for count in CLASS_COUNTS]


@pytest.mark.parametrize(
    "array", [CODES, CODES.astype(np.float64), ONE_HOT, ONE_HOT.transpose(0, 3, 1, 2), ONE_HOT > 0]
)
def test_every_layout_of_a_map_file_is_read_and_written_back(tmp_path, array):
    maps = WaferMaps(saved(tmp_path, "data.npy", array))
    maps.hold()
    assert np.array_equal(maps.stored.numpy(), CODES)
    images = maps.to_images(maps.stored)
    assert images.shape == (6, 3, 4, 5)
    assert np.array_equal(images.permute(0, 2, 3, 1).numpy(), ONE_HOT)
    written = maps.to_file(images)
    assert np.array_equal(written, array)
    assert WaferMaps(saved(tmp_path, "again.npy", written)).layout == maps.layout


def test_an_archive_of_another_program_is_read_by_its_own_names(tmp_path):
    labels = np.array([2, 0, 1, 1, 0, 2], dtype=np.int16)
    np.savez(tmp_path / "lot.npz", maps=CODES, kind=labels)
    path = str(tmp_path / "lot.npz")
    maps = WaferMaps(path, data_name="maps", label_name="kind")
    assert maps.labels.indices.tolist() == labels.tolist()
    assert maps.labels.names == ("class 0", "class 1", "class 2")
    with pytest.raises(DataError, match="holds no array 'data' but maps, kind"):
        WaferMaps(path)


def test_labels_keep_the_form_of_their_file(tmp_path):
    data = saved(tmp_path, "data.npy", CODES)
    column = WaferMaps(data, saved(tmp_path, "l.npy", np.array([[1], [0], [0], [2], [2], [1]])))
    assert column.labels.to_file(torch.tensor([2, 0])).tolist() == [[2], [0]]
    words = np.array(["Loc", "none", "none", "Loc", "Donut", "none"])
    named = WaferMaps(data, saved(tmp_path, "w.npy", words))
    assert named.labels.names == ("Donut", "Loc", "none")
    assert named.labels.to_file(named.labels.indices).tolist() == words.tolist()


def test_a_picture_shows_each_die_in_the_colour_of_the_legend():
    maps = SyntheticWafers(8, 9)
    rgb = maps.to_rgb(maps.to_images(maps.stored))
    normal = torch.tensor(maps.legend[1].colour)
    assert torch.equal(rgb[maps.stored == 1], normal.expand(int((maps.stored == 1).sum()), 3))


def test_the_fingerprint_tells_images_labels_and_order_apart(tmp_path):
    labels = np.array([0, 0, 0, 1, 1, 1])
    first = WaferMaps(saved(tmp_path, "a.npy", CODES), saved(tmp_path, "l.npy", labels))
    swapped = CODES[[1, 0, 2, 3, 4, 5]]
    for data, label in ((swapped, labels), (CODES, labels[::-1])):
        other = WaferMaps(saved(tmp_path, "b.npy", data), saved(tmp_path, "m.npy", label))
        assert first.fingerprint() != other.fingerprint()
