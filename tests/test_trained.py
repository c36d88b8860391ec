"""A trained model from Python: arrays in their layout, tensors, runs of earlier versions."""

import json
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.conftest import ROOT, command, numbers_of, only_run, small_config
from trainer.experiment import load
from utils.checkpoint import load_checkpoint, save_checkpoint
from utils.errors import CheckpointError, DataError

EARLIER = Path(__file__).parent / "earlier_run"


def trained_on(config, folder):
    (folder / "config.json").write_text(json.dumps(config))
    done = command("train.py", "-c", folder / "config.json")
    assert done.returncode == 0, done.stderr
    return only_run(config["trainer"]["save_dir"])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of the small config."""
    folder = tmp_path_factory.mktemp("run")
    return trained_on(small_config(folder), folder)


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    """A model trained on 20 images [12, 9, 2] of int16 in [-100, 300], and the images."""
    folder = tmp_path_factory.mktemp("arrays")
    images = np.random.default_rng(5).integers(-100, 301, (20, 12, 9, 2)).astype(np.int16)
    np.save(folder / "data.npy", images)
    args = {"data": str(folder / "data.npy"), "value_range": [-100, 300], "scale_to": [-1, 1]}
    run = trained_on(small_config(folder) | {"dataset": {"type": "Arrays", "args": args}}, folder)
    (folder / "data.npy").unlink()  # what is needed of it is in the checkpoint
    return load(run), images


def test_arrays_come_out_as_they_went_in(arrays):
    trained, images = arrays
    codes = trained.encode(images[:5])
    made = trained.reconstruct(images[:5])
    assert (codes.shape, codes.dtype) == ((5, *trained.model.code_shape), np.float32)
    assert (made.shape, made.dtype) == (images[:5].shape, np.int16)
    # By hand: scaled to [-1, 1], through the model, and back.
    tensor = torch.from_numpy(images[:5]).float().permute(0, 3, 1, 2)
    tensor = (tensor + 100) / 400 * 2 - 1
    with torch.no_grad():
        expected = trained.model.decode(trained.model.encode(tensor))
    assert trained.encode(tensor).equal(torch.from_numpy(codes))
    assert torch.allclose(trained.reconstruct(tensor), expected, atol=1e-6)
    back = ((expected.clamp(-1, 1) + 1) / 2 * 400 - 100).round().permute(0, 2, 3, 1)
    assert np.abs(made - back.numpy()).max() <= 1
    assert (trained.decode(codes.reshape(5, -1)) == trained.decode(codes)).all()
    assert (trained.decode(codes) == made).all()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda images: images[:, :5], r"images: shape \(20, 5, 9, 2\); .*\(N, 12, 9, 2\)"),
        (lambda images: images[:0], r"shape \(0, 12, 9, 2\)"),
        (lambda images: images + 1000, "image 0 holds "),
        (lambda images: images.astype(object), "type object"),
        (lambda images: np.full(images.shape, np.nan), "image 0 holds nan"),
        (lambda images: torch.zeros(3, 1, 12, 9), r"images: shape \(3, 1, 12, 9\)"),
        (lambda images: np.ma.masked_array(images, images > 5), "images: a masked array"),
    ],
)
def test_other_images_are_refused_in_one_line(arrays, change, says):
    trained, images = arrays
    with pytest.raises(DataError, match=says) as error:
        trained.encode(change(images))
    assert "\n" not in str(error.value)
    with pytest.raises(DataError, match="codes: shape"):
        trained.decode(np.zeros((2, 3), np.float32))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda codes: codes.transpose(0, 2, 3, 1), r"shape \(5, 6, 5, 4\); a code is 4x6x5"),
        (lambda codes: codes * np.nan, "not all of them are finite"),
        (lambda codes: codes * 1j, "numbers of type complex"),
        (lambda codes: codes.astype(object), "numbers of type object"),
        (lambda codes: codes.tolist(), "a list; must be a NumPy array"),
        (lambda codes: torch.from_numpy(codes) / 0, "not all of them are finite"),
    ],
)
def test_what_is_no_code_is_refused_in_one_line(arrays, change, says):
    trained, images = arrays
    codes = trained.encode(images[:5])
    with pytest.raises(DataError, match=says) as error:
        trained.decode(change(codes))
    assert "\n" not in str(error.value)
    turned = codes[::-1].astype(">f4")
    assert (trained.decode(turned) == trained.decode(codes)[::-1]).all()


def test_arrays_turned_around_or_read_only_are_images_as_any(arrays):
    trained, images = arrays
    turned = images[::-1, :, ::-1]
    codes = trained.encode(turned.copy())
    fixed = turned.copy()
    fixed.setflags(write=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (trained.encode(turned) == codes).all()
        assert (trained.encode(fixed) == codes).all()


def test_no_path_is_not_the_folder_that_one_is_in():
    with pytest.raises(CheckpointError, match="'': a path was expected"):
        load("")


def test_pictures_and_one_hot_maps_are_arrays_too(small, written, tmp_path):
    folder = tmp_path / "pictures" / "a"
    folder.mkdir(parents=True)
    for place in range(8):
        Image.fromarray(np.full((12, 12, 3), 30 * place, np.uint8)).save(folder / f"{place}.png")
    small["dataset"] = {"type": "ImageFolder", "args": {"root": str(tmp_path / "pictures")}}
    trained = load(trained_on(small, tmp_path))
    shutil.rmtree(tmp_path / "pictures")
    made = trained.reconstruct(np.zeros((3, 12, 12, 3), np.uint8))
    assert (made.shape, made.dtype) == ((3, 12, 12, 3), np.uint8)

    maps = np.eye(3, dtype=np.uint8)[np.random.default_rng(0).integers(0, 3, (30, 12, 12))]
    np.save(tmp_path / "maps.npy", maps)
    small["name"] = "maps"
    small["dataset"] = {"type": "WaferMaps", "args": {"data": str(tmp_path / "maps.npy")}}
    assert command("train.py", "-c", written(small)).returncode == 0
    made = load(tmp_path / "saved" / "maps").reconstruct(maps)
    assert made.shape == maps.shape
    assert (made.sum(3) == 1).all()


def test_loading_says_nothing_and_changes_nothing_outside(run, capfd):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    capfd.readouterr()
    first = load(run).encode(torch.zeros(1, 3, 12, 12))
    assert torch.rand(3).equal(expected)
    assert capfd.readouterr() == ("", "")
    assert load(run / "model_best.pth").encode(torch.zeros(1, 3, 12, 12)).equal(first)


def test_a_damaged_or_lying_checkpoint_is_refused(run, tmp_path):
    path = shutil.copy(run / "model_best.pth", tmp_path / "model_best.pth")
    content = load_checkpoint(path)
    save_checkpoint(content | {"images": {"shape": "3x12x12"}}, tmp_path / "lying.pth")
    with pytest.raises(CheckpointError, match="does not say the shape"):
        load(tmp_path / "lying.pth")
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(CheckpointError, match="damaged"):
        load(path)


@pytest.fixture
def earlier(tmp_path):
    """A run of the version before checkpoints said how arrays are laid out."""
    return shutil.copytree(EARLIER, tmp_path / "earlier" / "run")


def test_a_run_of_an_earlier_version_goes_on_and_is_tested(earlier):
    done = command("train.py", "-r", earlier, "-d", "cpu")
    assert done.returncode == 0, done.stderr
    assert [line["epoch"] for line in numbers_of(earlier)] == [1, 2, 3, 4]
    done = command("test.py", "-r", earlier / "checkpoint-epoch2.pth", "-d", "cpu")
    assert done.returncode == 0, done.stderr
    assert load(earlier / "checkpoint-epoch4.pth").decode(np.zeros((2, 3))).shape == (2, 10, 10)


def test_a_checkpoint_of_an_earlier_version_asks_for_its_data(earlier):
    path = earlier / "checkpoint-epoch2.pth"
    assert load(path).decode(np.zeros((2, 3))).shape == (2, 10, 10)  # these maps are drawn
    content = load_checkpoint(path)
    content["config"]["dataset"] = {"type": "WaferMaps", "args": {"data": "gone.npy"}}
    save_checkpoint(content, path)
    with pytest.raises(DataError, match="gone.npy: no such file"):
        load(path)


def test_a_script_elsewhere_uses_it(run, tmp_path):
    script = tmp_path / "elsewhere.py"
    script.write_text(
        "from trainer.experiment import load\n"
        f"print(load({str(run)!r}).model.code_size)\n"
    )  # fmt: skip
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "144\n"), done.stderr
