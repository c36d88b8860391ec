"""A study: do generated images help a classifier of the user's own images?"""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from report.of_study import write_study_page
from study.page_facts import arms_on_page, page_facts
from study.picture import draw_study
from study.plan import Plan, plan_study
from study.records import Records
from study.report import conclusions, csv_text, markdown
from study.summary import summarize
from study.workers import Job, work
from utils.config.sections import Config
from utils.errors import ConfigError, Interrupted
from utils.lock import hold
from utils.output import check_writable, remove_partials, say, write_file
from utils.signals import ended_by_sigterm

GO_ON = "study stopped; start it again to go on"


def run_study(config: Config, device: str) -> None:
    """Run what is missing of a study and write its report into saved/<name>-study/.

    Args:
        device: the command line's -d.

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
    hold(folder)
    remove_partials(records.folder)
    with _stopped_in_one_line():
        _run_missing(plan, records, device)
    _report(plan, records, folder, device)


@contextmanager
def _stopped_in_one_line() -> Iterator[None]:
    try:
        with ended_by_sigterm(GO_ON):
            yield
    except Interrupted as stop:
        raise Interrupted(stop.number, GO_ON) from None
    except KeyboardInterrupt:
        raise Interrupted(signal.SIGINT, GO_ON) from None


def _run_missing(plan: Plan, records: Records, device: str) -> None:
    """Compute the members that have no record, and keep each as soon as it is there."""
    jobs = []
    for place, fold in enumerate(plan.folds):
        arms = [number for number, arm in enumerate(plan.arms) if not records.find(fold, arm)]
        if arms:
            jobs.append(Job(place, arms))
    total = len(plan.folds) * len(plan.arms)
    first = total - sum(len(job.arms) for job in jobs)
    if first and jobs:
        say(f"study: {first} of {total} members are there already")
    started = time.perf_counter()
    for done, record in enumerate(work(plan, jobs, device), 1):
        records.keep(record)
        seconds = (time.perf_counter() - started) / done * (total - first - done)
        say(f"study {first + done}/{total}: {_line(record)}; {_left(seconds)}")


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


def _report(plan: Plan, records: Records, folder: Path, device: str) -> None:
    """Write the report from the records, which are all there."""
    found = [[own for fold in plan.folds if (own := records.find(fold, arm))] for arm in plan.arms]
    summaries = summarize(plan, found)
    told = conclusions(summaries)
    write_file(folder / "study.md", markdown(plan, summaries).encode())
    write_file(folder / "study.csv", csv_text(plan, summaries).encode())
    draw_study(summaries, folder / "study.png")
    facts = page_facts(plan, told, device)
    write_study_page(folder, facts, arms_on_page(plan, summaries, found))
    for arm, said in told:
        say(f"- {arm}: {said}.")
    say(f"written to {folder}")
