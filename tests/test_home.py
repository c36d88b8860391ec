"""A path that begins with ~ is in the home folder, wherever a user writes it."""

import json
import os
import shutil
from functools import partial

import pytest

from tests import processes
from tests.conftest import only_run


def live_in(home):
    os.environ["HOME"] = str(home)


def call(script, arguments, home):
    """A command of a user whose home folder is `home` -> exit code and what it said."""
    output = home / "said"
    output.unlink(missing_ok=True)
    code = processes.finish(processes.start(script, arguments, output, partial(live_in, home)))
    return code, output.read_text()


def test_every_path_may_begin_at_home(small, tmp_path):
    small["trainer"]["save_dir"] = "~/runs"
    (tmp_path / "c.json").write_text(json.dumps(small))
    code, said = call(processes.train, ["-c", "~/c.json"], tmp_path)
    assert code == 0, said
    run = only_run(tmp_path / "runs")
    assert json.loads((run / "config.json").read_text())["trainer"]["save_dir"] == str(
        tmp_path / "runs"
    )
    code, said = call(processes.train, ["-r", "~/runs/small"], tmp_path)
    assert (code, "nothing to do" in said) == (0, True), said
    code, said = call(processes.evaluate, ["-r", "~/runs", "-o", "~/out"], tmp_path)
    assert code == 0, said
    assert (tmp_path / "out" / "metrics.json").exists()
    assert not (processes.ROOT / "~").exists()


def test_an_override_may_begin_at_home(small, written, tmp_path):
    arguments = ["-c", written(small), "-s", "trainer.save_dir=~/other"]
    code, said = call(processes.train, arguments, tmp_path)
    assert code == 0, said
    assert only_run(tmp_path / "other")


def test_a_run_of_a_version_that_kept_the_sign_goes_on(small, written, tmp_path):
    call(processes.train, ["-c", written(small)], tmp_path)
    run = only_run(tmp_path / "saved")
    config = json.loads((run / "config.json").read_text())
    config["trainer"]["save_dir"] = "~/runs"
    (run / "config.json").write_text(json.dumps(config))
    shutil.move(run, tmp_path / "moved")
    code, said = call(processes.train, ["-r", "~/moved"], tmp_path)
    assert (code, "nothing to do" in said) == (0, True), said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-r", "~nobody-9/x"], "~nobody-9/x: must not begin with ~nobody-9, for which there is"),
        (["-c", "~nobody-9/x"], "~nobody-9/x: must not begin with ~nobody-9"),
        (
            ["-s", "trainer.save_dir=~nobody-9/x"],
            'trainer.save_dir: "~nobody-9/x": must not begin with ~nobody-9',
        ),
    ],
)
def test_the_home_of_nobody_is_refused(arguments, says, tmp_path):
    code, said = call(processes.train, arguments, tmp_path)
    assert (code, said.count("\n")) == (2, 1), said
    assert says in said
