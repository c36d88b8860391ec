"""What is wrong with a config, one line each: dotted path, value, rule and the nearest word."""

import json
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, NamedTuple, NoReturn

from utils.errors import ConfigError

MISSING: Any = object()  # the value of a key that is not there
LONGEST = 70  # characters of a value that a message shows


class Problem(NamedTuple):
    """One thing that is wrong, and what would be right."""

    path: str
    """Where, in dots: 'optimizer.args.lr'."""
    value: Any
    """What stands there, or MISSING."""
    rule: str
    """What must hold, with the fix where there is one."""

    def __str__(self) -> str:
        value = "" if self.value is MISSING else f" {shown(self.value)}:"
        return f"{self.path}:{value} {self.rule}" if self.path else f"{value} {self.rule}".strip()


def dotted(*steps: str | int) -> str:
    """Keys and places as one path; '' for none."""
    return ".".join(
        text if text.isprintable() and len(text) <= LONGEST else shown(text)
        for text in map(str, steps)
        if text
    )


def shown(value: Any) -> str:
    """A value as a message shows it: JSON, cut where it is long."""
    text = json.dumps(value, default=str, ensure_ascii=False)
    text = text.encode("utf-8", "backslashreplace").decode()  # half a character has no UTF-8
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def nearest(word: str, known: Iterable[str], alike: float = 0.55) -> str | None:
    """The known word that `word` was probably meant to be, whatever its case.

    Args:
        alike: how alike they must be, 0 to 1; by default, kernal and kernel_size are just so.
    """
    by_lower = {name.lower(): name for name in known}
    near = get_close_matches(word.lower(), by_lower, n=1, cutoff=alike)
    return by_lower[near[0]] if near else None


def hint(word: str, known: Iterable[str], at: str = "") -> str:
    """The known word nearest to `word`, else all of them, as the end of a message.

    Args:
        at: the path of the object in which the words are keys, if they are.
    """
    known = list(known)
    if near := nearest(word, known):
        return f"; did you mean '{dotted(at, near)}'?"
    return f"; known: {', '.join(known) or 'none at all'}"


def refuse(source: str, problems: list[Problem]) -> NoReturn:
    """Raise a ConfigError that says all that is wrong with `source`, a line each."""
    if len(problems) == 1:
        raise ConfigError(f"{source}: {problems[0]}")
    lines = "".join(f"\n  {problem}" for problem in problems)
    raise ConfigError(f"{source}: {len(problems)} problems{lines}")
