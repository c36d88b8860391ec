"""How fast the network of each report is trained, and how much of that its convolutions are."""

import json
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from images import overrides_for
from tables import markdown

CONTENDERS = ("project", "template", "lightning-fp32")
NOTE = """\
Each network on its own images, with the batches and the Adam of its config: training images a
second, the median of {rounds} rounds, contenders and networks in turn, with the slowest and the
fastest round; ratios are the median of the rounds' own. "template" is the usual loop in fp32:
images made tensors one by one by two workers, each step's loss read and written down. Lightning is
in fp32, its images made beforehand. GFLOP/s are those of this project: multiplications and
additions of convolutions and linear layers, both ways, as torch counts them, by its images a
second. "In layers" is the share of a step's time spent in convolutions and linear layers, by
torch's profiler. A product of two 2048 x 2048 matrices reaches {peak:,.0f} GFLOP/s in bf16 here,
{peak_fp32:,.0f} in fp32."""


class System(NamedTuple):
    """A config of a report, and how many epochs are timed after one to warm up."""

    config: str
    data: str
    epochs: int
    overrides: tuple[str, ...] = ()


# So that an epoch takes seconds; the other images are looked at after it, untimed.
FEW_EYES = ("data_loader.args.validation_split=984",)
FEW_DIGITS = ("data_loader.args.validation_split=44640",)
SYSTEMS = (
    System("wafer_ae", "wafers", 4),
    System("wafer_strided", "wafers", 8),
    System("eyes_ae", "eyes", 1),
    System("eyes_vae", "eyes", 1, FEW_EYES),
    System("mnist_ae", "mnist", 2, FEW_DIGITS),
    System("mnist_vae", "mnist", 2, FEW_DIGITS),
    System("mnist_copy", "mnist", 1, FEW_DIGITS),
)
Measure = Callable[..., dict[str, Any]]


def systems_table(
    measure: Measure, device: str, rounds: int, data: Path
) -> tuple[str, dict[str, Any]]:
    """Every network by every contender, in turn -> the table, the facts of one of them."""
    facts: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for number in range(rounds):
        for system in SYSTEMS:
            overrides = [*overrides_for(system.data, data), "sweep=null", *system.overrides]
            names = (*CONTENDERS, "profile") if number == 0 else CONTENDERS
            for name in names:
                path = f"configs/{system.config}.json"
                found = measure(name, device, system.epochs, overrides, path)
                facts.setdefault((system.config, name), []).append(found)
                print(number + 1, system.config, name, json.dumps(found), flush=True)
    heading = ["network", "batch", "images/s", "of template", "of Lightning, fp32"]
    heading += ["GFLOP/s", "in layers"]
    rows = [_row(system, facts) for system in SYSTEMS]
    one = facts[SYSTEMS[0].config, "profile"][0]
    note = NOTE.format(rounds=rounds, peak=one["peak"]["bf16"], peak_fp32=one["peak"]["fp32"])
    return f"{note}\n\n{markdown(heading, rows)}", one


def _row(system: System, facts: dict[tuple[str, str], list[dict[str, Any]]]) -> list[str]:
    rates = {
        name: [found.get("images_per_second", 0.0) for found in facts[system.config, name]]
        for name in CONTENDERS
    }
    ours = rates["project"]
    (profile,) = facts[system.config, "profile"]
    ratios = [
        f"{median(a / b for a, b in zip(ours, rates[name], strict=True)):.2f}x"
        if all(rates[name])
        else "not installed"
        for name in CONTENDERS[1:]
    ]
    return [
        system.config,
        str(profile["batch"]),
        f"{median(ours):,.0f} ({min(ours):,.0f} to {max(ours):,.0f})",
        *ratios,
        f"{median(ours) * profile['flops_per_image'] / 1e9:,.0f}",
        f"{profile['in_layers']:.0%}",
    ]
