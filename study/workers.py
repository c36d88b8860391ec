"""The members that are missing, computed one after another or by processes side by side.

Each process computes on one thread, so that the numbers are the same however many there are.
"""

import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from multiprocessing import connection as pipes
from multiprocessing import get_context
from types import FrameType
from typing import Any, NamedTuple

from study.members import Bench, Record, use_one_thread
from study.plan import Plan, plan_study
from utils.config.messages import shown
from utils.config.sections import Config
from utils.errors import ConfigError, Interrupted, TrainingError, UserError

# What ends a study in one line; all else is a fault of the program and has a traceback.
ERRORS = (UserError, TrainingError, OSError, MemoryError)


class Job(NamedTuple):
    """What is missing of one fold."""

    fold: int
    """Its place among the folds of the plan."""
    arms: list[int]
    """The places of the arms."""


def work(plan: Plan, jobs: Iterator[Job], device: str) -> Iterator[Record]:
    """The records of what is missing, as they are made.

    Args:
        jobs: each is asked for when there is time to do it.

    Raises:
        ConfigError, TrainingError: of a member.
    """
    if plan.settings.workers > 1:
        yield from _side_by_side(plan.config, jobs, device, plan.settings.workers)
        return
    use_one_thread()
    for job in jobs:
        yield from _records(plan, job, device)


def _records(plan: Plan, job: Job, device: str) -> Iterator[Record]:
    fold = plan.folds[job.fold]
    bench = Bench(plan, fold, device)
    for arm in map(plan.arms.__getitem__, job.arms):
        try:
            yield bench.run(arm)
        except (ConfigError, TrainingError) as error:
            place = f"repeat {fold.repeat + 1}, fold {fold.number + 1}"
            raise type(error)(f"study, arm {shown(arm.name)}, {place}: {error}") from None


def _side_by_side(
    config: Config, jobs: Iterator[Job], device: str, count: int
) -> Iterator[Record]:
    workers: dict[Any, Any] = {}  # pipe -> process
    busy: set[Any] = set()
    try:
        for job in islice(jobs, count):
            pipe, process = _started(config, device)
            workers[pipe] = process
            busy.add(pipe)
            pipe.send(job)
        while busy:
            for pipe in _ready(busy):
                answer = _answer(pipe, workers[pipe])
                if isinstance(answer, Exception):
                    raise answer
                if answer:
                    yield answer
                elif another := next(jobs, None):
                    pipe.send(another)
                else:
                    busy.discard(pipe)
    finally:
        for pipe, process in workers.items():
            pipe.close()  # which ends a process that waits for a job
            if busy:
                process.terminate()
        for process in workers.values():
            process.join()


def _started(config: Config, device: str) -> tuple[Any, Any]:
    """A pipe to a new process, and the process."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, config, device), daemon=True)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # inherited: Ctrl-C is the study's
    try:
        process.start()
    finally:
        signal.signal(signal.SIGINT, before)
    theirs.close()  # so that the end of the process is the end of the pipe
    return ours, process


def _ready(busy: set[Any]) -> list[Any]:
    return pipes.wait(list(busy))


def _answer(pipe: Any, process: Any) -> Any:
    """A record, an error, or None where a job is done."""
    try:
        return pipe.recv()
    except EOFError:
        process.join()
        return TrainingError(
            f"a process of the study ended with code {process.exitcode}; start the study again "
            "to go on, with fewer study.workers if memory ran out"
        )


def _end(number: int, _: FrameType | None) -> None:
    """End this process, which cleans up, not cut short by a second signal."""
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)


def _serve(pipe: Any, config: Config, device: str) -> None:
    """Be a process that computes what comes through the pipe, until nothing can come any more."""
    signal.signal(signal.SIGTERM, _end)
    use_one_thread()
    with suppress(EOFError, BrokenPipeError, ConnectionResetError, Interrupted):
        try:
            plan = plan_study(config)
            while True:
                for record in _records(plan, pipe.recv(), device):
                    pipe.send(record)
                pipe.send(None)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise  # the study is gone
        except ERRORS as error:
            pipe.send(error)
