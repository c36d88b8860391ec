"""How fast the same network is trained by this project and by others, on this machine.

    python benchmarks/speed.py [--data FOLDER] [--rounds N] [--epochs N] [-d DEVICE] [--write]
    python benchmarks/speed.py --scale [--large]
    python benchmarks/speed.py --startup
    python benchmarks/speed.py --systems --data FOLDER

The first compares: the contenders take turns, round after round, each in a process of its own, so
that neither a busy minute nor another's memory is held against one of them. It needs
`pip install -r benchmarks/requirements.txt` for Lightning and pythae, and says so of those that
are missing. --scale trains on more and more images, --startup counts the seconds to the first
step, --systems compares on the network of every report, whose images lie in FOLDER as
reproduce.py takes them. --write puts the table into docs/PERFORMANCE.md, in place of the one for
this kind of device.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from datetime import date
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from scaling import scale_table, startup_table
from systems import systems_table
from tables import markdown, write_section

ROOT = Path(__file__).parent.parent
PACKAGES = ("torch", "lightning", "pythae")
TITLES = {
    "project": "this project, precision auto",
    "project-fp32": "this project, fp32",
    "project-compiled": "this project, precision auto, compiled",
    "template": "loop of pytorch-template, fp32",
    "lightning-fp32": "Lightning, fp32",
    "lightning-bf16": "Lightning, bf16-mixed",
    "pythae": "pythae, fp32",
    "bare-bf16": "bare loop, bf16",
    "bare-fp32": "bare loop, fp32",
}
NOTE = """\
All train the network of config.json on the same {images}, in batches of 128, with the same Adam.
Images/s are training images a second, the median of {rounds} rounds of {epochs} epochs after one
to warm up, with the slowest and the fastest round; then how many times as fast this project is,
and the share of the bare loop's speed (of the one in bf16, where the device computes in it), both
as the median of the rounds' own ratios. The bare loop does nothing but train: data on the device,
fused Adam, nothing read, logged or saved; but it leaves the C library to hand freed memory back to
the system, which this project does not. Times are of the training alone; only "all told" has
validation, metrics, TensorBoard and checkpoints in it. Final loss is the MSE over the training
images after the last epoch; pythae sums the error over an image, so that its weight decay is
weaker. Memory is the most that {holder} held."""


def main() -> None:
    """One contender, or one of the three tables."""
    args = parse_arguments()
    if args.contender:
        return run_contender(args)
    if args.scale:
        kind, table, facts = "scale", *scale_table(measure, args.device, args.rounds, args.large)
    elif args.systems:
        kind, (table, facts) = (
            "systems",
            systems_table(measure, args.device, args.rounds, args.data),
        )
    elif args.startup:
        kind, table, facts = "start", *startup_table(args.rounds)
    else:
        kind, table, facts = "speed", *speed_table(args)
    packages = {"speed": PACKAGES, "systems": PACKAGES[:2]}.get(kind, PACKAGES[:1])
    text = f"{conditions(facts, packages)}\n\n{table}\n"
    print(f"\n{text}")
    if args.write:
        write_section(f"{'GPU' if 'gpu' in facts else 'CPU'}: {kind}", text)


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add(
        "--data", type=Path, help="a folder of wafer maps: data.npy, and label.npy if there is one"
    )
    add("--rounds", type=int, default=3)
    add("--epochs", type=int, default=10, help="timed epochs of each round")
    add("--only", nargs="+", default=list(TITLES), choices=TITLES, metavar="CONTENDER")
    add("-d", "--device", default="auto")
    add("--scale", action="store_true", help="1,000 to 100,000 images")
    add("--large", action="store_true", help="... and 811,457")
    add("--startup", action="store_true", help="seconds to the first step")
    add("--systems", action="store_true", help="the networks of the reports")
    add("--write", action="store_true", help="put the table into docs/PERFORMANCE.md")
    add("--contender", choices=[*TITLES, "profile"], help="run one, print one line of JSON")
    add("-c", "--config", default="config.json", help="for --contender: what it trains")
    add("-s", "--set", nargs="+", default=[], help="for --contender: changes of the config")
    return parser.parse_args()


def run_contender(args: argparse.Namespace) -> None:
    """Train as one contender does, in this process, and print its facts."""
    sys.path.insert(0, str(ROOT))
    from contenders import run

    print(json.dumps(run(args.contender, args.config, args.device, args.epochs, args.set)))


def measure(
    name: str, device: str, epochs: int, overrides: list[str], config: str = "config.json"
) -> dict[str, Any]:
    """The facts of one contender, run in a process of its own."""
    command = [sys.executable, __file__, "--contender", name, "-d", device, "-c", config]
    command += ["--epochs", str(epochs), *(["-s", *overrides] if overrides else [])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def speed_table(args: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """Every contender in turn, `--rounds` times -> the table, the facts of one of them."""
    overrides = data_overrides(args.data) if args.data else []
    facts: dict[str, list[dict[str, Any]]] = {}
    for number in range(args.rounds):
        for name in args.only:
            found = measure(name, args.device, args.epochs, overrides)
            if "skipped" in found:
                print(f"round {number + 1}  {TITLES[name]}: skipped, {found['skipped']}")
                continue
            facts.setdefault(name, []).append(found)
            rate = found["images_per_second"]
            print(f"round {number + 1}  {TITLES[name]}: {rate:,.0f} images/s", flush=True)
    one = next(iter(facts.values()))[0]
    note = NOTE.format(
        rounds=args.rounds,
        epochs=args.epochs,
        images=f"{one['trained_on']:,} of {one['images']:,} wafer maps of {one['size']}",
        holder="torch on the GPU" if "gpu" in one else "the process, without its workers,",
    )
    return f"{note}\n\n{markdown(*speed_rows(facts))}", one


def data_overrides(folder: Path) -> list[str]:
    """The wafer maps in `folder` instead of drawn ones."""
    overrides = ["dataset.type=WaferMaps", f"dataset.args.data={folder.resolve() / 'data.npy'}"]
    if (folder / "label.npy").exists():
        overrides.append(f"dataset.args.label={folder.resolve() / 'label.npy'}")
    return overrides


def speed_rows(facts: dict[str, list[dict[str, Any]]]) -> tuple[list[str], list[list[str]]]:
    """Heading and rows of the comparison."""
    rates = {name: [one["images_per_second"] for one in rounds] for name, rounds in facts.items()}
    heading = ["", "images/s", "this project, auto", "this project, fp32", "of the bare loop"]
    heading += ["final loss", "peak memory, MB"]
    rows = []
    for name, rounds in facts.items():
        loss = median(one["loss"] for one in rounds)
        memory = median(one["memory_bytes"] for one in rounds) / 1e6
        rows.append([TITLES[name], *speed(rates[name], rates), f"{loss:.5f}", f"{memory:,.0f}"])
        if "images_per_second_in_all" in rounds[0]:
            values = [one["images_per_second_in_all"] for one in rounds]
            rows.append([f"{TITLES[name]}, all told", *speed(values, rates), "", ""])
    return heading, rows


def speed(values: list[float], rates: dict[str, list[float]]) -> list[str]:
    """The images a second of each round beside those of this project and of the bare loop."""
    bare = rates.get("bare-bf16") or rates.get("bare-fp32", [])
    words = [f"{median(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})"]
    for name in ("project", "project-fp32"):
        words.append(ratio(rates.get(name, []), values, "{:.2f}x"))
    return [*words, ratio(values, bare, "{:.0%}")]


def ratio(above: list[float], below: list[float], form: str) -> str:
    """The median of the rounds' ratios: what slows a whole round down cancels out."""
    ratios = [one / other for one, other in zip(above, below, strict=False)]
    return form.format(median(ratios)) if ratios else ""


def conditions(facts: dict[str, Any], packages: tuple[str, ...]) -> str:
    """When, on what and with which versions something was measured."""
    words = [f"Measured on {date.today().isoformat()}"]
    words += [facts.get("gpu") or f"{processor()}, {os.cpu_count()} cores"]
    words += [f"{name} {version(name)}" for name in packages if find_spec(name)]
    return ", ".join(words) + "."


def processor() -> str:
    """The processor's name as the system knows it."""
    facts = Path("/proc/cpuinfo")
    if facts.exists():
        for line in facts.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
