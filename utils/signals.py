"""SIGTERM and Ctrl-C as a request that training answers between two steps."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from utils.errors import Interrupted


@contextmanager
def ended_by_sigterm(message: str) -> Iterator[None]:
    """Within the block SIGTERM raises as Ctrl-C does, so that what was begun is cleaned up.

    Raises:
        Interrupted: it came; `message` tells what that leaves.
    """
    owner = os.getpid()

    def end(number: int, _: FrameType | None) -> None:
        if os.getpid() != owner:
            os._exit(128 + number)  # a forked data worker has nothing to clean up
        signal.signal(number, signal.SIG_IGN)  # the cleaning is not cut short
        raise Interrupted(number, f"stopped by SIGTERM; {message}")

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class StopRequest:
    """Within its `with` block, remembers a signal instead of dying of it.

    Nothing is saved in a handler: it may run in the middle of anything. A Ctrl-C after another
    signal ends the process at once; what is on disk is whole all the same.

    Args:
        speaks: whether to say on the console that a signal was heard.

    Attributes:
        number: the first signal that came, or None.
    """

    def __init__(self, speaks: bool = True) -> None:
        self.number: int | None = None
        self._speaks = speaks

    def __enter__(self) -> "StopRequest":
        self._owner = os.getpid()
        self._before = {
            number: signal.signal(number, self._take) for number in (signal.SIGINT, signal.SIGTERM)
        }
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _take(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._owner:
            # A forked data worker: a Ctrl-C at the terminal reaches it too, yet it has to serve
            # the steps that remain; the parent ends it.
            if number == signal.SIGTERM:
                os._exit(128 + number)
            return
        if self.number is not None and number == signal.SIGINT:
            os._exit(128 + number)
        if self.number is None:
            self.number = number
            if self._speaks:
                os.write(2, b"saving after this step; Ctrl-C once more stops at once\n")
