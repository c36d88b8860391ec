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
        pid = os.read(file, 20).decode(errors="replace").strip() or "unknown"
        os.close(file)
        raise ConfigError(
            f"{folder}: in use by pid {pid}; wait until that process ends, or end it"
        ) from None
    os.ftruncate(file, 0)
    os.write(file, f"{os.getpid()}\n".encode())
