"""The config: one JSON file, checked whole before anything is built from it."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
    field_validator,
)

from utils.errors import ConfigError
from utils.explain import explain
from utils.jsonfile import read_json
from utils.overrides import apply_overrides
from utils.problems import MISSING, Problem, dotted, hint, nearest, refuse
from utils.registry import STRICT, arguments_model
from utils.template import advised

Level = Annotated[float, Field(ge=0)]
MONITOR = r"^(off|(min|max) \w+)$"
# A word, so that no name is a path or an option; Windows cuts a dot or a blank off the end.
NAME = r"^\w([\w .+-]*[\w+-])?$"
# The same as far as editors understand it: to theirs \w is ASCII.
NAME_IN_EDITORS = r"^[^\s./\\]([^/\\]*[^\s./\\])?$"
# How alike an unknown key is to one that belongs elsewhere, so that it must be that one.
SAME_WORD = 0.8
# Windows opens a device instead of a file of these names, whatever their extension.
DEVICES = r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?"


class Section(BaseModel):
    """A part of the config whose keys are fixed."""

    model_config = STRICT | ConfigDict(use_attribute_docstrings=True)


class Part(Section):
    """A part of the config that names the class to build and its arguments."""

    type: str
    """The class to build."""
    args: dict[str, Any] = {}
    """The arguments of its constructor; what is left out takes its default."""


class TrainerSection(Section):
    """How long to train, what to watch and what to write."""

    epochs: PositiveInt
    """How often every training image is seen."""
    save_dir: Annotated[str, Field(min_length=1)] = "saved/"
    """The folder of all runs; a run lies in <save_dir>/<name>/<time>."""
    save_period: PositiveInt = 10
    """A checkpoint every so many epochs, and one at the end."""
    monitor: Annotated[str, Field(json_schema_extra={"pattern": MONITOR})] = "min val_loss"
    """What the best model is best at: 'min NAME', 'max NAME' or 'off'. NAME is 'loss' or a metric,
    with 'val_' in front for that of the images held out."""
    early_stop: NonNegativeInt = 0
    """Stop after so many epochs without a better monitored value; 0 never does."""
    tensorboard: bool = True
    """Whether to write events for TensorBoard."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """What layers compute in; 'auto' is bf16 where the device has units for it."""
    compile: bool = False
    """Whether torch.compile makes the model faster, after minutes of work."""

    @field_validator("monitor")
    @classmethod
    def _is_mode_and_name(cls, monitor: str) -> str:
        if not re.fullmatch(MONITOR, monitor):
            raise ValueError("must be 'min NAME', 'max NAME' or 'off', as in 'min val_loss'")
        return monitor


class GenerationSection(Section):
    """What test.py makes from the codes of existing images."""

    samples: PositiveInt = 5
    """Children of each original."""
    per_class: PositiveInt | None = None
    """Children of each class instead, for as many of every class."""
    noise: Level | Annotated[list[Level], Field(min_length=1)] = 0.1
    """Standard deviation of the Gaussian noise that is added to a code, or several of them."""
    relative: bool = False
    """Whether `noise` is in units of each code number's own standard deviation over the training
    set."""
    split: Literal["train", "validation", "all"] = "train"
    """Where the originals come from."""


class Config(Section):
    """A whole config."""

    schema_file: str | None = Field(None, alias="$schema")
    """The JSON Schema by which an editor completes and checks this file."""
    description: str = ""
    """For people."""
    name: Annotated[
        str, Field(min_length=1, max_length=100, json_schema_extra={"pattern": NAME_IN_EDITORS})
    ]
    """What the runs are called: their folder in trainer.save_dir."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """All that is random follows from this number."""
    dataset: Part
    """The images."""
    data_loader: Part
    """How the images are split and batched."""
    arch: Part
    """The model."""
    loss: Part
    """What training minimises."""
    metrics: list[str] = []
    """What is measured every epoch besides the loss."""
    optimizer: Part
    """What changes the weights: an optimizer of torch.optim."""
    lr_scheduler: Part | None = None
    """How the learning rate changes, epoch by epoch: a scheduler of torch.optim, or null."""
    trainer: TrainerSection
    """How long to train, what to watch and what to write."""
    generation: GenerationSection = GenerationSection()
    """What test.py makes from the codes of existing images."""

    @field_validator("name")
    @classmethod
    def _is_folder_name(cls, name: str) -> str:
        if not re.fullmatch(NAME, name):
            raise ValueError(
                "must be the name of a folder: letters, digits, blanks and _ - + . only, "
                "opening with a letter or digit and not ending in a dot or blank"
            )
        if re.fullmatch(DEVICES, name):
            raise ValueError("must not be the name of a Windows device")
        return name

    def as_json(self) -> dict[str, Any]:
        """The config as plain values, complete: `check_config` of it gives it back.

        Only the path of the schema is left out, which is right in one folder only.
        """
        return self.model_dump(mode="json", exclude={"schema_file"})


class Catalogue(NamedTuple):
    """What a config can name, and what must hold between its sections."""

    parts: dict[str, dict[str, type]]
    """The classes of each part of a config: part -> type -> class."""
    checks: list[tuple[set[str], Callable[[Config], Iterator[Problem]]]]
    """Checks between sections, each with the sections that have to be right by themselves."""


# What stands in for sections that are wrong, so that the others can be checked together.
_STAND_IN = dict.fromkeys(("dataset", "data_loader", "arch", "loss", "optimizer"), {"type": ""})
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
    for key, classes in catalogue.parts.items():
        for path, part in _parts_at(complete.get(key), key):
            problems += _fill_part(part, path, classes)
    problems += _problems_of(Config, complete)
    wrong = {_section(problem) for problem in problems}
    known = {field.alias or name for name, field in Config.model_fields.items()}
    right = {key: complete[key] for key in known & complete.keys() - wrong}
    config = Config.model_validate_json(json.dumps(_STAND_IN | right))
    for sections, check in catalogue.checks:
        if not wrong & sections:
            problems += check(config)
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


def _fill_part(part: dict[str, Any], path: str, classes: dict[str, type]) -> list[Problem]:
    """Complete the arguments of a part with their defaults; the problems found."""
    name, args = part.get("type"), part.get("args", {})
    if not isinstance(name, str) or not isinstance(args, dict):
        return []  # the shape of the part itself is wrong, which Config reports
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
    known = {name for cls in classes.values() for name in arguments_model(cls).model_fields}
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
    for key in ("trainer", "generation"):
        for name in Config.model_fields[key].annotation.model_fields:
            places[name] = dotted(key, name)
    for key, classes in catalogue.parts.items():
        for path, part in _parts_at(content.get(key), key):
            cls = classes.get(str(part.get("type")))
            for name in arguments_model(cls).model_fields if cls else ():
                places.setdefault(name, dotted(path, "args", name))
    return places


def build(config: Config, catalogue: Catalogue, key: str, *runtime: Any) -> Any:
    """The object that the part `key` of a checked config names; a list where it is a list of
    parts, None where it is null.

    Args:
        runtime: the leading arguments of the class, those that no config holds.

    Raises:
        ConfigError: the class refuses an argument. Classes of this project open such a
            ValueError with the argument's name, so that the message opens with a dotted path.
    """
    section = getattr(config, key)
    if isinstance(section, list):
        return [
            build_part(part, catalogue.parts[key], f"{key}.{place}", *runtime)
            for place, part in enumerate(section)
        ]
    return section and build_part(section, catalogue.parts[key], key, *runtime)


def build_part(part: Part, classes: dict[str, type], path: str, *runtime: Any) -> Any:
    """The object that one part names; as in `build`."""
    cls = classes[part.type]
    typed = arguments_model(cls).model_validate_json(json.dumps(part.args))
    try:
        return cls(*runtime, **{name: getattr(typed, name) for name in type(typed).model_fields})
    except (ValueError, TypeError, RuntimeError, ArithmeticError, MemoryError) as error:
        opening = re.match(r"\w*", str(error))[0]
        joint = "." if opening in type(typed).model_fields else f": {part.type}: "
        raise ConfigError(f"{path}.args{joint}{str(error) or type(error).__name__}") from error
