"""The errors a user can cause, and how a command ends on one."""

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


class TrainingError(Exception):
    """A run that began and cannot go on. Exit code 1."""


def run_command(main: Callable[[], None]) -> None:
    """Run `main` as a whole program: 0 on success, 2 on a user's error, 1 on a failed run."""
    try:
        main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except TrainingError as error:
        print(f"failed: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
