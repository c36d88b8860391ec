"""A full disk ends a run with one line; what was written before is whole and goes on later."""

import json
import os
import resource
import shutil
import subprocess
from functools import partial

import pytest

from tests import processes
from tests.killing import end_state, resume, run_folder, uninterrupted, write_config
from utils.checkpoint import load_checkpoint
from utils.checkpoint_files import checkpoint_name, checkpoints_in


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return uninterrupted(tmp_path_factory.mktemp("finished"), save_steps=0, save_period=1)


def limit_files(size):
    """Let no file of this process grow beyond `size` bytes: a disk that is full for it."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def is_one_clear_line(said):
    return said.count("failed: ") == 1 and "Traceback" not in said and "bytes" in said


def rewound(finished, folder, epoch):
    """A copy of a finished run as it was after an epoch."""
    run = folder / "run"
    shutil.copytree(finished, run)
    for path in checkpoints_in(run):
        if path.name > checkpoint_name(epoch):
            path.unlink()
    return run


@pytest.mark.parametrize("part", [0, 0.3, 0.99])
def test_a_checkpoint_that_does_not_fit_leaves_the_one_before_it(finished, tmp_path, part):
    size = int((finished / checkpoint_name(3)).stat().st_size * part)
    run = rewound(finished, tmp_path, 3)
    limit = max(size, 4000)  # config.json and the logs still fit
    code, said = processes.run(
        "-r", run, output=tmp_path / "out", before=partial(limit_files, limit)
    )
    assert code == 1, said
    assert is_one_clear_line(said)
    assert ".pth: cannot be written: File too large; it needs " in said
    assert " are free" in said
    assert "failed: " in (run / "info.log").read_text()
    assert not list(run.glob("*.partial"))
    assert load_checkpoint(checkpoints_in(run)[0])["epoch"] == 3
    resume(run)
    assert end_state(run) == end_state(finished)


def fill(log):
    """Have every write to `log` fail with ENOSPC from the next epoch on."""
    from trainer.trainer import Trainer

    train = Trainer.train_epoch

    def trained(self, epoch):
        log.unlink()
        log.symlink_to("/dev/full")
        return train(self, epoch)

    Trainer.train_epoch = trained


@pytest.mark.parametrize("log", ["metrics.jsonl", "info.log"])
def test_a_log_that_cannot_grow_is_one_clear_line(finished, tmp_path, log):
    run = rewound(finished, tmp_path, 3)
    kept = (run / log).read_bytes()
    code, said = processes.run(
        "-r", run, output=tmp_path / "out", before=partial(fill, run / log)
    )  # fmt: skip
    assert code == 1, said
    assert is_one_clear_line(said)
    assert f"{log}: cannot be written: No space left on device; it needs " in said
    (run / log).unlink()
    (run / log).write_bytes(kept)
    resume(run)
    assert end_state(run) == end_state(finished)


def test_tensorboard_that_cannot_grow_is_one_clear_line(tmp_path):
    run = uninterrupted(tmp_path, save_steps=0, epochs=1, tensorboard=True)
    code, said = processes.run(
        "-r", run, "-s", "trainer.epochs=400", "trainer.save_period=1000",
        output=tmp_path / "out", before=partial(limit_files, 60_000),
    )  # fmt: skip
    assert code == 1, said
    assert is_one_clear_line(said) or "failed: " in said
    assert load_checkpoint(checkpoints_in(run)[0])["epoch"] == 1


def test_pictures_that_do_not_fit_leave_the_old_report(finished, tmp_path):
    run = rewound(finished, tmp_path, 5)
    process = processes.start(processes.evaluate, ["-r", run], tmp_path / "out")
    assert processes.finish(process) == 0
    before = {path.name: path.read_bytes() for path in (run / "test").iterdir()}
    process = processes.start(
        processes.evaluate, ["-r", run], tmp_path / "out2", partial(limit_files, 3000)
    )
    said_at = tmp_path / "out2"
    assert processes.finish(process) == 1, said_at.read_text()
    assert "failed: " in said_at.read_text()
    assert "Traceback" not in said_at.read_text()
    assert {path.name: path.read_bytes() for path in (run / "test").iterdir()} == before


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 2 MB of its own, where mounting one is permitted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["/bin/mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a disk is not permitted here")
    yield folder
    subprocess.run(["/bin/umount", str(folder)], check=True)


def test_a_disk_that_is_full_for_real(finished, small_disk, tmp_path):
    config = write_config(small_disk, save_steps=0)
    filler = small_disk / "filler"
    free = shutil.disk_usage(small_disk).free
    size = (finished / checkpoint_name(1)).stat().st_size
    filler.write_bytes(bytes(free - int(3.5 * size)))
    code, said = processes.run("-c", config, output=tmp_path / "out")
    assert code == 1, said
    assert is_one_clear_line(said)
    assert "No space left on device; it needs " in said
    run = run_folder(small_disk)
    assert not list(run.glob("*.partial"))
    for path in run.glob("*.pth"):
        load_checkpoint(path)
    filler.unlink()
    resume(run)
    assert end_state(run) == end_state(finished)


def test_a_disk_that_is_full_before_the_run_is_one_clear_line(small_disk, tmp_path):
    config = write_config(small_disk)
    (small_disk / "filler").write_bytes(bytes(shutil.disk_usage(small_disk).free))
    code, said = processes.run("-c", config, output=tmp_path / "out")
    assert code in (1, 2), said
    assert said.count("\n") == 1
    assert not (small_disk / "saved").exists()


# Folders that cannot be written. ------------------------------------------------------------


def test_saved_is_a_file(tmp_path):
    config = write_config(tmp_path)
    (tmp_path / "saved").write_text("not a folder")
    code, said = processes.run("-c", config, output=tmp_path / "out")
    assert (code, said.count("\n")) == (2, 1)
    assert "saved: cannot write there: " in said
    assert "trainer.save_dir" in said


def test_a_read_only_folder_is_refused_before_training(tmp_path):
    if os.geteuid() == 0:
        folder = "/proc"  # the administrator may write anywhere but here
    else:
        folder = str(tmp_path / "locked")
        os.mkdir(folder, mode=0o500)
    config = write_config(tmp_path, save_dir=folder)
    code, said = processes.run("-c", config, output=tmp_path / "out")
    assert (code, said.count("\n")) == (2, 1)
    assert f"{folder}: cannot write there: " in said


def delete_run_in_epoch_2(folder):
    from trainer.trainer import Trainer

    train = Trainer.train_epoch

    def trained(self, epoch):
        if epoch == 2:
            shutil.rmtree(folder)
        return train(self, epoch)

    Trainer.train_epoch = trained


def test_a_folder_that_is_deleted_under_a_run(tmp_path):
    config = write_config(tmp_path)
    code, said = processes.run(
        "-c", config, output=tmp_path / "out",
        before=partial(delete_run_in_epoch_2, tmp_path / "saved"),
    )  # fmt: skip
    assert code == 1, said
    assert "cannot be written: No such file or directory" in said
    assert "Traceback" not in said


def test_the_probe_leaves_nothing(tmp_path):
    from utils.output import check_writable

    check_writable(tmp_path / "not" / "yet")
    assert list(tmp_path.iterdir()) == []


def test_the_numbers_are_json_even_where_one_is_not_finite(tmp_path):
    from logger.run import Run

    Run(tmp_path).record(1, {"ssim": float("nan"), "loss": 0.5})
    (line,) = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert json.loads(line) == {"epoch": 1, "ssim": None, "loss": 0.5}
