"""test.py --images: images that a model has never seen, scored by hand and by the command."""

import hashlib
import json
import os
import re
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from data_loader.wafers import LEGEND
from tester.findings import class_table
from tester.tester import score_table
from tests import processes
from tests.conftest import ROOT, command
from tests.new_images import CLASSES, digits_run, maps, numbers, pixels, score, train, wafer_run
from tests.test_test import PLAIN
from trainer.experiment import Experiment
from trainer.start import Start

ONE_HOT = np.eye(3, dtype=np.uint8)
FILES = {
    "metrics.json", "scores.csv", "codes.npy", "reconstructions.npy", "oddest.png", "errors.png",
    "report.html",
}  # fmt: skip
COLOURS = np.rint(np.array([entry.colour for entry in LEGEND]) * 255).astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("maps")


@pytest.fixture(scope="module")
def run(folder):
    """A run on 60 maps, 15 of them held out."""
    small = {
        "name": "small", "seed": 1,
        "arch": {
            "type": "Autoencoder",
            "args": {"encoder": [{"conv": 4, "stride": 2}], "decoder": "mirror"},
        },
        "loss": {"type": "MSE"},
        "optimizer": {"type": "Adam", "args": {"lr": 0.01}},
        "trainer": {"epochs": 2, "tensorboard": False, "precision": "fp32"},
    }  # fmt: skip
    return wafer_run(small, folder)


@pytest.fixture
def new(tmp_path):
    """30 maps that no model has seen."""
    np.save(tmp_path / "new.npy", ONE_HOT[maps(30)])
    return tmp_path / "new.npy"


def opened(run):
    """The experiment of a run, its model ready to be called."""
    experiment = Experiment(Start.trained(run, []), "cpu")
    experiment.model.eval()
    return experiment


def made_by_hand(model, one_hot):
    """One-hot maps [n, H, W, 3] -> images, codes and reconstructions as numpy arrays."""
    images = torch.from_numpy(one_hot).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        codes = model.encode(images)
        return images.numpy(), codes.numpy(), model.decode(codes).numpy()


def errors_by_hand(model, one_hot):
    images, _, made = made_by_hand(model, one_hot)
    return ((made.astype(float) - images) ** 2).mean((1, 2, 3))


def test_scores_codes_and_p_values_are_those_of_a_hand_computation(run, folder, new, tmp_path):
    _, report, rows = score(run, new, "-o", tmp_path / "out", "--alpha", 0.2, draws=True)
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
    experiment = opened(run)
    data = np.load(new)
    images, codes, made = made_by_hand(experiment.model, data)
    errors = errors_by_hand(experiment.model, data)
    assert numbers(rows, "error") == pytest.approx(errors, abs=1e-6)
    assert numbers(rows, "psnr") == pytest.approx(-10 * np.log10(errors), abs=1e-4)
    assert numbers(rows, "l1") == pytest.approx(abs(made - images).mean((1, 2, 3)), abs=1e-6)
    assert [row["image"] for row in rows] == [str(place) for place in range(30)]
    assert np.load(tmp_path / "out" / "codes.npy") == pytest.approx(codes, abs=1e-5)
    stored = np.load(tmp_path / "out" / "reconstructions.npy")
    assert stored.shape == data.shape
    assert (stored.argmax(3) == made.argmax(1)).mean() > 0.999  # a tie may tip

    held_out = errors_by_hand(
        experiment.model, np.load(folder / "data.npy")[experiment.validation.indices]
    )
    p_values = [(1 + sum(held_out >= error)) / 16 for error in numbers(rows, "error")]
    assert numbers(rows, "p_value") == pytest.approx(p_values)
    assert numbers(rows, "flagged").tolist() == [p <= 0.2 for p in p_values]
    assert report["images"]["flagged"] == sum(p <= 0.2 for p in p_values)
    assert report["images"]["held_out"] == {"split": "validation", "count": 15}
    assert report["images"]["sha256"] == hashlib.sha256(new.read_bytes()).hexdigest()


def test_the_images_of_training_have_the_numbers_of_the_ordinary_test(run, folder, tmp_path):
    assert command("test.py", "-r", run, "-o", tmp_path / "test", "-s", PLAIN).returncode == 0
    usual = json.loads((tmp_path / "test" / "metrics.json").read_text())
    _, report, rows = score(run, folder / "data.npy", "-o", tmp_path / "out")
    assert report["splits"]["train"] == usual["splits"]["train"]
    assert report["baselines"]["pca"]["validation"] == usual["baselines"]["pca"]["validation"]
    experiment = opened(run)
    for name, loader in (("train", experiment.loader), ("validation", experiment.validation)):
        for metric in ("mse", "psnr", "ssim", "defect_f1"):
            own = numbers(rows, metric)[loader.indices].mean()
            assert own == pytest.approx(usual["splits"][name][metric], abs=1e-6)
    for of in (lambda report: report["splits"], lambda report: report["baselines"]["pca"]):
        parts = [of(usual)[name]["mse"] for name in ("train", "validation")]
        assert of(report)["images"]["mse"] == pytest.approx((45 * parts[0] + 15 * parts[1]) / 60)


def test_what_a_cleaning_model_is_shown_is_what_it_is_shown_in_the_test(run, folder, tmp_path):
    damage = ["-s", 'corruption={"type": "SaltAndPepper"}']
    out = tmp_path / "test"
    assert command("test.py", "-r", run, "-o", out, *damage, PLAIN).returncode == 0
    usual = json.loads((out / "metrics.json").read_text())["splits"]["train"]
    said, report, rows = score(run, folder / "data.npy", "-o", tmp_path / "out", *damage)
    assert "with the corruption of the command line" in said
    own = numbers(rows, "mse")[opened(run).loader.indices].mean()
    assert own == pytest.approx(usual["mse"], abs=1e-6)
    assert report["splits"]["train"]["psnr_gain"] == usual["psnr_gain"]


def test_a_cleaning_model_is_shown_new_images_as_they_are(small, new, tmp_path):
    run = wafer_run(small | {"corruption": {"type": "Mask"}}, tmp_path)
    said, report, rows = score(run, new, "-o", tmp_path / "out")
    assert "learnt to clean; it is shown the images as they are" in said
    assert not report["images"]["corrupted"]
    model, data = opened(run).model, np.load(new)
    assert numbers(rows, "error") == pytest.approx(errors_by_hand(model, data), abs=1e-6)


def test_one_map_alone_may_be_an_array_without_an_axis_for_it(run, new, tmp_path):
    np.save(tmp_path / "one.npy", np.load(new)[3])
    _, _, rows = score(run, tmp_path / "one.npy", "-o", tmp_path / "a")
    _, _, expected = score(run, new, "-o", tmp_path / "b")
    assert numbers(rows, "error") == pytest.approx(numbers(expected, "error")[3:4], abs=1e-6)


def test_pictures_of_maps_are_read_by_their_colours(run, tmp_path):
    codes = maps(4)
    np.save(tmp_path / "codes.npy", ONE_HOT[codes])
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number, own in enumerate(codes):
        colours = own if number % 2 else COLOURS[own]  # grey ones hold the codes themselves
        Image.fromarray(colours).save(pictures / f"wafer {number}.png")
    _, _, expected = score(run, tmp_path / "codes.npy", "-o", tmp_path / "a")
    _, report, rows = score(run, pictures, "-o", tmp_path / "b")
    assert [row["image"] for row in rows] == [f"wafer {number}.png" for number in range(4)]
    assert numbers(rows, "error").tolist() == numbers(expected, "error").tolist()
    assert "classes" not in report["images"]
    _, _, rows = score(run, pictures / "wafer 2.png", "-o", tmp_path / "c")
    assert numbers(rows, "error") == pytest.approx(numbers(expected, "error")[2:3], abs=1e-6)


def test_pictures_of_digits_and_arrays_as_the_generated_ones_are_the_same(small, tmp_path):
    run = digits_run(small, tmp_path, validation_split=0)
    digits = pixels(5, (28, 28))
    np.savez(tmp_path / "some.npz", digits=digits, label=np.array(["7", "1", "7", "a", "b"]))
    for place, digit in enumerate(digits):
        path = tmp_path / "png" / ("7", "1", "7", "a", "b")[place] / f"{place}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(digit).save(path)
    _, report, expected = score(run, tmp_path / "some.npz", "-o", tmp_path / "a")
    assert report["images"]["held_out"] == {"split": "test", "count": 25}
    assert report["images"]["unlike"]["count"] == 2
    _, _, rows = score(run, tmp_path / "png", "-o", tmp_path / "b")
    assert {row["image"]: row["label"] for row in rows} == {
        "1/1.png": "1", "7/0.png": "7", "7/2.png": "7", "a/3.png": "a", "b/4.png": "b",
    }  # fmt: skip
    own = {row["image"][2]: float(row["error"]) for row in rows}
    assert own == pytest.approx({row["image"]: float(row["error"]) for row in expected}, abs=1e-6)
    made = np.load(tmp_path / "b" / "reconstructions.npy")
    assert (made.shape, made.dtype) == ((5, 28, 28), np.uint8)


def test_a_folder_of_pictures_is_read_as_the_run_reads_its_own(small, tmp_path):
    for place, image in enumerate(pixels(40, (20, 20, 3))):
        path = tmp_path / "own" / ("cat", "dog")[place % 2] / f"{place:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    args = {"root": str(tmp_path / "own"), "size": 12}
    run = train(small, tmp_path, {"type": "ImageFolder", "args": args})
    assert command("test.py", "-r", run).returncode == 0
    usual = json.loads((run / "test" / "metrics.json").read_text())["splits"]["validation"]
    _, report, rows = score(run, tmp_path / "own")
    own = numbers(rows, "error")[opened(run).validation.indices].mean()
    assert own == pytest.approx(usual["mse"], abs=1e-6)
    assert list(report["images"]["classes"]) == ["cat", "dog"]
    large = tmp_path / "large.jpg"
    Image.fromarray(pixels(1, (50, 30, 3))[0]).save(large)
    assert len(score(run, large)[2]) == 1


def test_classes_that_training_had_not_are_told_by_their_errors(run, new, tmp_path):
    labels = np.array([0, 1, 2, 3, 7] * 6)
    np.save(tmp_path / "label.npy", labels)
    said, report, rows = score(run, new, "--labels", tmp_path / "label.npy", "-o", tmp_path / "o")
    names = [*CLASSES, "class 3", "class 7"]
    assert [row["label"] for row in rows] == names * 6
    errors, is_unlike = numbers(rows, "error"), labels > 2
    pairs = errors[is_unlike][:, None] - errors[~is_unlike]
    unlike = report["images"]["unlike"]
    assert unlike["count"] == 12
    assert unlike["model"]["auroc"] == pytest.approx(((pairs > 0) + 0.5 * (pairs == 0)).mean())
    ranked = is_unlike[np.argsort(-errors)]
    precision = np.cumsum(ranked) / np.arange(1, 31)
    expected = precision[ranked].mean()
    assert unlike["model"]["average_precision"] == pytest.approx(expected)
    assert set(unlike) == {"count", "model", "mean_image", "pca"}
    classes = report["images"]["classes"]
    assert list(classes) == names
    assert classes["class 7"]["error"] == pytest.approx(errors[labels == 7].mean())
    assert classes["class 7"]["held_out"] == {"count": 0, "error": None}
    assert [classes[name]["held_out"]["count"] for name in CLASSES] == [5, 5, 5]
    assert "note: no class of training: class 3, class 7; such images count as unlike it" in said


def test_small_errors_are_told_apart_in_tables():
    own = {"count": 2, "error": 3.21e-5, "flagged": 0, "held_out": {"count": 1, "error": 0.25}}
    assert class_table({"ring": own}).splitlines()[1].split() == [
        "ring", "2", "3.21e-05", "0", "0.2500",
    ]  # fmt: skip
    scores = {
        "splits": {"train": {"mse": 4.5e-4, "psnr": 33.5, "ssim": float("nan")}},
        "baselines": {"mean_image": {"train": {"mse": 0.0, "psnr": 15.4, "ssim": -0.0004}}},
    }
    lines = [line.split()[2:] for line in score_table(scores).splitlines()[1:]]
    assert lines == [["4.50e-04", "33.5000", "nan"], ["0.0000", "15.4000", "-4.00e-04"]]


def test_too_few_held_out_images_are_said_so(run, new, tmp_path):
    said, report, rows = score(run, new, "-o", tmp_path / "out")
    assert "nothing can be flagged at --alpha 0.01: that takes 99 held-out images" in said
    assert "there are 15, whose smallest p-value is 0.0625" in said
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "(validation); nothing can be flagged at --alpha 0.01: that takes 99" in page
    assert report["images"]["threshold"] is None
    assert not numbers(rows, "flagged").any()


def test_children_of_new_images_say_what_they_were_made_from(run, new, tmp_path):
    wanted = ["generation.split=images", "generation.samples=2"]
    score(run, new, "-o", tmp_path / "out", "-s", *wanted)
    record = json.loads((tmp_path / "out" / "generated.json").read_text())
    assert (record["file"], record["split"]) == (str(new), "images")
    assert record["sha256"] == hashlib.sha256(new.read_bytes()).hexdigest()
    assert [image["source"] for image in record["images"]] == np.arange(30).repeat(2).tolist()
    data, label = (np.load(tmp_path / "out" / f"gen_{name}.npy") for name in ("data", "label"))
    assert (data.shape, len(label)) == ((60, 12, 12, 3), 60)
    assert (data.sum(3) == 1).all()
    score(run, new, "-o", tmp_path / "out", draws=True)
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES  # no older ones


def test_new_images_stay_in_their_file(run, new):
    from tester.images_tester import ImagesTester

    tester = ImagesTester(opened(run), new, None, 0.01)
    assert tester.loader_of_new.source == "read from files by 2 workers"
    assert tester.loader.source == "held on cpu"


class Stopped:
    """Has this process send itself a signal when the first batch is written."""

    def __init__(self, number):
        self.number = number

    def __call__(self):
        from tester.score_files import ScoreFiles

        ScoreFiles.add = lambda *_: os.kill(os.getpid(), self.number)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_leaves_no_half_folder(run, new, tmp_path, number, code):
    arguments = ["-r", run, "--images", new, "-o", tmp_path / "out"]
    process = processes.start(processes.evaluate, arguments, tmp_path / "said", Stopped(number))
    assert processes.finish(process) == code
    assert not Path(tmp_path / "out").exists()


def test_the_command_of_the_readme_does_it(run, new, tmp_path):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^    python (test.py .*--images.*)$", readme, re.MULTILINE)
    shutil.copytree(run, tmp_path / "saved" / "WaferAE" / run.name)
    shutil.copy(new, tmp_path / "today.npy")
    done = command(*line.split(), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert FILES == {path.name for path in tmp_path.glob("saved/WaferAE/*/images/*")}


def test_files_of_the_other_kind_of_report_do_not_stay_beside_one(run, new, tmp_path):
    out = tmp_path / "out"
    score(run, new, "-o", out, draws=True)
    (out / "my codes.npy").write_bytes(b"mine")
    done = command("test.py", "-r", run, "-o", out)
    assert done.returncode == 0, done.stderr
    left = {path.name for path in out.iterdir()}
    assert "latent.png" in left
    assert not left & (FILES - {"metrics.json", "report.html"})
    score(run, new, "-o", out, draws=True)
    assert {path.name for path in out.iterdir()} == FILES | {"my codes.npy"}
