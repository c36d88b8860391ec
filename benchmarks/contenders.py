"""The ways to train one network on the same images that speed.py compares.

All share the network of config.json and its first weights, the training images, batch size,
Adam and the number of epochs. All but this project's Trainer get the network as torch's own
modules, and the lone last image of an epoch is a batch as heavy as any other to them.
"""

import json
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from task import (
    BATCH_SIZE,
    LEARNING_RATE,
    WARM_UP,
    WEIGHT_DECAY,
    Outcome,
    Stopwatch,
    Task,
    Unavailable,
    adam,
    mean_loss,
    needs_bf16,
    peak_memory,
    plain,
    prepare,
)
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from utils.device import autocast, make_ready


def project(task: Task) -> Outcome:
    """This project as train.py runs it: validation, metrics, TensorBoard, checkpoints."""
    make_ready(task.device)
    with tempfile.TemporaryDirectory() as folder:
        task.experiment.config.trainer.save_dir = folder
        with closing(task.experiment.open_run()) as opened:
            trainer = task.experiment.trainer(opened)
            trainer.announce()
            trainer.settings.epochs = WARM_UP
            trainer.train()
            trainer.settings.epochs += task.epochs
            started = time.perf_counter()
            trainer.train()
            all_seconds = time.perf_counter() - started
        text = (opened.folder / "metrics.jsonl").read_text(encoding="utf-8")
    rates = [json.loads(line)["images_per_second"] for line in text.splitlines()]
    seconds = sum(task.loader.count / rate for rate in rates[WARM_UP:])
    network = nn.Sequential(task.network.encoder, task.network.decoder)
    return Outcome(network, seconds, all_seconds)


class OneHotMaps(Dataset):
    """Wafer maps made one-hot one by one, as a data set of a usual script does.

    Args:
        codes: uint8 [N, H, W].
    """

    def __init__(self, codes: np.ndarray) -> None:
        self.codes = codes

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, place: int) -> torch.Tensor:
        one_hot = np.eye(3, dtype=np.float32)[self.codes[place]]
        return torch.from_numpy(one_hot.transpose(2, 0, 1).copy())


def template(task: Task) -> Outcome:
    """The loop of pytorch-template: two workers, and each step's loss read and written down."""
    from torch.utils.tensorboard import SummaryWriter

    network = plain(task.network).to(task.device)
    maps = OneHotMaps(task.dataset.stored[task.loader.indices].numpy())
    batches = DataLoader(maps, BATCH_SIZE, shuffle=True, num_workers=2)
    optimizer = adam(network)
    watch = Stopwatch(task.device)
    with tempfile.TemporaryDirectory() as folder, SummaryWriter(folder) as writer:
        for epoch in range(WARM_UP + task.epochs):
            network.train()
            watch.start()
            for place, images in enumerate(batches):
                images = images.to(task.device)
                optimizer.zero_grad()
                loss = F.mse_loss(network(images), images)
                loss.backward()
                optimizer.step()
                writer.add_scalar("loss/train", loss.item(), epoch * len(batches) + place)
            watch.stop()
    return Outcome(network, watch.seconds)


def lightning(task: Task, precision: str) -> Outcome:
    """Lightning's Trainer with its extras off; images one-hot beforehand, no workers.

    Workers would be slower: an epoch is shorter than their start.
    """
    try:
        import lightning
    except ImportError:
        raise Unavailable("Lightning is not installed") from None
    network = plain(task.network)
    watch = Stopwatch(task.device)

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def training_step(self, batch: list[torch.Tensor], place: int) -> torch.Tensor:
            return F.mse_loss(self.network(batch[0]), batch[0])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return adam(self)

    class Watch(lightning.Callback):
        def on_train_epoch_start(self, *_: Any) -> None:
            watch.start()

        def on_train_epoch_end(self, *_: Any) -> None:
            watch.stop()

    is_on_gpu = task.device.type == "cuda"
    images = TensorDataset(task.images)
    batches = DataLoader(images, BATCH_SIZE, shuffle=True, pin_memory=is_on_gpu)
    trainer = lightning.Trainer(
        accelerator="gpu" if is_on_gpu else task.device.type,
        devices=[task.device.index or 0] if is_on_gpu else 1,
        precision=precision,
        max_epochs=WARM_UP + task.epochs,
        callbacks=[Watch()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Module(), batches)
    return Outcome(network.to(task.device), watch.seconds)


def lightning_bf16(task: Task) -> Outcome:
    """Lightning with its bfloat16 autocast."""
    needs_bf16(task.device)
    return lightning(task, "bf16-mixed")


def pythae(task: Task) -> Outcome:
    """pythae's trainer and AE; its loss is the sum over an image, its precision float32.

    For Adam a sum instead of a mean comes to a weaker weight decay.
    """
    try:
        from pythae.data.datasets import BaseDataset as PythaeDataset
        from pythae.models import AE, AEConfig
        from pythae.models.base.base_utils import ModelOutput
        from pythae.models.nn import BaseDecoder, BaseEncoder
        from pythae.trainers import BaseTrainer, BaseTrainerConfig
    except ImportError:
        raise Unavailable("pythae is not installed") from None
    network = plain(task.network)
    watch = Stopwatch(task.device)

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.layers = network[0]

        def forward(self, x: torch.Tensor) -> ModelOutput:
            return ModelOutput(embedding=self.layers(x))

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.layers = network[1]

        def forward(self, z: torch.Tensor) -> ModelOutput:
            return ModelOutput(reconstruction=self.layers(z))

    class Watched(BaseTrainer):
        def train_step(self, epoch: int) -> float:
            watch.start()
            loss = super().train_step(epoch)
            watch.stop()
            return loss

    shape, latent = task.dataset.shape, task.network.code_size
    model = AE(AEConfig(input_dim=shape, latent_dim=latent), Encoder(), Decoder())
    with tempfile.TemporaryDirectory() as folder:
        settings = BaseTrainerConfig(
            output_dir=folder,
            per_device_train_batch_size=BATCH_SIZE,
            num_epochs=WARM_UP + task.epochs,
            learning_rate=LEARNING_RATE,
            optimizer_cls="Adam",
            optimizer_params={"weight_decay": WEIGHT_DECAY},
            no_cuda=task.device.type != "cuda",
        )
        images = PythaeDataset(task.images, torch.zeros(task.loader.count))
        Watched(model, images, training_config=settings).train()
    return Outcome(network, watch.seconds)


def bare(task: Task, precision: str) -> Outcome:
    """The least that trains: no validation, no log, no checkpoint, no wait for the device."""
    if precision == "bf16":
        needs_bf16(task.device)
    network = plain(task.network).to(task.device, memory_format=torch.channels_last)
    images = task.images.permute(0, 2, 3, 1).contiguous().to(task.device)  # [N, H, W, C]
    optimizer = adam(network, fused=task.device.type in ("cpu", "cuda"))
    watch = Stopwatch(task.device)
    network.train()
    for _ in range(WARM_UP + task.epochs):
        watch.start()
        for places in torch.randperm(len(images), device=task.device).split(BATCH_SIZE):
            batch = images.index_select(0, places).permute(0, 3, 1, 2)  # is channels_last
            optimizer.zero_grad()
            with autocast(task.device, precision):
                made = network(batch)
            F.mse_loss(made.float(), batch).backward()
            optimizer.step()
        watch.stop()
    return Outcome(network, watch.seconds)


CONTENDERS: dict[str, Callable[[Task], Outcome]] = {
    "project": project,
    "project-fp32": project,
    "template": template,
    "lightning-fp32": partial(lightning, precision="32-true"),
    "lightning-bf16": lightning_bf16,
    "pythae": pythae,
    "bare-bf16": partial(bare, precision="bf16"),
    "bare-fp32": partial(bare, precision="fp32"),
}


def run(name: str, device_name: str, epochs: int, overrides: list[str]) -> dict[str, Any]:
    """Train as the contender `name` does -> facts for one line of JSON."""
    precision = "fp32" if name == "project-fp32" else "auto"
    task = prepare(device_name, epochs, [*overrides, f"trainer.precision={precision}"])
    try:
        outcome = CONTENDERS[name](task)
    except Unavailable as reason:
        return {"skipped": str(reason)}
    images = task.loader.count * epochs
    facts = {
        "images_per_second": images / outcome.seconds,
        "seconds_per_epoch": outcome.seconds / epochs,
        "images": len(task.dataset),
        "trained_on": task.loader.count,
        "size": "x".join(map(str, task.dataset.shape[1:])),
        "data_bytes": task.dataset.stored.nbytes,
        "memory_bytes": peak_memory(task.device),  # before the loss is looked at
        "loss": mean_loss(outcome.network, task),
    }
    if task.device.type == "cuda":
        facts["gpu"] = torch.cuda.get_device_name(task.device)
    if outcome.all_seconds:
        facts["images_per_second_in_all"] = images / outcome.all_seconds
    return facts
