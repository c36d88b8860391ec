"""What a command says of its progress: bars on a terminal alone, and what can be done next."""

import json
import os
import pty
import re
import select
import subprocess
import sys
import termios

import pytest

from tests.conftest import ROOT, command, only_run, small_config, with_pictures

BARS = ("scoring train", "scoring validation", "generating", "drawing")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run and what its training said."""
    folder = tmp_path_factory.mktemp("the run")  # a blank, which commands have to quote
    config = with_pictures(small_config(folder))
    config["trainer"]["tensorboard"] = True
    (folder / "config.json").write_text(json.dumps(config))
    done = command("train.py", "-c", folder / "config.json")
    assert done.returncode == 0, done.stderr
    return only_run(folder / "saved"), done.stdout


def test_training_ends_with_what_to_do_next(trained):
    run, said = trained
    assert said.splitlines()[-3:] == [
        f"test it:     python test.py -r '{run}'",
        f"its curves:  tensorboard --logdir '{run.parent.parent}'",
        f"train on:    python train.py -r '{run}' -s trainer.epochs=4",
    ]
    done = command("train.py", "-r", run, "-s", "trainer.epochs=4", "trainer.tensorboard=false")
    assert done.returncode == 0, done.stderr
    assert "epoch 4/4" in done.stdout
    assert "tensorboard --logdir" not in done.stdout


def test_nothing_of_a_bar_is_in_a_pipe(trained, tmp_path):
    done = command("test.py", "-r", trained[0], "-o", tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")
    assert not any(bar in done.stdout for bar in BARS)


@pytest.mark.slow
def test_a_terminal_shows_how_far_each_long_step_is(trained, tmp_path):
    leader, follower = pty.openpty()
    termios.tcsetwinsize(follower, (24, 100))  # a bar has no room on one without a size
    words = [sys.executable, str(ROOT / "test.py"), "-r", trained[0], "-o", tmp_path / "out"]
    said = b""
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=follower, cwd=ROOT) as process:
        while process.poll() is None or select.select([leader], [], [], 0)[0]:
            if select.select([leader], [], [], 0.2)[0]:
                said += os.read(leader, 65536)
    os.close(follower)
    os.close(leader)
    assert process.returncode == 0
    for bar in BARS:
        assert f"{bar}:" in said.decode()
    assert re.search(r"generating: +\d+%.*\[\d\d:\d\d<(\?|\d\d:\d\d)", said.decode())
