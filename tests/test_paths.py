"""Paths that lead nowhere, too far, or to what is another program's."""

import json
import shutil

import numpy as np
import pytest

from tests.conftest import command, only_run, small_config


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of runs of a small config, with one in it."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "config.json").write_text(json.dumps(small_config(folder)))
    done = command("train.py", "-c", folder / "config.json")
    assert done.returncode == 0, done.stderr
    return folder / "saved"


def copied(finished, folder):
    """A copy of the run, in a folder of runs."""
    shutil.copytree(finished, folder)
    return only_run(folder)


def all_below(folder):
    return sorted(folder.rglob("*"))


def refused(done):
    """The one line of a user's error."""
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done
    return done.stderr


@pytest.mark.parametrize("arguments", [["-r", ""], ["-c", " "]])
def test_an_empty_path_is_not_the_folder_that_one_is_in(arguments, tmp_path):
    assert "a path was expected" in command("train.py", *arguments, cwd=tmp_path).stderr
    assert all_below(tmp_path) == []


def test_an_empty_output_leaves_nothing_in_the_folder_that_one_is_in(finished, tmp_path):
    run = copied(finished, tmp_path / "saved")
    before = all_below(tmp_path)
    done = command("test.py", "-r", run, "-o", "", cwd=tmp_path)
    assert "'': a path was expected; is a variable of the shell empty?" in refused(done)
    assert all_below(tmp_path) == before


@pytest.mark.parametrize(
    ("name", "reason"),
    [("x" * 300, "File name too long"), ("circle", "Too many levels of symbolic links")],
)
def test_a_path_that_cannot_be_reached_is_said_to_be(name, reason, small, written, tmp_path):
    (tmp_path / "circle").symlink_to("circle")
    path = tmp_path / name
    np.save(tmp_path / "data.npy", np.zeros((4, 8, 8), np.uint8))
    for arguments in (["-c", path], ["-r", path]):
        assert refused(command("train.py", *arguments)) == (
            f"error: {path}: cannot be reached: {reason}\n"
        )
    for arguments in (["-r", path], ["-r", tmp_path, "-o", path]):
        assert f"{path}: cannot be reached: {reason}" in refused(command("test.py", *arguments))
    for data, label in ((path, None), (tmp_path / "data.npy", path)):
        args = {"data": str(data), "label": label and str(label)}
        small["dataset"] = {"type": "Arrays", "args": args}
        done = command("train.py", "-c", written(small))
        assert refused(done) == f"error: {path}: cannot be reached: {reason}\n"
    assert not (tmp_path / "saved").exists()


def test_a_run_is_not_looked_for_below_a_whole_home(finished, tmp_path):
    run = copied(finished, tmp_path / "work" / "saved")
    for folder in (run, run.parent, run.parent.parent):
        assert command("train.py", "-r", folder).returncode == 0
        assert command("test.py", "-r", folder).returncode == 0
    shutil.rmtree(run / "test")
    before = {path: path.stat().st_mtime_ns for path in all_below(tmp_path)}
    for script in ("train.py", "test.py"):
        line = refused(command(script, "-r", tmp_path))
        assert line.startswith(f"error: {tmp_path}: no checkpoint in this folder, nor in a run")
    assert {path: path.stat().st_mtime_ns for path in all_below(tmp_path)} == before


def test_a_report_removes_no_files_but_those_of_a_report(finished, tmp_path):
    run = copied(finished, tmp_path / "saved")
    target = tmp_path / "figures"
    target.mkdir()
    (target / "prior.png").write_text("drawn by somebody else")
    assert "prior.png of another program" in refused(command("test.py", "-r", run, "-o", target))
    assert (target / "prior.png").read_text() == "drawn by somebody else"
    (target / "prior.png").rename(target / "mine.png")
    assert command("test.py", "-r", run, "-o", target).returncode == 0
    (target / "prior.png").touch()  # as an earlier test of a VAE would have left it
    assert command("test.py", "-r", run, "-o", target).returncode == 0
    assert not (target / "prior.png").exists()
    assert (target / "mine.png").read_text() == "drawn by somebody else"


def test_a_lock_of_another_user_is_said_in_a_line(finished, tmp_path):
    run = copied(finished, tmp_path / "saved")
    (run / ".lock").unlink()
    (run / ".lock").mkdir()  # cannot be opened, even by root
    line = refused(command("train.py", "-r", run))
    assert line.startswith(f"error: {run / '.lock'}: cannot be opened: ")


def test_what_is_no_ordinary_file_is_not_called_a_folder(small, written):
    small["dataset"] = {"type": "Arrays", "args": {"data": "/dev/null"}}
    done = command("train.py", "-c", written(small))
    assert refused(done) == "error: /dev/null: no ordinary file, not a .npy or .npz file\n"
