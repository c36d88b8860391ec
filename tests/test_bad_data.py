"""Files that cannot be used: each is refused in one line that names the file and the fix."""

import contextlib
import io
import re
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_loader.array_dataset import Arrays
from data_loader.wafers import WaferMaps
from utils.errors import DataError

UNIT = {"value_range": (0.0, 1.0)}


def images(kind="uint8", shape=(4, 6, 7)):
    return np.zeros(shape, kind)


def with_value(value, kind="float32"):
    array = images(kind)
    array[2, 3, 4] = value
    return array


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def headed(header, content=b""):
    """A .npy file with a header written by hand."""
    header = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content


def zipped(content, name="data.npy", method=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def bomb():
    """300 KB that become 300 MB."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("data.npy", "w") as entry:
            header = "{'descr': '|u1', 'fortran_order': False, 'shape': (300, 1024, 1024)}"
            entry.write(headed(header))
            for _ in range(300):
                entry.write(bytes(2**20))
    return buffer.getvalue()


def damaged_entry():
    """A .npz file with a wrong byte in its data."""
    content = bytearray(zipped(npy(images()), method=zipfile.ZIP_STORED))
    content[200] ^= 1
    return bytes(content)


STRUCTURED = np.zeros(4, [("grey", "u1"), ("depth", "f4")])

BAD_DATA = {
    "NaN": (with_value(np.nan), UNIT, r"image 2 holds nan at \(3, 4\); every value must be fin"),
    "infinity": (with_value(np.inf), UNIT, "image 2 holds inf"),
    "minus infinity": (with_value(-np.inf, "float16"), UNIT, "image 2 holds -inf"),
    "0 to 255 declared 0 to 1": (with_value(255), UNIT, r"image 2 holds 255.0 .* says 0 to 1"),
    "-1 to 1 declared 0 to 1": (with_value(-1), UNIT, "image 2 holds -1.0"),
    "a mask that is 0 and 255": (with_value(255, "uint8"), UNIT, "image 2 holds 255"),
    "float without a range": (images("float32"), {}, r"type float32 .* dataset.args.value_range"),
    "int64 without a range": (images("int64"), {}, r"type int64 .* dataset.args.value_range"),
    "uint16 without a range": (images("uint16"), {}, r"type uint16 .* \[0, 65535\]"),
    **{
        f"{kind} of {low:g} to {high:g}": (
            images(kind), {"value_range": (low, high)},
            rf"value_range is \[{low}, {re.escape(str(high))}\], but .* type {kind}, which holds",
        )
        for kind, low, high in [
            ("bool", 0.0, 255.0), ("uint8", 0.0, 256.0), ("uint8", -1.0, 255.0),
            ("uint8", 0.0, 1000.0), ("int8", 0.0, 255.0), ("uint16", 0.0, 65536.0),
            ("int16", 0.0, 65535.0), ("uint32", 0.0, 2.0**33), ("int32", 0.0, 2.0**31),
            ("uint64", -1.0, 1.0), ("int64", 0.0, 2.0**64), ("float16", 0.0, 1e5),
            ("float32", 0.0, 1e39),
        ]
    },
    "a range too wide": (
        images("float64"), {"value_range": (-1.7e308, 1.7e308)}, "too wide to compute with",
    ),
    "a range too wide for float32": (
        images("float32"), {"value_range": (-3e38, 3e38)}, "too wide to compute with",
    ),
    "complex": (images("complex64"), UNIT, "type complex64; images are"),
    "words": (np.array([["a"]]), {}, "type <U1; images are"),
    "bytes": (images("S1"), {}, r"type \|S1; images are"),
    "dates": (images("datetime64[s]"), {}, "type datetime64"),
    "named fields": (STRUCTURED, {}, "images are whole or"),
    "128 bits": (images("longdouble"), UNIT, "at most 64 bits"),
    "objects": (np.array([None]), {}, "pickled Python objects"),
    "objects in npz": (zipped(npy(np.array([None]))), {}, "pickled Python objects"),
    "a pickle": (b"\x80\x04N.", {}, "begins like no .npy or .npz file"),
    "no images": (images(shape=(0, 6, 7)), {}, r"\(0, 6, 7\) holds no image"),
    "no width": (images(shape=(4, 6, 0)), {}, "holds no image"),
    "an empty file": (b"", {}, "begins like no"),
    "a picture": (b"\x89PNG\r\n\x1a\n", {}, "begins like no"),
    "a wrong magic": (b"\x93NUMPX" + npy(images())[6:], {}, "begins like no"),
    "a later format": (b"\x93NUMPY\x09" + npy(images())[7:], {}, "damaged or no array file"),
    "half a header": (npy(images())[:40], {}, "damaged or no array file"),
    "half an array": (npy(images())[:-9], {}, "damaged or no array file"),
    "7 TB": (
        headed("{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000, 100, 70)}"),
        {}, "damaged or no array file",
    ),
    "less than nothing": (
        headed("{'descr': '|u1', 'fortran_order': False, 'shape': (-4, 6, 7)}", bytes(168)),
        {}, "damaged or no array file",
    ),
    "code for a header": (
        headed("__import__('os').abort()", bytes(9)), {}, "damaged or no array file",
    ),
    "one number": (np.uint8(3), {}, r"shape \(\); must be \(N, H, W\)"),
    "one image": (images(shape=(6, 7)), {}, r"shape \(6, 7\); must be"),
    "five axes": (images(shape=(2, 3, 4, 5, 3)), {}, "must be"),
    "one colour image": (images(shape=(6, 7, 3)), {}, "does not tell which axis"),
    "two axes of 3": (images(shape=(4, 3, 7, 3)), {}, "does not tell which axis"),
    "HW as HWC": (images(), {"layout": "HWC"}, r"\(4, 6, 7\), but dataset.args.layout HWC"),
    "HWC as HW": (images(shape=(4, 6, 7, 3)), {"layout": "HW"}, "layout HW is"),
    "HWC as CHW": (images(shape=(4, 6, 7, 3)), {"layout": "CHW"}, "6 channels; .* rather HWC"),
    "CHW as HWC": (images(shape=(4, 3, 6, 7)), {"layout": "HWC"}, "7 channels; .* rather CHW"),
    "an empty zip": (zipped(b"", "readme"), {}, "holds no array 'data' but readme"),
    "another name": (zipped(npy(images()), "x.npy"), {}, r"no array 'data' but x.*data_name"),
    "npz of nothing": (zipped(b""), {}, "damaged or no array file"),
    "npz cut short": (zipped(npy(images()))[:-30], {}, "damaged or no array file"),
    "npz with a wrong byte": (damaged_entry(), {}, "damaged or no array file.*CRC"),
    "npz shorter than it says": (zipped(npy(images())[:-9]), {}, "bytes, but holds 159"),
    "npz longer than it says": (zipped(npy(images()) + b"x"), {}, "bytes, but holds 169"),
    "npz of 7 TB": (
        zipped(headed("{'descr': '|u1', 'fortran_order': False, 'shape': (10**9, 100, 70)}")),
        {}, "damaged or no array file",
    ),
}  # fmt: skip


def written(path, content):
    path.write_bytes(content if isinstance(content, bytes) else npy(content))
    return str(path)


def refusal(function, *args, **kwargs):
    """The message of the DataError that a call ends in."""
    with pytest.raises(DataError) as error:
        function(*args, **kwargs)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("case", BAD_DATA)
def test_bad_images_are_refused_with_file_and_rule(tmp_path, case):
    content, arguments, says = BAD_DATA[case]
    path = written(tmp_path / "data", content)
    message = refusal(Arrays, path, **arguments)
    assert message.startswith(path)
    assert re.search(says, message), message


WAFERS = np.eye(3)[np.arange(40).reshape(2, 5, 4) % 3]
BAD_WAFERS = {
    "NaN": (with_value(np.nan), "image 2 holds nan"),
    "a fourth code": (with_value(3, "uint8"), r"image 2 holds 3 at \(3, 4\)"),
    "half a die": (with_value(0.5), "image 2 holds 0.5"),
    "two ones": (np.ones((2, 5, 4, 3)), "map 0 has 3 ones"),
    "no one": (WAFERS * 0, "map 0 has 0 ones"),
    "grey": (WAFERS * 255, "image 0 holds 255.0"),
    "complex": (WAFERS.astype(complex), "type complex128"),
    "objects": (np.array([None]), "pickled Python objects"),
    "two channels": (WAFERS[..., :2], "must be"),
    "no maps": (WAFERS[:0], "holds no image at all"),
    "cut short": (npy(WAFERS)[:-8], "damaged or no array file"),
}


@pytest.mark.parametrize("case", BAD_WAFERS)
def test_bad_wafer_maps_are_refused_with_file_and_rule(tmp_path, case):
    content, says = BAD_WAFERS[case]
    path = written(tmp_path / "data.npy", content)
    message = refusal(WaferMaps, path)
    assert message.startswith(path)
    assert re.search(says, message), message


BAD_LABELS = {
    "too few": (np.zeros(3, int), None, "3 labels for 4 images"),
    "too many": (np.zeros(5, int), None, "5 labels for 4 images"),
    "none": (np.zeros(0, int), None, "0 labels for 4 images"),
    "one-hot": (np.eye(4), None, r"labels of shape \(4, 4\); must be \(N,\) or \(N, 1\)"),
    "one number": (np.int64(3), None, r"labels of shape \(\)"),
    "negative": (np.array([0, -1, 2, 3]), None, "labels from -1 to 3"),
    "huge": (np.array([0, 1, 2, 10**12]), None, "must be 0 to 10000"),
    "halves": (np.array([0, 1, 2.5, 3]), None, "label 2.5 of image 2; must be a whole number"),
    "NaN": (np.array([0, 1, 2, np.nan]), None, "label nan of image 3"),
    "complex": (np.zeros(4, complex), None, "labels of type complex128"),
    "named fields": (STRUCTURED, None, "must be whole numbers or words"),
    "objects": (np.array([None] * 4), None, "pickled Python objects"),
    "more than the classes": (np.array([0, 1, 2, 1]), ["a", "b"], "label 2, but .* names 2"),
    "bytes that are no class": (
        np.array(["é".encode(), b"b", b"b", b"b"]), ["a", "b"], "label 'é' is not in",
    ),
    "a word that is no class": (np.array(list("abca")), ["a", "b"], "label 'c' is not in"),
    "a picture": (b"\x89PNG\r\n\x1a\n", None, "begins like no"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_LABELS)
@pytest.mark.parametrize("dataset", [Arrays, WaferMaps])
def test_bad_labels_are_refused_with_file_and_rule(tmp_path, dataset, case):
    content, classes, says = BAD_LABELS[case]
    data = written(tmp_path / "data.npy", images())
    label = written(tmp_path / "label.npy", content)
    message = refusal(dataset, data, label, classes=classes)
    assert message.startswith(label)
    assert re.search(says, message), message


@pytest.mark.parametrize("dataset", [Arrays, WaferMaps])
def test_a_missing_file_and_a_folder_are_named(tmp_path, dataset):
    assert refusal(dataset, str(tmp_path / "no.npy")) == f"{tmp_path}/no.npy: no such file"
    assert refusal(dataset, str(tmp_path)) == f"{tmp_path}: a folder, not a .npy or .npz file"


@pytest.mark.parametrize("dataset", [Arrays, WaferMaps])
def test_a_small_file_that_becomes_huge_is_not_unpacked(tmp_path, dataset):
    path = written(tmp_path / "bomb.npz", bomb())
    message = refusal(dataset, path)
    assert "'data.npy' would grow from" in message
    assert "314,572,800 bytes" in message


def test_fewer_images_than_a_batch_are_enough(tmp_path):
    assert len(Arrays(written(tmp_path / "data.npy", images(shape=(1, 6, 7))))) == 1


@settings(deadline=None, max_examples=300, database=None)
@given(st.sampled_from(["npy", "npz"]), st.integers(0, 139), st.binary(min_size=1, max_size=3))
def test_a_damaged_head_is_refused_or_harmless(tmp_path_factory, kind, place, wrong):
    """Whatever the first bytes are: an array, or one line; never another error."""
    content = bytearray(npy(images()) if kind == "npy" else zipped(npy(images())))
    content[place : place + len(wrong)] = wrong
    path = written(tmp_path_factory.mktemp("damaged") / "data", bytes(content))
    with contextlib.suppress(DataError):
        Arrays(path)
