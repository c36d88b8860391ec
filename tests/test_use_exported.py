"""use.py reads and writes files of every layout as the data set itself does."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("onnxruntime", reason="needs what requirements-export.txt installs")
from data_loader.array_dataset import Arrays
from data_loader.image_folder import ImageFolder
from data_loader.wafers import LEGEND, WaferMaps
from tester.export import layout_facts
from tester.use_exported import p_values, read_images, to_array, to_images, warn_of_narrow, write

RANDOM = np.random.default_rng(0)
CODES = RANDOM.integers(0, 3, (4, 5, 7))
ONE_HOT = np.eye(3, dtype=np.int64)[CODES]


def same_as(dataset, args, array):
    """Check that use.py makes of an array what the data set makes of it, there and back."""
    model = layout_facts(dataset, args)
    dataset.hold()
    images = dataset.to_images(dataset.stored)
    found = to_images(array, model)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, images.numpy(), atol=2e-7)
    made = (images + torch.randn(images.shape) * dataset.data_range / 5).numpy()
    back, expected = to_array(made, model), dataset.to_file(torch.from_numpy(made))
    assert (back.dtype, back.shape) == (expected.dtype, expected.shape)
    np.testing.assert_array_equal(back, expected)
    assert tuple(model["file_shape"]) == array.shape[1:]


@pytest.mark.parametrize("maps", [CODES, ONE_HOT, ONE_HOT.transpose(0, 3, 1, 2)])
def test_maps_in_each_layout(maps, tmp_path):
    np.save(tmp_path / "maps.npy", maps)
    same_as(WaferMaps(str(tmp_path / "maps.npy")), {}, maps)


@pytest.mark.parametrize("scale_to", [(0.0, 1.0), (-1.0, 1.0)])
@pytest.mark.parametrize(
    ("array", "value_range"),
    [
        (RANDOM.integers(0, 256, (4, 5, 7)).astype(np.uint8), None),
        (RANDOM.integers(0, 256, (4, 5, 7, 3)).astype(np.uint8), None),
        (RANDOM.integers(0, 256, (4, 3, 5, 7)).astype(np.uint8), None),
        (RANDOM.integers(0, 60_001, (4, 5, 7, 1)).astype(np.uint16), (0, 60_000)),
        (RANDOM.integers(-500, 501, (4, 2, 5, 7)), (-500, 500)),
        (RANDOM.normal(size=(4, 5, 7)).clip(-3, 3), (-3, 3)),
        (RANDOM.random((4, 5, 7, 3)).astype(np.float32), (0, 1)),
        (RANDOM.random((4, 5, 7)) > 0.5, None),
    ],
)
def test_arrays_of_each_layout_type_and_range(array, value_range, scale_to, tmp_path):
    np.save(tmp_path / "a.npy", array)
    dataset = Arrays(str(tmp_path / "a.npy"), value_range=value_range, scale_to=scale_to)
    same_as(dataset, {}, array)


@pytest.mark.parametrize("colour", ["RGB", "grey"])
@pytest.mark.parametrize("background", [None, "black"])
def test_pictures_of_each_kind_are_read_as_the_data_set_reads_them(colour, background, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # taken sideways
    draw = {
        "a.png": Image.fromarray(RANDOM.integers(0, 256, (6, 8, 3), np.uint8)),
        "b.png": Image.fromarray(RANDOM.integers(0, 256, (9, 5, 4), np.uint8)),  # transparent
        "c.jpg": Image.fromarray(RANDOM.integers(0, 256, (20, 30, 3), np.uint8)),
        "d.gif": Image.fromarray(RANDOM.integers(0, 256, (7, 7), np.uint8)).convert("P"),
    }
    for name, picture in draw.items():
        picture.save(tmp_path / name, **({"exif": exif} if name == "c.jpg" else {}))
    args = {"size": (6, 8), "colour": colour, "background": background}
    dataset = ImageFolder(str(tmp_path), **args)
    model = layout_facts(dataset, args)
    for place, name in enumerate(draw):
        expected = dataset.stored.read(torch.tensor([place])).numpy()
        np.testing.assert_allclose(read_images(tmp_path / name, model), expected, atol=1e-9)


def test_a_map_is_read_from_a_picture_in_the_legend_s_colours_or_grey_codes(tmp_path):
    colours = np.array([entry.colour for entry in LEGEND])
    for array in (CODES, ONE_HOT, ONE_HOT.transpose(0, 3, 1, 2)):
        np.save(tmp_path / "maps.npy", array)
        model = layout_facts(WaferMaps(str(tmp_path / "maps.npy")), {})
        pixels = (255 * colours[CODES[1]]).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "map.png")
        np.testing.assert_array_equal(read_images(tmp_path / "map.png", model), array[1:2])
        Image.fromarray(CODES[2].astype(np.uint8)).save(tmp_path / "grey.png")
        np.testing.assert_array_equal(read_images(tmp_path / "grey.png", model), array[2:3])


@pytest.mark.parametrize(
    ("size", "mode", "says"),
    [
        ((7, 6), "RGB", "6x7 pixels; must be 5x7"),
        ((7, 5), "RGB", "none of the legend's colours"),
        ((7, 5), "I;16", "takes no pictures of this kind"),
    ],
)
def test_a_picture_that_is_no_map_is_refused(size, mode, says, tmp_path, capsys):
    np.save(tmp_path / "maps.npy", CODES)
    model = layout_facts(WaferMaps(str(tmp_path / "maps.npy")), {})
    Image.new(mode, size, 9 if mode == "I;16" else (9, 9, 0)).save(tmp_path / "map.png")
    with pytest.raises(SystemExit):
        read_images(tmp_path / "map.png", model)
    assert says in capsys.readouterr().err


def test_p_values_are_what_one_counts_by_hand():
    held_out = np.array([1.0, 2.0, 2.0, 5.0])
    found = p_values(np.array([0.5, 1.0, 2.0, 3.0, 5.0, 6.0]), held_out)
    assert found.tolist() == [1.0, 1.0, 4 / 5, 2 / 5, 2 / 5, 1 / 5]


@pytest.mark.parametrize(
    ("array", "file_range", "is_narrow"),
    [
        (np.array([True, False]), (0, 1), False),
        (np.array([True, True]), (0, 1), True),
        (np.array([-100, 100], np.int8), (-128, 127), False),  # 200 is no int8
        (np.array([0.0, 1.0]), (0, 255), True),
    ],
)
def test_narrow_images_are_warned_of_whatever_their_type(array, file_range, is_narrow, capsys):
    warn_of_narrow(array, {"file_range": file_range, "one_hot": False})
    assert ("same scale?" in capsys.readouterr().err) == is_narrow


@pytest.mark.parametrize("name", ["", "no such folder/made.npy"])
def test_reconstructions_that_cannot_be_written_are_one_line(name, tmp_path, capsys):
    with pytest.raises(SystemExit):
        write(tmp_path / name, np.zeros(3))
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot be written" in line
    assert "name another file" in line


def test_reconstructions_that_do_not_fit_leave_what_was_there(tmp_path, monkeypatch, capsys):
    target, before = tmp_path / "made.npy", np.arange(3)
    np.save(target, before)

    def half_written(file, array):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", half_written)
    with pytest.raises(SystemExit):
        write(target, np.zeros(9))
    assert "No space left on device; name another file" in capsys.readouterr().err
    assert np.array_equal(np.load(target), before)
    assert list(tmp_path.iterdir()) == [target]


def test_a_link_to_the_reconstructions_stays_one_and_a_device_too(tmp_path):
    (tmp_path / "link.npy").symlink_to("made.npy")
    write(tmp_path / "link.npy", np.arange(4))
    assert (tmp_path / "link.npy").is_symlink()
    assert np.load(tmp_path / "made.npy").tolist() == [0, 1, 2, 3]
    (tmp_path / "null").symlink_to(os.devnull)
    write(tmp_path / "null", np.arange(4))
    assert not Path(os.devnull).is_file()
