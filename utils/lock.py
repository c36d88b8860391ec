"""One process for each run folder."""

import os
from pathlib import Path

from utils.errors import ConfigError

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
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        pid = (_pids(os.read(file, 40)) or ["unknown"])[0]
        os.close(file)
        raise ConfigError(
            f"{folder}: in use by pid {pid}; wait until that process ends, or end it"
        ) from None
    os.ftruncate(file, 0)
    os.write(file, f"{os.getpid()} {os.getppid()}\n".encode())


def last_held_by_sibling(parent: Path) -> Path | None:
    """The folder in `parent` last held by a process that this one's parent had started too."""
    ours = str(os.getppid())
    locks = [lock for lock in parent.glob("*/.lock") if _pids(lock.read_bytes())[1:] == [ours]]
    return max(locks, key=lambda lock: lock.stat().st_mtime).parent if locks else None


def _pids(content: bytes) -> list[str]:
    """The process that holds the lock, and the one that started it."""
    return content.decode(errors="replace").split()
