"""The records of a study's members, a file each: what is there is not computed again."""

import json
import zlib
from pathlib import Path
from typing import Any

from study.folds import Fold
from study.plan import Arm, Plan
from utils.output import write_file


class Records:
    """The files of the members.

    A member is found again by all that its results depend on, so that another config leaves
    those of the one before alone and has its own.

    Args:
        folder: where they lie.
    """

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan, self.folder = plan, folder

    def find(self, fold: Fold, arm: Arm) -> dict[str, Any] | None:
        """The record of a member; None where there is none, or one that is damaged."""
        member = self.plan.member(fold, arm)
        try:
            record = json.loads(self._path(member).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        is_ours = isinstance(record, dict) and record.get("member") == member
        return record if is_ours else None

    def keep(self, record: dict[str, Any]) -> None:
        """Write a record, whole or not at all."""
        write_file(self._path(record["member"]), f"{json.dumps(record)}\n".encode())

    def _path(self, member: dict[str, Any]) -> Path:
        mark = zlib.crc32(json.dumps(member).encode())
        return self.folder / f"repeat{member['repeat']}-fold{member['fold']}-{mark:08x}.json"
