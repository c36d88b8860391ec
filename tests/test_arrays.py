"""Arrays: any layout, type and range becomes images, and images the file's arrays again."""

import numpy as np
import pytest
import torch

from base.base_dataset import Labels
from data_loader.array_dataset import Arrays, check_layout
from data_loader.pixel_dataset import BaseImages
from data_loader.wafers import WaferMaps
from tests.conftest import DATA
from utils.errors import DataError

RANDOM = np.random.default_rng(0)
RANGES = {"bool": (0, 1), "uint8": (0, 255), "int16": (-50, 50), "uint16": (0, 65535),
          "int64": (10**9, 10**9 + 9), "uint64": (0, 7), "float16": (-1, 1), "float64": (5, 6),
          ">f4": (0, 1)}  # fmt: skip


def saved(folder, array, name="data.npy"):
    np.save(folder / name, array)
    return str(folder / name)


def images_of(dataset):
    dataset.hold()
    return dataset.to_images(dataset.stored)


def test_uint8_is_divided_by_255(tmp_path):
    path = saved(tmp_path, np.array([[[0, 51], [102, 255]]], np.uint8))
    dataset = Arrays(path, layout="HW")
    assert dataset.shape == (1, 2, 2)
    assert images_of(dataset).tolist() == [[[[0, np.float32(0.2)], [np.float32(0.4), 1]]]]


def test_scaling_to_minus_one_and_one_puts_the_middle_at_zero(tmp_path):
    path = saved(tmp_path, np.array([[[10, 15, 20, 10, 10]]], np.int32))
    dataset = Arrays(path, value_range=(10.0, 20.0), scale_to=(-1.0, 1.0))
    assert images_of(dataset).flatten().tolist() == [-1, 0, 1, -1, -1]
    assert dataset.value_range == (-1.0, 1.0)
    assert dataset.data_range == 2


@pytest.mark.parametrize("layout", ["HW", "HWC", "CHW"])
@pytest.mark.parametrize("kind", RANGES)
def test_images_go_back_into_the_file_exactly(tmp_path, layout, kind):
    low, high = RANGES[kind]
    shape = {"HW": (4, 5, 6), "HWC": (4, 5, 6, 3), "CHW": (4, 3, 5, 6)}[layout]
    array = RANDOM.choice(np.linspace(low, high, 8), shape).astype(kind)
    array.flat[:2] = low, high
    dataset = Arrays(saved(tmp_path, array), value_range=(float(low), float(high)))
    images = images_of(dataset)
    assert (images.dtype, images.shape[1:]) == (torch.float32, dataset.shape)
    assert (images.min(), images.max()) == (0, 1)
    back = dataset.to_file(images)
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    if array.dtype.kind == "f":
        np.testing.assert_allclose(back, array, atol=1e-6)
    else:
        assert (back == array).all()


@pytest.mark.parametrize("layout", ["HWC", "CHW"])
def test_channels_are_found_whichever_end_they_are_at(tmp_path, layout):
    colour = RANDOM.integers(0, 256, (2, 3, 7, 9), np.uint8)
    array = colour if layout == "CHW" else colour.transpose(0, 2, 3, 1).copy()
    dataset = Arrays(saved(tmp_path, array))
    assert dataset.shape == (3, 7, 9)
    assert (images_of(dataset).mul(255).round().numpy() == colour).all()


def test_images_in_column_order_are_read_as_they_look(tmp_path):
    array = np.asfortranarray(RANDOM.integers(0, 256, (3, 5, 6), np.uint8))
    dataset = Arrays(saved(tmp_path, array))
    assert (dataset.to_file(images_of(dataset)) == array).all()


def test_what_a_model_makes_is_cut_and_rounded_into_the_file(tmp_path):
    dataset = Arrays(saved(tmp_path, np.zeros((1, 1, 5), np.uint8)))
    made = torch.tensor([[[[-0.5, 0.0, 0.5019, 1.0, 3.0]]]])
    assert dataset.to_file(made).tolist() == [[[0, 0, 128, 255, 255]]]


@pytest.mark.parametrize("scale_to", [(0.0, 1.0), (-1.0, 1.0)])
def test_pictures_for_people_are_rgb_whatever_the_range(tmp_path, scale_to):
    grey = Arrays(saved(tmp_path, np.full((1, 5, 6), 51, np.uint8)), scale_to=scale_to)
    rgb = grey.to_rgb(images_of(grey))
    assert rgb.shape == (1, 5, 6, 3)
    torch.testing.assert_close(rgb, torch.full_like(rgb, 0.2))
    colour = RANDOM.integers(0, 256, (2, 5, 6, 3), np.uint8)
    dataset = Arrays(saved(tmp_path, colour), scale_to=scale_to)
    torch.testing.assert_close(
        dataset.to_rgb(images_of(dataset)), torch.from_numpy(colour) / 255, atol=1e-6, rtol=0
    )
    assert dataset.to_rgb(torch.full((1, 3, 2, 2), 9.0)).max() == 1


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ((10, 28, 28), "HW"),
        ((10, 28, 28, 1), "HWC"),
        ((10, 1, 28, 28), "CHW"),
        ((10, 28, 28, 4), "HWC"),
        ((10, 2, 28, 28), "CHW"),
        ((10, 4, 28, 3), "HWC"),
        ((10, 28, 28, 7), None),
        ((10, 3, 28, 3), None),
        ((10, 28, 3), None),
    ],
)
def test_a_layout_is_told_from_the_shape_or_asked_for(shape, layout):
    if layout:
        assert check_layout(shape, None, "file") == layout
    else:
        with pytest.raises(DataError, match=r"does not tell which axis .* dataset.args.layout"):
            check_layout(shape, None, "file")


def test_labels_in_the_same_npz_file_are_found(tmp_path):
    path = tmp_path / "set.npz"
    data = RANDOM.integers(0, 256, (3, 5, 6), np.uint8)
    np.savez_compressed(path, data=data, label=np.array([[2], [0], [2]]))
    dataset = Arrays(str(path), classes=["a", "b", "c"])
    assert dataset.labels.indices.tolist() == [2, 0, 2]
    assert dataset.labels.to_file(torch.tensor([2, 1])).tolist() == [[2], [1]]
    assert (dataset.to_file(images_of(dataset)) == data).all()


def test_classes_put_words_in_an_order(tmp_path):
    path = saved(tmp_path, np.zeros((3, 5, 6), np.uint8))
    label = saved(tmp_path, np.array(["dog", "cat", "dog"]), "label.npy")
    assert Arrays(path, label).labels.names == ("cat", "dog")
    labels = Arrays(path, label, classes=["dog", "cat", "cow"]).labels
    assert labels.indices.tolist() == [0, 1, 0]
    assert labels.to_file(torch.tensor([1, 0])).tolist() == ["cat", "dog"]


def test_the_fingerprint_is_of_content_not_of_where_it_is(tmp_path):
    array = RANDOM.integers(0, 256, (9, 5, 6), np.uint8)
    one, other = Arrays(saved(tmp_path, array)), Arrays(saved(tmp_path, array, "other.npy"))
    other.hold()
    assert one.fingerprint() == other.fingerprint()
    array[8, 4, 5] ^= 1
    changed = Arrays(saved(tmp_path, array, "changed.npy"))
    assert changed.fingerprint() != one.fingerprint()


def test_wafer_maps_read_from_their_file_are_the_codes(tmp_path):
    codes = RANDOM.integers(0, 3, (6, 4, 5))
    one_hot = np.eye(3, dtype=np.float32)[codes]
    for array in (codes, one_hot, one_hot.transpose(0, 3, 1, 2).copy()):
        maps = WaferMaps(saved(tmp_path, array))
        assert maps.shape == (3, 4, 5)
        assert (maps.stored.read(torch.tensor([5, 0])).numpy() == codes[[5, 0]]).all()
        maps.hold()
        assert (maps.to_file(maps.to_images(maps.stored)) == array).all()


@pytest.mark.parametrize(("folder", "dataset"), [("eyes", Arrays), ("wafer1281", WaferMaps)])
def test_real_files_come_back_bit_for_bit(folder, dataset):
    data, label = DATA / folder / "data.npy", DATA / folder / "label.npy"
    if not data.exists():
        pytest.skip("needs a folder of real data in AUTOENCODER_DATA")
    images = dataset(str(data), str(label))
    assert (images.to_file(images_of(images)) == np.load(data)).all()
    assert (images.labels.to_file(images.labels.indices) == np.load(label)).all()


def test_rounding_does_not_lead_out_of_the_range(tmp_path):
    low, high = -178.33, -43.07
    path = saved(tmp_path, np.array([[[low, high], [low, high]]], np.float32))
    for end in ((0.0, 1.0), (-1.0, 1.0)):
        around = (float(np.float32(low)), float(np.float32(high)))
        images = images_of(Arrays(path, layout="HW", value_range=around, scale_to=end))
        assert end[0] <= images.min() and images.max() <= end[1]  # noqa: PT018


@pytest.mark.parametrize("kind", ["bool", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8",
                                  "f2", "f4", "f8", ">i2", ">f4"])  # fmt: skip
def test_new_pixels_are_rounded_and_saturated_whatever_the_type(kind):
    """Even where the range is wider than the type, which Arrays refuses."""
    dtype = np.dtype(kind)
    if dtype.kind == "f":
        least, most = np.finfo(dtype).min, np.finfo(dtype).max
    elif dtype.kind == "b":
        least, most = False, True
    else:
        least, most = np.iinfo(dtype).min, np.iinfo(dtype).max
    widest = (-1e300, 1e300) if dtype != np.float64 else (float(least) / 2, float(most) / 2)
    stored = torch.zeros(1, 1, 3)
    images = BaseImages(stored, Labels(np.zeros(1, int), "a"), "HW", dtype, widest, (0.0, 1.0))
    back = images.to_file(torch.tensor([[[[-0.5, 0.5, 1.5]]]]))
    assert back.dtype == dtype
    if kind == "f8":
        least, most = widest
    assert back.flatten().tolist() == [least, 0, most]


@pytest.mark.parametrize("kind", ["bool", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8"])
def test_the_whole_range_of_a_type_may_be_declared_and_written(tmp_path, kind):
    dtype = np.dtype(kind)
    info = np.iinfo("u1") if kind == "bool" else np.iinfo(dtype)
    least, most = (0, 1) if kind == "bool" else (info.min, info.max)
    path = saved(tmp_path, np.array([[[least, most, most, least, most]]], dtype))
    dataset = Arrays(path, value_range=(float(least), float(most)))
    back = dataset.to_file(torch.tensor([[[[-1.0, 0.0, 1.0, 2.0, 1.0]]]]))
    assert back.flatten().tolist() == [least, least, most, most, most]


def test_written_pixels_keep_to_a_range_that_ends_between_whole_numbers(tmp_path):
    path = saved(tmp_path, np.array([[[1, 2, 3, 2, 1]]], np.uint8))
    dataset = Arrays(path, value_range=(0.6, 3.7))
    back = dataset.to_file(torch.tensor([[[[0.0, 0.5, 1.0, -1.0, 2.0]]]]))
    assert back.flatten().tolist() == [1, 2, 3, 1, 3]
    assert Arrays(saved(tmp_path, back, "again.npy"), value_range=(0.6, 3.7)).shape == (1, 1, 5)
