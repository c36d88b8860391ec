"""On the CPU, memory that a step frees is there for the next one."""

import platform
import resource

import pytest

from tests.conftest import ROOT, fresh_command

STEPS = """
import resource, sys
sys.path.insert(0, sys.argv[1])
import torch
from utils.device import keep_freed_memory

if sys.argv[2] == "kept":
    keep_freed_memory()
for step in range(40):
    if step == 10:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    activations = torch.zeros(10 * 2**20)  # beyond what glibc keeps by itself
    del activations
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")
def test_freed_memory_is_not_fetched_again(tmp_path):
    script = tmp_path / "steps.py"
    script.write_text(STEPS)
    pages = 30 * 40 * 2**20 // resource.getpagesize()  # touched by the thirty steps
    kept, as_it_is = (int(fresh_command(script, ROOT, how).stdout) for how in ("kept", "as it is"))
    assert kept < pages / 100
    assert as_it_is > pages / 4  # else there is nothing to keep
