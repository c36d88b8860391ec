"""No run begins with a wrong config: all that is wrong is said at once, and nothing is made."""

import json
import time

import pytest

from tests.conftest import ROOT, command, fresh_command
from tests.wrong_configs import CASES, DROP, TEXTS, changed
from trainer.catalogue import catalogue
from utils.config.build import build
from utils.config.check import check_config, load_config, read_config
from utils.config.classes import arguments_model
from utils.config.messages import shown
from utils.errors import ConfigError


@pytest.fixture
def full(small):
    """The small config, with three epochs and an optional section."""
    return small | {"trainer": {"epochs": 3}, "generation": {"samples": 5}}


def refusal(config):
    with pytest.raises(ConfigError) as caught:
        check_config(config, catalogue(), "c.json")
    return str(caught.value)


def name_of(case):
    return f"{case[0]}={'DROP' if case[1] is DROP else shown(case[1])[:40]}"


def test_the_config_that_the_cases_spoil_is_right(full):
    check_config(full, catalogue(), "c.json")


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_a_wrong_config_is_refused_with_path_value_and_rule(full, case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path, value, rule, *elsewhere = case
    config = changed(full, path, value)
    message = refusal(config)
    where = elsewhere[0] if elsewhere else path
    line = next(line for line in message.split("\n") if f"{where}: " in line)
    assert rule in line
    if value is not DROP and not elsewhere:
        assert f"{path}: {json.dumps(value)[:60]}" in line.replace("-1.0:", "-1:")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("text", "says"), TEXTS, ids=lambda value: shown(str(value))[:40])
def test_a_file_that_is_no_json_object_is_refused(text, says, tmp_path):
    path = tmp_path / "c.json"
    path.write_bytes(text)
    with pytest.raises(ConfigError) as caught:
        load_config(path, [], catalogue())
    assert str(caught.value).startswith(f"{path}: ")
    assert says in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("path", "says"),
    [("absent.json", "no such file"), (".", "a folder"), ("x" * 300, "cannot be read")],
)
def test_a_path_that_is_no_file_is_refused(path, says, tmp_path):
    with pytest.raises(ConfigError, match=says):
        read_config(tmp_path / path, [])


def test_all_problems_are_said_at_once_in_the_order_of_the_file(full):
    for path, value in [
        ("name", "../x"),
        ("arch.args.encoder.0.strid", 2),
        ("arch.args.encoder.0.conv", 0),
        ("optimizer.args.lr", -1),
        ("lr_scheduler.args.step_size", "2"),
        ("trainer.epochs", 0),
        ("generation.split", "test"),
        ("metrics", ["snr"]),
        ("loss", DROP),
    ]:
        full = changed(full, path, value)
    heading, *lines = refusal(full).split("\n")
    assert heading == "c.json: 9 problems"
    assert [line.split(":")[0].strip() for line in lines] == [
        "name", "arch.args.encoder.0.conv", "arch.args.encoder.0.strid", "metrics.0",
        "optimizer.args.lr", "lr_scheduler.args.step_size", "trainer.epochs", "generation.split",
        "loss",
    ]  # fmt: skip


def test_each_key_of_a_config_of_the_template_is_answered_at_once():
    message = refusal({
        "name": "Mnist_LeNet",
        "n_gpu": 1,
        "arch": {"type": "MnistModel", "args": {}},
        "data_loader": {"type": "MnistDataLoader", "args": {
            "data_dir": "data/", "batch_size": 128, "validation_split": 0.1, "num_workers": 2}},
        "optimizer": {"type": "Adam", "args": {"lr": 0.001, "weight_decay": 0, "amsgrad": True}},
        "loss": "nll_loss",
        "metrics": ["accuracy", "top_k_acc"],
        "lr_scheduler": {"type": "StepLR", "args": {"step_size": 50, "gamma": 0.1}},
        "trainer": {"epochs": 100, "save_dir": "saved/", "save_period": 1, "verbosity": 2,
                    "monitor": "min val_loss", "early_stop": 10, "tensorboard": True},
    })  # fmt: skip
    for key in (
        "n_gpu", "arch.type", "data_loader.type", "data_loader.args.data_dir",
        "dataset", "loss", "metrics.0", "metrics.1",
        "trainer.verbosity",
    ):  # fmt: skip
        assert f"\n  {key}: " in message
    assert "9 problems" in message  # num_workers is an argument here too


def test_checking_the_largest_config_takes_no_time():
    path = max(
        [ROOT / "config.json", *(ROOT / "configs").glob("*.json")], key=lambda p: p.stat().st_size
    )
    classes = catalogue()
    load_config(path, [], classes)  # torch imports its compiler when the first optimizer is built
    arguments_model.cache_clear()
    started = time.perf_counter()
    load_config(path, [], classes)
    assert time.perf_counter() - started < 0.5  # 0.01 s on an idle machine


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("optimizer.args.lr", -1, "optimizer.args.lr: -1.0: Adam refuses it"),
        ("name", "../x", 'name: "../x": must be the name of a folder'),
        ("arch.args.encoder.0.stide", 2, "did you mean 'arch.args.encoder.0.stride'?"),
    ],
)
def test_the_command_refuses_in_one_message_and_makes_nothing(
    small, written, tmp_path, path, value, says
):
    config = written(changed(small, path, value))
    done = command("train.py", "-c", config, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert says in done.stderr
    assert list(tmp_path.iterdir()) == [config]


@pytest.mark.parametrize("arguments", [["--help"], ["-c", "broken.json"], ["-r", "x", "-c", "y"]])
def test_help_and_broken_json_do_not_wait_for_torch(arguments, tmp_path):
    (tmp_path / "broken.json").write_text('{"name": }')
    (tmp_path / "torch.py").write_text("raise SystemExit('torch was imported')")
    done = fresh_command("train.py", *arguments, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == (0 if arguments == ["--help"] else 2)
    assert "torch was imported" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("arch.args.encoder.0.conv", 2**30, "arch.args: Autoencoder: "),  # 144 GB of weights
        ("arch.args.encoder.0.kernel_size", 99, "arch.args.encoder.0: conv leaves nothing of a"),
        ("arch.args.decoder", [{"deconv": 3}], "arch.args.decoder.0: the decoder ends at"),
    ],
)
def test_a_model_that_cannot_be_built_is_refused_by_its_path(full, path, value, says):
    classes = catalogue()
    config = check_config(changed(full, path, value), classes, "c.json")
    with pytest.raises(ConfigError) as caught:
        build(config, classes, "arch", (3, 12, 12))
    assert str(caught.value).startswith(says)
