"""Run the systems of the five reports and write docs/RESULTS.md: their numbers beside ours.

    python benchmarks/reproduce.py --data FOLDER [--only mnist_ae ...] [--short] [-d DEVICE]

FOLDER holds the images of all (`images.py`).
Every experiment is a sweep below saved/reproduce/, over seeds and over what its config sweeps; one
that is finished is not run again. The rows of the table that are not asked for stay as they are.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from itertools import groupby
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, NamedTuple

from images import overrides_for

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from trainer.catalogue import catalogue  # noqa: E402, after the path to it
from trainer.plan import Member, plan_sweep  # noqa: E402
from trainer.sweep_runs import own_report, reports_of  # noqa: E402
from utils.config.check import load_config  # noqa: E402

RESULTS = ROOT / "docs" / "RESULTS.md"
HEADING = (
    "config", "setting", "report", "score", "ours", "seeds", "PCA of that size", "epochs",
    "parameters", "code size", "compression", "seconds a run", "device, date",
)  # fmt: skip
OPENING = """\
# The systems of the five reports, run here

Each row is made by `python benchmarks/reproduce.py --data FOLDER --only CONFIG`, with `--short`
where its epochs say so. "ours" is the mean over seeds 0, 1, ... of whole runs, ± their standard
deviation where there are several. The compression ratio is numbers in an image for each number in
its code: below 1 the code is the larger, a high score shows a good copy, and PCA of that size is
the image itself. Seconds are those of training alone.
"""
FEW, SOME, MANY = 1, 3, 5  # seeds


class Experiment(NamedTuple):
    """One config, what its report says, and how it is run."""

    config: str
    data: str
    score: str
    """Of which split, which metric: "train mse"."""
    reported: str
    seeds: int = FEW
    short: int | None = None
    """Epochs with --short, where the config's take hours."""


SIX_OVER_TWO = "6 numbers beat 2 after about 15 epochs"

EXPERIMENTS = (
    Experiment("wafer_ae", "wafers", "train mse", "0.0230 in 300 epochs, other settings", MANY),
    Experiment("wafer_ae_best", "wafers", "train mse", "0.0230 in 300 epochs", MANY),
    Experiment("wafer_strided", "wafers", "train mse", "0.0316, on scrambled images", MANY),
    Experiment("eyes_ae", "eyes", "train psnr", "42.53 in 500 epochs", SOME),
    Experiment("eyes_ae_best", "eyes", "train psnr", "42.53 in 500 epochs", SOME),
    Experiment("eyes_vae", "eyes", "train psnr", "26.59 in 500 epochs", short=25),
    Experiment("eyes_vae_l1", "eyes", "train psnr", "none; sharper", short=25),
    Experiment("eyes_vae_best", "eyes", "train psnr", "26.85 in 500 epochs", SOME),
    Experiment(
        "eyes_kernels_ae", "eyes", "train psnr",
        "42.53, 40.56, 33.8, 32.4, 30.26, 30.19 in 500 epochs",
    ),
    Experiment(
        "eyes_kernels_vae", "eyes", "train psnr",
        "26.59, 26.85, 26.43, 24.87, 19.3, 19.55 in 500 epochs",
    ),
    Experiment("mnist_ae", "mnist", "test mse", "0.0326 (validation)", MANY),
    Experiment("mnist_ae_best", "mnist", "test mse", "0.0326 (validation)"),
    Experiment("mnist_vae", "mnist", "test mse", "none", MANY),
    Experiment("mnist_copy", "mnist", "test mse", SIX_OVER_TWO, short=25),
    Experiment("mnist_denoise", "mnist", "test mse", SIX_OVER_TWO, short=25),
)  # fmt: skip


def main() -> None:
    """Run what is asked for and missing, then put its rows into the table."""
    args = parse_arguments()
    asked = [e for e in EXPERIMENTS if not args.only or e.config in args.only]
    for experiment in asked:
        overrides = overrides_of(experiment, args)
        path = f"configs/{experiment.config}.json"
        call("train.py", "-c", path, "-d", args.device, "-s", *overrides)
        members = plan_sweep(load_config(ROOT / path, overrides, catalogue()), catalogue())
        write_rows(experiment.config, list(rows_of(experiment, members, args.device)))


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--data", type=Path, required=True, help="the folder of the three data sets")
    names = [experiment.config for experiment in EXPERIMENTS]
    add("--only", nargs="+", default=[], choices=names, metavar="CONFIG", help="of configs/")
    add("--short", action="store_true", help="fewer epochs where that takes hours")
    add("--workers", type=int, default=1, help="runs side by side, each on its share of the cores")
    add("-d", "--device", default="auto")
    return parser.parse_args()


def overrides_of(experiment: Experiment, args: argparse.Namespace) -> list[str]:
    """What makes a sweep over seeds of a config."""
    content = content_of(experiment)
    sweep = {
        "runs": content.get("sweep", {}).get("runs", [{}]),
        "seeds": list(range(experiment.seeds)),
        "workers": args.workers,
    }
    overrides = overrides_for(experiment.data, args.data)
    overrides += ["trainer.save_dir=saved/reproduce", f"sweep={json.dumps(sweep)}"]
    if args.short and experiment.short:
        overrides.append(f"trainer.epochs={experiment.short}")
    return [*overrides, "generation.pictures=false"]


def content_of(experiment: Experiment) -> dict[str, Any]:
    """The config as it is shipped."""
    return json.loads((ROOT / "configs" / f"{experiment.config}.json").read_text("utf-8"))


def call(script: str, *arguments: str) -> None:
    """Run one of the programs; end where it fails."""
    print(script, *arguments, flush=True)
    done = subprocess.run([sys.executable, script, *arguments], cwd=ROOT, check=False)  # noqa: S603
    if done.returncode:
        sys.exit(done.returncode)


def rows_of(experiment: Experiment, members: list[Member], device: str) -> Iterator[list[str]]:
    """The table's rows of one experiment, one for each setting."""
    split, metric = experiment.score.split()
    full = content_of(experiment)["trainer"]["epochs"]
    for place, group in groupby(members, lambda member: member.place):
        own = list(group)
        reports = [report for member in own if (report := own_report(member))]
        scores = [report["splits"][split][metric] for report in reports]
        first = reports[0]
        lines = [line for member in own for line in trained_epochs(member)]
        seconds = sum(line["seconds"] for line in lines)
        epochs = len(lines) // len(own)
        whole = ""
        if epochs < full:
            hours = seconds / len(lines) * full / 3600
            whole = f" of {full} (in full {hours:.1f} h)"
        is_larger = first["compression_ratio"] <= 1
        yield [
            experiment.config,
            setting_text(own[0]),
            experiment.reported if place == 0 else "",
            experiment.score,
            f"**{fmean(scores):.4g}**" + (f" ± {stdev(scores):.2g}" if len(scores) > 1 else ""),
            str(len(scores)),
            "the image" if is_larger else f"{first['baselines']['pca'][split][metric]:.4g}",
            f"{epochs}{whole}",
            f"{first['parameters']:,}",
            f"{first['code_size']:,}",
            f"{first['compression_ratio']:.3g}",
            f"{seconds / len(own):,.0f}",
            f"{device_text(device)}, {tested_on(own[0])}",
        ]


def trained_epochs(member: Member) -> list[dict[str, Any]]:
    """What is noted of each epoch of a member."""
    path = reports_of(member)[-1].parent.parent / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def tested_on(member: Member) -> str:
    """The day of a member's scores."""
    return date.fromtimestamp(reports_of(member)[-1].stat().st_mtime).isoformat()


def setting_text(member: Member) -> str:
    """A member's setting by the last part of its keys, "linear 2"; "" for the config as it is."""
    return re.sub(r"[\w.]+\.", "", member.setting) if member.overrides else ""


def device_text(device: str) -> str:
    """What computed."""
    import torch

    if device != "cpu" and torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{os.cpu_count()} cores, {platform.machine()}"


def write_rows(config: str, rows: list[list[str]]) -> None:
    """Put the rows of a config into the table, in place of those it had; what is written below
    the table stays."""
    page = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else ""
    table = re.search(r"(?:^\|.*\n?)+", page, re.MULTILINE)  # the first of the page
    found = table[0].splitlines()[2:] if table else []
    of_config = {
        name: list(lines) for name, lines in groupby(found, lambda line: line.split(" | ")[0][2:])
    }
    of_config[config] = ["| " + " | ".join(row) + " |" for row in rows]
    lines = [f"| {' | '.join(HEADING)} |", "|" + "---|" * len(HEADING)]
    for name in dict.fromkeys([*(experiment.config for experiment in EXPERIMENTS), *of_config]):
        lines += of_config.get(name, [])
    below = page[table.end() :] if table else page.removeprefix(OPENING)
    RESULTS.write_text(OPENING + "\n" + "\n".join(lines) + "\n" + below, encoding="utf-8")
    print(f"written to {RESULTS}", flush=True)


if __name__ == "__main__":
    main()
