"""config.schema.json says what the checks say, as far as a schema can."""

import json

import pytest
import torch
from jsonschema import Draft202012Validator

from tests.conftest import ROOT
from tests.wrong_configs import CASES, RANGES, TOGETHER, changed
from trainer.catalogue import catalogue
from trainer.schema import PATH, config_schema, schema_text
from utils.config.check import load_config

CONFIGS = [ROOT / "config.json", *sorted((ROOT / "configs").glob("*.json"))]
# The rules that need torch or a look at two sections: no schema can say them.
BEYOND = [case for case in RANGES if "refuses it" in case[2]]


@pytest.fixture(scope="module")
def validator():
    return Draft202012Validator(json.loads(PATH.read_text(encoding="utf-8")))


def test_the_schema_in_the_repository_is_current():
    made_with = json.loads(PATH.read_text(encoding="utf-8"))["$comment"]
    if f"torch {torch.__version__.partition('+')[0]};" not in made_with:
        pytest.skip("another torch has other arguments")
    assert PATH.read_text(encoding="utf-8") == schema_text(), "run python -m trainer.schema"


def test_the_schema_is_one(validator):
    Draft202012Validator.check_schema(validator.schema)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_config_of_the_repository_is_right_and_points_at_the_schema(validator, path):
    load_config(path, [], catalogue())
    content = json.loads(path.read_text(encoding="utf-8"))
    assert list(validator.iter_errors(content)) == []
    assert (path.parent / content["$schema"]).resolve() == PATH


def test_the_schema_refuses_the_wrong_configs_that_it_can_express(validator, small):
    right = small | {"trainer": {"epochs": 3}, "generation": {"samples": 5}}
    assert validator.is_valid(right)
    passed = [case for case in CASES if validator.is_valid(changed(right, *case[:2]))]
    rules = {case[2] for case in passed}
    assert rules <= {case[2] for case in TOGETHER + BEYOND} | {
        "must be a whole number",  # 2.0 is an integer to JSON Schema
        "must not be the name of a Windows device",
        "must be the name of a folder",  # of a few letters that editors read differently
        "the learning rate of epoch 3 would be -0.005",
    }
    print(f"{len(CASES) - len(passed)} of {len(CASES)}", [case[:2] for case in passed])
    # Rules between sections are no schema's; of all the others few are beyond it.
    assert len([case for case in passed if case not in TOGETHER]) <= 15


def test_every_key_is_described(validator):
    schema = validator.schema
    for owner in (schema, *schema["$defs"].values()):
        for key, content in owner.get("properties", {}).items():
            assert content.get("description"), key


def test_a_property_may_have_the_name_of_a_keyword():
    assert "description" in config_schema(catalogue())["properties"]
