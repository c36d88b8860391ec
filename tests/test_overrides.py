"""-s KEY=VALUE: the same rules and messages as a file."""

import pytest

from trainer.catalogue import catalogue
from utils.config.check import load_config
from utils.config.overrides import apply_overrides
from utils.errors import ConfigError


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["a.b=5"], {"a": {"b": 5, "list": [{"conv": 1}]}}),
        (["a.list.0.conv=3"], {"a": {"b": 1, "list": [{"conv": 3}]}}),
        (["a.b=word"], {"a": {"b": "word", "list": [{"conv": 1}]}}),
        (['a.b="5"'], {"a": {"b": "5", "list": [{"conv": 1}]}}),
        (["a.b=min val_loss"], {"a": {"b": "min val_loss", "list": [{"conv": 1}]}}),
        (["a.b=x=y"], {"a": {"b": "x=y", "list": [{"conv": 1}]}}),
        (["a=null"], {"a": None}),
        (["a=null", "a.b=2"], {"a": {"b": 2}}),
        (["a.b=.01"], {"a": {"b": 0.01, "list": [{"conv": 1}]}}),
        (["a.b=-.5e1"], {"a": {"b": -5.0, "list": [{"conv": 1}]}}),
        (["a.b=2."], {"a": {"b": 2.0, "list": [{"conv": 1}]}}),
        (["a.b=."], {"a": {"b": ".", "list": [{"conv": 1}]}}),
    ],
)
def test_an_override_sets_one_value(overrides, expected):
    content = {"a": {"b": 1, "list": [{"conv": 1}]}}
    assert apply_overrides(content, overrides) == expected
    assert content == {"a": {"b": 1, "list": [{"conv": 1}]}}


@pytest.mark.parametrize("order", [1, -1])
def test_another_type_drops_the_arguments_of_the_old_one_and_no_others(order):
    content = {"optimizer": {"type": "Adam", "args": {"amsgrad": True}}}
    overrides = ["optimizer.type=SGD", "optimizer.args.lr=0.1"][::order]
    assert apply_overrides(content, overrides) == {
        "optimizer": {"type": "SGD", "args": {"lr": 0.1}}
    }


def test_one_way_to_count_new_images_takes_the_place_of_the_other():
    content = {"generation": {"samples": 5, "per_class": None, "noise": 0.1}}
    by_class = apply_overrides(content, ["generation.per_class=40"])
    assert by_class == {"generation": {"per_class": 40, "noise": 0.1}}
    by_image = apply_overrides(by_class, ["generation.samples=3"])
    assert by_image == {"generation": {"samples": 3, "noise": 0.1}}
    assert apply_overrides(content, ["generation.per_class=null"]) == content


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["a=1", "b=2", "a=1"], '-s "a": is named twice'),
        (["generation.samples=2", "generation.per_class=9"],
         "-s generation.per_class: stands beside generation.samples; only one can hold"),
    ],
)  # fmt: skip
def test_overrides_that_undo_each_other_are_refused(overrides, says):
    with pytest.raises(ConfigError) as caught:
        apply_overrides({}, overrides)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("trainer.epoch=5", "trainer.epoch: 5: unknown key; did you mean 'trainer.epochs'?"),
        ("trianer.epochs=5", "unknown key; did you mean 'trainer'?"),
        ("optimizer.lr=5", "unknown key; did you mean 'optimizer.args.lr'?"),
        ("optimizer.args.lr=0,1", 'optimizer.args.lr: "0,1": must be a number'),
        ("optimizer.args.lr=-1", "optimizer.args.lr: -1.0: Adam refuses it"),
        ("trainer.epochs=1e309", "must be a finite number"),
        ("trainer.epochs=NaN", "must be a finite number"),
        ("trainer.epochs=08", "as a number it is written 8, as text it needs quotes: '\"08\"'"),
        ("trainer.epochs=+1.5", "as a number it is written 1.5"),
        ("trainer.epochs=0x10", 'trainer.epochs: "0x10": must be a whole number'),
        ("trainer.epochs", "must be KEY=VALUE"),
        ("trainer.epochs=", "no value after '='"),
        ("=5", "must be KEY=VALUE"),
        ("trainer..epochs=5", "must be KEY=VALUE"),
        ("trainer.epochs.x=5", "'x' leads into 2, which has no keys"),
        ("arch.args.decoder.0.conv=5", "'0' leads into \"mirror\", which has no keys"),
        ("arch.args.encoder.7.conv=5", "'7' must be the place of one of 1 entries"),
        ("arch.args.encoder.-1.conv=5", "must be the place"),
        ("arch.args.encoder.\u0663.conv=5", "must be the place"),
        ("generation={", "line 1, column 2"),
        ("name=\udc80", "must be UTF-8 text"),
        ("name=../x", 'name: "../x": must be the name of a folder'),
    ],
)
def test_a_wrong_override_is_refused_by_its_path(small, written, override, says):
    with pytest.raises(ConfigError) as caught:
        load_config(written(small), [override], catalogue())
    assert says in str(caught.value)
    assert f"-s {override}".encode("utf-8", "backslashreplace").decode() in str(
        caught.value
    ) or says.endswith("text")


def test_an_override_that_would_undo_one_before_it_is_refused():
    content = {"optimizer": {"type": "Adam", "args": {"lr": 0.1}}}
    whole, inner = 'optimizer={"type": "SGD"}', "optimizer.args.lr=0.5"
    with pytest.raises(ConfigError, match=r"-s optimizer: would undo optimizer\.args\.lr before"):
        apply_overrides(content, [inner, whole])
    made = apply_overrides(content, [whole, inner])
    assert made == {"optimizer": {"type": "SGD", "args": {"lr": 0.5}}}
