"""A run that is killed at any instant ends as if it had not been."""

import os
import random
import signal
from functools import partial

import pytest

from tests import processes
from tests.events import curves
from tests.killing import (
    VARIATIONAL,
    Killer,
    content_of,
    end_state,
    from_files,
    run_folder,
    uninterrupted,
    write_config,
)
from utils.checkpoint import load_checkpoint, save_checkpoint
from utils.checkpoint_files import checkpoints_in


@pytest.mark.parametrize(
    ("changes", "board", "kills"),
    [
        (lambda folder: {}, False, 8),
        (lambda folder: {}, True, 5),
        (lambda folder: VARIATIONAL, False, 7),
        (from_files, False, 5),
    ],
    ids=["autoencoder", "with tensorboard", "vae of noisy images", "vae from files"],
)
def test_a_run_killed_at_random_ends_bit_for_bit_the_same(tmp_path, changes, board, kills):
    seed = random.randrange(10**6)
    killer = Killer(tmp_path, random.Random(seed), changes(tmp_path), tensorboard=board)
    killer.kill(kills)
    assert not killer.different, f"seed {seed}"
    for number in range(1, killer.runs + 1 if board else 1):
        run = run_folder(tmp_path / f"run{number}")
        for folder in (run, run / "validation"):
            assert curves(folder)["curves/loss"] == [1, 2, 3, 4, 5], f"seed {seed}"


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, VARIATIONAL], ids=["autoencoder", "vae"])
def test_a_longer_run_killed_often_ends_the_same(tmp_path, changes):
    seed = random.randrange(10**6)
    killer = Killer(tmp_path, random.Random(seed), changes, epochs=30, save_steps=3)
    killer.kill(30)
    assert not killer.different, f"seed {seed}"


# Killed within the writing of a checkpoint. ------------------------------------------------

POINTS = (
    "before open",
    "half written",
    "before fsync",
    "after fsync",
    "after replace",
    "after folder sync",
    "while pruning",
)


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def kill_in_save(point, name, number):
    """Have this process kill itself at `point` of the save `number` of files called `name`*."""
    from pathlib import Path

    import utils.checkpoint
    import utils.output

    armed, saves, syncs = [], [], []
    write_file, replace, fsync, unlink = (
        utils.output.write_file, os.replace, os.fsync, Path.unlink,
    )  # fmt: skip

    class HalfWriter:
        def __init__(self, file):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def __getattr__(self, name):
            return getattr(self.file, name)

        def write(self, content):
            self.file.write(content[: len(content) // 2])
            self.file.flush()
            die()

    def save(path, content):
        if path.name.startswith(name):
            saves.append(path)
            if len(saves) == number:
                armed.append(point)
        write_file(path, content)

    def opened(path, mode):
        if armed == ["before open"]:
            die()
        file = open(path, mode)
        return HalfWriter(file) if armed == ["half written"] else file

    def sync(handle):
        if armed == ["before fsync"]:
            die()
        fsync(handle)
        if armed:
            syncs.append(handle)
        if armed == ["after fsync"] or (armed == ["after folder sync"] and len(syncs) == 2):
            die()

    def replaced(source, target):
        replace(source, target)
        if armed == ["after replace"]:
            die()

    def unlinked(path, **options):
        unlink(path, **options)
        if armed == ["while pruning"]:
            die()

    utils.checkpoint.write_file, utils.output.open = save, opened
    os.fsync, os.replace, Path.unlink = sync, replaced, unlinked


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return end_state(uninterrupted(tmp_path_factory.mktemp("reference")))


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize(
    ("name", "number"), [("checkpoint", 1), ("checkpoint", 6), ("model_best", 2)]
)
def test_a_kill_inside_a_save_loses_one_interval_at_most(tmp_path, expected, point, name, number):
    config = write_config(tmp_path)
    before = partial(kill_in_save, point, name, number)
    process = processes.start(processes.train, ["-c", config], tmp_path / "out", before)
    assert processes.finish(process) == -signal.SIGKILL, (tmp_path / "out").read_text()
    run = run_folder(tmp_path)
    if number > 1:
        newest = load_checkpoint(checkpoints_in(run)[0])
        # Saves come at steps 2 4 5 6 8 10 ...: the sixth at step 10, the second best at 10 too.
        assert newest["step"] >= 10 - 2
    for path in run.glob("*.pth"):
        load_checkpoint(path)
    code, said = processes.run("-r", run, output=tmp_path / "out")
    assert code == 0, said
    assert end_state(run) == expected


def test_a_save_writes_syncs_renames_and_syncs_the_folder_in_this_order(tmp_path, monkeypatch):
    run = uninterrupted(tmp_path / "run", epochs=1)
    content = content_of(run / "checkpoint-epoch1.pth")
    target, calls = tmp_path / "model.pth", []
    fsync, replace = os.fsync, os.replace

    def synced(handle):
        name = os.path.basename(os.readlink(f"/proc/self/fd/{handle}"))
        size = os.fstat(handle).st_size
        calls.append(f"sync {name}" + (" empty" if size == 0 else ""))
        fsync(handle)

    def renamed(source, to):
        calls.append(f"rename {os.path.basename(source)} {os.path.basename(to)}")
        replace(source, to)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    save_checkpoint(content, target)
    assert calls == [
        "sync model.pth.partial",
        "rename model.pth.partial model.pth",
        f"sync {tmp_path.name}",
    ]
