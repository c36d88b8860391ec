"""Data sets larger than the memory they may take: the same batches, read ahead from files."""

import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch
from PIL import Image

from base.base_dataset import BaseReader
from data_loader import prefetch
from data_loader.array_dataset import Arrays
from data_loader.image_folder import ImageFolder
from data_loader.image_loader import ImageLoader
from data_loader.prefetch import Workers
from data_loader.wafers import WaferMaps
from tests.conftest import ROOT, command, only_run
from utils.device import _free_in_container, free_memory
from utils.errors import TrainingError

RANDOM = np.random.default_rng(0)
CPU = torch.device("cpu")
COUNT = 37


def arrays(folder):
    np.save(folder / "data.npy", RANDOM.integers(0, 60_000, (COUNT, 6, 5), np.uint16))
    return lambda: Arrays(str(folder / "data.npy"), value_range=(0.0, 60_000.0))


def wafers(folder):
    np.save(folder / "data.npy", np.eye(3, dtype=np.uint8)[RANDOM.integers(0, 3, (COUNT, 6, 5))])
    return lambda: WaferMaps(str(folder / "data.npy"))


def pictures(folder):
    for number in range(COUNT):
        path = folder / f"class{number % 3}" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(RANDOM.integers(0, 256, (6, 5, 3), np.uint8)).save(path)
    return lambda: ImageFolder(str(folder))


def batches_of(loader, epoch):
    return [(batch.images, batch.indices) for batch in loader.batches(epoch)]


def same(left, right):
    return len(left) == len(right) and all(
        ours[0].equal(theirs[0]) and ours[1].equal(theirs[1])
        for ours, theirs in zip(left, right, strict=True)
    )


@pytest.mark.parametrize("kind", [arrays, wafers, pictures])
def test_batches_are_the_same_bits_wherever_the_images_are(tmp_path, kind):
    opened = kind(tmp_path)
    held = ImageLoader(opened(), CPU, 3, 8)
    assert isinstance(held.dataset.stored, torch.Tensor)
    for workers in (0, 1, 5):
        read = ImageLoader(opened(), CPU, 3, 8, num_workers=workers, memory=0)
        assert isinstance(read.dataset.stored, BaseReader)
        assert read.dataset.fingerprint() == held.dataset.fingerprint()
        for epoch in (0, 1, 2):
            assert same(batches_of(read, epoch), batches_of(held, epoch))
        assert not same(batches_of(read, 1), batches_of(read, 2))
        assert same(batches_of(read.in_order(), 5), batches_of(held.in_order(), 0))
        assert same(batches_of(read.split_validation(), 0), batches_of(held.split_validation(), 0))
        some = torch.tensor([30, 2, 3, 4, 2])
        assert same(batches_of(read.of(some), 0), batches_of(held.of(some), 0))
    assert isinstance(ImageLoader(opened(), CPU, 3, 8, memory=1).dataset.stored, torch.Tensor)


def test_two_loaders_of_a_data_set_may_be_read_in_turns(tmp_path):
    loader = ImageLoader(arrays(tmp_path)(), CPU, 3, 8, num_workers=2, memory=0)
    expected = batches_of(loader, 1), batches_of(loader.in_order(), 0)
    next(loader.batches(7))  # the rest is not wanted
    in_turns = list(zip(loader.batches(1), loader.in_order().batches(), strict=True))
    assert same([tuple(pair[0]) for pair in in_turns], expected[0])
    assert same([tuple(pair[1]) for pair in in_turns], expected[1])


def test_slow_and_fast_workers_give_batches_in_the_order_asked_for():
    def read(places):
        time.sleep(0.02 if places[0] % 4 == 0 else 0)
        return places.clone()

    pieces = torch.randperm(60).split(7)
    for number in (0, 1, 4):
        fetched = Workers(read, number, CPU).fetch(pieces)
        assert [batch.tolist() for batch in fetched] == [piece.tolist() for piece in pieces]


def test_workers_read_ahead_but_not_the_whole_epoch():
    begun = []

    def read(places):
        begun.append(places)
        return places

    fetched = Workers(read, 2, CPU).fetch(torch.arange(100).split(1))
    next(fetched)
    time.sleep(0.2)
    assert 2 <= len(begun) <= 6
    fetched.close()


def test_workers_end_with_their_loader(tmp_path):
    others = set(threading.enumerate())
    loader = ImageLoader(arrays(tmp_path)(), CPU, 3, 8, num_workers=3, memory=0)
    batches_of(loader, 0)
    batches_of(loader.in_order(), 0)
    workers = set(threading.enumerate()) - others
    assert len(workers) == 3
    del loader
    for worker in workers:
        worker.join(timeout=5)
        assert not worker.is_alive()


def test_a_file_cut_short_while_training_is_named_with_the_image(tmp_path):
    loader = ImageLoader(arrays(tmp_path)(), CPU, 3, 8, num_workers=2, memory=0)
    with (tmp_path / "data.npy").open("r+b") as file:
        file.truncate(128 + 20 * 60)
    with pytest.raises(TrainingError, match=r"data\.npy: ends before image \d+; it has become"):
        batches_of(loader.in_order(), 0)
    (tmp_path / "data.npy").unlink()
    with pytest.raises(TrainingError, match=r"data\.npy: image 1 cannot be read: No such file"):
        batches_of(loader.of(torch.tensor([1])), 0)


def test_a_batch_that_never_comes_ends_the_run(monkeypatch):
    monkeypatch.setattr(prefetch, "PATIENCE", 0.1)
    never = threading.Event()
    fetched = Workers(lambda places: never.wait(), 1, CPU).fetch(torch.arange(10, 19).split(9))
    with pytest.raises(TrainingError, match=r"images 10, 11, 12, 13 and 5 more .* within 0.1 s"):
        next(fetched)
    never.set()


STUCK = """
import time, torch
from data_loader import prefetch
from utils.errors import run_command

prefetch.PATIENCE = 0.1
workers = prefetch.Workers(lambda places: time.sleep(1000), 3, torch.device("cpu"))
run_command(lambda: list(workers.fetch(torch.arange(9).split(3))))
"""


def test_a_program_ends_although_a_worker_hangs():
    done = subprocess.run(
        [sys.executable, "-c", STUCK], cwd=ROOT, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "failed: images 0, 1, 2: did not come within 0.1 s\n"


def test_an_error_nobody_thought_of_names_the_images():
    def read(places):
        raise ZeroDivisionError("by zero")

    fetched = Workers(read, 1, CPU).fetch([torch.tensor([3, 1])])
    with pytest.raises(TrainingError, match="images 3, 1: cannot be read: ZeroDivisionError: by"):
        next(fetched)


def test_a_container_leaves_what_its_limit_says(tmp_path):
    for name, text in (("max", "1000"), ("current", "700"), ("stat", "anon 5\ninactive_file 50")):
        (tmp_path / f"memory.{name}").write_text(text)
    assert _free_in_container(tmp_path, 9999) == 350
    (tmp_path / "memory.max").write_text("max\n")
    assert _free_in_container(tmp_path, 9999) == 9999
    assert free_memory(CPU) > 0


MEMORY = """
import resource, sys, torch
from data_loader.array_dataset import Arrays
from data_loader.image_loader import ImageLoader

def most():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

def look(path):
    dataset = Arrays(path)
    dataset.fingerprint()
    loader = ImageLoader(dataset, torch.device("cpu"), 0, 256, memory=50)
    return sum(len(batch.images) for batch in loader.batches())

look(sys.argv[1])
before = most()
assert look(sys.argv[2]) > 100_000
print(most() - before)
"""


def sparse(path, count):
    """A .npy file of black images that takes no space on the disk."""
    with path.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (count, 64, 64)}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + count * 64 * 64)
    return path


def test_memory_does_not_grow_with_the_data_set(tmp_path):
    """500 MB of images, checked, fingerprinted and read once, against 60 MB of them."""
    files = sparse(tmp_path / "small.npy", 15_000), sparse(tmp_path / "large.npy", 125_000)
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, *files], cwd=ROOT, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 40, done.stdout  # megabytes; labels and order are 4 of them


def test_a_picture_that_cannot_be_decoded_fails_the_run_in_one_line(small, written, tmp_path):
    (tmp_path / "set").mkdir()
    pictures(tmp_path / "set")
    bad = tmp_path / "set" / "class1" / "bad.png"
    Image.fromarray(RANDOM.integers(0, 256, (6, 5, 3), np.uint8)).save(bad)
    bad.write_bytes(bad.read_bytes()[:60])  # the head is whole
    small["dataset"] = {"type": "ImageFolder", "args": {"root": str(tmp_path / "set")}}
    small["data_loader"]["args"] |= {"memory": 0, "num_workers": 2}
    done = command("train.py", "-c", written(small))
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith(f"failed: {bad}: damaged or no picture: ")
    assert done.stderr.count("\n") == 1


def test_a_run_from_files_is_the_run_from_memory(small, written, tmp_path):
    wafers(tmp_path)
    small["dataset"] = {"type": "WaferMaps", "args": {"data": str(tmp_path / "data.npy")}}
    weights = []
    for memory in ("auto", 0):
        small["data_loader"]["args"]["memory"] = memory
        small["trainer"]["save_dir"] = str(tmp_path / f"saved{memory}")
        done = command("train.py", "-c", written(small))
        assert done.returncode == 0, done.stderr
        run = only_run(tmp_path / f"saved{memory}")
        content = torch.load(run / "checkpoint-epoch2.pth", weights_only=True)
        weights.append((content["state_dict"], content["data"]))
    assert weights[0][1] == weights[1][1]
    assert all(weights[1][0][name].equal(value) for name, value in weights[0][0].items())
