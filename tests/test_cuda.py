"""Training on a GPU: to the bit the same after a resume, with and without CUDA graphs."""

import json

import pytest
import torch
from torch import nn

from model.network import Upsampling
from tests import processes
from tests.every_step import assert_goes_on_exactly, train_keeping_all
from tests.killing import VARIATIONAL, lines_of, run_folder, write_config
from tests.test_non_finite import Spoiling

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
PLAIN = {
    "arch": {"type": "Autoencoder", "args": {"encoder": [{"conv": 4}], "decoder": "mirror"}},
}
KINDS = {
    "bf16": {},
    "fp32": {"precision": "fp32"},
    "averaged, clipped": {"ema": 0.9, "clip_gradient": 0.5, "accumulate": 2},
    "CUDA graphs": {"compile": True},
}


@pytest.mark.parametrize("changes", [{}, VARIATIONAL], ids=["autoencoder", "vae"])
@pytest.mark.parametrize("trainer", KINDS.values(), ids=KINDS)
def test_resume_on_a_gpu_is_bit_exact(tmp_path, trainer, changes):
    run, said = train_keeping_all(tmp_path, changes, epochs=3, **trainer)
    assert "on cuda" in said
    assert_goes_on_exactly(run, tmp_path, step=4)


@pytest.mark.parametrize(("before", "after"), [((5, 7), (10, 14)), ((13, 12), (26, 25))])
def test_upsampling_is_that_of_torch_and_its_gradient_too(before, after):
    x = torch.randn(3, 4, *before, device="cuda", requires_grad=True)
    ours = Upsampling(before, after, "bilinear").cuda()(x)
    torchs = nn.Upsample(size=after, mode="bilinear")(x)
    torch.testing.assert_close(ours, torchs, rtol=0, atol=5e-3)  # TF32
    slope = torch.randn_like(ours)
    found, due = (torch.autograd.grad(output, x, slope)[0] for output in (ours, torchs))
    torch.testing.assert_close(found, due, rtol=0, atol=2e-2)


def test_the_network_of_the_readme_trains_with_tensorboard(tmp_path):
    config = json.loads((processes.ROOT / "config.json").read_text())
    changes = {"arch": config["arch"]}
    path = write_config(tmp_path, changes, epochs=1, tensorboard=True)
    code, said = processes.run("-c", path, output=tmp_path / "out")
    assert code == 0, said
    assert "no graph" not in said.lower()


def test_a_bad_step_that_is_read_late_changes_nothing(tmp_path):
    config = write_config(tmp_path, save_steps=0)
    code, said = processes.run("-c", config, output=tmp_path / "out", before=Spoiling(1e30, 3, 12))
    assert code == 1, said
    assert "failed: epoch 3, step 13: loss " in said
    assert len(lines_of(run_folder(tmp_path))) == 2


def test_graphs_train_to_the_same_numbers(tmp_path):
    losses = []
    for is_compiled in (False, True):
        folder = tmp_path / str(is_compiled)
        run, _ = train_keeping_all(folder, PLAIN, compile=is_compiled, precision="fp32")
        losses.append([line["loss"] for line in lines_of(run)])
    assert losses[1] == pytest.approx(losses[0], rel=0.02)
