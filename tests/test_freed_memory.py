"""On the CPU, memory that a step frees is there for the next one."""

import platform
import resource

import pytest
import torch

from tests import processes
from utils.device import keep_freed_memory


def count_fetched(is_kept, path):
    """Take and free memory forty times in this process; write how many pages the last thirty
    fetched."""
    if is_kept:
        keep_freed_memory()
    before = 0
    for step in range(40):
        if step == 10:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        activations = torch.zeros(10 * 2**20)  # beyond what glibc keeps by itself
        del activations
    path.write_text(str(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")
def test_freed_memory_is_not_fetched_again(tmp_path):
    pages = 30 * 40 * 2**20 // resource.getpagesize()  # touched by the thirty steps
    fetched = []
    for is_kept in (True, False):
        process = processes.start(count_fetched, is_kept, tmp_path / "fetched")
        assert processes.finish(process) == 0
        fetched.append(int((tmp_path / "fetched").read_text()))
    assert fetched[0] < pages / 100
    assert fetched[1] > pages / 4  # else there is nothing to keep
