"""Strict JSON: what a config file may contain, and one clear line where it does not."""

import json
from pathlib import Path
from typing import Any

from utils.errors import ConfigError


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
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as UTF-8 text: {error}") from None
    content = parse_json(text, str(path))
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: holds a {_name(content)}; a config is an object {{...}}")
    return content


def parse_json(text: str, source: str) -> Any:
    """Like json.loads, but refusing what JSON itself refuses. `source` opens every message."""
    if text.startswith("\ufeff"):
        raise ConfigError(f"{source}: begins with a byte order mark; save it as plain UTF-8")
    if not text.strip():
        raise ConfigError(f"{source}: is empty; a config is an object {{...}}")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        content = dict(pairs)
        if len(content) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise ConfigError(f"{source}: key '{twice}' is given twice; keep one of the two")
        return content

    def refuse(constant: str) -> None:
        raise ConfigError(f"{source}: {constant} is not JSON; write a finite number")

    try:
        return json.loads(text, object_pairs_hook=unique, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"{source}: line {error.lineno}, column {error.colno}: {error.msg}"
        ) from None
    except RecursionError:
        raise ConfigError(f"{source}: nested too deeply") from None


def _name(content: Any) -> str:
    names = {list: "list", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(content), "number")
