"""Checking a config whole before anything is built from it: all problems, a line each."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from utils.config.classes import Classes, arguments_model
from utils.config.explain import explain
from utils.config.messages import MISSING, Problem, dotted, hint, nearest, refuse
from utils.config.overrides import apply_overrides
from utils.config.sections import Config, GenerationSection, Part, TrainerSection
from utils.config.source import read_json
from utils.config.template import advised

# How alike an unknown key is to one that belongs elsewhere, so that it must be that one.
SAME_WORD = 0.8


class Catalogue(NamedTuple):
    """What a config can name, and what must hold between its sections."""

    parts: Classes
    """The classes of each part of a config: part -> type -> class."""
    checks: list[tuple[set[str], Callable[[Config, "Catalogue"], Iterator[Problem]]]]
    """Checks between sections, each with the sections that have to be right by themselves."""
    unfit: dict[str, dict[str, str]]
    """Types that people look for in a part and that cannot be there: part -> type -> why."""
    metrics: dict[str, Any]
    """What measures reconstructions, by name."""


# What stands in for sections that are wrong, so that the others can be checked together.
_STAND_IN: dict[str, Any] = dict.fromkeys(
    ("dataset", "data_loader", "arch", "loss", "optimizer"), {"type": ""}
)
_STAND_IN |= {"name": "x", "trainer": {"epochs": 1}}


def read_config(path: Path, overrides: list[str]) -> dict[str, Any]:
    """What is in a config file, after the overrides of the command line. Not checked yet.

    Raises:
        ConfigError: no readable JSON object, or an override that leads nowhere.
    """
    return apply_overrides(read_json(path), overrides)


def load_config(path: Path, overrides: list[str], catalogue: Catalogue) -> Config:
    """The checked config in a file, after the overrides of the command line.

    Raises:
        ConfigError: every problem of the file, a line each.
    """
    return check_config(read_config(path, overrides), catalogue, path, overrides)


def check_config(
    content: dict[str, Any],
    catalogue: Catalogue,
    source: Path | str,
    overrides: Sequence[str] = (),
) -> Config:
    """The typed config with every default filled in, so that it stays right when defaults change.

    Args:
        source, overrides: where the content is from, as messages say it.

    Raises:
        ConfigError: every problem, a line each, opening with its dotted path.
    """
    problems: list[Problem] = []
    complete = json.loads(json.dumps(content))
    if isinstance(complete.get("trainer"), dict):
        complete["trainer"].setdefault("type", TrainerSection.model_fields["type"].default)
    for key, classes in catalogue.parts.items():
        for path, part in _parts_at(complete.get(key), key):
            problems += _fill_part(part, path, classes, catalogue.unfit.get(key, {}))
    problems += _problems_of(Config, complete)
    wrong = {_section(problem) for problem in problems}
    known = {field.alias or name for name, field in Config.model_fields.items()}
    right = {key: complete[key] for key in known & complete.keys() - wrong}
    config = Config.model_validate_json(json.dumps(_STAND_IN | right))
    for sections, check in catalogue.checks:
        if not wrong & sections:
            problems += check(config, catalogue)
    if problems:
        order = {key: place for place, key in enumerate(content)}
        problems.sort(key=lambda problem: order.get(_section(problem), len(order)))
        source = " ".join([str(source), *(f"-s {override}" for override in overrides)])
        refuse(source, [_pointed(problem, content, catalogue) for problem in problems])
    return config


def _section(problem: Problem) -> str:
    return problem.path.partition(".")[0]


def _problems_of(model: type[BaseModel], content: dict[str, Any], at: str = "") -> list[Problem]:
    try:
        # JSON mode: a list is taken for a tuple, yet "0.1" is no number and true no integer.
        model.model_validate_json(json.dumps(content))
    except ValidationError as error:
        return explain(error, content, model, at)
    return []


def _parts_at(section: Any, key: str) -> list[tuple[str, dict[str, Any]]]:
    """The parts in a section, which is one part or a list of them, each with its path."""
    sections = (
        [(dotted(key, place), part) for place, part in enumerate(section)]
        if isinstance(section, list)
        else [(key, section)]
    )
    return [(path, part) for path, part in sections if isinstance(part, dict)]


def _fill_part(
    part: dict[str, Any], path: str, classes: dict[str, type], unfit: dict[str, str]
) -> list[Problem]:
    """Complete the arguments of a part with their defaults; the problems found."""
    name, args = part.get("type"), part.get("args", {})
    if not isinstance(name, str) or not isinstance(args, dict):
        return []  # the shape of the part itself is wrong, which Config reports
    if name in unfit:
        return [Problem(f"{path}.type", name, unfit[name])]
    if name not in classes:
        problem = Problem(f"{path}.type", name, f"there is no such type{hint(name, classes)}")
        return [problem, *_nobodys(args, f"{path}.args", classes)]
    model = arguments_model(classes[name])
    if problems := _problems_of(model, args, f"{path}.args"):
        return problems
    typed = model.model_validate_json(json.dumps(args))
    # No warnings: some defaults of torch are not of the type that it states.
    part["args"] = typed.model_dump(mode="json", warnings=False)
    return []


def _nobodys(args: dict[str, Any], path: str, classes: dict[str, type]) -> Iterator[Problem]:
    """The arguments that none of the classes takes, where it is not known which was meant."""
    taken = (arguments_model(cls).model_fields for cls in classes.values())
    known = list(dict.fromkeys(name for fields in taken for name in fields))
    for name, value in args.items():
        if name not in known:
            yield Problem(dotted(path, name), value, "unknown key" + hint(name, known, path))


def _pointed(problem: Problem, content: dict[str, Any], catalogue: Catalogue) -> Problem:
    """The problem with a pointer to where an unknown key was meant to stand, if it can be told."""
    key = problem.path.rpartition(".")[2]
    if problem.rule.startswith("unknown key; known"):
        places = _places(content, catalogue)
        if meant := nearest(key, places, SAME_WORD):
            problem = problem._replace(rule=f"unknown key; did you mean '{places[meant]}'?")
    field = Config.model_fields.get(problem.path)
    if problem.value is MISSING and field and field.annotation is Part:
        example = next(iter(catalogue.parts[key]))
        problem = problem._replace(rule=f'is missing; as in "{key}": {{"type": "{example}"}}')
    return advised(problem, list(catalogue.parts["loss"]))


def _places(content: dict[str, Any], catalogue: Catalogue) -> dict[str, str]:
    """Where each key of the fixed sections and each argument of the chosen types belongs."""
    places: dict[str, str] = {}
    for key, section in (("trainer", TrainerSection), ("generation", GenerationSection)):
        for name in section.model_fields:
            places[name] = dotted(key, name)
    for key, classes in catalogue.parts.items():
        for path, part in _parts_at(content.get(key), key):
            cls = classes.get(str(part.get("type")))
            for name in arguments_model(cls).model_fields if cls else ():
                places.setdefault(name, dotted(path, "args", name))
    return places
