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
from model.network import BatchNorm
from trainer.catalogue import catalogue
from trainer.experiment import Experiment
from trainer.start import Start
from utils.config.check import load_config
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
    def images(self) -> torch.Tensor:
        """The training images, one-hot float32 [N, C, H, W] on the CPU."""
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

    def stop(self) -> None:
        """The epoch is over, on the device too."""
        self._wait()
        self._laps.append(time.perf_counter() - self._started)

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)

    @property
    def seconds(self) -> float:
        """The time of all epochs but the first."""
        return sum(self._laps[WARM_UP:])


def prepare(device_name: str, epochs: int, overrides: list[str]) -> Task:
    """The images, and the network with its first weights."""
    config = load_config(ROOT / "config.json", [*SETTINGS, *overrides], catalogue())
    return Task(Experiment(Start(config), device_name), epochs)


def needs_bf16(device: torch.device) -> None:
    """Raise Unavailable where the device would only emulate bfloat16."""
    if not computes_bf16(device):
        raise Unavailable(f"{device} does not compute in bfloat16")


def plain(network: BaseModel) -> nn.Sequential:
    """The network's encoder and decoder with torch's own batch norm, in torch's own layout."""
    chain = nn.Sequential(network.encoder, network.decoder)
    for parent in list(chain.modules()):
        for name, child in parent.named_children():
            if isinstance(child, BatchNorm):
                setattr(parent, name, nn.BatchNorm2d(child.num_features))
    return chain.to(memory_format=torch.contiguous_format)


def adam(network: nn.Module, fused: bool | None = None) -> torch.optim.Adam:
    """The optimizer of every contender; torch picks its kind where `fused` is None."""
    return torch.optim.Adam(
        network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=fused
    )


@torch.no_grad()
def mean_loss(network: nn.Module, task: Task) -> float:
    """The MSE of the trained network over all training images, in evaluation and float32."""
    network.eval()
    total = 0.0
    for images, *_ in task.loader.in_order().batches():
        total += F.mse_loss(network(images), images).item() * len(images)
    return total / task.loader.count


def peak_memory(device: torch.device) -> int:
    """The most bytes held so far: by torch on a GPU, by the whole process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    import resource  # not on Windows

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
