"""What a run writes for TensorBoard: curves in one chart, an image of each class, codes."""

import csv
import os
import shutil
import signal

import numpy as np
import pytest
import torch

from data_loader.wafers import SyntheticWafers
from logger.tensorboard import GAP, side_by_side
from tests import processes
from tests.conftest import command, numbers_of, only_run
from tests.events import accumulated, curve, curves, pictures
from tests.killing import VARIATIONAL, resume, run_folder, uninterrupted, write_config
from tests.test_trained import EARLIER

HEADING = "image | corrupted | reconstruction"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A VAE that cleans 41 drawn maps, after five epochs."""
    return uninterrupted(tmp_path_factory.mktemp("board"), VARIATIONAL, tensorboard=True)


def test_training_and_validation_are_curves_of_one_chart(run):
    numbers = numbers_of(run)
    for name in ("loss", "reconstruction", "kl", "psnr"):
        for folder, key in ((run, name), (run / "validation", f"val_{name}")):
            points = curve(folder, f"curves/{name}")
            assert [epoch for epoch, _ in points] == [1, 2, 3, 4, 5]
            expected = [line[key] for line in numbers]
            assert [value for _, value in points] == pytest.approx(expected)
    training = {"training/lr", "training/seconds", "training/images_per_second",
                "training/active_units"}  # fmt: skip
    assert {tag for tag in curves(run) if not tag.startswith("curves/")} == training
    assert not [tag for tag in curves(run / "validation") if not tag.startswith("curves/")]
    tags = accumulated(run).Tags()
    assert tags["histograms"] == ["kl of each code number"]
    assert tags["graph"]
    assert {path.name for path in run.iterdir() if path.is_dir()} == {"validation", "00005"}


def test_each_class_is_shown_large_and_the_same_in_every_epoch(run):
    dataset = SyntheticWafers(size=12, count=41)
    maps = (dataset.to_rgb(dataset.to_images(dataset.stored)) * 255).byte().numpy()
    shown = pictures(run)
    assert set(shown) == {f"{HEADING}/{name}" for name in dataset.labels.names}
    for tag, by_epoch in shown.items():
        assert list(by_epoch) == [1, 2, 3, 4, 5]
        for picture in by_epoch.values():
            assert picture.shape == (132, 3 * 132 + 2 * GAP, 3)
            assert (picture[:, : 2 * 132 + GAP] == by_epoch[1][:, : 2 * 132 + GAP]).all()
        label = dataset.labels.names.index(tag.removeprefix(f"{HEADING}/"))
        own = maps[dataset.labels.indices.numpy() == label]
        enlarged = own.repeat(11, axis=1).repeat(11, axis=2)
        assert (enlarged == by_epoch[1][:, :132]).all((1, 2, 3)).any()
    last = np.stack([by_epoch[5][:, -132:] for by_epoch in shown.values()])
    first = np.stack([by_epoch[1][:, -132:] for by_epoch in shown.values()])
    assert (last != first).any()


def test_codes_have_their_class_and_place_beside_them(run):
    with open(run / "00005" / "codes" / "metadata.tsv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert list(rows[0]) == ["class", "image"]
    codes = (run / "00005" / "codes" / "tensors.tsv").read_text().splitlines()
    assert len(rows) == len(codes) == 8
    assert len({row["image"] for row in rows}) == 8


def test_images_without_classes_are_a_few_of_the_first(small, written, tmp_path):
    np.save(tmp_path / "data.npy", np.arange(40 * 9 * 7, dtype=np.uint8).reshape(40, 9, 7))
    small["dataset"] = {"type": "Arrays", "args": {"data": str(tmp_path / "data.npy")}}
    small["data_loader"]["args"] |= {"validation_split": 0.0, "batch_size": 3}
    small["trainer"] |= {"tensorboard": True, "monitor": "off", "epochs": 1}
    done = command("train.py", "-c", written(small))
    assert done.returncode == 0, done.stderr
    run = only_run(tmp_path / "saved")
    shown = pictures(run)
    assert set(shown) == {f"image | reconstruction/image {place}" for place in range(4)}
    assert shown["image | reconstruction/image 2"][1].shape == (135, 2 * 105 + GAP, 3)
    assert not (run / "validation").exists()


def test_pictures_are_enlarged_to_squares_and_large_ones_made_smaller():
    small = torch.rand(3, 2, 3)
    picture = side_by_side([small, small])
    assert picture.shape == (129, 2 * 86 + GAP, 3)
    assert (picture[43:86, :43] == small[1, 0]).all()
    assert (picture[:, 86 : 86 + GAP] == 1).all()
    assert (picture[:, 86 + GAP :] == picture[:, :86]).all()
    large = side_by_side([torch.arange(512.0)[:, None, None].expand(512, 4, 3)])
    assert large.shape == (256, 2, 3)
    assert large[0, 0, 0] == 0.5  # of two pixels, the mean


def kill_when_saved():
    """Have this process kill itself before it writes its second checkpoint of an epoch."""
    from logger.run import Run

    def save(run, checkpoint, name):
        if checkpoint.epoch == 2 and not checkpoint.trained:
            os.kill(os.getpid(), signal.SIGKILL)
        write(run, checkpoint, name)

    write, Run.save = Run.save, save


def test_a_killed_run_has_every_epoch_once_and_none_is_lost(tmp_path):
    config = write_config(tmp_path, tensorboard=True, save_steps=0)
    process = processes.start(processes.train, ["-c", config], tmp_path / "out", kill_when_saved)
    assert processes.finish(process) == -9
    run = run_folder(tmp_path)
    for folder in (run, run / "validation"):
        assert curves(folder)["curves/loss"] == [1, 2]
    resume(run)
    for folder in (run, run / "validation"):
        for epochs in curves(folder).values():
            assert epochs == [1, 2, 3, 4, 5]
    assert all(list(by_epoch) == [1, 2, 3, 4, 5] for by_epoch in pictures(run).values())


def test_curves_begin_at_the_first_epoch_whatever_a_run_was_begun_with(tmp_path):
    run = tmp_path / "saved" / "earlier" / "run"
    shutil.copytree(EARLIER, run)
    for epochs in (3, 4):
        resume(run, "-s", "trainer.tensorboard=true", f"trainer.epochs={epochs}")
        for folder in (run, run / "validation"):
            expected = list(range(1, epochs + 1))
            assert curves(folder)["curves/psnr"] == expected
    points = dict(curve(run / "validation", "curves/loss"))
    assert points[2] == pytest.approx(44.33553886413574)  # as its metrics.jsonl has it
