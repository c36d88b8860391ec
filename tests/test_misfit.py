"""A checkpoint of other parts is refused with what differs, and nothing is touched."""

import copy
import json

import pytest
import torch

from tests import processes
from tests.killing import content_of, uninterrupted
from utils.checkpoint import load_checkpoint, save_checkpoint
from utils.checkpoint_files import checkpoint_name
from utils.errors import CheckpointError
from utils.optimizer_state import check_weights, load_weights


def example():
    """The content of a checkpoint, complete as far as its file goes."""
    return {
        "arch": "Autoencoder",
        "config": {"name": "example"},
        "epoch": 3,
        "step": 12,
        "within_epoch": {"count": 0, "totals": {}},
        "state_dict": {"weight": torch.ones(2, 3), "bias": torch.zeros(2)},
        "optimizer": {"state": {}, "param_groups": [{"lr": 0.1, "params": [0, 1]}]},
        "lr_scheduler": None,
        "monitor_best": 0.25,
        "early_stop_count": 0,
        "data": {"count": 5, "shape": [1, 2, 3], "crc32": 7},
        "versions": {"torch": "2.14.1"},
        "machine": {"device": "cpu", "threads": 1},
    }


def test_the_example_is_a_checkpoint(tmp_path):
    save_checkpoint(example(), tmp_path / "model.pth")
    assert load_checkpoint(tmp_path / "model.pth")["epoch"] == 3


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda c: c.pop("optimizer"), "has no 'optimizer'"),
        (lambda c: c.update(format=2), "format 2; this version reads 1"),
        (lambda c: c.update(epoch=-1), "'epoch' is -1; it counts from 0"),
        (lambda c: c.update(step=True), "'step' is a bool"),
        (lambda c: c.update(epoch=2.0), "'epoch' is a float"),
        (lambda c: c.update(lr_scheduler=[]), "'lr_scheduler' is a list"),
        (lambda c: c["within_epoch"].pop("count"), "'within_epoch' must hold"),
        (lambda c: c["within_epoch"].update(count=3), "'within_epoch' must hold"),
        (lambda c: c["within_epoch"].update(totals={"loss": "1"}), "'within_epoch' must hold"),
        (lambda c: c["state_dict"].update(weight=[1.0]), "'weight' in its weights is no finite"),
        (lambda c: c["state_dict"].update(weight=torch.zeros(1).expand(10**12)), "more than fits"),
        (lambda c: c["config"].update(size=torch.Size([2])), "holds a Size|asks for 'torch Size'"),
        (lambda c: c.update(data={1, 2}), "holds a set|asks for"),
    ],
)
def test_a_file_with_another_content_is_refused(tmp_path, change, says):
    content = {"format": 1, **example()}
    change(content)
    torch.save(content, tmp_path / "model.pth")
    with pytest.raises(CheckpointError, match=says):
        load_checkpoint(tmp_path / "model.pth")


def test_weights_of_another_model_are_listed_and_the_model_stays_as_it_was():
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Linear(2, 4))
    before = copy.deepcopy(model.state_dict())
    state = dict(torch.nn.Sequential(torch.nn.Linear(3, 5)).state_dict(), extra=torch.ones(1))
    with pytest.raises(CheckpointError) as error:
        load_weights(model, state)
    message = str(error.value)
    assert "the model has no 'extra'" in message
    assert "the checkpoint has no '1.weight'" in message
    assert (
        "'0.weight' is float32 (5, 3) in the checkpoint and float32 (2, 3) in the model" in message
    )
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_another_type_of_number_is_another_model():
    model = torch.nn.Linear(3, 2)
    with pytest.raises(CheckpointError, match="float64"):
        check_weights(model, model.double().state_dict() | {"bias": torch.zeros(2)})


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return uninterrupted(tmp_path_factory.mktemp("finished"), save_steps=0)


def set_state(content, name, value):
    content["optimizer"]["state"][0][name] = value


def widen(content):
    for name, value in content["state_dict"].items():
        content["state_dict"][name] = torch.cat([value, value]) if value.dim() else value


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (widen, "the weights do not fit the model: 'encoder"),
        (lambda c: c["state_dict"].popitem(), "the checkpoint has no"),
        (lambda c: set_state(c, "exp_avg", torch.zeros(7, 7)), "exp_avg of weight 0 is (7, 7)"),
        (lambda c: set_state(c, "exp_avg_sq", torch.tensor(float("nan"))), "is not finite"),
        (lambda c: c["optimizer"]["param_groups"].pop(), "optimizer"),
        (lambda c: c["optimizer"]["param_groups"][0]["params"].pop(), "optimizer"),
        (lambda c: c["optimizer"]["param_groups"][0].update(lr="fast"), "lr is 'fast'"),
        (lambda c: c["optimizer"]["param_groups"][0].pop("betas"), "no 'betas'"),
        (lambda c: c["optimizer"].pop("state"), "optimizer"),
        (lambda c: c["lr_scheduler"].update(optimizer=1), "'optimizer' is on one side only"),
        (lambda c: c["lr_scheduler"].pop("last_epoch"), "'last_epoch' is on one side only"),
        (lambda c: c["lr_scheduler"].update(T_max="x"), "'T_max' is a str, not a int"),
        (lambda c: c.update(lr_scheduler=None), "lr_scheduler: only one"),
        (lambda c: c.update(within_epoch={"count": 7, "totals": {"loss": 1.0}}), "within_epoch"),
        (lambda c: c["data"].update(shape=[3, 26, 26]), "the data set has changed"),
        (lambda c: c["config"]["arch"]["args"]["encoder"][0].update(conv=8), "differ: arch.args"),
        (lambda c: c["config"]["optimizer"].update(type="RMSprop", args={}), "differ: optimizer"),
        (lambda c: c["config"].update(lr_scheduler=None), "differ: lr_scheduler"),
        (lambda c: c["config"]["dataset"].update(type="os"), "dataset.type"),
    ],
)
def test_a_run_is_not_resumed_from_a_checkpoint_that_does_not_fit(
    finished, tmp_path, change, says
):
    content = content_of(finished / checkpoint_name(5))
    change(content)
    path = tmp_path / checkpoint_name(5)
    torch.save(content, path)
    (tmp_path / "config.json").write_bytes((finished / "config.json").read_bytes())
    code, said = processes.run("-r", path, "-s", "trainer.epochs=6", output=tmp_path / "out")
    assert code == 2, said
    assert says in said
    assert "Traceback" not in said
    assert not (tmp_path / checkpoint_name(6)).exists()
    assert (tmp_path / "config.json").read_bytes() == (finished / "config.json").read_bytes()


def test_a_checkpoint_of_another_model_is_not_tested(finished, tmp_path):
    content = content_of(finished / checkpoint_name(5))
    widen(content)
    torch.save(content, tmp_path / "model.pth")
    process = processes.start(processes.evaluate, ["-r", tmp_path / "model.pth"], tmp_path / "out")
    assert processes.finish(process) == 2
    assert "the weights do not fit the model" in (tmp_path / "out").read_text()
    assert not (tmp_path / "test").exists()


def test_the_config_in_a_checkpoint_is_complete(finished):
    own = content_of(finished / checkpoint_name(5))["config"]
    assert own == json.loads((finished / "config.json").read_text())
