"""Runs that start together, and two processes that want the same run."""

import os
import signal
import time

from tests import processes
from tests.killing import end_state, resume, run_folder, uninterrupted, write_config


def wait_for(text, path, seconds=30):
    """Wait until a file says something."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        if path.exists() and text in path.read_text():
            return
        time.sleep(0.02)
    raise TimeoutError(path.read_text() if path.exists() else f"no {path}")


def test_runs_started_together_get_a_complete_folder_each(tmp_path):
    config = write_config(tmp_path, epochs=2)
    started = [
        processes.start(processes.train, ["-c", config], tmp_path / f"out{number}")
        for number in range(8)
    ]
    assert [processes.finish(process) for process in started] == [0] * 8
    runs = list((tmp_path / "saved").glob("*/*"))
    states = [end_state(run) for run in runs]
    assert len(runs) == 8
    assert all(state == states[0] for state in states)
    assert len(states[0]["metrics.jsonl"]) == 2


def test_a_second_process_is_refused_by_name_of_the_first(tmp_path):
    config = write_config(tmp_path, epochs=100_000, save_steps=0)
    first = processes.start(processes.train, ["-c", config], tmp_path / "first")
    wait_for("epoch      2/", tmp_path / "first")
    run = run_folder(tmp_path)
    before = (run / "config.json").read_bytes()
    code, said = processes.run("-r", run, output=tmp_path / "second")
    assert (code, said.count("\n")) == (2, 1)
    assert f"{run}: in use by pid {first.pid}; " in said
    assert (run / "config.json").read_bytes() == before
    os.kill(first.pid, signal.SIGTERM)
    assert processes.finish(first) == 143


def test_the_lock_of_a_killed_process_keeps_nobody_out(tmp_path):
    expected = end_state(uninterrupted(tmp_path / "reference"))
    config = write_config(tmp_path / "killed")
    first = processes.start(processes.train, ["-c", config], tmp_path / "first")
    wait_for("epoch 1/", tmp_path / "first")
    first.kill()
    first.join()
    run = run_folder(tmp_path / "killed")
    assert (run / ".lock").read_text().split()[0] == str(first.pid)
    resume(run)
    assert end_state(run) == expected
