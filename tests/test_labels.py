"""Labels: words in any letters, archives of several arrays, and where files lie."""

import json
import os
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

from data_loader.array_dataset import Arrays
from data_loader.wafers import WaferMaps
from tests.conftest import command, only_run
from tests.processes import run
from tests.small_sets import write_digits
from utils.errors import DataError

RANDOM = np.random.default_rng(0)
MAPS = RANDOM.integers(0, 3, (4, 6, 7), np.uint8)
WORDS = ["Straße", "晶圆", "Straße", "b"]


def saved(folder, array, name):
    np.save(folder / name, array)
    return str(folder / name)


def labels_of(folder, words, classes=None):
    data = saved(folder, MAPS, "data.npy")
    return WaferMaps(data, saved(folder, words, "label.npy"), classes=classes).labels


def test_bytes_in_any_letters_are_classes_and_are_written_back(tmp_path):
    words = np.array([word.encode() for word in WORDS])
    for classes in (None, ["晶圆", "a class without a map", "b", "Straße"]):
        labels = labels_of(tmp_path, words, classes)
        assert [labels.names[index] for index in labels.indices] == WORDS
        assert labels.to_file(labels.indices).tolist() == words.tolist()
    assert labels.indices.tolist() == [3, 0, 3, 2]
    assert labels.to_file(torch.tensor([1])).tolist() == [b"a class without a map"]
    assert labels_of(tmp_path, words, ["b", "晶圆", "Straße", "é"]).values[3] == "é".encode()


def test_words_keep_the_type_of_their_file(tmp_path):
    words = np.array(["a", "b", "a", "b"], "U20")
    assert labels_of(tmp_path, words, ["b", "a"]).to_file(torch.tensor([0])).dtype == words.dtype


def test_bytes_that_are_not_utf_8_stay_classes_of_their_own(tmp_path):
    words = np.array([b"\xe9", b"\xe8", b"\xe9", b"b"])
    labels = labels_of(tmp_path, words)
    assert labels.names == ("b", r"\xe8", r"\xe9")
    ordered = labels_of(tmp_path, words, [r"\xe9", "b", r"\xe8"])
    assert ordered.indices.tolist() == [0, 2, 0, 1]
    assert ordered.to_file(ordered.indices).tolist() == words.tolist()


@pytest.mark.parametrize("dataset", [Arrays, WaferMaps])
def test_an_array_that_may_be_labels_is_not_left_unread_in_silence(tmp_path, dataset):
    path = str(tmp_path / "lot.npz")
    np.savez(path, maps=MAPS * 1, bins=[[0], [1], [0], [2]], other=[1, 2, 3], size=[6, 7])
    unread = dataset(path, data_name="maps")
    assert unread.labels.names == ("all",)
    assert f"all images are of one class: {path} holds no array 'label' but bins; " in unread.note
    assert "dataset.args.label_name=bins" in unread.note
    named = dataset(path, data_name="maps", label_name="bins")
    assert named.labels.indices.tolist() == [0, 1, 0, 2]
    assert "one class" not in named.note
    elsewhere = dataset(path, saved(tmp_path, np.arange(4), "label.npy"), data_name="maps")
    assert "one class" not in elsewhere.note
    np.savez(path, maps=MAPS, size=[6, 7])
    assert "one class" not in dataset(path, data_name="maps").note
    with pytest.raises(DataError, match="holds no array 'bin' but maps, size; say which"):
        dataset(path, data_name="maps", label_name="bin")


def test_an_array_left_unread_is_said_by_train(small, written, tmp_path):
    maps = RANDOM.integers(0, 3, (40, 12, 12), np.uint8)
    np.savez(tmp_path / "lot.npz", maps=maps, bins=np.arange(40) % 3)
    args = {"data": str(tmp_path / "lot.npz"), "data_name": "maps"}
    small["dataset"] = {"type": "WaferMaps", "args": args}
    done = command("train.py", "-c", written(small))
    assert done.returncode == 0, done.stderr
    assert "warning: all images are of one class: " in done.stdout


@pytest.mark.parametrize("dataset", [Arrays, WaferMaps])
def test_classes_without_labels_are_refused(tmp_path, dataset):
    path = saved(tmp_path, MAPS, "data.npy")
    with pytest.raises(DataError, match="names 2 classes, but there are no labels"):
        dataset(path, classes=["a", "b"])
    assert dataset(path, classes=["a"]).labels.names == ("a",)


@pytest.mark.parametrize("kind", ["Arrays", "WaferMaps"])
def test_a_class_named_twice_is_refused(small, written, tmp_path, kind):
    args = {"data": "data.npy", "classes": ["a", "b", "a"]}
    small["dataset"] = {"type": kind, "args": args}
    done = command("train.py", "-c", written(small))
    assert done.returncode == 2
    assert "dataset.args.classes" in done.stderr
    assert "names 'a' twice; give each class a name of its own" in done.stderr
    assert not (tmp_path / "saved").exists()


def live_in(home):
    os.environ["HOME"] = str(home)


def write_arrays(home):
    return {
        "data": saved(home, RANDOM.integers(0, 256, (40, 12, 12), np.uint8), "data.npy"),
        "label": saved(home, np.arange(40) % 2, "label.npy"),
    }


def write_pictures(home):
    for name in range(40):
        pixels = RANDOM.integers(0, 256, (12, 12, 3), np.uint8)
        Image.fromarray(pixels).save(home / f"{name}.png")
    return {"root": str(home)}


def write_mnist(home):
    write_digits(home, "MNIST", 40, 10)
    return {"root": str(home)}


@pytest.mark.parametrize(
    ("kind", "write"),
    [("Arrays", write_arrays), ("ImageFolder", write_pictures), ("MNIST", write_mnist)],
)
def test_a_tilde_in_a_path_of_data_is_the_home_folder(small, written, tmp_path, kind, write):
    home = tmp_path / "home"
    home.mkdir()
    small["dataset"] = {"type": kind, "args": write(home)}
    small["trainer"]["epochs"] = 1
    text = json.dumps(small).replace(str(home), "~/home")
    config = written(json.loads(text))
    code, said = run("-c", config, output=tmp_path / "said", before=partial(live_in, tmp_path))
    assert code == 0, said
    kept = json.loads((only_run(tmp_path / "saved") / "config.json").read_text())
    for name, path in small["dataset"]["args"].items():
        assert kept["dataset"]["args"][name] == path
