"""What an update is made of: batches gathered as if they were one, gradients cut to a norm."""

import math
import os
import signal
import sys
from functools import partial

import pytest
import torch

import train
from data_loader.image_loader import ImageLoader
from data_loader.wafers import SyntheticWafers
from tests import processes
from tests.every_step import assert_goes_on_exactly, by_step, train_keeping_all
from tests.killing import (
    EXPERIMENT,
    content_of,
    digest,
    end_state,
    lines_of,
    resume,
    run_folder,
    uninterrupted,
    write_config,
)
from tests.test_non_finite import Spoiling
from trainer.updates import Updates
from utils.checkpoint_files import checkpoint_name, checkpoints_in

LR = 0.5
# No batch norm and no dropout: an image does not depend on the others of its batch.
PLAIN = {
    "arch": {"type": "Autoencoder", "args": {"encoder": [{"conv": 4, "stride": 2}]}},
    "optimizer": {"type": "SGD", "args": {"lr": LR}},
    "lr_scheduler": None,
}


def batches_of(size):
    return PLAIN | {
        "data_loader": {
            "type": "ImageLoader",
            "args": {"batch_size": size, "validation_split": 0.2},
        }
    }


def weights_of(run, epoch):
    return content_of(run / checkpoint_name(epoch))["state_dict"]


# Gathered batches. -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "accumulate", "steps"),
    # 33 images: the last update has 1 of 8, 1 of 16, 9 of 12 and all of an epoch.
    [(4, 2, 5), (4, 4, 3), (4, 3, 3), (4, 100, 1)],
)
def test_batches_gathered_train_as_one_batch_so_large(tmp_path, size, accumulate, steps):
    settings = {"epochs": 2, "save_steps": 0, "precision": "fp32"}
    whole = uninterrupted(tmp_path / "whole", batches_of(size * accumulate), **settings)
    gathered = uninterrupted(
        tmp_path / "gathered", batches_of(size), accumulate=accumulate, **settings
    )
    due, found = weights_of(whole, 2), weights_of(gathered, 2)
    for name, value in due.items():
        assert (found[name] - value).abs().max() < 1e-6
    assert [line["step"] for line in lines_of(gathered)] == [steps, 2 * steps]
    for one, other in zip(lines_of(whole), lines_of(gathered), strict=True):
        assert one == pytest.approx(other, rel=1e-5)
    first = uninterrupted(tmp_path / "first", batches_of(size), **settings)  # it does gather
    assert any((weights_of(first, 2)[name] - due[name]).abs().max() > 1e-4 for name in due)


def test_each_image_of_a_smaller_last_update_moves_the_weights_by_as_much():
    loader = ImageLoader(
        SyntheticWafers(size=8, count=33), torch.device("cpu"), 0, 4, validation_split=0
    )
    assert [Updates(loader, batches).images for batches in (1, 2, 8, 9, 10**30)] == [
        4, 8, 32, 33, 33,
    ]  # fmt: skip
    assert [len(Updates(loader, batches)) for batches in (1, 2, 4, 100)] == [9, 5, 3, 1]


def test_no_two_batches_have_the_same_random_numbers(small, written, monkeypatch):
    places = []
    monkeypatch.setattr("trainer.trainer.seed_step", lambda seed, *place: places.append(place))
    small["trainer"]["accumulate"] = 2
    small["data_loader"]["args"]["batch_size"] = 7  # 32 images: batches of 7 7, 7 7, 4
    monkeypatch.setattr(sys, "argv", ["train.py", "-d", "cpu", "-c", str(written(small))])
    train.main()
    assert len(places) == len(set(places)) == 2 * 5


GATHERED = {"accumulate": 2, "epochs": 2}


@pytest.fixture(scope="module")
def gathered(tmp_path_factory):
    """A run of two epochs, each of updates of 16, 16 and 1 images."""
    run, said = train_keeping_all(tmp_path_factory.mktemp("gathered"), **GATHERED)
    assert "3 steps an epoch" in said
    assert "an update is made from 16 images, 2 batches of 8" in said
    return run


def test_checkpoints_are_written_where_updates_end(gathered):
    counts = [content["within_epoch"]["count"] for _, content in sorted(by_step(gathered).items())]
    assert counts == [16, 32, 33, 16, 32, 33]
    assert [line["step"] for line in lines_of(gathered)] == [3, 6]


@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_a_run_goes_on_from_an_update_bit_for_bit(gathered, tmp_path, step):
    assert_goes_on_exactly(gathered, tmp_path, step)


def signal_within_an_update():
    """Have SIGTERM come to this process in the first batch of the fifth update."""
    from trainer.trainer import Trainer

    trained = Trainer._train_batch

    def train_batch(self, epoch, batch):
        if self.step == 4 and not self.updates.gathered:
            os.kill(os.getpid(), signal.SIGTERM)
        return trained(self, epoch, batch)

    Trainer._train_batch = train_batch


def test_a_signal_within_an_update_stops_at_its_end(gathered, tmp_path):
    config = write_config(tmp_path, **GATHERED)
    before = signal_within_an_update
    code, said = processes.run("-c", config, output=tmp_path / "out", before=before)
    assert code == 143, said
    assert "stopped by SIGTERM after step 5" in said
    run = run_folder(tmp_path)
    assert content_of(checkpoints_in(run)[0])["within_epoch"]["count"] == 32
    resume(run)
    assert digest(content_of(run / checkpoint_name(2))) == digest(
        content_of(gathered / checkpoint_name(2))
    )


def test_a_checkpoint_where_no_update_ends_is_refused(gathered, tmp_path):
    from utils.checkpoint import save_checkpoint

    (start,) = (p for p in gathered.glob("*.pth") if content_of(p)["step"] == 4)
    content = content_of(start)
    content["within_epoch"]["count"] = 8
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_bytes((gathered / "config.json").read_bytes())
    save_checkpoint(content, tmp_path / "run" / start.name)
    code, said = processes.run("-r", tmp_path / "run" / start.name, output=tmp_path / "out")
    assert code == 2
    assert "8 images are trained, but epochs have 33 in steps of 16" in said


# Gradients cut to a norm. ------------------------------------------------------------------


def test_an_update_goes_as_far_as_the_norm_and_no_farther(tmp_path):
    settings = {"epochs": 2, "clip_gradient": 0.01, "precision": "fp32"}
    run, _ = train_keeping_all(tmp_path, PLAIN, **settings)
    contents = by_step(run)
    for step in range(2, 11):
        before, now = contents[step - 1]["state_dict"], contents[step]["state_dict"]
        moved = torch.cat([(now[name] - before[name]).double().flatten() for name in now]).norm()
        assert moved <= LR * 0.01 * (1 + 1e-3)
        if step not in (5, 10):  # of one image, whose gradient may be shorter
            assert moved == pytest.approx(LR * 0.01, rel=1e-3)


def test_a_norm_that_no_gradient_has_changes_nothing(tmp_path):
    plain = uninterrupted(tmp_path / "plain", epochs=2)
    clipped = uninterrupted(tmp_path / "clipped", epochs=2, clip_gradient=1e6)
    assert end_state(plain) == end_state(clipped)


def read_seldom():
    """Have this process read as seldom whether all is finite as one with a GPU does."""
    import base.base_trainer

    base.base_trainer.FiniteGuard = partial(base.base_trainer.FiniteGuard, steps=50)


class Both:
    """Two things to do before a process begins."""

    def __init__(self, first, second):
        self.first, self.second = first, second

    def __call__(self):
        self.first()
        self.second()


@pytest.mark.parametrize("optimizer", ["SGD", "RMSprop"])  # with a fused update, and without
@pytest.mark.parametrize("value", [math.nan, math.inf, 1e30])
def test_what_is_not_finite_is_refused_before_it_is_cut(tmp_path, value, optimizer):
    changes = batches_of(8) | {"optimizer": {"type": optimizer, "args": {"lr": 0.001}}}
    config = write_config(
        tmp_path, changes, epochs=2, save_steps=0, clip_gradient=0.1, accumulate=2, ema=0.9
    )
    before = Both(Spoiling(value, 2, 4), read_seldom)
    code, said = processes.run("-c", config, output=tmp_path / "out", before=before)
    assert code == 1, said
    assert "failed: epoch 2, step 5: loss " in said
    run = run_folder(tmp_path)
    assert len(lines_of(run)) == 1
    assert {content_of(path)["epoch"] for path in run.glob("*.pth")} == {1}


def test_a_norm_may_change_when_a_run_goes_on(tmp_path):
    run = uninterrupted(tmp_path, EXPERIMENT, epochs=1)
    said = resume(run, "-s", "trainer.epochs=2", "trainer.clip_gradient=0.5")
    assert "changed: trainer.clip_gradient from null to 0.5" in said
