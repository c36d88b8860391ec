"""train.py and test.py, run in processes of their own."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from utils.errors import Interrupted, TrainingError

PROGRAMS = Path(__file__).parent.parent


class Programs:
    """Runs programs to their end, one in each thread that calls `run`.

    Within its `with` block a signal to this process is one to each of them: they save, and no
    more are started.
    """

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._signal: int | None = None
        self._is_over = False

    def __enter__(self) -> "Programs":
        self._before = {
            number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM)
        }
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def run(
        self, program: str, *arguments: Any, log: Path | None = None, threads: int | None = None
    ) -> None:
        """Run one to its end.

        Args:
            log: a file that what it says is added to; None is the console.
            threads: what it computes on at most; None leaves that to it.

        Raises:
            Interrupted: a signal came; the program has saved.
            TrainingError: the program failed, or all were told to end.
        """
        self._refuse_if_over()
        words = [program, *map(str, arguments)]
        code = self._wait([sys.executable, str(PROGRAMS / program), *words[1:]], log, threads)
        self._refuse_if_over()
        if code:
            said = f"; what it said is in {log}" if log else ""
            raise TrainingError(f"{' '.join(words)} ended with code {code}{said}")

    def end(self) -> None:
        """Have those that run save and end, and start no more."""
        self._is_over = True
        for process in tuple(self._running):
            process.terminate()

    def _wait(self, words: list[str], log: Path | None, threads: int | None) -> int:
        own = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
        output = open(log, "ab") if log else None
        try:
            with subprocess.Popen(  # noqa: S603, programs of ours
                words, stdout=output, stderr=output, env=os.environ | own
            ) as process:
                self._running.add(process)
                if self._is_over:  # since this began
                    process.terminate()
                code = process.wait()
                self._running.discard(process)
        finally:
            if output:
                output.close()
        return code

    def _stop(self, number: int, _: FrameType | None) -> None:
        self._signal = number
        self._is_over = True
        if number == signal.SIGTERM:  # Ctrl-C at a terminal reaches the programs by itself
            self.end()

    def _refuse_if_over(self) -> None:
        if self._signal is not None:
            raise Interrupted(self._signal, "sweep stopped; start it again to go on")
        if self._is_over:
            raise TrainingError("the sweep is at its end")
