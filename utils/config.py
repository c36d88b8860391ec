"""The config: one JSON file, checked whole before anything is built from it."""

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    Discriminator,
    Field,
    PositiveInt,
    Tag,
    ValidationError,
    field_validator,
)

from utils.errors import ConfigError
from utils.explain import explain, hint, shown
from utils.jsonfile import parse_json, read_json
from utils.registry import STRICT, arguments_model

# The classes that each part of a config may name: part -> type -> class.
Catalogue = dict[str, dict[str, type]]
Level = Annotated[float, Field(ge=0)]


class Section(BaseModel):
    """A part of the config whose keys are fixed."""

    model_config = STRICT


class Part(Section):
    """A part of the config that names the class to build and its arguments."""

    type: str
    args: dict[str, Any] = {}


def _one_or_several(value: Any) -> str:
    return "several" if isinstance(value, list) else "one"


# Told apart by what is written, so that a wrong key is not also reported as "no list".
Parts = Annotated[
    Annotated[Part, Tag("one")] | Annotated[list[Part], Tag("several")],
    Discriminator(_one_or_several),
]


class TrainerSection(Section):
    """How long to train, what to watch and what to write."""

    epochs: PositiveInt
    save_dir: str = "saved/"
    save_period: PositiveInt = 10
    save_steps: Annotated[int, Field(ge=0)] = 0
    monitor: str = "min val_loss"
    early_stop: Annotated[int, Field(ge=0)] = 0
    tensorboard: bool = True
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    compile: bool = False

    @field_validator("monitor")
    @classmethod
    def _is_mode_and_name(cls, monitor: str) -> str:
        if monitor != "off" and not re.fullmatch(r"(min|max) \w+", monitor):
            raise ValueError("must be 'min NAME', 'max NAME' or 'off', as in 'min val_loss'")
        return monitor


class GenerationSection(Section):
    """What test.py makes from the codes of existing images.

    `noise` is the standard deviation of the Gaussian noise that is added to a code, or several;
    with `relative`, in units of each code number's own standard deviation over the training set.
    `samples` children are made of each original; `per_class`, if given, asks instead for so many
    children of each class. `grid` is the side of the grid over a code of two numbers.
    """

    samples: PositiveInt = 5
    per_class: PositiveInt | None = None
    noise: Level | Annotated[list[Level], Field(min_length=1)] = 0.1
    relative: bool = False
    split: Literal["train", "validation", "all"] = "train"
    grid: Annotated[int, Field(ge=2, le=50)] | None = None

    def levels(self) -> list[float]:
        """Every level of noise."""
        return self.noise if isinstance(self.noise, list) else [self.noise]


class SweepSection(Section):
    """Several runs of one config: each set of overrides with each seed."""

    runs: Annotated[list[dict[str, Any]], Field(min_length=1)]
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)] | None = None


class Config(Section):
    """A whole config."""

    schema_file: str | None = Field(None, alias="$schema")
    description: str = ""
    name: Annotated[str, Field(max_length=100)]
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    dataset: Part
    data_loader: Part
    corruption: Parts | None = None
    arch: Part
    loss: Part
    metrics: list[str] = []
    optimizer: Part
    lr_scheduler: Part | None = None
    trainer: TrainerSection
    generation: GenerationSection = GenerationSection()
    sweep: SweepSection | None = None

    @field_validator("name")
    @classmethod
    def _is_folder_name(cls, name: str) -> str:
        if not re.fullmatch(r"\w[\w .+-]*", name):
            raise ValueError("names a folder: letters, digits and _ - + . only")
        return name

    def as_json(self) -> dict[str, Any]:
        """The config as plain values, complete: `check_config` of it gives it back."""
        return self.model_dump(mode="json", by_alias=True)


def load_config(path: Path, overrides: list[str], catalogue: Catalogue) -> Config:
    """The checked config in a file, after the overrides of the command line.

    Raises:
        ConfigError: every problem of the file, a line each.
    """
    return check_config(apply_overrides(read_json(path), overrides), catalogue, str(path))


def check_config(content: dict[str, Any], catalogue: Catalogue, source: str) -> Config:
    """The typed config with every default filled in, so that it stays right when defaults change.

    Raises:
        ConfigError: every problem, a line each, opening with its dotted path.
    """
    problems: list[str] = []
    try:
        # JSON mode: a list is taken for a tuple, yet "0.1" is no number and true no integer.
        config = Config.model_validate_json(json.dumps(content))
    except ValidationError as error:
        problems = explain(error, content, Config)
    for key, classes in catalogue.items():
        for place, (at, part) in enumerate(_parts_at(key, content.get(key))):
            args, found = _check_part(part, at, classes)
            problems += found
            if not problems:
                _parts_at(key, getattr(config, key))[place][1].args = args
    if problems:
        raise ConfigError(f"{source}: " + "\n".join(problems))
    return config


def _parts_at(key: str, value: Any) -> list[tuple[str, Any]]:
    """The parts at a key, one or several, each with its dotted path."""
    if isinstance(value, list):
        return [(f"{key}.{place}", part) for place, part in enumerate(value)]
    return [] if value is None else [(key, value)]


def _check_part(part: dict, key: str, classes: dict[str, type]) -> tuple[dict, list[str]]:
    """The complete arguments of a part, and the problems found."""
    if not isinstance(part, dict):
        return {}, []
    name, args = part.get("type"), part.get("args", {})
    if not isinstance(name, str) or not isinstance(args, dict):
        return {}, []  # the shape of the part itself is wrong, and has been reported
    if name not in classes:
        return {}, [f"{key}.type: {shown(name)}: there is no such type{hint(name, classes)}"]
    model = arguments_model(classes[name])
    try:
        return model.model_validate_json(json.dumps(args)).model_dump(mode="json"), []
    except ValidationError as error:
        return {}, explain(error, args, model, f"{key}.args")


def build(config: Config, catalogue: Catalogue, key: str, *runtime: Any) -> Any:
    """The object that the part `key` of a checked config names, or None where it names none.

    Args:
        runtime: the leading arguments of the class, those that no config holds.

    Raises:
        ConfigError: the class refuses an argument. Classes of this project open such a
            ValueError with the argument's name, so that the message opens with a dotted path.
    """
    return next(iter(build_all(config, catalogue, key, *runtime)), None)


def build_all(config: Config, catalogue: Catalogue, key: str, *runtime: Any) -> list[Any]:
    """The objects that `key` of a checked config names: none, one or several; as `build`."""
    parts = _parts_at(key, getattr(config, key))
    return [_build_part(part, at, catalogue[key], runtime) for at, part in parts]


def _build_part(part: Part, at: str, classes: dict[str, type], runtime: tuple) -> Any:
    cls = classes[part.type]
    typed = arguments_model(cls).model_validate_json(json.dumps(part.args))
    try:
        return cls(*runtime, **{name: getattr(typed, name) for name in type(typed).model_fields})
    except (ValueError, TypeError) as error:
        begins_with_argument = re.match(r"\w+", str(error))[0] in type(typed).model_fields
        joint = "." if begins_with_argument else ": "
        raise ConfigError(f"{at}.args{joint}{error}") from error


def apply_overrides(content: dict[str, Any], overrides: list[str]) -> dict[str, Any]:
    """`content` with each KEY=VALUE set: KEY a dotted path, VALUE JSON or a bare word.

    Naming another `type` empties the `args` beside it: they belonged to the old one.

    Raises:
        ConfigError: an override without '=', or a path through something that is no object.
    """
    content = json.loads(json.dumps(content))
    for override in overrides:
        path, equals, text = override.partition("=")
        if not equals or not path:
            raise ConfigError(f"-s {override}: must be KEY=VALUE, as in trainer.epochs=5")
        *parents, last = path.split(".")
        target = content
        for step in parents:
            target = _step_into(target, step, override)
        _set(target, last, _parse_value(text, override), override)
    return content


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
    if not step.isdecimal() or int(step) >= len(target):
        raise ConfigError(f"-s {override}: '{step}' must be a place from 0 to {len(target) - 1}")
    return int(step)


def _parse_value(text: str, override: str) -> Any:
    try:
        return parse_json(text, f"-s {override}")
    except ConfigError:
        if text[:1] in ("{", "[", '"', "") or text in ("NaN", "Infinity", "-Infinity"):
            raise
        return text
