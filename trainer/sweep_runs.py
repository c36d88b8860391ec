"""The runs of a sweep: what is missing of them is trained and tested.

A member that has its scores is not run again, one that was interrupted goes on, and one that
another process is at is left to that.
"""

import json
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import torch

from trainer.plan import Member
from trainer.programs import Programs
from utils.config.sections import GenerationSection
from utils.errors import TrainingError
from utils.lock import Claims
from utils.output import say, write_file


def _runs_of(member: Member) -> list[Path]:
    """The runs of a member that have begun, the newest last."""
    return sorted(path.parent for path in member.folder.glob("*/config.json"))


def reports_of(member: Member) -> list[Path]:
    """The scores of each run of a member that was tested, the newest last."""
    return sorted(member.folder.glob("*/test/metrics.json"))


def own_report(member: Member) -> dict[str, Any] | None:
    """The scores of a member, unless they are damaged or it was tested with other settings than
    the sweep's."""
    found = [path for path in reports_of(member) if (path.parent.parent / "config.json").exists()]
    if not found:
        return None
    try:
        report: dict[str, Any] = json.loads(found[-1].read_text(encoding="utf-8"))
    except ValueError:
        report = {}
    if not isinstance(report, dict) or not isinstance(report.get("splits"), dict):
        return None  # its test, run once more, says what is wrong
    is_own = report.get("changed", []) == _settings_of_test(member, found[-1].parent.parent)
    return report if is_own else None


def _settings_of_test(member: Member, run: Path) -> list[str]:
    """What test.py is told with -s: the images to generate, where the sweep names others than
    when the run began. They are no part of what is trained, so that the run stays."""
    content = json.loads((run / "config.json").read_text(encoding="utf-8"))
    begun, asked = content.get("generation", {}), member.config["generation"]
    before = begun if begun is None else GenerationSection(**begun).model_dump(mode="json")
    return [] if before == asked else [f"generation={json.dumps(asked)}"]


class SweepRuns:
    """Trains and tests members, several side by side.

    Args:
        folder: of the sweep.
        device: the command line's -d.
        workers: how many at a time, each with its share of the cores and, if -d names none, on
            one GPU of several.
    """

    def __init__(self, folder: Path, device: str, workers: int) -> None:
        self.folder, self.device, self.workers = folder, device, workers
        self.claims, self.programs = Claims(folder), Programs()
        self._places: SimpleQueue[int] = SimpleQueue()
        for place in range(workers):
            self._places.put(place)

    def finish(self, members: Sequence[Member], total: int) -> None:
        """Run what is missing of some members; one that fails keeps none of the others from it.

        Args:
            total: of all members, for what is said.

        Raises:
            Interrupted: a signal came; what was begun has saved.
            TrainingError: members failed; the others are finished.
        """
        failed: list[TrainingError] = []
        with self.programs, ThreadPoolExecutor(self.workers) as pool:
            began = [pool.submit(self._finish, member, total) for member in members]
            try:
                for done in as_completed(began):
                    error = done.exception()
                    if isinstance(error, TrainingError):
                        failed.append(error)
                        say(f"failed: {error}")
                    elif error:
                        raise error
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                self.programs.end()
                raise
        if failed:
            many = f"{len(failed)} of {len(members)} members that were to be run here"
            raise TrainingError(f"{many}; start the sweep again to try once more: {failed[0]}")

    def _finish(self, member: Member, total: int) -> None:
        name = f"sweep {member.number}/{total}: {member.setting}, seed {member.seed}"
        claim = zlib.crc32(member.folder.name.encode())
        if not self.claims.take(claim):
            say(f"{name}: left to another process, which is at it")
            return
        place = self._places.get()
        try:
            if own_report(member) is None:
                say(name)
                self._run(member, place)
        finally:
            self._places.put(place)
            self.claims.give_back(claim)

    def _run(self, member: Member, place: int) -> None:
        log, threads = None, None
        if self.workers > 1:
            log = self.folder / f"{member.folder.name}.log"
            threads = max(1, torch.get_num_threads() // self.workers)
        device = self._device(place)
        begun = _runs_of(member)
        if begun:
            source = "-r", begun[-1]
        else:
            source = "-c", self.folder / f"{member.folder.name}.json"
            write_file(source[1], f"{json.dumps(member.config, indent=2)}\n".encode())
        self.programs.run("train.py", *source, "-d", device, log=log, threads=threads)
        run = _runs_of(member)[-1]
        settings = _settings_of_test(member, run)
        words = ["-r", run, "-d", device, *(["-s", *settings] if settings else [])]
        self.programs.run("test.py", *words, log=log, threads=threads)
        if own_report(member) is None:
            raise TrainingError(f"{member.folder}: its test has left no scores")

    def _device(self, place: int) -> str:
        """Where the worker at a place computes."""
        count = torch.cuda.device_count() if self.device in ("auto", "cuda") else 0
        is_spread = self.workers > 1 and count > 1
        return f"cuda:{place % count}" if is_spread else self.device
