"""Changes to a config from the command line: dotted paths with JSON values."""

import json
from typing import Any

from utils.config.messages import shown
from utils.config.source import is_text, parse_json
from utils.errors import ConfigError


def apply_overrides(content: dict[str, Any], overrides: list[str]) -> dict[str, Any]:
    """`content` with each KEY=VALUE set: KEY a dotted path, VALUE JSON or a bare word.

    Naming another `type` empties the `args` beside it, which belonged to the old one; so types
    come first, and new arguments may stand before or after them.

    Raises:
        ConfigError: an override without '=', or a path through something that is no object.
    """
    content = json.loads(json.dumps(content))
    for override in sorted(overrides, key=lambda text: not key_of(text).endswith(".type")):
        path, equals, text = override.partition("=")
        *parents, last = path.split(".")
        if not is_text(override):
            raise ConfigError(f"-s {shown(override)}: must be UTF-8 text")
        if not equals or not all((*parents, last)):
            raise ConfigError(f"-s {override}: must be KEY=VALUE, as in trainer.epochs=5")
        target = content
        for step in parents:
            target = _step_into(target, step, override)
        _set(target, last, _parse_value(text, override), override)
    return content


def key_of(override: str) -> str:
    """The dotted path of KEY=VALUE."""
    return override.partition("=")[0]


def _step_into(target: Any, step: str, override: str) -> Any:
    if isinstance(target, dict):
        if target.get(step) is None:
            target[step] = {}
        return target[step]
    return target[_index(target, step, override)]


def _set(target: Any, last: str, value: Any, override: str) -> None:
    if isinstance(target, dict):
        if last == "type" and target.get("type") != value:
            target["args"] = {}
        target[last] = value
    else:
        target[_index(target, last, override)] = value


def _index(target: Any, step: str, override: str) -> int:
    if not isinstance(target, list):
        raise ConfigError(f"-s {override}: '{step}' leads into {shown(target)}, which has no keys")
    if not (step.isascii() and step.isdecimal()) or int(step[:9]) >= len(target):
        raise ConfigError(
            f"-s {override}: '{step}' must be the place of one of {len(target)} entries, "
            "counted from 0"
        )
    return int(step[:9])


def _parse_value(text: str, override: str) -> Any:
    if not text.strip():
        raise ConfigError(f"-s {override}: no value after '='; '\"\"' is the empty string")
    try:
        return parse_json(text, f"-s {override}")
    except ConfigError as error:
        if text.lstrip()[0] in '{["':
            raise
        if text in ("NaN", "Infinity", "-Infinity") or _is_number(text):
            raise ConfigError(f"{error}; as text it needs quotes: '\"{text}\"'") from None
        return text


def _is_number(text: str) -> bool:
    """Whether `text` is a number to Python, so that it was refused for its size."""
    try:
        float(text)
    except ValueError:
        return False
    return True
