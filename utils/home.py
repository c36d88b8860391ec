"""A path that begins with ~, wherever no shell has replaced it."""

import os
from pathlib import Path

from utils.errors import ConfigError


def at_home(text: str) -> str:
    """A path with the home folder in the place of ~ or ~NAME at its beginning.

    Raises:
        ValueError: nobody of that name has one.
    """
    path = os.path.expanduser(text)
    if path == text and text.startswith("~"):
        name = text.partition("/")[0]
        raise ValueError(f"must not begin with {name}, for which there is no home folder")
    return path


def argument_path(text: str) -> Path:
    """A path of the command line.

    Raises:
        ConfigError: it is empty, begins with the ~NAME of nobody or cannot be reached.
    """
    if not text.strip():
        raise ConfigError(f"'{text}': a path was expected; is a variable of the shell empty?")
    try:
        path = Path(at_home(text))
    except ValueError as error:
        raise ConfigError(f"{text}: {error}; ./~ is a folder of that name") from None
    if reason := why_unreachable(path):
        raise ConfigError(f"{path}: {reason}")
    return path


def why_unreachable(path: Path) -> str:
    """Why nobody can tell whether there is something at a path; '' where one can.

    A folder on the way that may not be entered, a name that is too long, links in a circle.
    """
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return ""  # which is known, and for the caller to judge
    except OSError as error:
        return f"cannot be reached: {error.strerror}"
    return ""
