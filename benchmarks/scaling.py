"""How time and memory grow with the number of images, and how long a run takes to begin."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from tables import markdown

ROOT = Path(__file__).parent.parent
COUNTS, LARGE = (1_000, 10_000, 100_000), 800_000
# Small, so that 100,000 images take seconds and what is not the network shows.
SMALL = {"encoder": [{"conv": 8, "stride": 2}, {"conv": 8, "stride": 2}]}
SCALE_NOTE = """\
This project on drawn wafer maps of 26x26, one byte a die, precision auto: the training of one
epoch after one to warm up, and the most memory held ({held}). The network
is small, two strided convolutions to 8 channels and their mirror, so that what is not the network
shows. Time is linear where the time an image stays, and memory is the data and a constant where
what is beyond the data stays."""
START_NOTE = """\
Seconds from the command to the end of the first epoch, which is one step on nine wafer maps,
medians of {rounds} turns. `import torch` alone is what no program on torch can be below."""

Measure = Callable[[str, str, int, list[str]], dict[str, Any]]


def scale_table(measure: Measure, device: str, is_large: bool) -> tuple[str, dict[str, Any]]:
    """Train on more and more images -> the table, the facts of the last."""
    arch = json.dumps({"type": "Autoencoder", "args": SMALL})
    heading = ["images", "data, MB", "seconds an epoch", "microseconds an image"]
    heading += ["peak memory, MB", "beyond the data, MB"]
    rows = []
    for count in (*COUNTS, LARGE) if is_large else COUNTS:
        facts = measure("project", device, 1, [f"dataset.args.count={count}", f"arch={arch}"])
        seconds, data, peak = (
            facts[key] for key in ("seconds_per_epoch", "data_bytes", "memory_bytes")
        )
        rows.append([
            f"{count:,}", f"{data / 1e6:,.1f}", f"{seconds:.2f}",
            f"{seconds / facts['trained_on'] * 1e6:,.1f}",
            f"{peak / 1e6:,.0f}", f"{(peak - data) / 1e6:,.0f}",
        ])  # fmt: skip
        print("  ".join(rows[-1]), flush=True)
    held = "by torch, on the GPU" if "gpu" in facts else "by the process, from its start"
    return f"{SCALE_NOTE.format(held=held)}\n\n{markdown(heading, rows)}", facts


def startup_table(rounds: int) -> tuple[str, dict[str, Any]]:
    """Start train.py and torch alone in turn -> the table; always on the CPU."""
    torch_alone, first_step = [], []
    for _ in range(rounds):
        torch_alone.append(seconds_of("-c", "import torch"))
        first_step.append(seconds_to_first_step())
    base, ours = median(torch_alone), median(first_step)
    rows = [
        ["`python -c 'import torch'`", f"{base:.2f}", ""],
        ["`python train.py`, to the first step", f"{ours:.2f}", f"{ours / base:.2f}x"],
    ]
    table = markdown(["", "seconds", "of `import torch`"], rows)
    return f"{START_NOTE.format(rounds=rounds)}\n\n{table}", {}


def seconds_of(*arguments: str) -> float:
    """How long Python runs with these arguments."""
    started = time.perf_counter()
    subprocess.run(  # noqa: S603
        [sys.executable, *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - started


def seconds_to_first_step() -> float:
    """From the start of train.py to the file that its first epoch, a single step, leaves."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.time()
        seconds_of(
            "train.py", "-d", "cpu", "-s", "dataset.args.count=9", "trainer.epochs=1",
            "data_loader.args.validation_split=0", "trainer.monitor=off",
            f"trainer.save_dir={folder}",
        )  # fmt: skip
        numbers = next(Path(folder).glob("*/*/metrics.jsonl"))
        return numbers.stat().st_mtime - started
