"""Which classes a config may name, and which arguments they take.

A part of a config is {"type": class name, "args": {...}}. The classes are those that a package
of this project defines: nothing is imported by a name from a config. The arguments of a class
and their types are read from the signature of its constructor.
"""

import importlib
import inspect
import pkgutil
import re
import types
import typing
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, Tag, create_model

STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
# What no config gives to the classes of torch.optim: what the program does, and what is for other
# loops than ours, which neither captures graphs nor differentiates through a step.
_RUNTIME = ("params", "optimizer", "last_epoch", "capturable", "differentiable")
# torch writes annotations in names that it imports for type checkers only.
_NAMES = {"Callable": Callable, "Iterable": Iterable, "Sequence": Iterable, "Any": Any}
# The classes that each part of a config can name: part -> type -> class.
Classes = dict[str, dict[str, Any]]
_UNIONS = (typing.Union, types.UnionType)


def defined_in(module: types.ModuleType, base: type) -> dict[str, type]:
    """The classes extending `base` that `module` itself defines, not those it imports."""
    return {
        name: value
        for name, value in vars(module).items()
        if inspect.isclass(value)
        and issubclass(value, base)
        and value.__module__ == module.__name__
        and not name.startswith(("_", "Base"))
    }


def discover(package: types.ModuleType, base: type) -> dict[str, type]:
    """The classes extending `base` that the modules of `package` define, by name."""
    found: dict[str, type] = {}
    for info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        classes = defined_in(module, base)
        for name in found.keys() & classes.keys():
            raise TypeError(f"{name}: defined in {found[name].__module__} and {module.__name__}")
        found |= classes
    return dict(sorted(found.items()))


def functions_with(package: types.ModuleType, mark: str) -> dict[str, Callable]:
    """The functions that the modules of `package` define and that have an attribute `mark`."""
    found: dict[str, Callable] = {}
    for info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        for name, value in vars(module).items():
            is_own = inspect.isfunction(value) and value.__module__ == module.__name__
            if is_own and hasattr(value, mark):
                if name in found:
                    raise TypeError(f"{name}: defined in two modules of {package.__name__}/")
                found[name] = value
    return found


@cache
def arguments_model(cls: Any) -> type[BaseModel]:
    """A strict model of the arguments that a config may give to `cls`.

    A class of this project names in `runtime` the parameters that the program gives it.

    Raises:
        TypeError: `cls` needs an argument that no JSON value can be.
    """
    is_ours = hasattr(cls, "runtime")
    runtime = cls.runtime if is_ours else _RUNTIME
    hints = typing.get_type_hints(cls.__init__, localns=_NAMES, include_extras=True)
    notes = argument_notes(cls)
    fields: dict[str, Any] = {}
    for name, parameter in list(inspect.signature(cls.__init__).parameters.items())[1:]:
        is_needed = parameter.default is inspect.Parameter.empty
        annotation = hints.get(name)
        if name in runtime or not (is_needed or _is_jsonable(annotation)):
            continue
        annotation = _jsonable(annotation, int if is_ours else NonNegativeInt)
        default = ... if is_needed else parameter.default
        fields[name] = (annotation, Field(default, description=notes.get(name)))
    return create_model(
        cls.__name__,
        __config__=STRICT,
        __doc__=summary(cls),
        __module__=cls.__module__,
        **fields,
    )


def summary(cls: type) -> str:
    """The first paragraph of a class's docstring, in one line."""
    return " ".join(inspect.cleandoc(cls.__doc__ or "").partition("\n\n")[0].split())


def argument_notes(cls: type) -> dict[str, str]:
    """What the Args sections of a class's docstring, and of those it extends, say of each name."""
    notes: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        section = re.search(
            r"^Args:\n((?: .*\n?|\n)+)", inspect.cleandoc(base.__doc__ or ""), re.M
        )
        for entry in re.split(r"^    (?=\w)", section[1] if section else "", flags=re.M)[1:]:
            names, _, text = entry.partition(":")
            for name in names.partition("(")[0].split(","):
                notes[name.strip()] = " ".join(text.split())
    return notes


def is_buildable(cls: type) -> bool:
    """Whether JSON values alone can name every argument that `cls` needs."""
    try:
        arguments_model(cls)
    except TypeError:
        return False
    return True


def _jsonable(annotation: Any, whole: Any) -> Any:
    """`annotation` without the alternatives that JSON has no value for (tensors, functions).

    Args:
        whole: what `int` stands for; all that torch.optim takes are counts, and it does not check
            that they are not negative.
    """
    origin, options = typing.get_origin(annotation), typing.get_args(annotation)
    if not _is_jsonable(annotation):
        raise TypeError(
            f"an argument of type {annotation} cannot be written in JSON; give each argument of "
            "the constructor a type, as in hidden: int = 32"
        )
    if origin in _UNIONS:
        kept = tuple(
            option if option is types.NoneType else _jsonable(option, whole)
            for option in options
            if option is types.NoneType or _is_jsonable(option)
        )
        return typing.Union[kept]  # noqa: UP007, the options are known at run time only
    if origin in (tuple, Iterable):
        inner = tuple(option if option is ... else _jsonable(option, whole) for option in options)
        return tuple.__class_getitem__(inner) if origin is tuple else list.__class_getitem__(inner)
    return whole if annotation is int else annotation


def _is_jsonable(annotation: Any) -> bool:
    """Whether some JSON value other than null can be of this type."""
    origin, options = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in _UNIONS:
        return any(_is_jsonable(option) for option in options)
    if origin in (list, tuple, Iterable):
        return all(option is ... or _is_jsonable(option) for option in options)
    if origin is typing.Annotated:
        return _is_jsonable(options[0])
    if origin in (dict, typing.Literal) or annotation is Any:
        return True
    plain = (int, float, bool, str, list, BaseModel)
    return inspect.isclass(annotation) and issubclass(annotation, plain)


def alternatives(annotation: Any) -> Iterator[Any]:
    """The alternatives of a union, itself perhaps annotated; anything else is its only one."""
    if typing.get_origin(annotation) in _UNIONS:
        for option in typing.get_args(annotation):
            yield from alternatives(option)
    elif typing.get_origin(annotation) is typing.Annotated and tag_of(annotation) is None:
        yield from alternatives(typing.get_args(annotation)[0])
    else:
        yield annotation


def tag_of(annotation: Any) -> str | None:
    """The tag by which a discriminated union knows this alternative."""
    notes = getattr(annotation, "__metadata__", ())
    return next((note.tag for note in notes if isinstance(note, Tag)), None)
