"""One process for each run folder, and for each folder that is being written."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from utils.errors import ConfigError

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows has no such locks; there nothing is promised
    fcntl = None


def hold(folder: Path) -> None:
    """Keep other processes from training in `folder` for as long as this process lives.

    The lock is the system's: it goes with the process, however that ends, and the file that is
    left says nothing. It does not pass to forked children, so that a data worker that outlives
    a killed run keeps nobody out.

    Raises:
        ConfigError: another process holds it.
    """
    if fcntl is None:
        return
    file = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)  # never closed: see above
    try:
        _lock(file, folder)
    except ConfigError:
        os.close(file)
        raise
    _sign(file)


class Claims:
    """Which of several numbered things this process does, where others may be at them too.

    What it takes it has until it gives it back or ends. Nothing keeps others out where the system
    has no such locks, nor where a shared file system passes them on to no other machine.

    Args:
        folder: all processes that are at these things have the same one.
    """

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / ".claims", os.O_RDWR | os.O_CREAT, 0o644)

    def take(self, number: int) -> bool:
        """Whether the thing is this process's from now on; not where it is another's."""
        if fcntl is None:
            return True
        try:
            # Of bytes that the file need not have: one file is enough for all things.
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
        except (BlockingIOError, PermissionError):
            return False
        except OSError:
            return True  # a file system without locks: nothing is promised there
        return True

    def give_back(self, number: int) -> None:
        """Leave the thing to others."""
        if fcntl is not None:
            with suppress(OSError):
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, number)


@contextmanager
def workshop(folder: Path, wait: Callable[[str], None]) -> Iterator[Path]:
    """Make a folder that only one process at a time is in; it is gone after the block.

    What a killed process left in it is removed; the lock, as in `hold`, is gone with the process.

    Args:
        wait: called with the pid of the process that is in it, before that is waited for.

    Raises:
        OSError: the folder cannot be made.
    """
    file = _enter(folder, wait)
    try:
        _empty(folder)
        yield folder
    finally:
        with suppress(OSError):
            _empty(folder)
            # The lock goes last: from then on the folder may be another process's.
            (folder / ".lock").unlink()
            folder.rmdir()
        os.close(file)


def _enter(folder: Path, wait: Callable[[str], None]) -> int:
    """Lock a folder, made where need be, for as long as the file returned is open."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            file = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        except FileNotFoundError:
            continue  # another process has just removed the folder
        try:
            _await(file, wait)
            if _is_at(file, folder / ".lock"):
                _sign(file)
                return file
        except BaseException:
            os.close(file)
            raise
        os.close(file)  # the process before removed it while this one waited


def _await(file: int, wait: Callable[[str], None]) -> None:
    if fcntl is None:
        return
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        wait(_holder(file))
        fcntl.lockf(file, fcntl.LOCK_EX)
    except OSError:
        return  # a file system without locks: nothing is promised there either


def _is_at(file: int, path: Path) -> bool:
    """Whether an open file is still the one at `path`."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _empty(folder: Path) -> None:
    """Remove all but the lock."""
    for path in folder.iterdir():
        if path.name == ".lock":
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()


def refuse_held(folder: Path) -> None:
    """Check that no other process trains in `folder`; writes nothing.

    Raises:
        ConfigError: one does, or it is not this user's to find out.
    """
    if fcntl is None or not (folder / ".lock").exists():
        return
    try:
        file = os.open(folder / ".lock", os.O_RDWR)
    except OSError as error:
        raise ConfigError(
            f"{folder / '.lock'}: cannot be opened: {error.strerror}; go on as the user whose run "
            "it is, or give the files of the folder to this one"
        ) from None
    try:
        _lock(file, folder)
    finally:
        os.close(file)


def _lock(file: int, folder: Path) -> None:
    """Lock an open file, or raise a ConfigError that says who has."""
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        raise ConfigError(
            f"{folder}: in use by pid {_holder(file)}; wait until that process ends, or end it"
        ) from None


def _holder(file: int) -> str:
    return (_pids(os.pread(file, 40, 0)) or ["unknown"])[0]


def last_held_by_sibling(parent: Path) -> Path | None:
    """The folder in `parent` last held by a process that this one's parent had started too."""
    ours = str(os.getppid())
    locks = [lock for lock in parent.glob("*/.lock") if _pids(lock.read_bytes())[1:] == [ours]]
    return max(locks, key=lambda lock: lock.stat().st_mtime).parent if locks else None


def _sign(file: int) -> None:
    os.ftruncate(file, 0)
    os.pwrite(file, f"{os.getpid()} {os.getppid()}\n".encode(), 0)


def _pids(content: bytes) -> list[str]:
    """The process that holds the lock, and the one that started it."""
    return content.decode(errors="replace").split()
