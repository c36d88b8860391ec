"""ImageFolder: pictures in class folders become 8-bit images, and a bad one is named."""

import os
import re
import struct
import zlib

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
    assert dataset.stored[3, 0, 0].tolist() == [217, 218, 220]  # 40 of 255 on white
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


def deep_png(pixels, colour_type):
    """A PNG file of 16-bit colours, which Pillow cannot write."""

    def chunk(name, content):
        checksum = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + checksum

    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    chunks = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def deep_tiff(path):
    """A TIFF file of one pixel of three 16-bit numbers."""
    entries = [(256, 1), (257, 1), (258, 122), (259, 1), (262, 2), (273, 128), (277, 3),
               (278, 1), (279, 6)]  # fmt: skip
    directory = b"".join(
        struct.pack("<HHII", tag, 3, 3 if tag == 258 else 1, value) for tag, value in entries
    )
    content = b"II*\0" + struct.pack("<IH", 8, len(entries)) + directory + bytes(4)
    content = content.ljust(122, b"\0") + struct.pack("<HHH", 16, 16, 16) + bytes(6)
    path.with_suffix(".tif").write_bytes(content)


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
    "16 bits in colour": (
        lambda path: path.write_bytes(deep_png(np.zeros((3, 4, 3), ">u2"), 2)),
        r"a\.png: has more than 8 bits a number; save such images as .npy",
    ),
    "16 bits and alpha": (
        lambda path: path.write_bytes(deep_png(np.zeros((3, 4, 4), ">u2"), 6)),
        r"a\.png: has more than 8 bits",
    ),
    "16 bits in a TIFF": (deep_tiff, r"a\.tif: has more than 8 bits"),
    "16 bits in a PPM": (
        lambda path: path.with_suffix(".ppm").write_bytes(b"P6 2 1 65535 " + bytes(12)),
        r"a\.ppm: has more than 8 bits",
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


def draw_alpha(path, shade, alpha, mode="RGBA"):
    """Save a picture of one shade that is drawn in its alpha channel [H, W] alone."""
    picture = Image.new("L", alpha.shape[::-1], shade).convert(mode)
    picture.putalpha(Image.fromarray(alpha))
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("colour", ["RGB", "grey"])
def test_what_is_drawn_in_the_alpha_channel_is_seen_on_its_background(tmp_path, mode, colour):
    alpha = RANDOM.integers(0, 256, (5, 6), np.uint8)
    draw_alpha(tmp_path / "white" / "a.png", 255, alpha, mode)
    draw_alpha(tmp_path / "black" / "a.png", 0, alpha, mode)
    on_black = held(str(tmp_path / "white"), colour=colour, background="black")
    assert (on_black.stored.numpy().reshape(5, 6, -1) == alpha[:, :, None]).all()
    on_white = held(str(tmp_path / "black"), colour=colour, background="white")
    assert (on_white.stored.numpy().reshape(5, 6, -1) == 255 - alpha[:, :, None]).all()
    assert (on_black.note, on_white.note) == ("", "")


def test_a_transparent_colour_shows_the_background(tmp_path):
    indices = np.array([[0, 1], [1, 0]], np.uint8)
    picture = Image.fromarray(indices, "P")
    picture.putpalette([10, 20, 30, 200, 210, 220])
    picture.save(tmp_path / "a.png", transparency=0)
    stored = held(str(tmp_path), background="black").stored[0].tolist()
    assert stored == [[[0, 0, 0], [200, 210, 220]], [[200, 210, 220], [0, 0, 0]]]


def test_pictures_with_an_alpha_channel_are_said_to_lie_on_white(tmp_path):
    draw(tmp_path / "a.png")
    draw_alpha(tmp_path / "b.png", 0, RANDOM.integers(0, 256, (6, 8), np.uint8))
    note = ImageFolder(str(tmp_path)).note
    assert re.fullmatch(
        r"1 of 2 pictures have an alpha channel or a transparent colour, as \S*/b\.png: "
        "they are laid on white; say so, or black, with dataset.args.background",
        note,
    )


def test_another_background_makes_other_images(tmp_path):
    draw_alpha(tmp_path / "a" / "a.png", 100, RANDOM.integers(0, 256, (6, 8), np.uint8))
    draw(tmp_path / "b" / "b.png")
    marks = [
        [ImageFolder(str(tmp_path / name), background=ground).fingerprint()
         for ground in (None, "white", "black")]
        for name in "ab"
    ]  # fmt: skip
    assert marks[0][0] == marks[0][1] != marks[0][2]
    assert marks[1][0] == marks[1][1] == marks[1][2]


def test_pictures_of_next_to_one_shade_are_warned_of(tmp_path):
    alpha = RANDOM.integers(0, 256, (6, 8), np.uint8)
    draw_alpha(tmp_path / "white" / "a.png", 255, alpha)
    note = ImageFolder(str(tmp_path / "white"), background="white").note
    assert note == (
        "the images hold 255 to 255 of a range of 0 to 255: every score will look good; "
        "is dataset.args.background=white right?"
    )
    (tmp_path / "masks").mkdir()
    for name, most in (("a", 0), ("b", 3)):
        Image.fromarray(np.eye(6, dtype=np.uint8) * most).save(tmp_path / "masks" / f"{name}.png")
    note = ImageFolder(str(tmp_path / "masks")).note
    assert note.startswith("the images hold 0 to 3 of a range of 0 to 255")
    Image.fromarray(np.eye(6, dtype=np.uint8) * 6).save(tmp_path / "masks" / "c.png")
    assert ImageFolder(str(tmp_path / "masks")).note == ""


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tif"])
def test_of_an_animated_picture_the_first_frame_is_used_and_said(tmp_path, suffix):
    first, second = (Image.new("L", (8, 6), shade) for shade in (0, 255))
    first.paste(200, (0, 0, 4, 6))
    options = {"lossless": True} if suffix == "webp" else {}
    first.save(tmp_path / f"a.{suffix}", save_all=True, append_images=[second], **options)
    first.save(tmp_path / f"b.{suffix}", **options)
    dataset = held(str(tmp_path), colour="grey")
    assert (dataset.stored[0] == torch.tensor([200] * 4 + [0] * 4)).all()
    assert torch.equal(dataset.stored[0], dataset.stored[1])
    assert dataset.note == (
        f"1 of 2 pictures have several frames, as {tmp_path}/a.{suffix}: the first of each is used"
    )
