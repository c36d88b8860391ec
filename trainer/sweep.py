"""A sweep: one config, several sets of overrides and seeds, a table of what came out.

Every member is an ordinary run, trained by train.py and scored by test.py in processes of their
own (`trainer/sweep_runs.py`).
"""

import json
import shutil
from pathlib import Path
from typing import Any

from logger.tensorboard import write_hparams
from report.of_sweep import SweepFacts, SweepMember, Tables, write_sweep_page
from trainer.catalogue import catalogue
from trainer.plan import Member, plan_sweep
from trainer.sweep_runs import SweepRuns, own_report, reports_of
from trainer.sweep_tables import Results, generation_table, sweep_table, write_table
from utils.arguments import ALL, Share
from utils.config.overrides import value_at
from utils.config.sections import LABEL, Config
from utils.errors import ConfigError, TrainingError
from utils.output import alone_in, say, write_file

OTHERS = "the table comes with the last of them; start the sweep again if nobody is at it"
LABELS = "labels.json"  # in the folder of a sweep


def run_sweep(config: Config, device: str, share: Share = ALL) -> None:
    """Run what is missing of a sweep and write its table into saved/<name>-sweep/.

    Whoever finds that all members are there writes it, be their runs this process's or not; where
    members fail, it is of the others.

    Args:
        device: the command line's -d.
        share: what of it this process does.

    Raises:
        ConfigError: a member that cannot be run; nothing has been run then.
        TrainingError: a member that failed.
    """
    members, sweep = plan_sweep(config, catalogue()), config.sweep
    folder = Path(config.trainer.save_dir) / f"{config.name}-sweep"
    is_labelled = bool(_checked_marks(members, folder / LABELS))
    folder.mkdir(parents=True, exist_ok=True)
    if is_labelled:
        with alone_in(folder):  # read once more, for another sweep may have noted its own
            marks = _checked_marks(members, folder / LABELS)
            write_file(folder / LABELS, f"{json.dumps(marks, indent=1)}\n".encode())
    runs = SweepRuns(folder, device, sweep.workers if sweep else 1)
    try:
        runs.finish(share.pick(members), len(members))
    except TrainingError:  # one that always fails keeps no table from the others
        results, absent = _results(members)
        if results:
            with alone_in(folder):
                _write(config, results, absent, folder)
            say(f"written to {folder}, without {len(absent)} of {len(members)} members")
        raise
    results, absent = _results(members)
    if absent:
        say(f"{len(results)} of {len(members)} members are there; {OTHERS}")
        return
    with alone_in(folder):
        _write(config, results, absent, folder)
    say(f"written to {folder}")


def _results(members: list[Member]) -> tuple[Results, list[Member]]:
    """The members that have scores, with them, and those that have none."""
    found = [(member, own_report(member)) for member in members]
    absent = [member for member, report in found if not report]
    return [(member, report) for member, report in found if report], absent


def _write(config: Config, results: Results, absent: list[Member], folder: Path) -> None:
    """The tables of the members that have scores, and their page."""
    table = sweep_table(results)
    write_table(table, folder, "table")
    generated = generation_table(results)
    if generated:
        write_table(generated, folder, "generation")
    else:  # those of an earlier start would be of other images
        for name in ("generation.md", "generation.csv"):
            (folder / name).unlink(missing_ok=True)
    show_in_tensorboard(table, results, folder)
    best = {name: metric.best for name, metric in catalogue().metrics.items()}
    names = [f"{member.setting}, seed {member.seed}" for member in absent]
    facts = SweepFacts(config.name, config.description, config.trainer.monitor, best, names)
    members = [_on_page(member) for member, _ in results]
    write_sweep_page(folder, facts, Tables(table, generated), members)


def _checked_marks(members: list[Member], path: Path) -> dict[str, int]:
    """What the labelled members train, by the names of their folders, which do not tell.

    Args:
        path: of the file in which earlier sweeps of this name have noted that.

    Raises:
        ConfigError: a member's folder holds a run that was trained otherwise.
    """
    before = _noted_marks(path)
    labelled = {member.folder.name: member for member in members if member.label}
    for name, member in labelled.items():
        if member.folder.exists() and before.get(name) != member.mark:
            raise ConfigError(
                f'sweep.runs.{member.place}.label: "{member.label}": {member.folder} holds runs '
                "of other settings or images; take another label, or move that folder away"
            )
    return before | {name: member.mark for name, member in labelled.items()}


def _noted_marks(path: Path) -> dict[str, int]:
    if not path.exists():
        return {}
    try:
        marks = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        marks = None
    if not isinstance(marks, dict):
        raise ConfigError(
            f"{path}: damaged; it says what labelled members were trained with: take other labels "
            "and remove it, or put it back"
        )
    return marks


def _on_page(member: Member) -> SweepMember:
    found = reports_of(member)
    return SweepMember(member.setting, member.seed, found[-1].parent if found else None)


def show_in_tensorboard(table: list[dict[str, Any]], results: Results, folder: Path) -> None:
    """Write a row of TensorBoard's HParams into the folder of each member's run."""
    shutil.rmtree(folder / "hparams", ignore_errors=True)  # where an earlier version had them
    members = [member for member, _ in results]
    splits = dict(zip(dict.fromkeys(member.place for member in members), table, strict=True))
    for member, report in results:
        scores = report["splits"][splits[member.place]["split"]]
        watched = ("loss", *member.config["metrics"])
        numbers = {name: scores[name] for name in watched if scores.get(name) is not None}
        run = reports_of(member)[-1].parent.parent
        write_hparams(run, _settings(member, members), numbers, report["epoch"])


def _settings(member: Member, members: list[Member]) -> dict[str, Any]:
    """What a member was trained with, of all that any of them says: one column each."""
    keys = dict.fromkeys(key for other in members for key in other.overrides)
    found = {key: member.overrides.get(key, value_at(member.config, key)) for key in keys}
    called = {LABEL: member.setting} if any(other.label for other in members) else {}
    known = {key: value for key, value in found.items() if value != {}}
    return called | {"seed": str(member.seed)} | known  # text, for 1 would be shown as 1.0000
