"""How time and memory grow with the number of images, and how long a run takes to begin."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from tables import markdown

ROOT = Path(__file__).parent.parent
COUNTS, LARGE = (1_000, 10_000, 100_000), 811_457  # as many as WM-811K has
# Small, so that 100,000 images take seconds and what is not the network shows.
SMALL = {"encoder": [{"conv": 8, "stride": 2}, {"conv": 8, "stride": 2}]}
# Batches that divide the training images, nine tenths of all, but for the largest: no step is
# smaller.
BATCH = 100
SCALE_NOTE = """\
This project on drawn wafer maps of 26x26, one byte a die, read from a file; precision auto,
batches of {batch}: an epoch's training, on nine tenths of the images, and the most memory held
({held}). Every row has been shown as many images, in more epochs where there are fewer, after one
to warm up; rows take turns, and times are the fastest of {rounds} rounds, for other work of a
machine only slows them. The network is small, two strided convolutions to 8 channels and their
mirror, so that what is not the network shows. Time is linear where the time an image stays, and
memory is the data and a constant where what is beyond the data stays; with 1,000 images there are
fewer to be shown at the end."""
START_NOTE = """\
Seconds from the command, medians of {rounds} turns. The data are nine wafer maps, so that an epoch
is one step. `import torch` and one optimizer, with which torch imports its compiler, is what every
program that trains with torch has to do; those times are to the end of the process, which the
first step does not wait for, and may be above it."""
TORCH = "import torch"
WITH_ADAM = f"{TORCH}; torch.optim.Adam([torch.zeros(1, requires_grad=True)])"

Measure = Callable[[str, str, int, list[str]], dict[str, Any]]


def scale_table(
    measure: Measure, device: str, rounds: int, is_large: bool
) -> tuple[str, dict[str, Any]]:
    """Train on more and more images -> the table, the facts of the last."""
    overrides = [f"data_loader.args.batch_size={BATCH}", f"arch={_small_arch()}"]
    counts = (*COUNTS, LARGE) if is_large else COUNTS
    facts: dict[int, list[dict[str, Any]]] = {count: [] for count in counts}
    with tempfile.TemporaryDirectory() as folder:
        files = {count: Path(folder) / f"maps-{count}.npy" for count in counts}
        # Not here: the most memory that a process has held counts as that of those it starts.
        drawing = get_context("spawn").Process(target=write_maps, args=(files,))
        drawing.start()
        drawing.join()
        for number in range(rounds):
            for count, file in files.items():
                data = ["dataset.type=WaferMaps", f"dataset.args.data={file}"]
                epochs = -(-COUNTS[-1] // count)
                facts[count].append(measure("project", device, epochs, [*data, *overrides]))
                print(number + 1, f"{count:,}", json.dumps(facts[count][-1]), flush=True)
    heading = ["images", "data, MB", "seconds an epoch", "microseconds an image"]
    heading += ["peak memory, MB", "beyond the data, MB"]
    rows = [_scale_row(count, found) for count, found in facts.items()]
    last = facts[counts[-1]][-1]
    held = "by torch, on the GPU" if "gpu" in last else "by the process, from its start"
    note = SCALE_NOTE.format(batch=BATCH, held=held, rounds=rounds)
    return f"{note}\n\n{markdown(heading, rows)}", last


def write_maps(files: dict[int, Path]) -> None:
    """Draw the most maps that are needed, once for all rounds; write so many into each file."""
    sys.path.insert(0, str(ROOT))
    from data_loader.wafers import SyntheticWafers

    maps = SyntheticWafers(count=max(files)).stored.numpy()
    for count, file in files.items():
        np.save(file, maps[:count])


def _small_arch() -> str:
    return json.dumps({"type": "Autoencoder", "args": SMALL})


def _scale_row(count: int, rounds: list[dict[str, Any]]) -> list[str]:
    """The row of one number of images."""
    seconds = [facts["seconds_per_epoch"] for facts in rounds]
    fastest, slowest = (end(seconds) / rounds[0]["trained_on"] * 1e6 for end in (min, max))
    peak, data = median(facts["memory_bytes"] for facts in rounds), rounds[0]["data_bytes"]
    return [
        f"{count:,}", f"{data / 1e6:,.1f}", f"{min(seconds):.3g}",
        f"{fastest:.1f} (slowest {slowest:.1f})",
        f"{peak / 1e6:,.0f}", f"{(peak - data) / 1e6:,.0f}",
    ]  # fmt: skip


def startup_table(rounds: int) -> tuple[str, dict[str, Any]]:
    """Start train.py and torch alone in turn -> the table; always on the CPU."""
    torch_alone, with_adam, first_step, first_epoch = [], [], [], []
    for _ in range(rounds):
        torch_alone.append(seconds_of("-c", TORCH))
        with_adam.append(seconds_of("-c", WITH_ADAM))
        begun, ended = seconds_of_training()
        first_step.append(begun)
        first_epoch.append(ended)
    base = median(with_adam)
    rows = [
        [title, f"{median(seconds):.2f}", f"{median(seconds) / base:.2f}x"]
        for title, seconds in (
            ("`import torch`", torch_alone),
            ("`import torch` and one Adam", with_adam),
            ("`python train.py`, to the first step", first_step),
            ("`python train.py`, to the end of the first epoch", first_epoch),
        )
    ]
    table = markdown(["", "seconds", "of torch with Adam"], rows)
    return f"{START_NOTE.format(rounds=rounds)}\n\n{table}", {}


def seconds_of(*arguments: str) -> float:
    """How long Python runs with these arguments."""
    started = time.perf_counter()
    subprocess.run(  # noqa: S603
        [sys.executable, *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - started


def seconds_of_training() -> tuple[float, float]:
    """From the start of train.py to the files that it leaves: before its first step, after it.

    The first is the run's config, the last thing to be written before training; the second the
    numbers of its first epoch, a single step.
    """
    with tempfile.TemporaryDirectory() as folder:
        started = time.time()
        seconds_of(
            "train.py", "-d", "cpu", "-s", "dataset.args.count=9", "trainer.epochs=1",
            "data_loader.args.validation_split=0", "trainer.monitor=off",
            f"trainer.save_dir={folder}",
        )  # fmt: skip
        (run,) = Path(folder).glob("*/*")
        files = run / "config.json", run / "metrics.jsonl"
        begun, ended = (file.stat().st_mtime - started for file in files)
    return begun, ended
