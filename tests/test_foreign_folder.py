"""Going on writes into a run's own folder only; of anything else in it nothing is touched."""

import json
import shutil

import pytest
import torch

from tests import processes
from tests.killing import content_of, end_state, lines_of, resume, uninterrupted
from utils.checkpoint import save_checkpoint
from utils.checkpoint_files import checkpoint_name


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return uninterrupted(tmp_path_factory.mktemp("finished"), save_steps=0)


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """A run that differs in its seed alone."""
    return uninterrupted(tmp_path_factory.mktemp("other"), {"seed": 4}, save_steps=0)


@pytest.fixture
def folder(finished, tmp_path):
    """A folder with nothing but the checkpoint of epoch 2, under a name of its own."""
    folder = tmp_path / "folder"
    folder.mkdir()
    shutil.copy(finished / checkpoint_name(2), folder / "a.pth")
    return folder


def all_in(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(folder, name="a.pth"):
    """Go on with a checkpoint, which is refused in one line and touches nothing -> the line."""
    before = all_in(folder)
    code, said = processes.run("-r", folder / name, output=folder.parent / "out")
    assert (code, said.count("\n")) == (2, 1), said
    assert all_in(folder) == before
    return said


def test_a_folder_of_another_program_is_refused_and_left_as_it_is(folder, other):
    (folder / "metrics.jsonl").write_text('{"epoch": 9, "accuracy": 0.5}\n')
    shutil.copy(other / checkpoint_name(5), folder)
    said = refused(folder)
    assert f"{folder / 'config.json'}: no such file" in said
    assert "copy its config.json into this one to go on here" in said


def test_a_folder_with_checkpoints_and_no_config_is_refused(finished, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    (run / "config.json").unlink()
    assert "config.json: no such file" in refused(run, "")


def test_a_checkpoint_beside_its_config_goes_on_as_its_run_did(finished, folder):
    shutil.copy(finished / "config.json", folder)
    code, said = processes.run("-r", folder / "a.pth", output=folder.parent / "out")
    assert code == 0, said
    assert lines_of(folder) == lines_of(finished)[2:]
    assert "epoch 7/7" in resume(folder, "-s", "trainer.epochs=7")  # and once more


def test_a_run_that_was_moved_or_copied_goes_on(finished, tmp_path):
    run = tmp_path / "elsewhere" / "renamed"
    shutil.copytree(finished, run)
    code, said = processes.run("-r", run / checkpoint_name(2), output=tmp_path / "out")
    assert code == 0, said
    assert end_state(run) == end_state(finished)


def test_a_run_that_lost_numbers_in_a_power_cut_goes_on_twice(finished, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    first, *_, last = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run / "metrics.jsonl").write_text(first + last)
    for epochs in (6, 7):
        assert f"epoch {epochs}/{epochs}" in resume(run, "-s", f"trainer.epochs={epochs}")
    assert [line["epoch"] for line in lines_of(run)] == [1, 5, 6, 7]


def test_a_checkpoint_in_another_runs_folder_is_refused(folder, other):
    shutil.copytree(other, folder, dirs_exist_ok=True)
    said = refused(folder)
    assert "seed is 4 and 3" in said
    assert "give the checkpoint in its own run's folder" in said


@pytest.mark.parametrize("name", [checkpoint_name(3), checkpoint_name(1, 2), "model_best.pth"])
def test_another_runs_checkpoint_is_neither_renamed_nor_removed(finished, folder, other, name):
    shutil.copy(finished / "config.json", folder)
    shutil.copy(other / checkpoint_name(5), folder / name)
    said = refused(folder)
    assert f"{folder / name}: of another run than the checkpoint: seed is 3 and 4" in said
    assert "to go on here on purpose, move it away" in said


def test_a_run_on_other_images_is_another_run(finished, folder):
    shutil.copy(finished / "config.json", folder)
    content = content_of(finished / checkpoint_name(5))
    content["data"]["crc32"] ^= 1
    save_checkpoint(content, folder / checkpoint_name(5))
    theirs, ours = content["data"]["crc32"], content["data"]["crc32"] ^ 1
    says = f"of another run than the checkpoint: data.crc32 is {ours} and {theirs}; "
    assert says in refused(folder)


def test_another_programs_checkpoint_is_not_taken_for_a_damaged_one(finished, folder):
    shutil.copy(finished / "config.json", folder)
    torch.save({"arch": "MnistModel", "epoch": 7}, folder / checkpoint_name(7))
    assert "checkpoint-epoch7.pth: format None" in refused(folder)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (['{"epoch": 1, "accuracy": 0.5}'], "line 1 is none that this run wrote"),
        (["loss 0.3"], "line 1 is none that this run wrote"),
        (['{"epoch": 3, "step": 15}', '{"epoch": 3, "step": 15}'], "line 2 is none"),
        # Epoch 2 of this run ended after step 10.
        (['{"epoch": 1, "step": 99}'], "do not lead to the checkpoint of epoch 2, step 10"),
        (['{"epoch": 3, "step": 9}'], "do not lead to the checkpoint"),
        (
            ['{"epoch": 1, "step": 5, "val_loss": 0.0}', '{"epoch": 2, "step": 10}'],
            "do not lead to the checkpoint",  # whose best value is another
        ),
    ],
)
def test_numbers_of_something_else_are_not_cut(finished, folder, lines, says):
    shutil.copy(finished / "config.json", folder)
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    said = refused(folder)
    assert f"{folder / 'metrics.jsonl'}: " in said
    assert says in said


def test_a_folder_whose_config_only_begins_runs_is_no_run(small, tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(small))
    (folder / "metrics.jsonl").write_text('{"epoch": 1, "step": 3}\n')
    said = refused(folder, "")
    assert "config.json: not written by a run" in said
    assert f"give -c {folder / 'config.json'}" in said
