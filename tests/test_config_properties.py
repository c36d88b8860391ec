"""Whatever is done to a config: it is refused in words, or every key of it takes effect."""

import copy
import json
import math

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import ROOT
from trainer.catalogue import catalogue
from utils.config.build import build
from utils.config.check import check_config, load_config
from utils.config.classes import arguments_model
from utils.config.overrides import apply_overrides
from utils.errors import ConfigError

CLASSES = catalogue()
FULL = json.loads((ROOT / "config.json").read_text(encoding="utf-8"))
QUIET = settings(
    max_examples=250,
    deadline=None,
    derandomize=True,  # the same examples every time: a failure is one of this commit
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
NUMBERS = st.integers() | st.integers(-3, 50) | st.floats(allow_nan=False, allow_infinity=False)
WORDS = (
    st.sampled_from(["type", "args", "lr", "mirror", "relu", "Adam", "off", "conv"]) | st.text()
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)


def paths_in(content, path=()):
    """The path of every value below `content`."""
    for key, inner in content.items() if isinstance(content, dict) else enumerate(content):
        yield (*path, key)
        if isinstance(inner, dict | list):
            yield from paths_in(inner, (*path, key))


@st.composite
def mutated(draw):
    """The default config after one to three accidents, of which some are harmless."""
    config = copy.deepcopy(FULL)
    for _ in range(draw(st.integers(1, 3))):
        *parents, last = draw(st.sampled_from(sorted(paths_in(config), key=str)))
        owner = config
        for step in parents:
            owner = owner[step]
        match draw(st.sampled_from(["drop", "rename", "retype", "nest", "insert", "nudge"])):
            case "drop":
                del owner[last]
            case "rename" if isinstance(owner, dict):
                owner[draw(WORDS) if draw(st.booleans()) else last + "s"] = owner.pop(last)
            case "nest":
                owner[last] = draw(st.sampled_from([[owner[last]], {"args": owner[last]}]))
            case "insert" if isinstance(owner, dict):
                owner[draw(WORDS)] = draw(VALUES)
            case "nudge" if isinstance(owner[last], int | float):
                owner[last] = draw(st.integers(1, 50) | st.floats(0.001, 0.999))
            case _:
                owner[last] = draw(VALUES)
    return config


def takes_effect(written, complete):
    """Whether all that is written is also in the complete config, at the same place."""
    if isinstance(written, dict):
        return all(
            key in complete and takes_effect(value, complete[key])
            for key, value in written.items()
            if key != "$schema"
        )
    if isinstance(written, list):
        pairs = zip(written, complete, strict=True)
        return all(takes_effect(inner, other) for inner, other in pairs)
    if isinstance(written, bool) or isinstance(complete, bool) or not isinstance(written, float):
        return written == complete
    return math.isclose(written, complete)


def attempt(check, *args):
    """What `check` gives and None, or None and the words in which it refuses."""
    try:
        return check(*args), None
    except ConfigError as error:
        return None, str(error)


@QUIET
@given(mutated())
def test_a_spoilt_config_is_refused_or_every_key_takes_effect(config):
    checked, refusal = attempt(check_config, config, CLASSES, "c.json")
    if refusal:
        assert refusal.startswith("c.json: ")
    else:
        complete = checked.as_json()
        assert takes_effect(config, complete)
        assert check_config(complete, CLASSES, "c.json").as_json() == complete


@QUIET
@given(st.data())
def test_a_spoilt_file_is_refused_in_words(tmp_path, data):
    text = bytearray((ROOT / "config.json").read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text) - 1))
        end = start + data.draw(st.integers(0, 3))
        text[start:end] = data.draw(st.binary(max_size=3))
    path = tmp_path / "c.json"
    path.write_bytes(text)
    _, refusal = attempt(load_config, path, [], CLASSES)
    assert refusal is None or refusal.startswith(str(path))


@QUIET
@given(st.text(), st.text())
def test_an_override_of_any_text_is_refused_in_words(key, value):
    content, refusal = attempt(apply_overrides, FULL, [f"{key}={value}", f"{value}={key}"])
    if refusal:
        assert refusal.startswith("-s ")
    else:
        attempt(check_config, content, CLASSES, "c.json")


@QUIET
@given(st.data())
def test_the_arguments_of_an_optimizer_are_refused_in_words_or_build_it(data):
    name, cls = data.draw(st.sampled_from(sorted(CLASSES.parts["optimizer"].items())))
    args = data.draw(
        st.dictionaries(st.sampled_from(sorted(arguments_model(cls).model_fields)), VALUES)
    )
    config = FULL | {"optimizer": {"type": name, "args": args}}
    checked, refusal = attempt(check_config, config, CLASSES, "c.json")
    if refusal:
        assert "optimizer." in refusal
    else:
        build(checked, CLASSES, "optimizer", [torch.zeros(3, requires_grad=True)])
