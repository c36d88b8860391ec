"""Averages, gathered batches, cut gradients and schedulers in a row: all at once, exactly."""

import random

import pytest

from tests.killing import (
    Killer,
    content_of,
    end_state,
    lines_of,
    run_folder,
    uninterrupted,
    write_config,
)
from tests.test_ranks import HALVES, PLAIN, train_together
from tests.test_updates import signal_within_an_update
from utils.checkpoint_files import checkpoints_in

TRAINER = {"clip_gradient": 0.5, "accumulate": 2, "ema": 0.9}
CHANGES = {
    "lr_scheduler": [
        {"type": "LinearLR", "args": {"total_iters": 2}, "epochs": 2},
        {"type": "CosineAnnealingLR", "args": {"T_max": 3}},
    ],
    "augmentation": {"type": "Symmetries"},
    "corruption": {"type": "GaussianNoise", "args": {"sigma": 0.3}},
}
# Two ranks, two batches each: an update is of 8 images as in PLAIN.
QUARTERS = {
    "data_loader": {"type": "ImageLoader", "args": {"batch_size": 2, "validation_split": 0.2}}
}


def test_a_run_killed_at_random_ends_bit_for_bit_the_same(tmp_path):
    seed = random.randrange(10**6)
    killer = Killer(tmp_path, random.Random(seed), CHANGES, save_steps=1, **TRAINER)
    killer.kill(8)
    assert not killer.different, f"seed {seed}"


def test_two_ranks_with_two_batches_follow_one_with_one(tmp_path):
    trainer = PLAIN["trainer"] | {"clip_gradient": 0.05, "ema": 0.9}
    alone = uninterrupted(tmp_path / "alone", PLAIN | {"trainer": trainer})
    both = {"trainer": trainer | {"accumulate": 2}}
    codes, said = train_together(
        tmp_path, 2, "-c", write_config(tmp_path / "two", PLAIN | QUARTERS | both)
    )
    assert codes == [0, 0], said
    assert "2 processes, an update is made from 8 images, 2 batches of 2 in each" in said[0]
    for one, two in zip(lines_of(alone), lines_of(run_folder(tmp_path / "two")), strict=True):
        assert one["step"] == two["step"]
        for name in ("loss", "val_loss"):
            assert two[name] == pytest.approx(one[name], rel=1e-5)


def test_two_ranks_that_are_stopped_end_bit_for_bit_the_same(tmp_path):
    """With batch norm, whose statistics are the leader's and are averaged too."""
    changes = CHANGES | HALVES
    config = write_config(tmp_path / "whole", changes, **TRAINER)
    codes, said = train_together(tmp_path, 2, "-c", config)
    assert codes == [0, 0], said
    config = write_config(tmp_path, changes, **TRAINER)
    codes, said = train_together(tmp_path, 2, "-c", config, spoil=signal_within_an_update)
    assert codes == [143, 143], said
    run = run_folder(tmp_path)
    assert content_of(checkpoints_in(run)[0])["within_epoch"]["count"] == 32
    codes, said = train_together(tmp_path, 2, "-r", run)
    assert codes == [0, 0], said
    assert end_state(run) == end_state(run_folder(tmp_path / "whole"))
