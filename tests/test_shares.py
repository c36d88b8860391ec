"""Sweeps and studies done by several processes: side by side, and each a share of them."""

import csv
import json
import os
import signal
import time
import zlib

import pytest

from tests import processes
from tests.conftest import command
from tests.test_study import ARMS, records_of, study_config, write_maps
from utils.lock import Claims

RATES = (0.01, 0.02, 0.03)


@pytest.fixture
def sweep(small, written):
    """A function that writes the config of a sweep of three runs, which takes seconds."""
    small["trainer"]["epochs"] = 1
    small["generation"] = None

    def write(**settings):
        runs = [{"label": f"rate {rate}", "optimizer.args.lr": rate} for rate in RATES]
        return written(small | {"sweep": {"runs": runs} | settings})

    return write


def table_of(tmp_path):
    path = tmp_path / "saved" / "small-sweep" / "table.csv"
    return list(csv.DictReader(path.read_text().splitlines())) if path.exists() else None


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "1/0", "-1/3", "a/b", "1/3/5", ""])
def test_a_share_that_is_none_is_refused(sweep, tmp_path, text):
    done = command("train.py", "-c", sweep(), f"--members={text}")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"error: --members {text}: must be K/N, every N-th from the K-th on, with K from 1 to N, "
        "as in 3/10\n"
    )
    assert not (tmp_path / "saved").exists()


def test_a_single_run_has_no_members(small, written, tmp_path):
    done = command("train.py", "-c", written(small), "--members", "1/2")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: --members 1/2: the config is of one run, not of a sweep")
    assert not (tmp_path / "saved").exists()


@pytest.mark.slow
def test_shares_make_the_sweep_that_one_process_makes_and_the_last_writes_its_table(
    sweep, tmp_path
):
    config = sweep()
    first = command("train.py", "-c", config, "--members", "1/2")
    assert first.returncode == 0, first.stderr
    assert "2 of 3 members are there; the table comes with the last of them" in first.stdout
    assert table_of(tmp_path) is None
    assert sorted(path.name for path in (tmp_path / "saved").glob("small-rate*")) == [
        "small-rate 0.01-seed1", "small-rate 0.03-seed1",
    ]  # fmt: skip
    last = command("train.py", "-c", config, "--members", "2/2")
    assert "sweep 2/3: rate 0.02, seed 1" in last.stdout
    assert [row["setting"] for row in table_of(tmp_path)] == [f"rate {rate}" for rate in RATES]


@pytest.mark.slow
def test_members_side_by_side_have_the_numbers_of_members_one_after_another(sweep, tmp_path):
    assert command("train.py", "-c", sweep(workers=3)).returncode == 0
    side_by_side = table_of(tmp_path)
    logs = sorted((tmp_path / "saved" / "small-sweep").glob("*.log"))
    assert len(logs) == len(RATES)
    assert all("epoch 1/1" in log.read_text() for log in logs)
    (tmp_path / "saved").rename(tmp_path / "other")
    assert command("train.py", "-c", sweep()).returncode == 0
    assert table_of(tmp_path) == side_by_side


@pytest.mark.slow
def test_a_member_that_another_process_is_at_is_left_to_it(sweep, tmp_path):
    config, folder = sweep(), tmp_path / "saved" / "small-sweep"
    folder.mkdir(parents=True)
    claims = Claims(folder)
    assert claims.take(zlib.crc32(b"small-rate 0.02-seed1"))
    done = command("train.py", "-c", config)
    assert done.returncode == 0, done.stderr
    assert "sweep 2/3: rate 0.02, seed 1: left to another process, which is at it" in done.stdout
    assert "2 of 3 members are there" in done.stdout
    claims.give_back(zlib.crc32(b"small-rate 0.02-seed1"))
    assert command("train.py", "-c", config).returncode == 0
    assert len(table_of(tmp_path)) == len(RATES)


@pytest.mark.parametrize("content", ["garbage", "[]"])
def test_a_damaged_note_of_labels_is_named(sweep, tmp_path, content):
    notes = tmp_path / "saved" / "small-sweep" / "labels.json"
    notes.parent.mkdir(parents=True)
    notes.write_text(content)
    done = command("train.py", "-c", sweep())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {notes}: damaged; ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "damaged"), [(1, "{"), (2, '{"changed": []}')])
def test_a_member_that_fails_keeps_none_of_the_others_from_its_end(
    sweep, tmp_path, workers, damaged
):
    config = sweep(workers=workers)
    content = json.loads(config.read_text())
    content["sweep"]["runs"][0] = {"label": "too fast", "optimizer.args.lr": 1e30}
    config.write_text(json.dumps(content))
    done = command("train.py", "-c", config)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("failed: 1 of 3 members that were to be run here; start the sweep")
    assert "train.py -c " in last
    tested = sorted(path.parts[-4] for path in tmp_path.glob("saved/*/*/test/metrics.json"))
    assert tested == ["small-rate 0.02-seed1", "small-rate 0.03-seed1"]
    assert [row["setting"] for row in table_of(tmp_path)] == ["rate 0.02", "rate 0.03"]
    assert "small-sweep, without 1 of 3 members" in done.stdout
    page = (tmp_path / "saved/small-sweep/report.html").read_text()
    assert "2 of 3 runs are here." in page
    assert "Not here, for they failed or have not ended: too fast, seed 1." in page
    (scores,) = tmp_path.glob("saved/small-rate 0.02*/*/test/metrics.json")
    scores.write_text(damaged)
    again = command("train.py", "-c", config)
    assert again.returncode == 1
    assert "failed: 2 of 3 members" in again.stderr
    assert "Traceback" not in again.stderr
    assert "sweep 3/3" not in again.stdout
    assert [row["setting"] for row in table_of(tmp_path)] == ["rate 0.03"]


@pytest.mark.slow
def test_a_signal_stops_all_members_that_run_side_by_side(small, written, tmp_path):
    small["trainer"] |= {"epochs": 100_000, "save_period": 100_000}
    runs = [{"label": f"rate {rate}", "optimizer.args.lr": rate} for rate in RATES]
    config = written(small | {"sweep": {"runs": runs, "workers": 2}})
    process = processes.start(processes.train, ["-c", config], tmp_path / "said")
    logs = tmp_path / "saved" / "small-sweep"
    until = time.monotonic() + 100
    while sum("epoch " in log.read_text() for log in logs.glob("*.log")) < 2:
        assert time.monotonic() < until
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGTERM)
    assert processes.finish(process) == 143
    assert (tmp_path / "said").read_text().endswith("sweep stopped; start it again to go on\n")
    checkpoints = list(tmp_path.glob("saved/small-rate*/*/checkpoint-epoch*.pth"))
    assert len(checkpoints) == 2
    assert not (tmp_path / "saved" / "small-rate 0.03-seed1").exists()


def test_shares_of_a_study_make_the_study_that_one_process_makes(tmp_path):
    whole, shared = tmp_path / "whole", tmp_path / "shared"
    for folder in (whole, shared):
        folder.mkdir()
        write_maps(folder)
        (folder / "c.json").write_text(json.dumps(study_config(folder, seeds=1)))
    assert command("train.py", "-c", whole / "c.json", "-d", "cpu").returncode == 0
    words = ["train.py", "-c", shared / "c.json", "-d", "cpu", "--members"]
    first = command(*words, "2/2")
    assert first.returncode == 0, first.stderr
    total = 2 * len(ARMS)
    assert f"study: {len(ARMS)} of {total} members are there; the report comes" in first.stdout
    assert {fold for _, fold, _ in records_of(shared)} == {1}
    assert not (shared / "saved/tiny-study/study.csv").exists()
    last = command(*words, "1/2")
    assert last.returncode == 0, last.stderr
    tables = [(at / "saved/tiny-study/study.csv").read_text() for at in (whole, shared)]
    assert tables[0] == tables[1]


def test_a_fold_that_another_process_is_at_is_left_to_it(tmp_path):
    write_maps(tmp_path)
    (tmp_path / "c.json").write_text(json.dumps(study_config(tmp_path, seeds=1)))
    folder = tmp_path / "saved/tiny-study/records"
    folder.mkdir(parents=True)
    claims = Claims(folder)
    assert claims.take(1)
    done = command("train.py", "-c", tmp_path / "c.json", "-d", "cpu")
    assert done.returncode == 0, done.stderr
    assert "study: 1 of 2 folds are left to other processes, which are at them" in done.stdout
    assert {fold for _, fold, _ in records_of(tmp_path)} == {0}
