"""Files that appear whole or not at all."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from utils.errors import ConfigError


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A folder to write into; its files move to `target` when all of them are there.

    Raises:
        ConfigError: the folder cannot be made.
    """
    try:
        target.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=target))
    except OSError as error:
        raise ConfigError(f"{target}: cannot write there: {error.strerror}") from None
    try:
        yield partial
        for file in partial.iterdir():
            file.replace(target / file.name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
