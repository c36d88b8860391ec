"""Small runs, and the images that they have not seen."""

import csv
import json

import numpy as np

from tests.conftest import command, only_run
from tests.small_sets import write_digits

RANDOM = np.random.default_rng(5)
CLASSES = ("Center", "Ring", "none")


def maps(count, size=12):
    """Random maps of codes, uint8 [count, size, size]."""
    return RANDOM.integers(0, 3, (count, size, size)).astype(np.uint8)


def pixels(count, shape=(12, 12, 3)):
    """Random 8-bit images."""
    return RANDOM.integers(0, 256, (count, *shape), np.uint8)


def train(small, folder, dataset, **loader):
    """A run of two epochs on a data set; `folder` gets the config and the run."""
    loader = {"batch_size": 16, "validation_split": 0.25} | loader
    config = small | {
        "dataset": dataset,
        "data_loader": {"type": "ImageLoader", "args": loader},
        "trainer": small["trainer"] | {"save_dir": str(folder / "saved"), "monitor": "off"},
    }
    path = folder / "config.json"
    path.write_text(json.dumps(config))
    done = command("train.py", "-c", path)
    assert done.returncode == 0, done.stderr
    return only_run(folder / "saved")


def wafer_run(small, folder, count=60, **loader):
    """A run on one-hot maps in a file, of three classes in turn."""
    np.save(folder / "data.npy", np.eye(3, dtype=np.uint8)[maps(count)])
    np.save(folder / "label.npy", np.arange(count)[:, None] % 3)
    args = {name: str(folder / f"{name}.npy") for name in ("data", "label")}
    dataset = {"type": "WaferMaps", "args": args | {"classes": CLASSES}}
    return train(small, folder, dataset, **loader)


def digits_run(small, folder, **loader):
    """A run on 40 digits with 25 for testing."""
    write_digits(folder, "MNIST", 40, 25)
    return train(small, folder, {"type": "MNIST", "args": {"root": str(folder)}}, **loader)


def score(run, images, *more, draws=False):
    """Score new images -> what was said, metrics.json, the rows of scores.csv."""
    pictures = f"generation.pictures={json.dumps(draws)}"
    done = command("test.py", "-r", run, "--images", images, *more, "-s", pictures)
    assert done.returncode == 0, done.stderr
    options = list(map(str, more))
    folder = type(run)(options[options.index("-o") + 1]) if "-o" in options else run / "images"
    report = json.loads((folder / "metrics.json").read_text())
    with (folder / "scores.csv").open(newline="") as file:
        return done.stdout, report, list(csv.DictReader(file))


def numbers(rows, name):
    """A column of scores.csv."""
    return np.array([float(row[name]) for row in rows])
