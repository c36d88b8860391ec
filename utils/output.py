"""Files that appear whole or not at all, and one clear line where they cannot."""

import math
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from utils.errors import ConfigError, TrainingError
from utils.lock import workshop
from utils.signals import StopRequest, ended_by_sigterm

PARTIAL = ".partial-files"  # where a folder's files are made


@contextmanager
def writing(path: Path, needed: int | None = None) -> Iterator[None]:
    """Explain an OSError of the block: which path, how many bytes it needs, how many are free.

    Raises:
        TrainingError: the disk is full, or the folder is gone or cannot be written any more.
    """
    try:
        yield
    except OSError as error:
        size = "" if needed is None else f"; it needs {needed:,} bytes"
        raise TrainingError(
            f"{path}: cannot be written: {error.strerror or error}{size}{_free_space(path)}; "
            "what was written before is unharmed: make room and go on with -r"
        ) from None


def _free_space(path: Path) -> str:
    with suppress(OSError):
        return f", {shutil.disk_usage(path.parent).free:,} are free"
    return ""


def write_file(path: Path, content: bytes | memoryview) -> None:
    """Put `content` at `path`; a crash at any instant leaves the old file or the new one.

    Raises:
        TrainingError: it cannot be written; `path` is as it was.
    """
    partial = path.with_name(f"{path.name}.partial")  # a rename is atomic within one folder
    with writing(path, len(content)):
        try:
            with open(partial, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, path)
            _sync_folder(path.parent)
        except BaseException:
            with suppress(OSError):
                partial.unlink()
            raise


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, where the system has a way to."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def say(message: str) -> None:
    """Print for whoever reads along; a reader who has gone away does not end a run."""
    try:
        print(f"{message}\n", end="", flush=True)  # at once: threads may speak, too
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, until the process ends


def without_nan(content: Any) -> Any:
    """`content` with null for what is no finite number: JSON has no NaN."""
    if isinstance(content, dict):
        return {key: without_nan(value) for key, value in content.items()}
    return None if isinstance(content, float) and not math.isfinite(content) else content


def append(path: Path, text: str) -> None:
    """Add `text` to the end of a file.

    Raises:
        TrainingError: it cannot be written.
    """
    content = text.encode()
    with writing(path, len(content)), open(path, "ab") as file:
        file.write(content)


def remove_partials(folder: Path) -> None:
    """Remove what a killed process was writing. The caller must hold the folder."""
    for partial in folder.glob("*.partial"):
        partial.unlink(missing_ok=True)


def check_writable(folder: Path) -> None:
    """Check that files can be made in `folder`, or where it would be made; creates nothing.

    Raises:
        ConfigError: they cannot.
    """
    try:
        places = (folder.absolute(), *folder.absolute().parents)
        with tempfile.TemporaryFile(dir=next(place for place in places if place.exists())) as file:
            file.write(b"probe")
            file.flush()
    except OSError as error:
        raise ConfigError(
            f"{folder}: cannot write there: {error.strerror}; choose another folder "
            "(trainer.save_dir, or -o or --export of test.py) or allow writing"
        ) from None


@contextmanager
def whole_folder(
    target: Path, names: Sequence[str], is_ours: Callable[[Path], bool]
) -> Iterator[Path]:
    """A folder to write into; its files move to `target` when all of them are there.

    A process that writes to the same `target` is waited for. What a killed one left is removed.

    Args:
        names: of the files that are made; those of an earlier time do not stay beside new ones.
        is_ours: whether files of these names in a folder are of an earlier time, not another
            program's.

    Raises:
        ConfigError: the folder cannot be made, or another program's files are in it.
        TrainingError: a file cannot be written; `target` holds what it held before.
        Interrupted: SIGTERM came; likewise.
    """
    check_writable(target)
    _refuse_foreign(target, names, is_ours)
    with ended_by_sigterm(f"{target} holds what it held before"), ExitStack() as stack:
        if not target.exists():
            stack.callback(_remove_if_empty, target)
        try:
            shop = workshop(target / PARTIAL, lambda pid: _say_waiting(target, pid))
            folder = stack.enter_context(shop)
        except OSError as error:
            raise ConfigError(f"{target}: cannot write there: {error.strerror}") from None
        _remove_left_over(target, names)
        with writing(target):
            yield folder
            with StopRequest(speaks=False):  # between the old files and the new there is no stop
                _move(folder, target, names)


def alone_in(folder: Path) -> AbstractContextManager[Path]:
    """A block in which no other process that does the same sweep or study writes to its folder."""
    return workshop(folder / ".writing", lambda pid: say(f"{folder}: pid {pid} writes there"))


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def _say_waiting(target: Path, pid: str) -> None:
    say(f"{target}: pid {pid} writes there; waiting until it ends, to take the place of its files")


def _refuse_foreign(target: Path, names: Sequence[str], is_ours: Callable[[Path], bool]) -> None:
    """Raise a ConfigError where a file of another program would be written over."""
    there = [name for name in names if (target / name).exists()]
    if there and not is_ours(target):
        raise ConfigError(
            f"{target}: holds a {there[0]} of another program, which would be written over; name "
            "another folder"
        )


def _move(folder: Path, target: Path, names: Sequence[str]) -> None:
    made = {path.name for path in folder.iterdir()} - {".lock"}
    # In the order of `names`: the first ones tell whose folder it is, should a kill come between.
    for name in [*filter(made.__contains__, names), *sorted(made.difference(names))]:
        (folder / name).replace(target / name)
    for name in set(names) - made:
        (target / name).unlink(missing_ok=True)


def _remove_left_over(target: Path, names: Sequence[str]) -> None:
    """Remove what killed processes left in folders of another name, as there once were."""
    for folder in target.glob(".partial-*"):
        if folder.name == PARTIAL or folder.is_symlink() or not folder.is_dir():
            continue
        if {path.name for path in folder.iterdir()} <= set(names):
            shutil.rmtree(folder, ignore_errors=True)
