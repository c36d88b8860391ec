"""The processes that torchrun started together with this one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from utils.ranks import ALONE, Ranks


@contextmanager
def joined() -> Iterator[Ranks]:
    """The ranks that torchrun started this process among, or none besides it.

    Raises:
        TrainingError: they do not find each other, or one is lost.
    """
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        yield ALONE
        return
    from utils.process_group import process_group  # with torch, which a lone process reads later

    with process_group() as ranks, ranks.together():
        yield ranks
