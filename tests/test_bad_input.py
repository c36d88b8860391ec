"""What a user can get wrong: one clear line, exit code 2, nothing created."""

import json
import re

import numpy as np
import pytest

from tests.conftest import command

CODES = np.ones((12, 6, 6), np.uint8)
MANY_ONES = np.eye(3, dtype=np.uint8)[CODES]
MANY_ONES[7, 2, 3] = [0, 1, 1]


def wafers(tmp_path, data, label=None):
    """Overrides that make a config train on the arrays given."""
    args = {}
    for name, array in (("data", data), ("label", label)):
        if array is not None:
            np.save(tmp_path / f"{name}.npy", array)
            args[name] = str(tmp_path / f"{name}.npy")
    return {"dataset": {"type": "WaferMaps", "args": args}}


class Evil:
    """Pickled, this creates a file when it is read."""

    def __reduce__(self):
        return open, ("owned", "w")


def with_value(value):
    array = CODES.astype(float)
    array[7, 2, 3] = value
    return array


CASES = {
    "a missing file": (
        lambda at: {"dataset": {"type": "WaferMaps", "args": {"data": "nowhere.npy"}}},
        "nowhere.npy: no such file",
    ),
    "a pickle": (lambda at: wafers(at, np.array([Evil()] * 3)), "data.npy: .*pickled"),
    "NaN": (lambda at: wafers(at, with_value(np.nan)), r"data.npy: image 7 holds nan at \(2, 3\)"),
    "a fourth code": (lambda at: wafers(at, with_value(3)), r"image 7 holds 3.0 at \(2, 3\)"),
    "two values of a die": (
        lambda at: wafers(at, MANY_ONES),
        r"map 7 has 2 ones at die \(2, 3\); a one-hot map",
    ),
    "a fourth value": (lambda at: wafers(at, MANY_ONES * 3), "image 0 holds 3 .*0 and 1 only"),
    "too few labels": (
        lambda at: wafers(at, CODES, np.zeros(11, int)),
        "label.npy: 11 labels for 12 images",
    ),
    "no images": (lambda at: wafers(at, CODES[:0]), r"shape \(0, 6, 6\) holds no image"),
    "an unknown type": (
        lambda at: {"arch": {"type": "Autoencodr"}},
        "arch.type: \"Autoencodr\": .* did you mean 'Autoencoder'",
    ),
    "layers that do not fit": (
        lambda at: {"arch": {"type": "Autoencoder", "args": {
            "encoder": [{"conv": 4}], "decoder": [{"deconv": 2}]}}},
        "arch.args.decoder.0: the decoder ends at 2x12x12, an image is 3x12x12",
    ),
    "a value to watch that nobody measures": (
        lambda at: {"metrics": []} | {"trainer": {"epochs": 1, "monitor": "max val_psnr"}},
        "trainer.monitor: \"max val_psnr\": nothing measures it",
    ),
    "a VAE without latent": (
        lambda at: {"arch": {"type": "VAE", "args": {"encoder": [{"conv": 4}]}}},
        "arch.args.latent: is missing",
    ),
    "a grid over a larger code": (
        lambda at: {"generation": {"grid": 9}},
        "generation.grid: 9: needs a code of 2 numbers, this one has 144",
    ),
    "BCE without probabilities": (
        lambda at: {"loss": {"type": "BCE"}},
        "loss.type: \"BCE\": needs reconstructions in \\[0, 1\\]",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_bad_input_ends_in_one_clear_line(case, small, written, tmp_path):
    change, says = CASES[case]
    folder = small["trainer"]["save_dir"]
    small |= change(tmp_path)
    small["trainer"]["save_dir"] = folder
    config = written(small)
    before = set(tmp_path.rglob("*"))
    done = command("train.py", "-c", config, cwd=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.startswith("error: ")
    first_line = done.stderr.splitlines()[0]
    assert "Traceback" not in done.stderr
    assert re.search(says, first_line), first_line
    assert set(tmp_path.rglob("*")) == before, "something was created"


def test_an_override_goes_through_the_same_checks(written, small):
    done = command("train.py", "-c", written(small), "-s", "optimizer.args.lrr=0.1")
    assert done.returncode == 2
    assert "optimizer.args.lrr: 0.1: unknown key; did you mean 'optimizer.args.lr'?" in done.stderr
    assert json.loads(written(small).read_text()) == small
