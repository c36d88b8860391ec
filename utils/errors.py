"""The errors a user can cause, and how a command ends on one."""

import signal
import sys
from collections.abc import Callable


class UserError(Exception):
    """Something the user wrote is wrong; the message is the whole story. Exit code 2."""


class ConfigError(UserError):
    """A config, an override or a command line that cannot be run."""


class DataError(UserError):
    """A data file that cannot be used."""


class CheckpointError(UserError):
    """A checkpoint that cannot be trusted or does not fit."""


class OtherProgramError(CheckpointError):
    """A file that is whole, but which another program wrote."""


class TrainingError(Exception):
    """A run that began and cannot go on. Exit code 1."""


class Interrupted(Exception):
    """A run that a signal stopped, after its checkpoint was written. Exit code 128 + number."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.number = number


class SaidElsewhere(Exception):
    """Another process of the same training has said what is wrong; this one ends silently."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def run_command(main: Callable[[], None]) -> None:
    """Run `main` as a whole program: 0 on success, 2 on a user's error, 1 on a failed run."""
    try:
        main()
    except UserError as error:
        _end(2, f"error: {error}")
    except (TrainingError, OSError) as error:
        _end(1, f"failed: {error}")
    except Interrupted as stop:
        _end(128 + stop.number, str(stop))
    except SaidElsewhere as other:
        sys.exit(other.code)
    except KeyboardInterrupt:
        _end(128 + signal.SIGINT, "stopped")
    except (MemoryError, RuntimeError) as error:
        if not _is_memory(error):
            raise
        _end(1, f"failed: out of memory: lower data_loader.args.batch_size ({first_line(error)})")


def _is_memory(error: Exception) -> bool:
    """Whether memory ran out; torch says so in words only, on the CPU and on a GPU in others."""
    words = ("not enough memory", "can't allocate memory", "out of memory")
    return isinstance(error, MemoryError) or any(word in str(error) for word in words)


def first_line(error: Exception) -> str:
    """What a library's error says, in one line; its name where it says nothing."""
    return (str(error) or type(error).__name__).splitlines()[0]


def _end(code: int, message: str) -> None:
    print(message, file=sys.stderr)
    sys.exit(code)
