"""Changes to a config from the command line: dotted paths with JSON values."""

import json
import math
import re
from typing import Any

from utils.config.messages import shown
from utils.config.source import is_text, parse_json
from utils.errors import ConfigError

# Two ways to say the same: the one that is set takes the place of the other.
INSTEAD = {
    "generation.per_class": "generation.samples",
    "generation.samples": "generation.per_class",
    "generation.unit": "generation.relative",
    "generation.relative": "generation.unit",
}
# What people write for a number that JSON wants digits around the point of.
SHORT_NUMBER = r"-?(\.\d+|\d+\.)([eE][+-]?\d+)?"


def apply_overrides(content: dict[str, Any], overrides: list[str]) -> dict[str, Any]:
    """`content` with each KEY=VALUE set: KEY a dotted path, VALUE JSON or a bare word.

    Naming another `type` empties the `args` beside it, which belonged to the old one; so types
    come first, and new arguments may stand before or after them.

    Raises:
        ConfigError: an override without '=', a key that is named twice, or a path through
            something that is no object.
    """
    content = json.loads(json.dumps(content))
    _refuse_repeated([key_of(override) for override in overrides])
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
        value = _parse_value(text, override)
        _set(target, last, value, override)
        if path in INSTEAD and isinstance(target, dict) and value is not None:
            target.pop(INSTEAD[path].rpartition(".")[2], None)
    return content


def key_of(override: str) -> str:
    """The dotted path of KEY=VALUE."""
    return override.partition("=")[0]


def value_at(content: Any, path: str) -> Any:
    """What stands at a dotted path of nested JSON; {} where it leads nowhere."""
    for step in path.split("."):
        if isinstance(content, list) and step.isdecimal() and int(step) < len(content):
            content = content[int(step)]
        else:
            content = content.get(step, {}) if isinstance(content, dict) else {}
    return content


def flat(content: Any, at: str = "") -> dict[str, Any]:
    """Nested JSON as dotted path -> value."""
    if not isinstance(content, dict | list) or not content:
        return {at: content}
    pairs = content.items() if isinstance(content, dict) else enumerate(content)
    found: dict[str, Any] = {}
    for key, value in pairs:
        found |= flat(value, f"{at}.{key}" if at else str(key))
    return found


def _refuse_repeated(keys: list[str]) -> None:
    """Raise a ConfigError where one override would undo another."""
    for place, key in enumerate(keys):
        if key in keys[:place]:
            raise ConfigError(f"-s {shown(key)}: is named twice; which value is meant?")
        for earlier in keys[:place]:
            if earlier.startswith(f"{key}."):
                raise ConfigError(f"-s {key}: would undo {earlier} before it; put {key} first")
        if INSTEAD.get(key) in keys[:place]:
            raise ConfigError(f"-s {key}: stands beside {INSTEAD[key]}; only one can hold")


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
        number = _number_in(text)
        if number is None:
            return text
        if re.fullmatch(SHORT_NUMBER, text) and math.isfinite(number):
            return number
        as_number = f"as a number it is written {number:.15g}, " if math.isfinite(number) else ""
        raise ConfigError(f"{error}; {as_number}as text it needs quotes: '\"{text}\"'") from None


def _number_in(text: str) -> float | None:
    """The number that `text` is to Python; JSON refused it for its size or its form."""
    try:
        return float(text)
    except ValueError:
        return None
