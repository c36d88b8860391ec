"""The errors of pydantic as problems: where, which value, which rule."""

import re
import typing
from typing import Any

from pydantic import BaseModel, ValidationError

from utils.config.classes import alternatives, tag_of
from utils.config.messages import MISSING, Problem, dotted, hint, nearest

# What a value must be, in the words of JSON, for the names that pydantic gives its errors.
_KINDS = {
    "bool_type": "true or false",
    "dict_type": "an object {...}",
    "float_type": "a number",
    "finite_number": "a finite number",
    "int_from_float": "a whole number",
    "int_type": "a whole number",
    "list_type": "a list",
    "model_attributes_type": "an object {...}",
    "model_type": "an object {...}",
    "string_type": "a string",
    "tuple_type": "a list",
}


def explain(
    error: ValidationError, content: Any, model: type[BaseModel], at: str = ""
) -> list[Problem]:
    """One problem for each place in `content` that `model` refused; `at` opens every path."""
    rules: dict[tuple, list[str]] = {}
    for found in error.errors(include_url=False):
        path = _real_path(content, found)
        rules.setdefault(path, []).append(_rule(found, path, model, at))
    return [
        Problem(dotted(at, *path), _value_at(content, path), _either(alternatives))
        for path, alternatives in rules.items()
        # Of the alternatives for a value, the one that came furthest was meant.
        if not any(other[: len(path)] == path != other for other in rules)
    ]


def _either(rules: list[str]) -> str:
    """Several rules of which one must hold, as one: 'must be a string or a list'."""
    first, *others = dict.fromkeys(rules)
    return " or ".join([first, *(rule.removeprefix("must be ") for rule in others)])


def _real_path(content: Any, found: Any) -> tuple:
    """The location without the names of types and tags that pydantic puts in between."""
    path: list[Any] = []
    for place, step in enumerate(found["loc"]):
        if isinstance(content, dict) and step in content:
            content = content[step]
        elif isinstance(content, list) and isinstance(step, int) and step < len(content):
            content = content[step]
        elif found["type"] != "missing" or isinstance(step, int) or place < len(found["loc"]) - 1:
            continue
        path.append(step)
    return tuple(path)


def _value_at(content: Any, path: tuple) -> Any:
    for step in path:
        if isinstance(content, dict) and step not in content:
            return MISSING
        content = content[step]
    return content


def _rule(found: Any, path: tuple, model: type[BaseModel], at: str) -> str:
    kind, value = found["type"], found["input"]
    if kind == "missing":
        return "is missing" if isinstance(found["loc"][-1], str) else "is too short"
    if kind == "extra_forbidden":
        known = keys_at(model, found["loc"][:-1])
        return "unknown key" + hint(str(path[-1]), known, dotted(at, *path[:-1]))
    if kind in _KINDS:
        return f"must be {_KINDS[kind]}"
    message = found["msg"].removeprefix("Value error, ").replace(" after validation", "")
    message = message.replace("Input should be", "must be", 1)
    if kind == "literal_error" and isinstance(value, str):
        known = re.findall("'(.*?)'", found["ctx"]["expected"])
        near = nearest(value, known) if len(known) > 1 else None
        return f"{message}; did you mean '{near}'?" if near else message
    return message[0].lower() + message[1:]


def keys_at(model: type[BaseModel], location: tuple) -> list[str]:
    """The keys that `model` allows in the object at a location as pydantic writes it."""
    reached: list[Any] = [model]
    for step in location:
        reached = [inner for annotation in reached for inner in _inside(annotation, step)]
    models = [option for annotation in reached for option in alternatives(annotation)]
    return [
        field.alias or name
        for option in models
        if hasattr(option, "model_fields")
        for name, field in option.model_fields.items()
    ]


def _inside(annotation: Any, step: str | int) -> list[Any]:
    """What one step of a location leads to: a field, an entry, or one of several alternatives."""
    options = list(alternatives(annotation))
    if tagged := [option for option in options if tag_of(option) == step]:
        return [typing.get_args(option)[0] for option in tagged]
    if isinstance(step, int):
        return [entry for option in options for entry in typing.get_args(option)[:1]]
    fields = [getattr(option, "model_fields", {}).get(step) for option in options]
    # A step that is no field is the name of a type, which leads nowhere.
    return [field.annotation for field in fields if field] or options
