"""From the names in a checked config to objects."""

import json
import re
from typing import Any

from utils.config.check import Catalogue
from utils.config.classes import arguments_model
from utils.config.sections import Config, Part, TrainerSection
from utils.errors import ConfigError


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


def build_part(
    part: Part | TrainerSection, classes: dict[str, Any], path: str, /, *runtime: Any, **told: Any
) -> Any:
    """The object that one part names; as in `build`.

    Args:
        told: arguments that no config holds either, by name.
    """
    cls = classes[part.type]
    typed = arguments_model(cls).model_validate_json(json.dumps(part.args))
    try:
        args = {name: getattr(typed, name) for name in type(typed).model_fields}
        return cls(*runtime, **args, **told)
    except (ValueError, TypeError, RuntimeError, ArithmeticError, MemoryError) as error:
        opening = re.split(r"\W", str(error), maxsplit=1)[0]
        joint = "." if opening in type(typed).model_fields else f": {part.type}: "
        raise ConfigError(f"{path}.args{joint}{str(error) or type(error).__name__}") from error
