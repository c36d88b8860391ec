"""What test.py leaves where it is stopped, started twice, or given runs without a checkpoint."""

import os
import shutil
import signal
import time

import numpy as np
import pytest
from PIL import Image

from tests import processes
from tests.conftest import command
from tests.killing import uninterrupted
from tests.test_lock import wait_for
from tests.test_test import FILES, PLAIN, PLAIN_FILES

OLD = '{"splits": {}, "baselines": {}}'  # by which a folder is known as one of test.py's


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return uninterrupted(tmp_path_factory.mktemp("finished"), save_steps=0)


@pytest.fixture
def run(finished, tmp_path):
    copy = tmp_path / "saved" / "killed" / "first"
    shutil.copytree(finished, copy)
    return copy


def files_in(folder):
    return {path.name for path in folder.iterdir()}


class Killed:
    """Has this process send itself a signal when its page is due, after the other files."""

    def __init__(self, number):
        self.number = number

    def __call__(self):
        from tester.tester import Tester

        Tester.write_page = lambda *_: os.kill(os.getpid(), self.number)


class Held:
    """Has this process wait, when its page is due, until a file is there."""

    def __init__(self, path):
        self.path = path

    def __call__(self):
        from tester.tester import Tester

        write = Tester.write_page

        def wait_and_write(*arguments):
            print("the page is due", flush=True)
            while not self.path.exists():
                time.sleep(0.02)
            write(*arguments)

        Tester.write_page = wait_and_write


def evaluate(run, output, before=None, *settings):
    arguments = ["-r", run, "-s", PLAIN, *settings]
    return processes.start(processes.evaluate, arguments, output, before)


def test_sigterm_leaves_nothing_of_a_test(run, tmp_path):
    (run / "test").mkdir()
    (run / "test" / "metrics.json").write_text(OLD)
    process = evaluate(run, tmp_path / "out", Killed(signal.SIGTERM))
    assert processes.finish(process) == 143
    said = (tmp_path / "out").read_text()
    assert said.splitlines()[-1] == (
        f"stopped by SIGTERM; {run / 'test'} holds what it held before"
    )
    assert files_in(run / "test") == {"metrics.json"}
    assert (run / "test" / "metrics.json").read_text() == OLD


@pytest.mark.parametrize("name", ["metrics.json", "scores.csv", "generated.png"])
def test_files_of_another_program_are_not_written_over(run, tmp_path, name):
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / name).write_text("{}")
    np.save(tmp_path / "new.npy", np.zeros((2, 12, 12), np.uint8))
    more = ["--images", tmp_path / "new.npy"] if name == "scores.csv" else []
    done = command("test.py", "-r", run, "-o", folder, *more)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"error: {folder}: holds a {name} of another program, which would be written over; name "
        "another folder\n"
    )
    assert files_in(folder) == {name}
    assert (folder / name).read_text() == "{}"


def test_sigterm_leaves_no_empty_folder(run, tmp_path):
    process = evaluate(run, tmp_path / "out", Killed(signal.SIGTERM))
    assert processes.finish(process) == 143
    assert not (run / "test").exists()


def test_what_a_killed_test_left_is_removed_by_the_next(run, tmp_path):
    process = evaluate(run, tmp_path / "out", Killed(signal.SIGKILL))
    assert processes.finish(process) == -9
    (left,) = (run / "test").iterdir()
    assert "gen_data.npy" in files_in(left)
    of_others = run / "test" / ".partial-download"
    of_others.mkdir()
    (of_others / "film.mkv").touch()
    earlier = run / "test" / ".partial-x3_qa81b"  # as test.py once called them
    earlier.mkdir()
    (earlier / "gen_data.npy").touch()
    process = processes.start(processes.evaluate, ["-r", run], tmp_path / "next")
    assert processes.finish(process) == 0
    assert files_in(run / "test") == FILES | {of_others.name}
    assert files_in(of_others) == {"film.mkv"}


def test_a_second_test_into_a_folder_waits_for_the_first(run, tmp_path):
    release, said = tmp_path / "release", tmp_path / "second"
    first = evaluate(run, tmp_path / "first", Held(release))
    wait_for("the page is due", tmp_path / "first")
    second = evaluate(run, said, None, "generation.samples=3")
    wait_for(
        f"{run / 'test'}: pid {first.pid} writes there; waiting until it ends, to take the place "
        "of its files",
        said,
    )
    third = evaluate(run, tmp_path / "third")
    wait_for(f"pid {first.pid} writes there", tmp_path / "third")
    third.terminate()
    assert processes.finish(third) == 143
    assert second.is_alive()
    release.touch()
    assert [processes.finish(first), processes.finish(second)] == [0, 0]
    assert files_in(run / "test") == PLAIN_FILES
    assert len(np.load(run / "test" / "gen_data.npy")) == 3 * 33  # 33 of 41 maps are trained
    assert "written to" in (tmp_path / "first").read_text()


def test_a_test_that_waits_takes_over_from_a_killed_one(run, tmp_path):
    first = evaluate(run, tmp_path / "first", Held(tmp_path / "never"))
    wait_for("the page is due", tmp_path / "first")
    others = [evaluate(run, tmp_path / f"out{number}") for number in range(3)]
    for number in range(3):
        wait_for(f"pid {first.pid} writes there", tmp_path / f"out{number}")
    first.kill()
    assert [processes.finish(process) for process in others] == [0] * 3
    assert files_in(run / "test") == PLAIN_FILES


def test_a_newer_run_without_a_checkpoint_is_not_passed_over_in_silence(run):
    newer = run.parent / "second"
    shutil.copytree(run, newer, ignore=shutil.ignore_patterns("*.pth", "test"))
    os.utime(newer / "config.json")
    done = command("test.py", "-r", run.parent, "-s", PLAIN)
    assert done.returncode == 0, done.stderr
    assert done.stderr == (
        f"note: {newer}: newer, but without a checkpoint yet, so {run} is tested\n"
    )
    assert f"written to {run / 'test'}" in done.stdout
    done = command("test.py", "-r", run, "-s", PLAIN)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_older_run_without_a_checkpoint_is_not_spoken_of(run):
    older = run.parent / "before"
    shutil.copytree(run, older, ignore=shutil.ignore_patterns("*.pth", "test"))
    os.utime(older / "config.json", (1, 1))
    assert command("test.py", "-r", run.parent, "-s", PLAIN).stderr == ""


@pytest.fixture
def of_pictures(small, tmp_path):
    """A config of an `ImageFolder` of two classes."""
    random = np.random.default_rng(0)
    for name in ("a/1.png", "a/2.png", "b/1.png", "b/2.png"):
        (tmp_path / "pictures" / name).parent.mkdir(parents=True, exist_ok=True)
        shades = random.integers(0, 256, (12, 12), np.uint8)
        Image.fromarray(shades).save(tmp_path / "pictures" / name)
    args = {"root": str(tmp_path / "pictures"), "colour": "grey"}
    small["dataset"] = {"type": "ImageFolder", "args": args}
    small["data_loader"]["args"]["validation_split"] = 0
    small["trainer"]["monitor"] = "min loss"
    return small


def test_a_report_does_not_go_among_the_pictures_that_are_trained_on(
    of_pictures, written, tmp_path
):
    assert command("train.py", "-c", written(of_pictures)).returncode == 0
    for folder in (tmp_path / "pictures", tmp_path / "pictures" / "test"):
        done = command("test.py", "-r", tmp_path / "saved", "-o", folder)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"error: dataset.args.root {tmp_path}/pictures: the results")
    assert len(list((tmp_path / "pictures").rglob("*"))) == 6


def test_runs_do_not_lie_among_the_pictures_that_are_trained_on(of_pictures, written, tmp_path):
    of_pictures["trainer"]["save_dir"] = str(tmp_path / "pictures" / "saved")
    done = command("train.py", "-c", written(of_pictures))
    assert done.returncode == 2
    assert 'trainer.save_dir: "' in done.stderr
    assert "lies in dataset.args.root, where every picture is taken for an image" in done.stderr
    assert not (tmp_path / "pictures" / "saved").exists()
