"""What of a config may change after its run has begun, as it is said beside each key.

A key of a fixed section says it in its annotation, `Annotated[bool, Changes(resumed=True)]`; a
class that a config names says it of its arguments in `movable` and `testable`.
"""

from typing import Any, NamedTuple

from pydantic import BaseModel

from utils.config.classes import Classes


class Changes(NamedTuple):
    """When a key may say something else than when its run began."""

    resumed: bool = False
    """When the run goes on."""
    tested: bool = False
    """When its model is tested."""
    members: bool = True
    """From one member of a sweep to another."""
    trains: bool = True
    """Whether it has a part in what is trained; if not, config.json may be edited in it."""
    only_to: tuple[Any, ...] = ()
    """The values that it may change to when the run goes on; none named are all."""
    arguments: tuple[str, ...] = ()
    """Of a part whose classes are torch's: the arguments that may change when the run goes on."""
    because: str = ""
    """Why it may not change when the run goes on."""


class Key(NamedTuple):
    """A dotted key of a config, and when it may change."""

    path: str
    changes: Changes


def changes_of(path: str, config: BaseModel, classes: Classes) -> Changes:
    """When the key at a dotted path may change.

    Args:
        config: checked; its types say whose arguments are meant.
        classes: the classes of each part: part -> type -> class.
    """
    first, *rest = path.split(".")
    field = type(config).model_fields.get(first)
    if field is None:
        return Changes()
    own = _noted(field.metadata)
    section = getattr(config, first)
    if rest and rest[0] != "args" and isinstance(section, BaseModel):
        inner = type(section).model_fields.get(rest[0])
        return (inner and _noted(inner.metadata)) or own or Changes()
    own = own or Changes()
    if rest[:1] == ["args"] and len(rest) > 1:
        cls = classes.get(first, {}).get(getattr(section, "type", ""))
        if rest[1] in getattr(cls, "movable", ()):
            return own._replace(resumed=True, tested=True)
        if rest[1] in getattr(cls, "testable", ()):
            return own._replace(tested=True)
        if rest[1] in own.arguments:
            return own._replace(resumed=True)
    return own


def keys_of(config: BaseModel, classes: Classes) -> list[Key]:
    """Every section, key and argument of a config with when it may change."""
    paths: list[str] = []
    for name in type(config).model_fields:
        paths.append(name)
        section = getattr(config, name)
        if not isinstance(section, BaseModel):
            continue
        paths += [f"{name}.{key}" for key in type(section).model_fields]
        paths += [f"{name}.args.{key}" for key in getattr(section, "args", {})]
    return [Key(path, changes_of(path, config, classes)) for path in paths]


def _noted(metadata: list[Any]) -> Changes | None:
    return next((note for note in metadata if isinstance(note, Changes)), None)
