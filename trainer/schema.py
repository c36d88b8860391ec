"""The JSON Schema of a config, by which editors complete and check it.

    python -m trainer.schema

writes config.schema.json. It is made from the models and classes that check a config, so it says
what they say; ranges that only torch knows and rules between sections are theirs alone.
"""

import json
import re
import types
import typing
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from trainer.catalogue import catalogue
from utils.config.check import Catalogue
from utils.config.classes import alternatives, arguments_model, tag_of
from utils.config.sections import Config, Part

Schema = dict[str, Any]
PATH = Path(__file__).parent.parent / "config.schema.json"
# Older readers know $defs and prefixItems of this draft, which is all that is new in ours.
DRAFT = "https://json-schema.org/draft/2020-12/schema"


def config_schema(catalogue: Catalogue) -> Schema:
    """The schema of a whole config."""
    classes = {cls for part in catalogue.parts.values() for cls in part.values()}
    models: list[type[BaseModel]] = [Config]
    models += sorted(map(arguments_model, classes), key=str)
    found, top = models_json_schema([(model, "validation") for model in models])
    definitions = top["$defs"]
    references = {model: reference for (model, _), reference in found.items()}
    for cls in classes:
        if cls.__module__.startswith("torch."):
            _shorten(definitions[_name_of(references[arguments_model(cls)])])
    schema = definitions.pop(_name_of(references[Config]))
    schema["$defs"] = definitions
    del definitions["Part"], definitions["Phase"]
    for key, of_part in catalogue.parts.items():
        if key == "trainer":
            _add_types(definitions["TrainerSection"], of_part, references)
            continue
        schema["properties"][key] |= _section_schema(key, of_part, references)
        schema["properties"][key].pop("$ref", None)
    of_arm = _section_schema("augmentation", catalogue.parts["augmentation"], references)
    definitions["ArmSection"]["properties"]["augmentation"] |= of_arm
    schema["properties"]["metrics"] |= {
        "items": {"enum": list(catalogue.metrics)},
        "uniqueItems": True,
    }
    comment = (
        f"Written by python -m trainer.schema with torch {torch.__version__.partition('+')[0]}; "
        "what it says of torch.optim is from PyTorch's documentation (BSD-3-Clause)."
    )
    return {"$schema": DRAFT, "$comment": comment} | _tidy(schema)


def _add_types(section: Schema, classes: dict[str, type], references: dict[type, Schema]) -> None:
    """Have a section of fixed keys say which classes its type may name, and what each takes."""
    models = {name: arguments_model(cls) for name, cls in classes.items()}
    section["properties"]["type"]["enum"] = list(models)
    section["allOf"] = [_if_type(name, model, references[model]) for name, model in models.items()]


def _name_of(reference: Schema) -> str:
    return reference["$ref"].rpartition("/")[2]


def _section_schema(key: str, classes: dict[str, type], references: dict[type, Schema]) -> Schema:
    """A section that is a part, or null or a list of parts where its annotation says so."""
    annotation = Config.model_fields[key].annotation
    part = _part_schema(classes, references)
    options = [part]
    for alternative in alternatives(annotation):
        option = typing.get_args(alternative)[0] if tag_of(alternative) else alternative
        if option is types.NoneType:
            options.append({"type": "null"})
        elif typing.get_origin(option) is list:
            (entry,) = typing.get_args(option)
            options.append({"type": "array", "items": part | _more_properties(part, entry)})
    return {"anyOf": options} if annotation is not Part else part


def _more_properties(part: Schema, entry: type[Part]) -> Schema:
    """The properties of a part and those that an entry of this list has besides."""
    own = entry.model_json_schema()["properties"]
    more = {name: own[name] for name in own if name not in Part.model_fields}
    return {"properties": part["properties"] | more}


def _part_schema(classes: dict[str, type], references: dict[type, Schema]) -> Schema:
    """One of several classes by its name, and the arguments that this one takes."""
    models = {name: arguments_model(cls) for name, cls in classes.items()}
    return {
        "type": "object",
        "properties": {
            "type": {
                "description": Part.model_fields["type"].description,
                "oneOf": [
                    {"const": name, "description": _first_sentence(model.__doc__ or "")}
                    for name, model in models.items()
                ],
            },
            "args": {"type": "object", "description": Part.model_fields["args"].description},
        },
        "required": ["type"],
        "additionalProperties": False,
        "allOf": [_if_type(name, model, references[model]) for name, model in models.items()],
    }


def _if_type(name: str, model: type[BaseModel], arguments: Schema) -> Schema:
    then: Schema = {"properties": {"args": arguments}}
    if any(field.is_required() for field in model.model_fields.values()):
        then["required"] = ["args"]
    named = {"properties": {"type": {"const": name}}, "required": ["type"]}
    return {"if": named, "then": then}


def _shorten(definition: Schema) -> None:
    """Keep the first sentence of what torch says of each argument, without its types."""
    for content in definition["properties"].values():
        if "description" in content:
            content["description"] = _first_sentence(content["description"])


def _first_sentence(text: str) -> str:
    first = re.split(r"(?<=[\w)])\.(?:\s|$)| \(default| Default:", text)[0].strip()
    return re.sub(r"``?|:\w+:", "", first) + "."


def _tidy(content: Any) -> Any:
    """`content` with a description at each key, and without the titles that pydantic makes up."""
    if isinstance(content, list):
        return [_tidy(inner) for inner in content]
    if not isinstance(content, dict):
        return content
    kept = {
        key: _tidy(inner) for key, inner in content.items() if not _is_text("title", key, inner)
    }
    for key, inner in kept.items():
        if _is_text("description", key, inner):
            words = " ".join(inner.split())
            kept[key] = words[:1].upper() + words[1:]
    for inner in kept.get("properties", {}).values():
        if isinstance(inner, dict) and "description" in kept:
            inner.setdefault("description", kept["description"])  # {"conv": 16}: what a conv is
    return kept


def _is_text(keyword: str, key: str, value: Any) -> bool:
    """Whether this is the keyword, not a property of the same name."""
    return key == keyword and isinstance(value, str)


def schema_text() -> str:
    """What config.schema.json holds."""
    text = json.dumps(config_schema(catalogue()), indent=1, ensure_ascii=False)
    return text + "\n"


if __name__ == "__main__":
    PATH.write_text(schema_text(), encoding="utf-8")
    print(f"written to {PATH}")
