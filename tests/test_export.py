"""test.py --export: the same numbers without torch, or one line that says why not."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from tests.conftest import ROOT, command, fresh_command, only_run, small_config
from trainer.experiment import Experiment
from trainer.start import Start

pytest.importorskip("onnxruntime", reason="needs what requirements-export.txt installs")
from data_loader.wafers import SyntheticWafers
from tester import export as exporting
from utils.errors import ConfigError

ARCHS = {
    "ae": {
        "type": "Autoencoder",
        "args": {"encoder": [{"conv": 4, "stride": 2, "norm": "batch"}], "decoder": "mirror"},
    },
    "vae": {"type": "VAE", "args": {"encoder": [{"conv": 4}], "latent": {"linear": 3}}},
}
FILES = {"encoder.onnx", "decoder.onnx", "model.json", "use.py"}


def train(folder, arch="ae", dataset=None, **changes):
    """Train one of ARCHS -> the run's folder."""
    config = small_config(folder)
    config["arch"] = ARCHS[arch]
    config["dataset"] = dataset or config["dataset"]
    config["loss"] = {"type": "ELBO"} if arch == "vae" else {"type": "MSE"}
    config["data_loader"]["args"] |= changes
    config["trainer"]["monitor"] = "min loss"
    (folder / "config.json").write_text(json.dumps(config))
    done = command("train.py", "-c", folder / "config.json")
    assert done.returncode == 0, done.stderr
    return only_run(folder / "saved")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run of each of ARCHS."""
    return {arch: train(tmp_path_factory.mktemp(arch), arch) for arch in ARCHS}


@pytest.fixture(scope="module")
def exports(runs, tmp_path_factory):
    """The folder of the export of each run, and what was said of it."""
    made = {}
    for arch, run in runs.items():
        out = tmp_path_factory.mktemp("exported") / arch
        done = command("test.py", "-r", run, "--export", out)
        assert (done.returncode, done.stderr) == (0, "")
        made[arch] = out, done.stdout
    return made


@pytest.fixture
def without(tmp_path):
    """A function that gives an environment in which a package cannot be imported."""

    def environment(package):
        folder = tmp_path / "stubs"
        folder.mkdir(exist_ok=True)
        (folder / f"{package}.py").write_text("raise ImportError('there is none here')")
        return os.environ | {"PYTHONPATH": str(folder)}

    return environment


def use(folder, *arguments, cwd, env=None):
    """Run an exported use.py."""
    return subprocess.run(
        [sys.executable, folder / "use.py", *map(str, arguments)],
        cwd=cwd, env=env, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def errors_in_torch(experiment, images):
    """The mean squared error of each image, and the reconstructions."""
    with torch.no_grad():
        made = experiment.model.eval()(images)["reconstruction"]
    return (made - images).square().double().mean((1, 2, 3)).numpy(), made


@pytest.mark.parametrize("arch", ARCHS)
def test_an_export_gives_the_numbers_of_torch_without_torch(
    runs, exports, arch, without, tmp_path
):
    run, (out, said) = runs[arch], exports[arch]
    assert float(re.search(r"differ by (\S+) at most on 8 held-out", said)[1]) <= 1e-4
    assert {path.name for path in out.iterdir()} == FILES

    new = SyntheticWafers(12, 30, seed=5).stored.numpy()
    np.save(tmp_path / "new.npy", new)
    done = use(out, tmp_path / "new.npy", "made.npy", cwd=tmp_path, env=without("torch"))
    assert done.returncode == 0, done.stderr
    rows = np.array([line.split() for line in done.stdout.splitlines()[1:]], float)

    experiment = Experiment(Start.trained(run, []), "cpu")
    (batch,) = experiment.validation.batches()
    held_out, _ = errors_in_torch(experiment, batch.images)
    errors, made = errors_in_torch(experiment, experiment.dataset.to_images(torch.tensor(new)))
    assert np.abs(errors[:, None] - held_out).min() > 1e-6  # no tie that the last digit decides
    expected = [(1 + sum(held_out >= error)) / (1 + 8) for error in errors]
    assert len(set(expected)) > 3
    assert rows[:, 0].tolist() == list(range(30))
    np.testing.assert_allclose(rows[:, 1], errors, atol=1e-6)
    np.testing.assert_allclose(rows[:, 2], expected, atol=1e-6)
    written = np.load(tmp_path / "made.npy")
    assert (written.dtype, written.shape) == (np.uint8, (30, 12, 12))
    assert (written == made.argmax(1).numpy()).mean() > 0.999  # sums in another order tip a die

    about = json.loads((out / "model.json").read_text())
    best = run / "model_best.pth"
    assert about["checkpoint"]["sha256"] == hashlib.sha256(best.read_bytes()).hexdigest()
    np.testing.assert_allclose(about["held_out_errors"], np.sort(held_out), atol=1e-6)
    assert about["encoder"]["gives"] == (["mean", "logvar"] if arch == "vae" else ["code"])
    assert (about["shape"], about["layout"], about["file_shape"]) == (
        [3, 12, 12],
        "codes",
        [12] * 2,
    )


def test_an_export_takes_the_place_of_an_earlier_one(runs, tmp_path):
    run, out = runs["ae"], tmp_path / "out"
    out.mkdir()
    for name in FILES | {"my notes.txt"}:
        (out / name).write_text("what I saw")
    done = command("test.py", "-r", run, "--export", out, "-s", 'corruption={"type": "Mask"}')
    assert done.returncode == 0, done.stderr
    assert "note: they are shown the images as they are" in done.stdout
    same = {path.name for path in out.iterdir() if path.read_bytes() == b"what I saw"}
    assert same == {"my notes.txt"}
    assert {path.name for path in out.iterdir()} == FILES | same


def refused(done, *words):
    """Check that a command ended with one line that has these words, and said nothing else."""
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    for word in words:
        assert word in line


def test_what_cannot_be_exported_is_said_in_one_line(runs, without, tmp_path):
    run, out = runs["ae"], tmp_path / "out"
    refused(command("test.py", "-r", run, "--export", out, "-o", "x"), "leave out --output")
    refused(command("test.py", "-r", run, "--export", out, "--images", "x.npy"), "--images")
    done = fresh_command("test.py", "-r", run, "--export", out, env=without("onnxscript"))
    refused(done, "onnx, onnxscript and onnxruntime", "install -r requirements-export.txt")
    assert not out.exists()
    out.write_text("a file")
    refused(command("test.py", "-r", run, "--export", out), f"{out}: is a file")
    assert out.read_text() == "a file"
    other = tmp_path / "other"
    other.mkdir()
    (other / "use.py").write_text("print('mine')")
    refused(command("test.py", "-r", run, "--export", other), f"{other}: holds a use.py")
    assert [path.read_text() for path in other.iterdir()] == ["print('mine')"]


def test_a_run_that_holds_out_nothing_is_refused(tmp_path):
    out = tmp_path / "out"
    refused(
        command("test.py", "-r", train(tmp_path, validation_split=0), "--export", out),
        "holds out no image", "data_loader.args.validation_split",
    )  # fmt: skip
    assert not out.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_is_refused(runs, tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    refused(command("test.py", "-r", runs["ae"], "--export", closed / "out"), "cannot write there")


def test_numbers_that_differ_from_those_of_torch_leave_nothing(runs, monkeypatch, tmp_path):
    monkeypatch.setattr(exporting, "MOST_DIFFERENT", 0.0)
    with pytest.raises(ConfigError, match="differ from torch's by .* nothing is written"):
        exporting.export(Start.trained(runs["vae"], []), "cpu", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_use_py_refuses_what_it_cannot_take_in_one_line(exports, tmp_path):
    out, _ = exports["ae"]
    wrong = {
        "size": (np.zeros((2, 12, 13), np.uint8), "must be numbers (N, 12, 12)"),
        "axes": (np.zeros((2, 1, 12, 12), np.uint8), "must be numbers (N, 12, 12)"),
        "empty": (np.zeros((0, 12, 12), np.uint8), "must be numbers (N, 12, 12)"),
        "value": (np.full((2, 12, 12), 3), "image 0 holds 3, not between 0 and 2"),
        "nan": (np.full((2, 12, 12), np.nan), "image 0 holds nan, not between 0 and 2"),
        "late": (np.arange(100)[:, None, None] // 70 * np.full((12, 12), 3), "image 70 holds 3, "),
        "half": (
            np.arange(100)[:, None, None] // 70 * np.full((12, 12), 0.5),
            "image 70 has a pixel that is not exactly one of the model's kinds",
        ),
        "words": (np.full((2, 12, 12), "a"), "must be numbers"),
        "object": (np.array([{}], object), "allow_pickle"),
    }
    for name, (array, words) in wrong.items():
        np.save(tmp_path / f"{name}.npy", array)
        refused(use(out, tmp_path / f"{name}.npy", "made.npy", cwd=tmp_path), words)
    np.savez(tmp_path / "two.npz", a=np.zeros(1), b=np.zeros(1))
    refused(use(out, "two.npz", cwd=tmp_path), "no array 'data' but a, b")
    np.savez(tmp_path / "label.npz", label=np.zeros(1))
    refused(use(out, "label.npz", cwd=tmp_path), "holds no array of images; save it as 'data'")
    refused(use(out, "none.npy", cwd=tmp_path), "none.npy: ", "No such file")
    refused(use(out, cwd=tmp_path), "use: python use.py")
    np.save(tmp_path / "good.npy", np.zeros((2, 12, 12), np.uint8))
    refused(use(out, "good.npy", "none/made.npy", cwd=tmp_path), "is in no folder that exists")
    refused(use(out, "good.npy", ".", cwd=tmp_path), ".: is a folder; name another file")
    assert not list(tmp_path.glob("*made.npy"))
    assert not (tmp_path / "reconstructions.npy").exists()
    own = tmp_path / "reconstructions.npy"  # what use.py writes where no other name is given
    np.save(own, np.zeros((2, 12, 12), np.uint8))
    before = own.read_bytes()
    refused(use(out, own.name, cwd=tmp_path), "reconstructions.npy: is what is read")
    assert own.read_bytes() == before


def test_use_py_takes_what_images_takes_and_warns_of_it(tmp_path):
    grey = np.random.default_rng(0).integers(0, 256, (40, 12, 12), np.uint8)
    np.save(tmp_path / "grey.npy", grey)
    np.savez(tmp_path / "grey.npz", grey=grey, kind=np.zeros(40, np.uint8))
    args = {"data": str(tmp_path / "grey.npz"), "data_name": "grey", "label_name": "kind"}
    dataset = {"type": "Arrays", "args": args}
    out = tmp_path / "out"
    run = train(tmp_path, dataset=dataset)
    assert command("test.py", "-r", run, "--export", out).returncode == 0
    np.savez(tmp_path / "new.npz", grey=grey[:3], kind=np.arange(3), more=np.zeros(1))
    np.savez(tmp_path / "only.npz", digits=grey[:3], kind=np.arange(3))
    np.save(tmp_path / "new.npy", grey[:3])
    shutil.copy(tmp_path / "new.npy", tmp_path / "UPPER.NPY")
    np.save(tmp_path / "one.npy", grey[0])
    said = {
        name: use(out, tmp_path / name, "made.npy", cwd=tmp_path)
        for name in ("new.npz", "only.npz", "new.npy", "UPPER.NPY", "one.npy")
    }
    lines = said["new.npy"].stdout.splitlines()
    assert said["new.npz"].stdout.splitlines() == said["only.npz"].stdout.splitlines() == lines
    assert said["UPPER.NPY"].stdout.splitlines() == lines
    alone = said["one.npy"].stdout.splitlines()
    assert len(alone) == 2
    assert float(alone[1].split()[1]) == pytest.approx(float(lines[1].split()[1]), abs=1e-6)
    assert [done.stderr for done in said.values()] == [""] * 5
    np.save(tmp_path / "dark.npy", grey[:3] // 100)
    done = use(out, tmp_path / "dark.npy", "made.npy", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stderr == (
        "warning: the images hold 0 to 2 of 0 to 255: are they on the same scale?\n"
    )
    Image.fromarray(np.zeros((12, 12, 3), np.uint8)).save(tmp_path / "colour.png")
    refused(use(out, "colour.png", cwd=tmp_path), "channels 3; the model takes 1")
    done = use(out, "--help", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "python use.py IMAGES [RECONSTRUCTIONS.npy]" in done.stdout


def test_the_export_commands_of_the_readme_work_word_for_word(runs, tmp_path):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = readme.partition("## Use what you trained\n")[2]
    install, export, use_it = re.findall(r"^    (.*(?:export).*)$", section, re.MULTILINE)[:3]
    pinned = (ROOT / install.removeprefix("pip install -r ")).read_text()
    assert all(f"\n{name}==" in pinned for name in ("onnx", "onnxscript", "onnxruntime"))
    shutil.copytree(runs["ae"], tmp_path / "saved" / "WaferAE")
    script, *arguments = export.removeprefix("python ").split()
    done = command(script, *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    np.save(tmp_path / "today.npy", SyntheticWafers(12, 9, seed=2).stored.numpy())
    done = subprocess.run(
        [sys.executable, *use_it.split()[1:]],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1 + 9
    assert np.load(tmp_path / "reconstructions.npy").shape == (9, 12, 12)
