"""A study: do generated images help a classifier of the user's own images?"""

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from report.of_study import write_study_page
from report.page import NAME as REPORT
from study.page_facts import arms_on_page, page_facts
from study.picture import draw_study
from study.plan import Plan, plan_study
from study.records import Records
from study.report import conclusions, csv_text, markdown
from study.summary import summarize
from study.workers import Job, work
from utils.arguments import ALL, Share
from utils.config.sections import Config
from utils.errors import ConfigError, Interrupted
from utils.lock import Claims
from utils.output import alone_in, check_writable, say, write_file
from utils.signals import ended_by_sigterm

GO_ON = "study stopped; start it again to go on"
OTHERS = "the report comes with the last of them; start the study again if nobody is at it"


def run_study(config: Config, device: str, share: Share = ALL) -> None:
    """Run what is missing of a study and write its report into saved/<name>-study/.

    Whoever finds that all members are there writes it, be they this process's or not.

    Args:
        device: the command line's -d.
        share: the folds that this process does.

    Raises:
        ConfigError, DataError: an arm that cannot be run; nothing has been written then.
        TrainingError: a member that failed.
        Interrupted: a signal came; the members that are done are kept.
    """
    plan = plan_study(config)
    folder = Path(config.trainer.save_dir) / f"{config.name}-study"
    records = Records(plan, folder / "records")
    check_writable(folder)
    try:
        records.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{records.folder}: no such folder can be made: {error.strerror}; move what is in its "
            "way, or choose another trainer.save_dir"
        ) from None
    with _stopped_in_one_line():
        _run_missing(plan, records, share, device)
    found = [[records.find(fold, arm) for fold in plan.folds] for arm in plan.arms]
    there = [[record for record in row if record] for row in found]
    total, missing = len(plan.folds) * len(plan.arms), sum(row.count(None) for row in found)
    if missing:
        say(f"study: {total - missing} of {total} members are there; {OTHERS}")
        return
    with alone_in(folder):
        _report(plan, there, folder, device)


@contextmanager
def _stopped_in_one_line() -> Iterator[None]:
    try:
        with ended_by_sigterm(GO_ON):
            yield
    except Interrupted as stop:
        raise Interrupted(stop.number, GO_ON) from None
    except KeyboardInterrupt:
        raise Interrupted(signal.SIGINT, GO_ON) from None


def _run_missing(plan: Plan, records: Records, share: Share, device: str) -> None:
    """Compute the members of a share that have no record, and keep each as soon as it is there."""
    places = share.pick(range(len(plan.folds)))
    total = len(places) * len(plan.arms)
    first = total - sum(len(_missing(plan, records, place)) for place in places)
    if 0 < first < total:
        say(f"study: {first} of {total} members are there already")
    if first < total and (records.folder.parent / REPORT).exists():
        say(f"note: {REPORT} and the tables beside it are of an earlier study until this one ends")
    started = time.perf_counter()
    jobs = _jobs(plan, records, places)
    for done, record in enumerate(work(plan, jobs, device), 1):
        records.keep(record)
        seconds = (time.perf_counter() - started) / done * (total - first - done)
        say(f"study {first + done}/{total}: {_line(record)}; {_left(seconds)}")


def _missing(plan: Plan, records: Records, place: int) -> list[int]:
    """The arms that have no record in the fold at a place."""
    fold = plan.folds[place]
    return [number for number, arm in enumerate(plan.arms) if not records.find(fold, arm)]


def _jobs(plan: Plan, records: Records, places: Sequence[int]) -> Iterator[Job]:
    """What is missing of each fold, asked when its turn comes; not where another process is."""
    claims, left = Claims(records.folder), 0
    for place in places:
        if not claims.take(place):
            left += 1
        elif arms := _missing(plan, records, place):
            yield Job(place, arms)
    if left:
        say(f"study: {left} of {len(places)} folds are left to other processes, which are at them")


def _line(record: dict[str, Any]) -> str:
    scores = [classifier["macro_f1"] for classifier in record["classifiers"]]
    return (
        f"repeat {record['repeat'] + 1}, fold {record['fold'] + 1}, {record['name']}: macro-F1 "
        f"{sum(scores) / len(scores):.3f} in {record['seconds']:.0f} s"
    )


def _left(seconds: float) -> str:
    """The time that remains, in words."""
    if seconds < 90:
        return f"{seconds:.0f} s left"
    minutes = round(seconds / 60)
    return f"{minutes} min left" if minutes < 90 else f"{minutes / 60:.1f} h left"


def _report(plan: Plan, records: list[list[dict[str, Any]]], folder: Path, device: str) -> None:
    """Write the report from the records of each arm, which are all there."""
    summaries = summarize(plan, records)
    told = conclusions(summaries)
    write_file(folder / "study.md", markdown(plan, summaries).encode())
    write_file(folder / "study.csv", csv_text(plan, summaries).encode())
    draw_study(summaries, folder / "study.png")
    facts = page_facts(plan, told, device)
    write_study_page(folder, facts, arms_on_page(plan, summaries, records))
    for arm, said in told:
        say(f"- {arm}: {said}.")
    say(f"written to {folder}")
