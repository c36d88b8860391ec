"""How a device is made ready; on machines without a GPU, as far as torch's settings show it."""

import torch

from tests import processes
from utils.device import make_ready


def make_ready_and_tell(device, path, is_test):
    """Make a device ready in this process and write what torch is set to then."""
    make_ready(torch.device(device), is_test)
    is_deterministic = torch.are_deterministic_algorithms_enabled()
    path.write_text(f"{torch.get_float32_matmul_precision()} {is_deterministic}")


def settings_after(tmp_path, device, is_test=False):
    process = processes.start(make_ready_and_tell, device, tmp_path / "told", is_test)
    assert processes.finish(process) == 0
    return (tmp_path / "told").read_text().split()


def test_a_gpu_multiplies_in_tf32_and_repeats_itself(tmp_path):
    assert settings_after(tmp_path, "cuda") == ["high", "True"]


def test_a_test_on_a_gpu_multiplies_in_full_float32(tmp_path):
    assert settings_after(tmp_path, "cuda", is_test=True) == ["highest", "True"]


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
    assert modes == ["default", "reduce-overhead", "reduce-overhead"]  # the last measures
