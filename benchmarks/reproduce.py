"""Run the systems of the five reports and write docs/RESULTS.md: their numbers beside ours.

    python benchmarks/reproduce.py --data FOLDER [--only mnist_ae ...] [--short] [-d DEVICE]

FOLDER holds wafer1281/, eyes/ (data.npy, label.npy each) and mnist/ (as torchvision keeps it).
Every experiment is an ordinary run below saved/reproduce/; one that is finished is not run again,
so that the table can be made in several sittings.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from utils.config.overrides import apply_overrides  # noqa: E402, after the path to it

RUNS = "saved/reproduce"
RESULTS = ROOT / "docs" / "RESULTS.md"


class Experiment(NamedTuple):
    """One config, what its report says, and how it is shortened."""

    config: str
    data: str
    score: str
    """Of which split, which metric: "train mse"."""
    reported: str
    short: tuple[str, ...] = ()
    """Overrides of the shortened run."""


WAFERS = ("dataset.args.data={}/wafer1281/data.npy", "dataset.args.label={}/wafer1281/label.npy")
EYES = ("dataset.args.data={}/eyes/data.npy", "dataset.args.label={}/eyes/label.npy")
MNIST = ("dataset.args.root={}/mnist", "dataset.args.download=false")
FILES = {"wafers": WAFERS, "eyes": EYES, "mnist": MNIST}
# Of six kernels, the first with stride 1 and the first with stride 2.
TWO_KERNELS = (
    'sweep.runs=[{"arch.args.defaults": {"kernel_size": 3, "stride": 1, "padding": 1}}, '
    '{"arch.args.defaults": {"kernel_size": 4, "stride": 2, "padding": 2}}]'
)

EXPERIMENTS = (
    Experiment("wafer_ae", "wafers", "train mse", "0.0230 in 300 epochs, other settings"),
    Experiment("wafer_ae_best", "wafers", "train mse", "0.0230 in 300 epochs"),
    Experiment("wafer_strided", "wafers", "train mse", "0.0316, on images with scrambled axes"),
    Experiment("eyes_ae", "eyes", "train psnr", "42.53 in 500 epochs", ("trainer.epochs=60",)),
    Experiment("eyes_vae", "eyes", "train psnr", "26.59 in 500 epochs", ("trainer.epochs=25",)),
    Experiment("eyes_vae_l1", "eyes", "train psnr", "none; sharper", ("trainer.epochs=25",)),
    Experiment(
        "eyes_kernels_ae", "eyes", "train psnr",
        "42.53, 40.56, 33.8, 32.4, 30.26, 30.19 in 500 epochs", ("trainer.epochs=12", TWO_KERNELS),
    ),
    Experiment(
        "eyes_kernels_vae", "eyes", "train psnr",
        "26.59, 26.85, 26.43, 24.87, 19.3, 19.55 in 500 epochs",
        ("trainer.epochs=10", TWO_KERNELS),
    ),
    Experiment("mnist_ae", "mnist", "test mse", "0.0326 (validation)"),
    Experiment("mnist_ae_best", "mnist", "test mse", "0.0326 (validation)"),
    Experiment("mnist_vae", "mnist", "test mse", "none"),
    Experiment(
        "mnist_copy", "mnist", "test mse", "6 numbers beat 2 after about 15 epochs",
        ("trainer.epochs=25",),
    ),
    Experiment(
        "mnist_denoise", "mnist", "test mse", "6 numbers beat 2 after about 15 epochs",
        ("trainer.epochs=25",),
    ),
)  # fmt: skip


def main() -> None:
    """Run what is asked for and missing, then write the table of all that is there."""
    args = parse_arguments()
    for experiment in EXPERIMENTS:
        if not args.only or experiment.config in args.only:
            run_experiment(experiment, args)
    write_results()
    for first, second in (("eyes_ae", "eyes_vae"), ("mnist_ae", "mnist_vae")):
        put_side_by_side(first, second)


def put_side_by_side(first: str, second: str) -> None:
    """One picture of what the same relative noise does to the codes of two models."""
    from PIL import Image

    paths = []
    for config in (first, second):
        name = json.loads((ROOT / "configs" / f"{config}.json").read_text())["name"]
        paths += sorted((ROOT / RUNS / name).glob("*/test/noise.png"))[-1:]
    if len(paths) < 2:
        return
    pictures = [Image.open(path) for path in paths]
    size = sum(picture.width for picture in pictures), max(picture.height for picture in pictures)
    both = Image.new("RGB", size, "white")
    both.paste(pictures[0], (0, 0))
    both.paste(pictures[1], (pictures[0].width, 0))
    both.save(ROOT / RUNS / f"noise_{first}_{second}.png")


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="the folder of the three data sets")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="CONFIG", help="names in configs/"
    )
    parser.add_argument("--short", action="store_true", help="fewer epochs where that takes long")
    parser.add_argument("-d", "--device", default="auto")
    return parser.parse_args()


def run_experiment(experiment: Experiment, args: argparse.Namespace) -> None:
    """Train and test one experiment unless its scores are there, and note its seconds."""
    name = experiment.config
    note = ROOT / RUNS / f"{name}.json"
    if note.exists():
        return
    overrides = [text.format(Path(args.data).resolve()) for text in FILES[experiment.data]]
    is_short = args.short and bool(experiment.short)
    overrides += [f"trainer.save_dir={RUNS}", *(experiment.short if is_short else ())]
    config = f"configs/{name}.json"
    started = time.perf_counter()
    call("train.py", "-c", config, "-d", args.device, "-s", *overrides)
    content = json.loads((ROOT / config).read_text(encoding="utf-8"))
    if "sweep" not in content:
        call("test.py", "-r", f"{RUNS}/{content['name']}", "-d", args.device)
    facts = {
        "seconds": round(time.perf_counter() - started),
        "date": date.today().isoformat(),
        "device": device_text(args.device),
        "overrides": [
            text for text in overrides if not text.startswith(("dataset", "trainer.save"))
        ],
    }
    note.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def call(script: str, *arguments: str) -> None:
    """Run one of the programs; end where it fails."""
    print(script, *arguments, flush=True)
    done = subprocess.run([sys.executable, script, *arguments], cwd=ROOT, check=False)  # noqa: S603
    if done.returncode:
        sys.exit(done.returncode)


def device_text(device: str) -> str:
    """What computed."""
    import torch

    if device != "cpu" and torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{os.cpu_count()} cores, {platform.machine()}"


def write_results() -> None:
    """One row for each member that has scores."""
    lines = [
        "# The systems of the five reports, run here",
        "",
        "Made by `python benchmarks/reproduce.py --data FOLDER --short`. `short` marks a run of",
        "fewer epochs than the report's. The compression ratio is numbers in an image for each",
        "number in its code: below 1 the code is the larger, and a high score shows a good copy.",
        "",
        "| config | setting | report | score | ours | PCA of that size | epochs | seed "
        "| parameters | code size | compression | seconds | device, date |",
        "|" + "---|" * 13,
    ]
    for experiment in EXPERIMENTS:
        note = ROOT / RUNS / f"{experiment.config}.json"
        if note.exists():
            lines += rows_of(experiment, json.loads(note.read_text(encoding="utf-8")))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"written to {RESULTS}")


def rows_of(experiment: Experiment, facts: dict[str, Any]) -> list[str]:
    """The table's rows of one experiment, one for each run."""
    content = json.loads((ROOT / "configs" / f"{experiment.config}.json").read_text())
    content = apply_overrides(content, facts["overrides"])
    runs = [content["name"]]
    settings = [""]
    if "sweep" in content:
        sets = content["sweep"]["runs"]
        runs = [f"{content['name']}-{place}-*" for place in range(len(sets))]
        settings = [
            ", ".join(f"{key.split('.')[-1]} {value}" for key, value in one.items())
            for one in sets
        ]
    rows = []
    split, metric = experiment.score.split()
    for name, setting in zip(runs, settings, strict=True):
        folder = max((ROOT / RUNS).glob(f"{name}/*/test/metrics.json")).parent.parent
        report = json.loads((folder / "test" / "metrics.json").read_text())
        config = json.loads((folder / "config.json").read_text())
        setting = (
            setting.replace("kernel_size", "k").replace("stride", "s").replace("padding", "p")
        )
        short = " (short)" if facts["overrides"] else ""
        cells = [
            experiment.config, setting.replace("'", "").replace("{", "").replace("}", ""),
            experiment.reported if name == runs[0] else "", experiment.score,
            f"**{report['splits'][split][metric]:.4g}**",
            f"{report['baselines']['pca'][split][metric]:.4g}",
            f"{config['trainer']['epochs']}{short}", config["seed"],
            f"{report['parameters']:,}", f"{report['code_size']:,}",
            f"{report['compression_ratio']:.3g}",
            facts["seconds"] if name == runs[0] else "", f"{facts['device']}, {facts['date']}",
        ]  # fmt: skip
        rows.append("| " + " | ".join(map(str, cells)) + " |")
    return rows


if __name__ == "__main__":
    main()
