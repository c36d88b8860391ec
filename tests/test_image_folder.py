"""ImageFolder: pictures in class folders become 8-bit images, and a bad one is named."""

import os
import re

import numpy as np
import pytest
import torch
from PIL import Image

from data_loader.image_folder import ImageFolder
from utils.errors import DataError

RANDOM = np.random.default_rng(0)


def draw(path, height=6, width=8, mode="RGB", **options):
    """Save a random picture and return its pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (height, width, 3) if mode == "RGB" else (height, width)
    pixels = RANDOM.integers(0, 256, shape, np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return pixels


def held(*args, **kwargs):
    dataset = ImageFolder(*args, **kwargs)
    dataset.hold()
    return dataset


def test_folders_are_classes_and_names_are_the_order(tmp_path):
    second = draw(tmp_path / "cat" / "2.png")
    last = draw(tmp_path / "dog" / "b" / "1.bmp")
    first = draw(tmp_path / "cat" / "10.PNG")
    (tmp_path / "cat" / "notes.txt").write_text("no picture")
    (tmp_path / "cat" / "._2.png").write_text("hidden")
    (tmp_path / ".cache").mkdir()
    dataset = held(str(tmp_path))
    assert dataset.labels.names == ("cat", "dog")
    assert dataset.labels.indices.tolist() == [0, 0, 1]
    assert (dataset.stored.numpy() == [first, second, last]).all()
    assert dataset.shape == (3, 6, 8)
    images = dataset.to_images(dataset.stored)
    assert (dataset.to_file(images) == [first, second, last]).all()


def test_a_folder_of_pictures_is_one_class(tmp_path):
    pixels = [draw(tmp_path / "set" / f"{name}.png", mode="L") for name in "ab"]
    dataset = held(str(tmp_path / "set"), colour="grey")
    assert dataset.shape == (1, 6, 8)
    assert dataset.labels.names == ("set",)
    assert (dataset.to_file(dataset.to_images(dataset.stored)) == pixels).all()


def test_grey_pictures_in_colour_have_three_equal_channels(tmp_path):
    pixels = draw(tmp_path / "a.png", mode="L")
    dataset = held(str(tmp_path), scale_to=(-1.0, 1.0))
    images = dataset.to_images(dataset.stored)
    expected = torch.from_numpy(pixels).float() / 127.5 - 1
    torch.testing.assert_close(images, expected.expand(1, 3, -1, -1))


def test_pictures_of_any_size_and_kind_are_resized_as_asked(tmp_path):
    draw(tmp_path / "a.png", 20, 30)
    draw(tmp_path / "b.jpg", 7, 5)
    Image.fromarray(np.full((9, 9), 200, np.uint8)).convert("P").save(tmp_path / "c.gif")
    Image.new("RGBA", (4, 4), (10, 20, 30, 40)).save(tmp_path / "d.png")
    dataset = held(str(tmp_path), size=(6, 8))
    assert dataset.stored.shape == (4, 6, 8, 3)
    assert (dataset.stored[2] == 200).all()
    assert dataset.stored[3, 0, 0].tolist() == [10, 20, 30]
    assert held(str(tmp_path), size=5).shape == (3, 5, 5)


def test_a_picture_taken_sideways_stands_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 270 degrees
    draw(tmp_path / "a.jpg", 4, 9, exif=exif)
    pixels = np.asarray(Image.open(tmp_path / "a.jpg"))
    dataset = held(str(tmp_path))
    assert dataset.shape == (3, 9, 4)
    assert (dataset.stored[0].numpy() == np.rot90(pixels, 3)).all()


def test_the_fingerprint_is_the_same_before_and_after_decoding(tmp_path):
    draw(tmp_path / "a.png")
    dataset = ImageFolder(str(tmp_path))
    before = dataset.fingerprint()
    dataset.hold()
    assert dataset.fingerprint() == before
    draw(tmp_path / "a.png")
    assert ImageFolder(str(tmp_path)).fingerprint() != before


def cut(path):
    draw(path, 50, 50)
    path.write_bytes(path.read_bytes()[:-900])


BAD_FOLDERS = {
    "cut short": (cut, r"a\.png: damaged or no picture: "),
    "no picture": (lambda path: path.write_text("hello"), r"a\.png: damaged or no picture: canno"),
    "empty": (lambda path: path.touch(), r"a\.png: damaged or no picture"),
    "two sizes": (
        lambda path: (draw(path, 3, 4), draw(path.with_name("b.png"), 4, 3)),
        r"b\.png: 4x3 pixels, but .*a\.png has 3x4; resize all with dataset.args.size",
    ),
    "16 bits": (
        lambda path: Image.fromarray(np.zeros((3, 4), np.uint16)).save(path),
        r"a\.png: has more than 8 bits",
    ),
    "no pictures": (lambda path: path.with_suffix(".txt").touch(), ": no picture in this folder"),
    "an empty class": (
        lambda path: (draw(path.parent / "cat" / "a.png"), (path.parent / "dog").mkdir()),
        "dog: a class without a picture",
    ),
    "pictures beside classes": (
        lambda path: (draw(path), draw(path.parent / "cat" / "b.png")),
        r"has the picture a\.png beside the class folder cat",
    ),
}


@pytest.mark.parametrize("case", BAD_FOLDERS)
def test_bad_folders_are_refused_with_the_file_and_the_fix(tmp_path, case):
    make, says = BAD_FOLDERS[case]
    make(tmp_path / "a.png")
    with pytest.raises(DataError) as error:
        held(str(tmp_path))
    assert str(error.value).startswith(str(tmp_path))
    assert re.search(says, str(error.value)), error.value
    assert "\n" not in str(error.value)


def test_a_missing_folder_and_a_file_are_named(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        ImageFolder(str(tmp_path / "no"))
    draw(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png: no folder"):
        ImageFolder(str(tmp_path / "a.png"))


def test_a_sideways_tiff_is_not_turned_twice(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    draw(tmp_path / "a.tiff", 4, 9, exif=exif)
    with Image.open(tmp_path / "a.tiff") as picture:
        upright = np.asarray(picture)
    dataset = held(str(tmp_path))
    assert dataset.shape == (3, 9, 4)
    assert (dataset.stored[0].numpy() == upright).all()


def test_hidden_folders_hold_no_pictures(tmp_path):
    for folder in ("a", "b", "a/.ipynb_checkpoints"):
        (tmp_path / folder).mkdir()
        draw(tmp_path / folder / "one.png", 4, 4)
    assert len(ImageFolder(str(tmp_path))) == 2


def test_a_class_folder_that_is_not_utf_8_is_refused(tmp_path):
    folder = os.fsencode(tmp_path) + b"/\xff\xfe"
    os.mkdir(folder)
    with pytest.raises(DataError, match=r"the name of folder .* is not UTF-8; rename it"):
        ImageFolder(str(tmp_path))
