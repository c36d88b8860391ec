"""Reading the batches to come while the device is busy with this one.

The workers are threads: reading files and decoding pictures happen outside Python's lock, and a
thread costs no second copy of this program, needs no shared memory and cannot be killed alone.
Which worker reads a batch changes nothing in it, and batches leave in the order they were asked
for, so that any number of workers gives the same epoch.
"""

import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from itertools import islice
from queue import SimpleQueue

import torch

from utils.errors import DataError, TrainingError

PATIENCE = 25  # seconds until a batch that does not come ends the run
AHEAD = 2  # batches that each worker is ahead

Read = Callable[[torch.Tensor], torch.Tensor]


class Workers:
    """Threads that read batches, for all loaders of a data set.

    Args:
        read: from places int64 [n] to stored images [n, ...].
        number: how many threads; with 0 a batch is read when it is its turn.
        device: where the batches go.
    """

    def __init__(self, read: Read, number: int, device: torch.device) -> None:
        self._read, self._number, self._device = read, number, device
        self._tasks: SimpleQueue = SimpleQueue()
        for _ in range(number):
            # Daemons: a thread that hangs in a read must not keep the program from ending.
            threading.Thread(target=_work, args=(self._tasks,), daemon=True).start()
        weakref.finalize(self, _dismiss, self._tasks, number)

    def fetch(self, pieces: Sequence[torch.Tensor]) -> Iterator[torch.Tensor]:
        """The stored images of each piece, int64 [n] on the CPU -> [n, ...] on the device.

        Raises:
            TrainingError: a batch cannot be read, or does not come; the message says which.
        """
        ahead: deque[Future] = deque()
        to_come = iter(pieces)
        try:
            for places in pieces:
                room = AHEAD * self._number + 1 - len(ahead)
                ahead.extend(map(self._begin, islice(to_come, room)))
                stored = _result(ahead.popleft(), places)
                yield stored.to(self._device, non_blocking=True)
        finally:  # also where nobody wants the rest
            for future in ahead:
                future.cancel()

    def _begin(self, places: torch.Tensor) -> Future:
        future: Future = Future()
        task = (future, self._read, places, self._device.type == "cuda")
        if self._number:
            self._tasks.put(task)
        else:
            _fulfil(*task)
        return future


def _work(tasks: SimpleQueue) -> None:
    while (task := tasks.get()) is not None:
        _fulfil(*task)
        del task  # an idle worker holds no batch


def _dismiss(tasks: SimpleQueue, number: int) -> None:
    for _ in range(number):
        tasks.put(None)


def _fulfil(future: Future, read: Read, places: torch.Tensor, is_pinned: bool) -> None:
    """Read a batch, into memory that the device can fetch from by itself if it `is_pinned`."""
    if not future.set_running_or_notify_cancel():
        return
    try:
        stored = read(places)
        future.set_result(stored.pin_memory() if is_pinned else stored)
    except BaseException as error:  # whatever it is, it has to reach the loop that waits
        future.set_exception(error)


def _result(future: Future, places: torch.Tensor) -> torch.Tensor:
    try:
        return future.result(PATIENCE)
    except DataError as error:
        raise TrainingError(str(error)) from None
    except TimeoutError:
        reason = f"did not come within {PATIENCE} s"
    except Exception as error:
        reason = f"cannot be read: {type(error).__name__}: {error}"
    raise TrainingError(f"images {shown_places(places)}: {reason}")


def shown_places(places: torch.Tensor) -> str:
    """Places as a message shows them."""
    few = ", ".join(map(str, places[:4].tolist()))
    return few if len(places) <= 4 else f"{few} and {len(places) - 4} more of a batch"
