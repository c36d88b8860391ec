"""Runs that keep a checkpoint of every step, and going on from any of them."""

import shutil

from tests import processes
from tests.killing import content_of, digest, lines_of, run_folder, write_config
from utils.checkpoint_files import checkpoint_name


def _keep_every_checkpoint():
    """Have this process keep the checkpoints within epochs that it would remove."""
    import base.base_trainer

    base.base_trainer.remove_passed = lambda newest: None


def train_keeping_all(folder, changes=None, **trainer):
    """Train to the end -> the run folder, and what was said."""
    config = write_config(folder, changes, save_steps=1, **trainer)
    code, said = processes.run("-c", config, output=folder / "out", before=_keep_every_checkpoint)
    assert code == 0, said
    return run_folder(folder), said


def by_step(run):
    """The contents of a run's checkpoints within epochs, by their step."""
    contents = map(content_of, run.glob("*-step*.pth"))
    return {content["step"]: content for content in contents}


def assert_goes_on_exactly(run, folder, step):
    """Go on from a step of a finished run, in a copy in `folder`, to the same end bit for bit."""
    copy = folder / "run"
    shutil.copytree(run, copy)
    (start,) = [path for path in copy.glob("*-step*.pth") if content_of(path)["step"] == step]
    code, said = processes.run("-r", start, output=folder / "out")
    assert code == 0, said
    last = checkpoint_name(lines_of(run)[-1]["epoch"])
    assert digest(content_of(copy / last)) == digest(content_of(run / last))
    assert lines_of(copy) == lines_of(run)
