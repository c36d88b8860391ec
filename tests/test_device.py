"""How a device is made ready; on machines without a GPU, as far as torch's settings show it."""

import torch

from tests.conftest import ROOT, fresh_command

SETTINGS = """
import sys
sys.path.insert(0, sys.argv[1])
import torch
from utils.device import make_ready

make_ready(torch.device(sys.argv[2]))
print(torch.get_float32_matmul_precision())
print(torch.are_deterministic_algorithms_enabled())
"""


def settings_after(tmp_path, device):
    script = tmp_path / "settings.py"
    script.write_text(SETTINGS)
    done = fresh_command(script, ROOT, device)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_gpu_multiplies_in_tf32_and_repeats_itself(tmp_path):
    assert settings_after(tmp_path, "cuda") == ["high", "True"]


def test_the_cpu_multiplies_in_full_float32(tmp_path):
    assert settings_after(tmp_path, "cpu") == ["highest", "False"]


def test_the_model_is_replayed_on_a_gpu_where_compiled(monkeypatch):
    from model.autoencoder import Autoencoder
    from trainer.evaluator import Evaluator
    from utils.device import Compute

    modes = []
    monkeypatch.setattr(torch, "compile", lambda model, mode: modes.append(mode) or model)
    model = Autoencoder((1, 8, 8), [{"conv": 2, "stride": 2}])
    for device in ("cpu", "cuda"):
        Evaluator(model, None, {}, None, Compute(torch.device(device), is_compiled=True))
    assert modes == ["default", "reduce-overhead"]
