"""A sweep: one config, several sets of overrides and seeds, a table of what came out.

Every member is an ordinary run, trained by train.py and scored by test.py in processes of their
own. A member that has its scores is not run again, one that was interrupted goes on.
"""

import csv
import io
import json
import statistics
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any, NamedTuple

from utils.check import Catalogue, check_config
from utils.config import Config
from utils.errors import TrainingError
from utils.overrides import apply_overrides

PROGRAMS = Path(__file__).parent.parent
FACTS = ("parameters", "code_size", "compression_ratio")


class Member(NamedTuple):
    """One run of a sweep."""

    setting: str
    """The overrides of its set, as text."""
    seed: int
    overrides: list[str]
    folder: Path
    """Of its runs."""


def run_sweep(
    config: Config, path: Path, overrides: list[str], device: str, classes: Catalogue
) -> None:
    """Run what is missing of a sweep and write its table into saved/<name>-sweep/.

    Args:
        path, overrides, device: the command line's -c, -s and -d.

    Raises:
        ConfigError: a member that cannot be run; nothing has been run then.
        TrainingError: a member that failed.
    """
    members = plan_sweep(config, overrides, classes)
    results = []
    for number, member in enumerate(members, 1):
        print(f"sweep {number}/{len(members)}: {member.setting}, seed {member.seed}", flush=True)
        results.append((member, _finish(member, path, device)))
    folder = Path(config.trainer.save_dir) / f"{config.name}-sweep"
    table = sweep_table(results)
    write_table(table, results, folder)
    print(f"written to {folder}")


def plan_sweep(config: Config, overrides: list[str], classes: Catalogue) -> list[Member]:
    """The members of a sweep, every one of them checked."""
    content = config.as_json() | {"sweep": None}
    members = []
    for place, setting in enumerate(config.sweep.runs):
        own = [f"{key}={json.dumps(value)}" for key, value in setting.items()]
        for seed in config.sweep.seeds or [config.seed]:
            changes = [*own, f"seed={seed}"]
            member = check_config(
                apply_overrides(content, changes), classes, f"sweep.runs.{place}"
            )
            # The same settings find the same folder, however often the sweep is started.
            mark = zlib.crc32(json.dumps(member.as_json() | {"trainer": None}).encode())
            name = f"{config.name}-{place}-seed{seed}-{mark:08x}"
            text = ", ".join(f"{key.split('.')[-1]} {value}" for key, value in setting.items())
            folder = Path(config.trainer.save_dir) / name
            changes = [*overrides, "sweep=null", *changes, f"name={name}"]
            members.append(Member(text or "as it is", seed, changes, folder))
    return members


def _finish(member: Member, path: Path, device: str) -> dict[str, Any]:
    """The scores of a member: found, or made by running what is missing."""
    found = sorted(member.folder.glob("*/test/metrics.json"))
    if not found:
        if any(member.folder.glob("*/checkpoint-*.pth")):
            _run("train.py", "-r", member.folder, "-d", device)
        else:
            _run("train.py", "-c", path, "-d", device, "-s", *member.overrides)
        _run("test.py", "-r", member.folder, "-d", device)
        found = sorted(member.folder.glob("*/test/metrics.json"))
    return json.loads(found[-1].read_text(encoding="utf-8"))


def _run(program: str, *arguments: Any) -> None:
    command = [sys.executable, str(PROGRAMS / program), *map(str, arguments)]
    code = subprocess.run(command, check=False).returncode  # noqa: S603, our own programs
    if code in (130, 143):
        sys.exit(code)
    if code:
        raise TrainingError(f"{program} {' '.join(map(str, arguments))} ended with code {code}")


def sweep_table(results: list[tuple[Member, dict[str, Any]]]) -> list[dict[str, Any]]:
    """A row for each setting: its facts, then mean and standard deviation over seeds.

    Scores are those of the test split, else of the validation split, else of the training split.
    """
    rows = []
    for setting in dict.fromkeys(member.setting for member, _ in results):
        reports = [report for member, report in results if member.setting == setting]
        split = [name for name in ("test", "validation", "train") if name in reports[0]["splits"]][
            0
        ]
        row = {"setting": setting, "seeds": len(reports), "split": split}
        row |= {fact: reports[0][fact] for fact in FACTS}
        scores = [_flat(report["splits"][split]) for report in reports]
        for name in scores[0]:
            values = [numbers[name] for numbers in scores]
            if name != "count" and None not in values:
                row[name] = statistics.fmean(values)
                row[f"{name} sd"] = statistics.stdev(values) if len(values) > 1 else 0.0
        rows.append(row)
    return rows


def _flat(scores: dict[str, Any]) -> dict[str, float | None]:
    """The scores of a split; those of the corrupted images, which lie deeper, by both names."""
    flat: dict[str, float | None] = {}
    for name, value in scores.items():
        inner = value if isinstance(value, dict) else {"": value}
        flat |= {f"{name} {key}".strip(): number for key, number in inner.items()}
    return flat


def write_table(
    table: list[dict[str, Any]], results: list[tuple[Member, dict[str, Any]]], folder: Path
) -> None:
    """The table as Markdown, CSV and TensorBoard's HParams."""
    folder.mkdir(parents=True, exist_ok=True)
    text = markdown(table)
    print(text)
    (folder / "table.md").write_text(text + "\n", encoding="utf-8")
    lines = io.StringIO()
    writer = csv.DictWriter(lines, list(table[0]))
    writer.writeheader()
    writer.writerows(table)
    (folder / "table.csv").write_text(lines.getvalue(), encoding="utf-8")
    from logger.tensorboard import write_hparams

    scores = {row["setting"]: row for row in table}
    for old in folder.glob("hparams/**/events.*"):
        old.unlink()
    for member, report in results:
        split = scores[member.setting]["split"]
        flat = _flat(report["splits"][split])
        numbers = {name: value for name, value in flat.items() if value is not None}
        write_hparams(folder / "hparams" / member.folder.name,
                      {"setting": member.setting, "seed": member.seed}, numbers)  # fmt: skip


def markdown(table: list[dict[str, Any]]) -> str:
    """The table with mean ± standard deviation in one cell."""
    names = [name for name in table[0] if not name.endswith(" sd")]
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    for row in table:
        cells = []
        for name in names:
            cell = f"{row[name]:.4g}" if isinstance(row[name], float) else str(row[name])
            spread = row.get(f"{name} sd")
            cells.append(f"{cell} ± {spread:.2g}" if spread else cell)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
