"""What a config's model shows before it takes any memory: reach, weights, bytes."""

import json

import numpy as np
import pytest
import torch

import trainer.memory
from base.base_dataset import Labels
from base.base_model import BaseModel
from model.autoencoder import Autoencoder
from tests.conftest import ROOT, command, only_run
from trainer.catalogue import catalogue
from trainer.fit import check_network
from trainer.memory import copies_kept, needs_of
from utils.config.check import check_config
from utils.device import free_memory, most_memory
from utils.errors import ConfigError

CPU = torch.device("cpu")


class Images:
    """As much of a data set, and of its loader, as a model is checked with."""

    shape, value_range, batch_size = (1, 8, 8), (0.0, 1.0), 10
    labels = Labels(np.zeros(10, np.int64), ["all"])


def outline(encoder, **arguments):
    with torch.device("meta"):
        return Autoencoder((1, 8, 8), encoder, **arguments)


@pytest.mark.parametrize(
    ("arguments", "images_in", "says"),
    [
        ({"output_activation": "sigmoid"}, (-1.0, 1.0),
         'arch.args.output_activation: "sigmoid": reconstructions end in \'sigmoid\', which '
         "reaches 0 to 1, and images hold -1 to 1; end the decoder in 'tanh'"),
        ({"output_activation": "relu"}, (-1.0, 1.0), "reaches 0 to inf, and images hold -1 to 1"),
        ({"output_activation": "sigmoid"}, (0.0, 255.0), "end the decoder in null"),
        ({"output_activation": "tanh"}, (0.0, 1.5), "reaches -1 to 1"),
        ({"decoder": [{"deconv": 1, "stride": 2, "activation": "sigmoid"}]}, (-1.0, 1.0),
         "arch: reconstructions end in 'sigmoid'"),
        ({"output_activation": "sigmoid"}, (0.0, 1.0), None),
        ({"output_activation": "sigmoid"}, (0.25, 0.5), None),
        ({"output_activation": "tanh"}, (-1.0, 1.0), None),
        ({"output_activation": "relu"}, (0.0, 255.0), None),
        ({}, (-1.0, 1.0), None),
    ],
)  # fmt: skip
def test_the_last_activation_reaches_every_value(small, arguments, images_in, says):
    small["arch"]["args"] = {"encoder": [{"conv": 4, "stride": 2}]} | arguments
    config = check_config(small, catalogue(), "c.json")
    images = Images()
    images.value_range = images_in
    if says is None:
        check_network(config, catalogue(), images, images, CPU)
        return
    with pytest.raises(ConfigError) as caught:
        check_network(config, catalogue(), images, images, CPU)
    assert says in str(caught.value)


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.json")), ids=lambda p: p.stem)
def test_the_configs_that_come_along_reach_their_images(path):
    written = json.loads(path.read_text(encoding="utf-8"))
    arguments = written["dataset"].get("args", {})
    side = {"eyes": 50, "mnist": 28, "wafer": 26, "drawn": 26}[path.stem.partition("_")[0]]
    images = Images()
    images.shape = (1 if side == 28 else 3, side, side)
    images.value_range = tuple(arguments.get("scale_to", (0.0, 1.0)))
    check_network(check_config(written, catalogue(), path), catalogue(), images, images, CPU)


def test_a_network_without_weights_is_refused_as_such(small, written, tmp_path):
    small["arch"]["args"]["encoder"] = [{"maxpool": 2}]
    done = command("train.py", "-c", written(small))
    assert done.returncode == 2
    assert done.stderr == (
        'error: config: arch.type: "Autoencoder": has no weight that could be trained; give it a '
        "conv, deconv or linear layer\n"
    )
    assert not (tmp_path / "saved").exists()


@pytest.mark.parametrize(
    "encoder",
    [
        [{"conv": 100_000_000}],
        [{"conv": 10_000}, {"conv": 1_000_000}],
        [{"linear": 1_000_000_000}],
        [{"conv": 4}, {"upsample": 600_000}],
    ],
)
def test_a_network_beyond_all_memory_is_refused_with_both_numbers(
    small, written, tmp_path, encoder
):
    small["arch"]["args"]["encoder"] = encoder
    done = command("train.py", "-c", written(small))
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith('error: config: arch.type: "Autoencoder": takes ')
    assert " GB to train at the least" in done.stderr
    assert " GB on cpu; " in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "saved").exists()


def test_what_just_fits_is_not_refused(small, monkeypatch):
    small["arch"]["args"]["encoder"] = [{"conv": 1000}]
    config = check_config(small, catalogue(), "c.json")
    with torch.device("meta"):
        model = Autoencoder((1, 8, 8), [{"conv": 1000}])
    due = sum(needs_of(model, torch.optim.Adam, config, 10))
    monkeypatch.setattr(trainer.memory, "most_memory", lambda device: due)
    check_network(config, catalogue(), Images(), Images(), CPU)
    monkeypatch.setattr(trainer.memory, "most_memory", lambda device: due - 1)
    with pytest.raises(ConfigError, match="to train at the least"):
        check_network(config, catalogue(), Images(), Images(), CPU)


def test_the_bytes_are_those_of_weights_and_of_one_batch(small):
    config = check_config(small, catalogue(), "c.json")
    config.trainer.precision = "fp32"
    # (1 * 9 + 1) * 1000 weights there and 1000 * 9 + 1 back; Adam keeps two numbers of each.
    trained = 4 * (10_000 + 9_001)
    needs = needs_of(outline([{"conv": 1000}]), torch.optim.Adam, config, 10)
    assert needs.weights == 4 * trained
    # At the activation's way back: it, its gradient, and that of what went into it.
    maps = 10 * 1000 * 8 * 8 * 4
    assert 2.9 * maps < needs.batch + trained < 3.1 * maps
    config.trainer.precision = "bf16"
    halved = needs_of(outline([{"conv": 1000}]), torch.optim.Adam, config, 10)
    assert halved.batch + trained == pytest.approx((needs.batch + trained) / 2, abs=1)
    config.trainer.compile = True
    assert needs_of(outline([{"conv": 1000}]), torch.optim.Adam, config, 10).batch == 0


@pytest.mark.parametrize(
    ("optimizer", "arguments", "copies"),
    [
        ("SGD", {}, 0),
        ("SGD", {"momentum": 0.9}, 1),
        ("Adam", {}, 2),
        ("Adam", {"amsgrad": True}, 3),
        ("Adafactor", {}, 0),
    ],
)
def test_what_an_optimizer_keeps_is_counted(small, optimizer, arguments, copies):
    small["optimizer"] = {"type": optimizer, "args": arguments}
    config = check_config(small, catalogue(), "c.json")
    assert copies_kept(getattr(torch.optim, optimizer), config) == copies


class Particular(BaseModel):
    """Looks at its numbers while it is built."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        super().__init__(shape)
        self.weight = torch.nn.Parameter(torch.ones(2))
        self.scale = self.weight.sum().item()
        self.code_shape = shape


def test_a_model_that_needs_its_numbers_is_checked_in_earnest(small):
    classes = catalogue()
    classes.parts["arch"]["Particular"] = Particular
    small["arch"] = {"type": "Particular"}
    check_network(check_config(small, classes, "c.json"), classes, Images(), Images(), CPU)


def test_the_most_that_there_can_be_is_no_less_than_what_is_free():
    assert most_memory(CPU) >= free_memory(CPU) * 0.9  # others take and give meanwhile


def test_one_cycle_over_more_epochs_than_are_tried_is_taken(small):
    small["trainer"]["epochs"] = 100_003
    arguments = {"max_lr": 0.1, "total_steps": 100_003}
    small["lr_scheduler"] = {"type": "OneCycleLR", "args": arguments}
    check_config(small, catalogue(), "c.json")
    arguments["total_steps"] = 100_001
    with pytest.raises(ConfigError, match="lr_scheduler.args.total_steps: 100001"):
        check_config(small, catalogue(), "c.json")


def test_a_run_with_the_number_of_each_class_goes_on(small, written, tmp_path):
    small["generation"]["per_class"] = 4
    small["trainer"] |= {"epochs": 1}
    assert command("train.py", "-c", written(small)).returncode == 0
    run = only_run(tmp_path / "saved")
    done = command("train.py", "-r", run, "-s", "trainer.epochs=2")
    assert done.returncode == 0, done.stderr
    done = command("test.py", "-r", run, "-s", "generation.samples=1")
    assert done.returncode == 0, done.stderr
    assert len(np.load(run / "test" / "gen_label.npy")) == 32  # one of each training image
