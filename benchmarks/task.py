"""What every contender of speed.py starts from, how its time is taken and its result judged."""

import sys
import time
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from base.base_data_loader import BaseDataLoader
from base.base_dataset import BaseDataset
from base.base_model import BaseModel
from model.network import BatchNorm, Deconvolution
from trainer.catalogue import catalogue
from trainer.experiment import Experiment
from trainer.start import Start
from utils.config.check import load_config
from utils.config.overrides import key_of
from utils.device import computes_bf16

ROOT = Path(__file__).parent.parent
BATCH_SIZE = 128
LEARNING_RATE, WEIGHT_DECAY = 1e-3, 1e-3
WARM_UP = 1  # epochs before the timed ones: kernels are chosen, memory is taken
SETTINGS = (
    f"data_loader.args.batch_size={BATCH_SIZE}",
    f'optimizer={{"type": "Adam", "args": {{"lr": {LEARNING_RATE}, '
    f'"weight_decay": {WEIGHT_DECAY}}}}}',
    "lr_scheduler=null",
)


class Unavailable(Exception):
    """A contender that cannot run here; the message says why."""


class Task(NamedTuple):
    """What every contender starts from."""

    experiment: Experiment
    epochs: int
    """Timed epochs, after those to warm up."""

    @property
    def dataset(self) -> BaseDataset:
        """The images."""
        return self.experiment.dataset

    @property
    def loader(self) -> BaseDataLoader:
        """Those to train on."""
        return self.experiment.loader

    @property
    def network(self) -> BaseModel:
        """With its first weights."""
        return self.experiment.model

    @property
    def device(self) -> torch.device:
        """What computes."""
        return self.experiment.device

    @property
    def batch_size(self) -> int:
        """Images in a batch."""
        return self.loader.batch_size

    @property
    def images(self) -> torch.Tensor:
        """The training images, float32 [N, C, H, W] on the CPU."""
        return self.dataset.to_images(self.dataset.stored[self.loader.indices])


class Outcome(NamedTuple):
    """What a contender did."""

    network: nn.Module
    seconds: float
    """In the training of the timed epochs."""
    all_seconds: float | None = None
    """In the timed epochs with validation, logging and checkpoints, where there are any."""


class Stopwatch:
    """Adds up the seconds between `start` and `stop`, those to warm up left out."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._laps: list[float] = []

    def start(self) -> None:
        """An epoch begins."""
        self._wait()
        self._started = time.perf_counter()

    def stop(self) -> float:
        """The epoch is over, on the device too -> its seconds."""
        self._wait()
        self._laps.append(time.perf_counter() - self._started)
        return self._laps[-1]

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)

    @property
    def seconds(self) -> float:
        """The time of all epochs but the first."""
        return sum(self._laps[WARM_UP:])


def prepare(config_name: str, device_name: str, epochs: int, overrides: list[str]) -> Task:
    """The images, and the network with its first weights."""
    settings = SETTINGS if config_name == "config.json" else ()
    given = {key_of(override) for override in overrides}
    own = [setting for setting in settings if key_of(setting) not in given]
    config = load_config(ROOT / config_name, [*own, *overrides], catalogue())
    return Task(Experiment(Start(config), device_name), epochs)


def needs_bf16(device: torch.device) -> None:
    """Raise Unavailable where the device would only emulate bfloat16."""
    if not computes_bf16(device):
        raise Unavailable(f"{device} does not compute in bfloat16")


class Script(nn.Module):
    """A model as a usual script has it: torch's own modules, in torch's own layout.

    Args:
        model: an Autoencoder or a VAE of this project, whose layers and first weights it takes.
    """

    def __init__(self, model: BaseModel) -> None:
        super().__init__()
        self.encoder, self.decoder = model.encoder, model.decoder
        self.mean, self.logvar = getattr(model, "mean", None), getattr(model, "logvar", None)
        for parent in list(self.modules()):
            for name, child in parent.named_children():
                setattr(parent, name, torchs_own(child))
        self.to(memory_format=torch.contiguous_format)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """x [N, C, H, W] -> what `usual_loss` takes."""
        features = self.encoder(x)
        if self.mean is None:
            return {"reconstruction": self.decoder(features)}
        mean, logvar = self.mean(features), self.logvar(features)
        code = mean + torch.randn_like(mean) * (0.5 * logvar).exp() if self.training else mean
        return {"reconstruction": self.decoder(code), "code": mean, "logvar": logvar}


def torchs_own(module: nn.Module) -> nn.Module:
    """Torch's module in place of one that this project has made better, with its weights."""
    if isinstance(module, BatchNorm):
        return nn.BatchNorm2d(module.num_features)
    if isinstance(module, Deconvolution):
        shape = module.in_channels, module.out_channels, module.kernel_size
        moves = module.stride, module.padding, module.output_padding
        own = nn.ConvTranspose2d(*shape, *moves)
        own.load_state_dict(module.state_dict())
        return own
    return module


def usual_loss(output: dict[str, torch.Tensor], images: torch.Tensor) -> torch.Tensor:
    """The mean squared error and, of a VAE, the mean KL divergence."""
    error = F.mse_loss(output["reconstruction"].float(), images)
    if "logvar" not in output:
        return error
    mean, logvar = output["code"].float(), output["logvar"].float()
    return error + 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()


def adam(task: Task, network: nn.Module, fused: bool | None = None) -> torch.optim.Adam:
    """The optimizer of every contender; torch picks its kind where `fused` is None."""
    settings = task.experiment.config.optimizer.args | {"fused": fused}
    return torch.optim.Adam(network.parameters(), **settings)


@torch.no_grad()
def mean_loss(network: nn.Module, task: Task) -> float:
    """The MSE of the trained network over all training images, in evaluation and float32."""
    network.eval()
    total = 0.0
    for images, *_ in task.loader.in_order().batches():
        total += F.mse_loss(network(images)["reconstruction"], images).item() * len(images)
    return total / task.loader.count


def peak_memory(device: torch.device) -> int:
    """The most bytes held so far: by torch on a GPU, by the whole process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    import resource  # not on Windows

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
