"""Going on from any checkpoint of a run ends where the run ended."""

import json
import shutil

import numpy as np
import pytest

from tests import processes
from tests.events import curves
from tests.every_step import assert_goes_on_exactly
from tests.killing import (
    content_of,
    end_state,
    from_files,
    lines_of,
    resume,
    run_folder,
    uninterrupted,
    write_config,
)
from utils.checkpoint import save_checkpoint
from utils.checkpoint_files import checkpoint_name, checkpoints_in, place_of

STEPS = range(1, 25)
# The first epoch is the best one, for none is better.
STANDING_STILL = {
    "optimizer": {"type": "SGD", "args": {"lr": 1e-30}},
    "arch": {"type": "Autoencoder", "args": {"encoder": [{"conv": 4}], "decoder": "mirror"}},
}


def keep_every_checkpoint():
    """Have this process keep the checkpoints within epochs that it would remove."""
    import base.base_trainer

    base.base_trainer.remove_passed = lambda newest: None


@pytest.fixture(scope="module")
def all_steps(tmp_path_factory):
    """A run of 24 steps that kept a checkpoint of every step."""
    folder = tmp_path_factory.mktemp("all")
    changes = {
        "data_loader": {"type": "ImageLoader", "args": {"batch_size": 6, "validation_split": 5}}
    }
    config = write_config(folder, changes, epochs=4, save_steps=1)
    code, said = processes.run(
        "-c", config, output=folder / "out", before=keep_every_checkpoint
    )  # fmt: skip
    assert code == 0, said
    return run_folder(folder)


def test_each_step_left_a_checkpoint(all_steps):
    steps = [content_of(path)["step"] for path in reversed(checkpoints_in(all_steps))]
    assert sorted(set(steps)) == list(STEPS)
    assert steps == sorted(steps)  # epoch and step sort as numbers


@pytest.mark.parametrize("step", STEPS)
def test_resume_from_every_step_is_bit_exact(all_steps, tmp_path, step):
    assert_goes_on_exactly(all_steps, tmp_path, step)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return uninterrupted(tmp_path_factory.mktemp("finished"), save_steps=0)


@pytest.fixture
def run(finished, tmp_path):
    """A finished run of five epochs, a checkpoint each, to do anything to."""
    copy = tmp_path / "run"
    shutil.copytree(finished, copy)
    return copy


@pytest.mark.parametrize("epoch", [1, 2, 3, 4])
def test_resume_from_every_epoch_is_bit_exact(finished, run, epoch):
    code, said = processes.run("-r", run / checkpoint_name(epoch), output=run.parent / "out")
    assert code == 0, said
    assert end_state(run) == end_state(finished)
    assert f"checkpoint-epoch{epoch + 1}.pth is now" in said


def test_resuming_a_finished_run_does_nothing_and_says_so(run):
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.name != "info.log"}
    assert "nothing to do: 5 of 5 epochs are trained" in resume(run)
    after = {path.name: path.read_bytes() for path in run.iterdir() if path.name != "info.log"}
    before.pop(".lock"), after.pop(".lock")
    assert after == before


def test_resuming_a_run_that_stopped_early_does_nothing_and_says_why(tmp_path):
    run = uninterrupted(tmp_path, STANDING_STILL, early_stop=1, epochs=50)
    lines = lines_of(run)
    assert [line["epoch"] for line in lines] == [1, 2]
    said = resume(run)
    assert (
        "nothing to do: trainer.early_stop=1 ended the run after epoch 2 of 50: no better" in said
    )
    assert "val_loss for 1 epochs; to go on, add -s trainer.early_stop=2, or 0 for all" in said
    assert "early_stop=1 ended the run after epoch 2 of 60" in resume(
        run, "-s", "trainer.epochs=60"
    )
    assert lines_of(run) == lines


def test_a_run_that_stopped_early_goes_on_as_it_says(tmp_path):
    run = uninterrupted(tmp_path, STANDING_STILL, early_stop=1, epochs=5)
    resume(run, "-s", "trainer.early_stop=2")
    assert [line["epoch"] for line in lines_of(run)] == [1, 2, 3]
    assert "ended the run after epoch 3 of 5: no better val_loss for 2 epochs" in resume(run)
    resume(run, "-s", "trainer.early_stop=0")
    assert [line["epoch"] for line in lines_of(run)] == [1, 2, 3, 4, 5]
    assert "nothing to do: 5 of 5 epochs are trained" in resume(run)


def test_a_resumed_run_can_be_made_longer(run, tmp_path):
    assert "epoch 7/7" in resume(run, "-s", "trainer.epochs=7")
    assert [line["epoch"] for line in lines_of(run)] == [1, 2, 3, 4, 5, 6, 7]


def test_the_newest_checkpoint_that_verifies_is_taken_and_the_skipped_are_named(finished, run):
    (run / checkpoint_name(5)).write_bytes(b"")
    damaged = bytearray((run / checkpoint_name(4)).read_bytes())
    middle = len(damaged) // 2
    damaged[middle : middle + 500] = bytes(500)  # more than the padding between its parts
    (run / checkpoint_name(4)).write_bytes(damaged)
    said = resume(run)
    assert "skipped" in said
    assert "checkpoint-epoch5.pth" in said
    assert "goes on after epoch 3, step 15" in said
    assert end_state(run) == end_state(finished)


def test_one_file_that_does_not_verify_is_an_error(run):
    (run / checkpoint_name(5)).write_bytes(b"PK")
    code, said = processes.run("-r", run / checkpoint_name(5), output=run.parent / "out")
    assert (code, said.count("\n")) == (2, 1)
    assert "checkpoint-epoch5.pth: damaged" in said


def test_epoch_10_comes_after_9(tmp_path):
    for name in ("epoch9", "epoch10", "epoch10-step95", "epoch9-step89", "epoch11-step101"):
        (tmp_path / f"checkpoint-{name}.pth").touch()
    names = [path.stem.removeprefix("checkpoint-") for path in checkpoints_in(tmp_path)]
    assert names == ["epoch11-step101", "epoch10", "epoch10-step95", "epoch9", "epoch9-step89"]
    assert place_of(tmp_path / "checkpoint-best.pth") is None


def test_a_run_stopped_before_its_first_checkpoint_begins_again(finished, run):
    for path in run.glob("*.pth"):
        path.unlink()
    assert "no checkpoint yet" in resume(run)
    assert end_state(run) == end_state(finished)


def test_a_checkpoint_within_an_epoch_that_is_over_is_removed(run):
    content = content_of(run / checkpoint_name(5))
    save_checkpoint(content, run / checkpoint_name(5, 24))
    assert "nothing to do" in resume(run)
    assert not (run / checkpoint_name(5, 24)).exists()


def test_what_a_killed_process_was_writing_is_removed(run):
    (run / "model_best.pth.partial").write_bytes(b"half")
    resume(run)
    assert not list(run.glob("*.partial"))


def test_half_a_line_of_numbers_is_cut(finished, run):
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 6, "lo')
    resume(run)
    assert lines_of(run) == lines_of(finished)


def test_no_epoch_is_twice_in_tensorboard(tmp_path):
    run = uninterrupted(tmp_path, tensorboard=True)
    code, said = processes.run("-r", run / checkpoint_name(2), output=tmp_path / "out")
    assert code == 0, said
    for folder in (run, run / "validation"):
        assert curves(folder)["curves/loss"] == [1, 2, 3, 4, 5]
        assert len(list(folder.glob("events*"))) == 2


@pytest.mark.parametrize(("first", "then"), [(0, 2), (2, 0)])
def test_the_number_of_workers_may_change(tmp_path, first, then):
    changes = from_files(tmp_path)
    expected = end_state(uninterrupted(tmp_path / "reference", changes))
    changes["data_loader"]["args"]["num_workers"] = first
    run = uninterrupted(tmp_path / "other", changes, save_steps=0)
    for epoch in (3, 4, 5):
        (run / checkpoint_name(epoch)).unlink()
    resume(run, "-s", f"data_loader.args.num_workers={then}")
    assert end_state(run) == expected


def test_files_that_were_moved_are_found_and_files_that_changed_are_refused(tmp_path):
    changes = from_files(tmp_path)
    run = uninterrupted(tmp_path / "run", changes)
    data = tmp_path / "images.npy"
    moved = data.rename(tmp_path / "moved.npy")
    more = ("-s", f"dataset.args.data={moved}", "trainer.epochs=6")
    assert "epoch 6/6" in resume(run, *more)
    images = np.load(moved)
    np.save(moved, images[::-1])
    code, said = processes.run("-r", run, "-s", "trainer.epochs=7", output=tmp_path / "out")
    assert code == 2
    assert "the data set has changed" in said


def test_another_order_of_the_images_is_refused(finished, run):
    for path in run.glob("*.pth"):
        content = content_of(path)
        content["data"]["crc32"] ^= 1
        save_checkpoint(content, path)
    code, said = processes.run("-r", run, output=run.parent / "out")
    assert (code, said.count("\n")) == (2, 1)
    assert "the data set has changed" in said


def test_the_number_of_threads_and_the_version_are_reported(run):
    content = content_of(run / checkpoint_name(5))
    content["machine"]["threads"] = 77
    content["versions"]["torch"] = "2.10.0"
    save_checkpoint(content, run / checkpoint_name(5))
    said = resume(run)
    assert "note: threads is 1 now and was 77" in said
    assert "note: torch is" in said
    assert "was 77" in (run / "info.log").read_text()


def test_an_edited_config_of_a_run_is_compared_key_by_key(run):
    config = json.loads((run / "config.json").read_text())
    config["optimizer"]["type"] = "SGD"
    config["optimizer"]["args"] = {"lr": 0.01}
    config["trainer"]["monitor"] = "min loss"
    config["trainer"]["epochs"] = 6  # this one may change
    (run / "config.json").write_text(json.dumps(config))
    code, said = processes.run("-r", run, output=run.parent / "out")
    assert (code, said.count("\n")) == (2, 1)
    assert 'optimizer.type is "SGD" and "Adam"' in said
    assert 'trainer.monitor is "min loss" and "min val_loss"' in said
    assert "epochs" not in said


def test_a_changed_learning_rate_lasts_through_a_second_interruption(run):
    resume(run, "-s", "trainer.epochs=6", "optimizer.args.lr=0.005")
    resume(run, "-s", "trainer.epochs=7")
    assert lines_of(run)[5]["lr"] == pytest.approx(0.005)


def test_a_best_model_from_after_the_checkpoint_is_set_aside(run):
    assert content_of(run / "model_best.pth")["epoch"] > 1
    code, said = processes.run("-r", run / checkpoint_name(1), output=run.parent / "out")
    assert code == 0, said
    assert "model_best.pth is now model_best.pth.superseded" in said


def test_a_checkpoint_that_was_the_best_is_the_best_again(run):
    values = [line["val_loss"] for line in lines_of(run)]
    assert values[1] == min(values[:2])
    code, said = processes.run(
        "-r", run / checkpoint_name(2), "--lr", "1e-9", output=run.parent / "out"
    )
    assert code == 0, said
    later = [line["val_loss"] for line in lines_of(run)][2:]
    best = content_of(run / "model_best.pth")["epoch"]
    assert best == (2 if min(later) >= values[1] else later.index(min(later)) + 3)
