"""What a user reads when a config is refused: path, value, rule and the nearest valid word."""

import json
import typing
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError

_MISSING = object()


def hint(word: str, known: Iterable[str]) -> str:
    """The known word nearest to `word`, else all of them, as the end of a message."""
    known = list(known)
    near = get_close_matches(word, known, n=1)
    return f"; did you mean '{near[0]}'?" if near else f"; known: {', '.join(known)}"


def shown(value: Any) -> str:
    """A value as a message shows it: JSON, cut where it is long."""
    text = json.dumps(value, default=str)
    return text if len(text) <= 70 else f"{text[:67]}..."


def explain(
    error: ValidationError, content: Any, model: type[BaseModel], at: str = ""
) -> list[str]:
    """One line for each place in `content` that `model` refused; `at` opens every path."""
    rules: dict[tuple, list[str]] = {}
    for problem in error.errors(include_url=False):
        path = _real_path(content, problem)
        rules.setdefault(path, []).append(_rule(problem, path, model))
    lines = []
    for path, alternatives in rules.items():
        dotted = ".".join(str(step) for step in (*filter(None, [at]), *path))
        value = _value_at(content, path)
        middle = "" if value is _MISSING else f" {shown(value)}:"
        lines.append(f"{dotted}:{middle} {' or '.join(dict.fromkeys(alternatives))}")
    return lines


def _real_path(content: Any, problem: dict[str, Any]) -> tuple:
    """The location without the names of types and tags that pydantic puts in between."""
    path: list[Any] = []
    for step in problem["loc"]:
        if isinstance(content, dict) and step in content:
            content = content[step]
        elif isinstance(content, list) and isinstance(step, int) and step < len(content):
            content = content[step]
        elif problem["type"] != "missing" or step != problem["loc"][-1]:
            continue
        path.append(step)
    return tuple(path)


def _value_at(content: Any, path: tuple) -> Any:
    for step in path:
        if isinstance(content, dict) and step not in content:
            return _MISSING
        content = content[step]
    return content


def _rule(problem: dict[str, Any], path: tuple, model: type[BaseModel]) -> str:
    if problem["type"] == "missing":
        return "is missing"
    if problem["type"] == "extra_forbidden":
        return "unknown key" + hint(str(path[-1]), _keys_at(model, path[:-1]))
    message = problem["msg"].removeprefix("Value error, ")
    return message.replace("Input should be", "must be", 1)


def _keys_at(model: type[BaseModel], path: tuple) -> list[str]:
    """The keys that `model` allows in the object at `path`."""
    for step in path:
        if not isinstance(step, int):  # a place in a list, whose members are all alike
            model = _model_in(model.model_fields[step].annotation)
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that a type is, is a list of, or has as an alternative."""
    if hasattr(annotation, "model_fields"):
        return annotation
    return next(filter(None, map(_model_in, typing.get_args(annotation))), None)
