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
        ConfigError: it begins with the ~NAME of nobody.
    """
    try:
        return Path(at_home(text))
    except ValueError as error:
        raise ConfigError(f"{text}: {error}; ./~ is a folder of that name") from None
