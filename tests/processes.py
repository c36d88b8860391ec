"""Real runs in processes of their own that start in milliseconds.

A server process has imported everything; each run is forked from it, so that a test can afford
to kill many. Signals and kills are real.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A killed process leaves the semaphores of its progress bar to a tracker, which says so.
os.environ.setdefault("PYTHONWARNINGS", "ignore::UserWarning:multiprocessing.resource_tracker")
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.preload"])


def start(function, *args):
    """Start `function(*args)` in a forked process; `exitcode` is the command's."""
    process = CONTEXT.Process(target=function, args=args)
    process.start()
    return process


class Done(NamedTuple):
    """A command that has ended."""

    returncode: int
    stdout: str
    stderr: str


def command(script, *arguments, cwd=ROOT):
    """Be `python SCRIPT ARGUMENTS` in the folder `cwd`, to the end."""
    with tempfile.TemporaryDirectory() as folder:
        output, errors = Path(folder, "output"), Path(folder, "errors")
        process = start(_be_command, Path(script).stem, arguments, output, None, errors, cwd)
        code = finish(process)
        return Done(code, output.read_text(), errors.read_text())


def train(arguments, output, before=None):
    """Be `python train.py ARGUMENTS`, writing what it says to the file `output`."""
    _be_command("train", arguments, output, before)


def evaluate(arguments, output, before=None):
    """Be `python test.py ARGUMENTS`."""
    _be_command("test", arguments, output, before)


def _be_command(script, arguments, output, before, errors=None, cwd=ROOT):
    """Write to the files `output` and `errors`, or both to the first."""
    from utils.errors import run_command

    sys.argv = [f"{script}.py", *map(str, arguments)]
    # Where the tests were started in the background, this signal is ignored by all they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(cwd)
    sys.stdout = open(output, "a", buffering=1)  # the process ends with it
    sys.stderr = open(errors, "a", buffering=1) if errors else sys.stdout
    os.dup2(sys.stdout.fileno(), 1)
    os.dup2(sys.stderr.fileno(), 2)
    if before:
        before()
    run_command(_main_of(script))


def _main_of(script):
    import importlib.util

    spec = importlib.util.spec_from_file_location(f"{script}_command", ROOT / f"{script}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


def finish(process, seconds=300):
    """Wait for a process and return its exit code; end it where it hangs."""
    process.join(seconds)
    if process.is_alive():
        process.kill()
        process.join()
        raise TimeoutError(f"no end after {seconds} s")
    return process.exitcode


def run(*arguments, output, before=None):
    """Train to the end -> exit code and what was said."""
    with contextlib.suppress(FileNotFoundError):
        os.remove(output)
    code = finish(start(train, arguments, output, before))
    return code, Path(output).read_text()
