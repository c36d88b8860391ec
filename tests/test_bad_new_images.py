"""Wrong new images and options: one line that says what and why, exit code 2, nothing created."""

import os
import pickle
import re
from functools import partial

import numpy as np
import pytest
from PIL import Image

from tests.conftest import command
from tests.new_images import digits_run, maps, pixels, train, wafer_run

ONE_HOT = np.eye(3, dtype=np.uint8)
SMALL = {
    "name": "small", "seed": 1,
    "arch": {"type": "Autoencoder", "args": {"encoder": [{"conv": 2, "stride": 2}],
                                             "decoder": "mirror"}},
    "loss": {"type": "MSE"},
    "optimizer": {"type": "Adam", "args": {"lr": 0.01}},
    "trainer": {"epochs": 1, "tensorboard": False},
    "generation": {"pictures": False},
}  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run of each kind, by name."""
    made = {}
    for name, make in (
        ("maps", wafer_run),
        ("digits", digits_run),
        ("greedy", partial(wafer_run, validation_split=0)),
        ("floats", _floats_run),
        ("words", _words_run),
    ):
        made[name] = make(SMALL, tmp_path_factory.mktemp(name))
    return made


def _floats_run(small, folder):
    np.save(folder / "data.npy", pixels(40).astype(np.float32) / 255)
    args = {"data": str(folder / "data.npy"), "value_range": [0, 1]}
    return train(small, folder, {"type": "Arrays", "args": args})


def _words_run(small, folder):
    np.save(folder / "data.npy", pixels(40))
    np.save(folder / "label.npy", np.array(["cat", "dog"] * 20))
    args = {name: str(folder / f"{name}.npy") for name in ("data", "label")}
    return train(small, folder, {"type": "Arrays", "args": args})


def array(content, name="new.npy"):
    """Writes an array -> its path."""

    def write(folder):
        np.save(folder / name, content)
        return folder / name

    return write


def content(data, name="new.npy"):
    """Writes bytes -> their path."""

    def write(folder):
        (folder / name).write_bytes(data)
        return folder / name

    return write


def picture(image, name="new.png"):
    """Saves a picture -> its path."""

    def write(folder):
        Image.fromarray(image).save(folder / name)
        return folder / name

    return write


def archive(**arrays):
    """Writes a .npz file -> its path."""

    def write(folder):
        np.savez(folder / "new.npz", **arrays)
        return folder / "new.npz"

    return write


def pipe(folder):
    """A named pipe that nobody writes into -> its path."""
    os.mkfifo(folder / "new.npy")
    return folder / "new.npy"


def broken_folder(folder):
    """A folder with a whole picture and one that ends too early -> its path."""
    for name in ("a.png", "b.png"):
        Image.fromarray(pixels(1, (28, 28))[0]).save(folder / name)
    whole = (folder / "b.png").read_bytes()
    (folder / "b.png").write_bytes(whole[: len(whole) // 2])
    return folder


def dangling_folder(folder):
    """A folder with a picture and a link to one that is not there -> its path."""
    Image.fromarray(pixels(1, (28, 28))[0]).save(folder / "a.png")
    (folder / "b.png").symlink_to("gone.png")
    return folder


def with_value(value, place=(2, 3, 4, 1)):
    changed = pixels(5).astype(np.float32) / 255
    changed[place] = value
    return changed


GOOD = ONE_HOT[maps(5)]
BAD_IMAGES = {
    "no such file": ("maps", lambda folder: folder / "today.npy", "no such file or folder"),
    "another size": ("maps", array(ONE_HOT[maps(5, 14)]), r"\(5, 14, 14, 3\).*\(N, 12, 12, 3\)"),
    "codes for one-hot": ("maps", array(maps(5)), r"\(5, 12, 12\).*\(N, 12, 12, 3\)"),
    "other channels": ("floats", array(pixels(5, (12, 12, 4))), r"12, 4\).*\(N, 12, 12, 3\)"),
    "out of range": ("floats", array(pixels(5)), r"image 0 holds \d+ .* numbers from 0 to 1$"),
    "no such die": ("maps", array(GOOD * 2), "image 0 holds 2 .*0 and 1 only"),
    "two ones": ("maps", array(np.ones_like(GOOD)), "map 0 has 3 ones"),
    "NaN": ("floats", array(with_value(np.nan)), r"image 2 holds nan at \(3, 4, 1\)"),
    "infinity": ("floats", array(with_value(-np.inf)), "image 2 holds -inf"),
    "no image": ("maps", array(GOOD[:0]), r"shape \(0, 12, 12, 3\) holds no image"),
    "words": ("maps", array(np.array(["a", "b"])), "values of type <U1"),
    "a pickle": ("maps", content(pickle.dumps(GOOD)), "begins like no .npy or .npz file"),
    "objects": ("maps", array(np.array([{}, 1], object)), "pickled Python objects"),
    "an empty file": ("maps", content(b""), "begins like no .npy"),
    "half a file": ("maps", content(b"\x93NUMPY\x01\x00v\x00{'descr'"), "damaged"),
    "a pipe": ("maps", pipe, "no ordinary file"),
    "an archive of nothing": ("maps", archive(), "new.npz: holds no array at all"),
    "two arrays": ("maps", archive(a=GOOD, b=GOOD), "no array 'data' but a, b; save it as 'da"),
    "a link to nothing": ("digits", dangling_folder, "b.png: links to gone.png, which is not th"),
    "an empty folder": ("maps", lambda folder: folder, "no picture in this folder"),
    "a picture of another size": (
        "digits", picture(pixels(1, (30, 28))[0]),
        "new.png: 30x28 pixels, channels 1; .* images of 28x28, channels 1$",
    ),
    "a coloured digit": ("digits", picture(pixels(1, (28, 28, 3))[0]), "channels 3; .*nels 1$"),
    "a grey photograph": ("floats", picture(pixels(1, (12, 12))[0]), "channels 1; .*nels 3$"),
    "a colour no die has": ("maps", picture(pixels(1)[0]), r"pixel \(0, \d+\) is \(.*a map has"),
    "grey that is no code": ("maps", picture(maps(1)[0] * 100), r"is \d00; a map has 0, 1, 2 o"),
    "no picture": ("digits", content(b"GIF9", "new.gif"), "damaged or no picture"),
    "half a picture": ("digits", broken_folder, r"b.png: damaged or no picture"),
    "no held-out images": ("greedy", array(GOOD), "no image was held out .*validation_split"),
}  # fmt: skip
GOOD_IMAGES = array(GOOD)
BAD_OPTIONS = {
    "alpha 0": ("maps", lambda _: ["--alpha", 0], "--alpha 0: must be a number above 0 and below"),
    "alpha 2": ("maps", lambda _: ["--alpha", 2], "--alpha 2: must be"),
    "alpha a word": ("maps", lambda _: ["--alpha", "few"], "--alpha few: must be"),
    "few labels": ("maps", lambda f: ["--labels", array([0, 1], "l.npy")(f)], "2 labels for 5 im"),
    "many labels": (
        "maps", lambda f: ["--labels", array(np.zeros(6, int), "l.npy")(f)], "6 labels for 5"),
    "no labels": ("maps", lambda f: ["--labels", f / "l.npy"], "l.npy: no such file"),
    "negative labels": (
        "maps", lambda f: ["--labels", array([-1] * 5, "l.npy")(f)], "labels from -1 to -1"),
    "half labels": (
        "maps", lambda f: ["--labels", array([0.5] * 5, "l.npy")(f)], "must be a whole number"),
    "onto itself": ("maps", lambda f: ["-o", f], "the results would go there too"),
    "a file for a folder": (
        "maps", lambda f: ["-o", array([0], "o.npy")(f)], "cannot write there"),
    "no such split": ("maps", lambda _: ["-s", "generation.split=new"], "generation.split"),
}  # fmt: skip


def refused(run, images, *more):
    """The one line by which new images are refused."""
    before = sorted(images.parent.rglob("*"))
    done = command("test.py", "-r", run, "--images", images, *more)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert not (run / "images").exists()
    assert sorted(images.parent.rglob("*")) == before
    (line,) = done.stderr.splitlines()
    return line


@pytest.mark.parametrize("case", BAD_IMAGES)
def test_a_wrong_file_is_one_line(runs, tmp_path, case):
    name, write, says = BAD_IMAGES[case]
    own = tmp_path / "own"
    own.mkdir()
    line = refused(runs[name], write(own))
    assert re.search(says, line), line


@pytest.mark.parametrize("case", BAD_OPTIONS)
def test_a_wrong_option_is_one_line(runs, tmp_path, case):
    name, options, says = BAD_OPTIONS[case]
    images = array(GOOD, "codes.npy")(tmp_path)
    line = refused(runs[name], images, *options(tmp_path))
    assert re.search(says, line), line


def test_results_do_not_go_among_the_pictures(runs, tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    Image.fromarray(pixels(1, (28, 28))[0]).save(pictures / "a.png")
    line = refused(runs["digits"], pictures, "-o", pictures / "deep" / "results")
    assert "the results would go into this folder" in line


def test_numbers_are_no_labels_of_a_model_that_knows_words(runs, tmp_path):
    images = array(pixels(5))(tmp_path)
    label = array([0, 1, 0, 1, 0], "label.npy")(tmp_path)
    line = refused(runs["words"], images, "--labels", label)
    assert "label.npy: labels of type int64; the model was trained with words, as 'cat'" in line


def test_options_of_new_images_need_some(runs):
    for options in (["--labels", "label.npy"], ["--alpha", "0.1"]):
        done = command("test.py", "-r", runs["maps"], *options)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == f"error: {options[0]}: is for new images; say which with --images\n"
    done = command("test.py", "-r", runs["maps"], "-s", "generation.split=images")
    assert done.returncode == 2
    assert 'generation.split: "images": there are no new images here' in done.stderr
    assert not (runs["maps"] / "test").exists()


def test_images_on_another_scale_are_warned_of(runs, tmp_path):
    images = array(pixels(5).astype(np.float32) / 255)(tmp_path)
    done = command("test.py", "-r", runs["words"], "--images", images, "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "trained with numbers from 0 to 255: are these on the same scale?" in done.stdout


def test_codes_that_the_disk_cannot_hold_are_refused(runs, tmp_path, monkeypatch):
    from tester import score_files
    from tester.images_tester import ImagesTester
    from trainer.experiment import Experiment
    from trainer.start import Start
    from utils.errors import ConfigError

    experiment = Experiment(Start.trained(runs["maps"], []), "cpu")
    tester = ImagesTester(experiment, GOOD_IMAGES(tmp_path), None, 0.01)
    monkeypatch.setattr(score_files, "free_bytes", lambda _: 1000)
    needed = 5 * (12 * 12 * 3 + 4 * 2 * 6 * 6 + 16 * (6 + 4))
    with pytest.raises(ConfigError, match=f"about {needed:,} bytes, but 1,000 are free"):
        tester.check_room(tmp_path / "out")
