"""Strict JSON: what a config file may contain, and a clear line for all that it may not."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from utils.config.messages import Problem, dotted, refuse
from utils.errors import ConfigError

DEEPEST = 32  # levels of nesting; a config has six, and deeper ones stop other JSON readers


class _Object(dict):
    """A JSON object that remembers which of its keys were given twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        keys = [key for key, _ in pairs]
        self.twice = {key for key in keys if keys.count(key) > 1} if len(self) < len(keys) else ()


class _NoNumber(str):
    """What stood in the text where a finite number belongs: NaN, 1e309."""


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        ConfigError: no such file, not UTF-8, broken syntax (with line and column), a key given
            twice, NaN or Infinity, or something other than an object.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; give a config with -c") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: a folder; -c takes a JSON file") from None
    except UnicodeDecodeError as error:
        byte = f"0x{error.object[error.start]:02x}"
        raise ConfigError(
            f"{path}: byte {error.start} ({byte}) is not UTF-8; save the file as UTF-8"
        ) from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    if text.startswith("\ufeff"):
        raise ConfigError(f"{path}: begins with a byte order mark; save it as plain UTF-8")
    if not text.strip():
        raise ConfigError(f"{path}: is empty; a config is an object {{...}}")
    content = parse_json(text, str(path))
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: holds a {_name(content)}; a config is an object {{...}}")
    return content


def parse_json(text: str, source: str) -> Any:
    """Like json.loads, but refusing what JSON itself refuses. `source` opens every message.

    Raises:
        ConfigError: broken syntax, or every value that JSON has no room for, a line each.
    """
    try:
        content = json.loads(
            text,
            object_pairs_hook=_Object,
            parse_constant=_NoNumber,
            parse_float=_finite,
            parse_int=_whole,
        )
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"{source}: line {error.lineno}, column {error.colno}: {error.msg}"
        ) from None
    except RecursionError:
        raise ConfigError(f"{source}: nested too deeply") from None
    if problems := list(_problems(content, ())):
        refuse(source, problems)
    return content


def _finite(text: str) -> float | _NoNumber:
    number = float(text)
    return _NoNumber(text) if number in (float("inf"), float("-inf")) else number


def _whole(text: str) -> int | _NoNumber:
    return int(text) if len(text) < 100 else _NoNumber(text)  # int() itself refuses 4301 digits


def _problems(value: Any, path: tuple[str | int, ...]) -> Iterator[Problem]:
    """All that Python's reader lets through although it has no meaning in a config."""
    where = dotted(*path)
    if len(path) > DEEPEST:
        yield Problem(dotted(*path[:3], "..."), value, "is nested too deeply")
    elif isinstance(value, _NoNumber):
        yield Problem(where, str(value), "must be a finite number")
    elif isinstance(value, str) and not is_text(value):
        yield Problem(where, value, "must be text: no NUL, no half of a surrogate pair")
    elif isinstance(value, _Object):
        for key in value.twice:
            yield Problem(dotted(*path, key), value[key], "given twice; keep one of the two")
        for key, inner in value.items():
            if not is_text(key):
                yield Problem(dotted(*path, key), inner, "the key must be text")
            yield from _problems(inner, (*path, key))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _problems(inner, (*path, place))


def is_text(value: str) -> bool:
    """Whether a file name or a log could hold it."""
    return "\0" not in value and not any("\ud800" <= letter <= "\udfff" for letter in value)


def _name(content: Any) -> str:
    names = {list: "list", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(content), "number")
