"""A new run may begin with the weights of another one, as far as they fit."""

import json
import shutil

import pytest
import torch

from tests import processes
from tests.killing import (
    content_of,
    end_state,
    lines_of,
    resume,
    run_folder,
    uninterrupted,
    write_config,
)
from trainer.catalogue import catalogue
from trainer.plan import plan_sweep
from utils.checkpoint_files import checkpoint_name
from utils.config.check import load_config

STILL = {"optimizer": {"type": "SGD", "args": {"lr": 1e-30}}, "lr_scheduler": None}


def layers(*channels):
    layers = [{"conv": number, "stride": 2} for number in channels]
    return {"arch": {"type": "Autoencoder", "args": {"encoder": layers, "decoder": "mirror"}}}


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """A run of which another one may take the weights."""
    return uninterrupted(tmp_path_factory.mktemp("other"), layers(4, 6), epochs=2, save_steps=0)


def weights_of(path):
    return content_of(path)["state_dict"]


@pytest.mark.parametrize("name", ["", "model_best.pth", checkpoint_name(1)])
def test_all_weights_that_fit_are_taken(other, tmp_path, name):
    run = uninterrupted(tmp_path, layers(4, 6) | STILL, epochs=1, init=str(other / name))
    due = weights_of(other / (name or "model_best.pth"))
    assert all(torch.equal(value, due[key]) for key, value in weights_of(
        run / checkpoint_name(1)).items())  # fmt: skip
    path, count = other / (name or "model_best.pth"), len(due)
    log = (run / "info.log").read_text()
    assert f"begins with weights of {path}: {count} of {count} fit" in log
    assert "not taken" not in log
    assert json.loads((run / "config.json").read_text())["trainer"]["init"] == str(other / name)


def test_what_does_not_fit_is_named_and_stays_as_it_was_drawn(other, tmp_path):
    drawn = uninterrupted(tmp_path / "drawn", layers(4, 5) | STILL, epochs=1)
    run = uninterrupted(tmp_path / "run", layers(4, 5) | STILL, epochs=1, init=str(other))
    found, first = weights_of(run / checkpoint_name(1)), weights_of(drawn / checkpoint_name(1))
    due = weights_of(other / "model_best.pth")
    taken = [name for name in found if torch.equal(found[name], due[name])]
    assert taken == [name for name in found if found[name].shape == due[name].shape]
    rest = [name for name in found if name not in taken]
    assert taken
    assert rest
    assert all(torch.equal(found[name], first[name]) for name in rest)
    log = (run / "info.log").read_text()
    assert f": {len(taken)} of {len(found)} fit" in log
    (line,) = [line for line in log.splitlines() if "not taken: " in line]
    assert all(f"'{name}' is float32 {tuple(due[name].shape)} in the" in line for name in rest)


def refusal(folder, where, changes=None, **options):
    """What is said of a run that cannot begin; nothing may be made."""
    config = write_config(folder, changes, init=str(where))
    done = processes.command("train.py", "-c", config, **options)
    assert done.returncode == 2, done.stderr
    assert not (folder / "saved").exists()
    (line,) = done.stderr.splitlines()
    return line


def test_what_cannot_be_taken_is_refused_in_one_line(other, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "damaged.pth").write_bytes((other / "model_best.pth").read_bytes()[:-900])
    torch.save({"weight": torch.zeros(3)}, tmp_path / "foreign.pth")
    for where, says in [
        ("none", "no such file or folder; give a checkpoint or a run's folder"),
        ("empty", "no checkpoint in this folder"),
        ("damaged.pth", "damaged or no checkpoint"),
        ("foreign.pth", "format None"),
    ]:
        line = refusal(tmp_path, tmp_path / where)
        assert line.startswith("error: trainer.init: ")
        assert str(tmp_path / where) in line
        assert says in line
    three = {"encoder": [{"linear": 3}], "decoder": "mirror"}
    line = refusal(tmp_path, other, {"arch": {"type": "Autoencoder", "args": three}})
    assert line.startswith(f'error: trainer.init: "{other}": no weight of it fits: the model has')


def test_a_path_is_relative_to_the_working_folder(other, tmp_path):
    config = write_config(tmp_path, layers(4, 6), epochs=1, init=other.name)
    done = processes.command("train.py", "-c", config, cwd=other.parent)
    assert done.returncode == 0, done.stderr
    assert f"begins with weights of {other.name}/model_best.pth" in done.stdout


def test_a_run_goes_on_exactly_when_the_other_is_gone(other, tmp_path):
    copy = shutil.copytree(other, tmp_path / "other")
    run = uninterrupted(tmp_path, layers(4, 6), epochs=4, save_steps=0, init=str(copy))
    due = end_state(run)
    assert lines_of(run)[0]["loss"] < lines_of(other)[0]["loss"]  # it began trained
    shutil.rmtree(copy)
    for epoch in (3, 4):
        (run / checkpoint_name(epoch)).unlink()
    assert "begins with" not in resume(run)
    assert end_state(run) == due


def test_a_run_without_a_checkpoint_needs_the_other_again(other, tmp_path):
    copy = shutil.copytree(other, tmp_path / "other")
    run = uninterrupted(tmp_path, layers(4, 6), epochs=1, save_steps=0, init=str(copy))
    due = end_state(run)
    for path in run.glob("*.pth"):
        path.unlink()
    assert "begins with weights of" in resume(run)
    assert end_state(run) == due
    for path in run.glob("*.pth"):
        path.unlink()
    shutil.rmtree(copy)
    code, said = processes.run("-r", run, output=tmp_path / "out")
    assert code == 2
    assert f'error: trainer.init: "{copy}": no such file or folder' in said


def test_other_first_weights_at_the_same_path_make_another_member(other, tmp_path):
    init = tmp_path / "first.pth"
    settings = layers(4, 6) | {"sweep": {"runs": [{}]}}
    config = load_config(write_config(tmp_path, settings, init=str(init)), [], catalogue())
    folders = []
    for name in (checkpoint_name(1), checkpoint_name(2), checkpoint_name(1)):
        shutil.copy(other / name, init)
        (member,) = plan_sweep(config, catalogue())
        folders.append(member.folder)
    assert folders[0] == folders[2] != folders[1]


def test_a_sweep_is_refused_before_it_begins(tmp_path):
    changes = {"sweep": {"runs": [{}, {"trainer.init": str(tmp_path / "none")}]}}
    config = write_config(tmp_path, changes)
    done = processes.command("train.py", "-c", config)
    assert done.returncode == 2
    assert "sweep.runs.1: trainer.init: " in done.stderr
    assert run_folder(tmp_path) is None


def test_a_study_begins_with_no_weights_that_may_know_its_test_images(other, tmp_path):
    arms = [{"name": "none"}, {"name": "children", "generation": {}}]
    line = refusal(tmp_path, other, {"study": {"arms": arms}})
    assert "study.arms.1: trainer.init: " in line
    assert "would be a leak" in line
