"""The ways to train one network on the same images that speed.py compares.

All share the network of one config and its first weights, the training images, batch size,
Adam and the number of epochs. All but this project's Trainer get the network as torch's own
modules, and the lone last image of an epoch is a batch as heavy as any other to them.
"""

import itertools
import json
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import Any

import numpy as np
import torch
from task import (
    LEARNING_RATE,
    WARM_UP,
    WEIGHT_DECAY,
    Outcome,
    Script,
    Stopwatch,
    Task,
    Unavailable,
    adam,
    mean_loss,
    needs_bf16,
    peak_memory,
    prepare,
    usual_loss,
)
from torch.utils.data import DataLoader, Dataset, TensorDataset

from data_loader.wafers import BaseWafers
from utils.device import autocast, make_ready

PROFILED = 4  # steps
OWN_SETTINGS = {
    "project-fp32": ["trainer.precision=fp32"],
    "project-compiled": ["trainer.compile=true"],
}
PRECISIONS = {"bf16": torch.bfloat16, "fp32": torch.float32}
# What torch's profiler calls the work of layers with weights.
LAYERS = ("convolution", "addmm", "linear")


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
    return Outcome(task.network, seconds, all_seconds)


class OneByOne(Dataset):
    """Images made tensors one by one, as a data set of a usual script does."""

    def __init__(self, task: Task) -> None:
        self.stored = task.dataset.stored[task.loader.indices]
        self.are_maps = isinstance(task.dataset, BaseWafers)
        self.to_images = task.dataset.to_images

    def __len__(self) -> int:
        return len(self.stored)

    def __getitem__(self, place: int) -> torch.Tensor:
        if not self.are_maps:
            return self.to_images(self.stored[place : place + 1])[0]
        one_hot = np.eye(3, dtype=np.float32)[self.stored[place].numpy()]
        return torch.from_numpy(one_hot.transpose(2, 0, 1).copy())


def template(task: Task) -> Outcome:
    """The loop of pytorch-template: two workers, and each step's loss read and written down."""
    from torch.utils.tensorboard import SummaryWriter

    network = Script(task.network).to(task.device)
    batches = DataLoader(OneByOne(task), task.batch_size, shuffle=True, num_workers=2)
    optimizer = adam(task, network)
    watch = Stopwatch(task.device)
    with tempfile.TemporaryDirectory() as folder, SummaryWriter(folder) as writer:
        for epoch in range(WARM_UP + task.epochs):
            network.train()
            watch.start()
            for place, images in enumerate(batches):
                images = images.to(task.device)
                optimizer.zero_grad()
                loss = usual_loss(network(images), images)
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
    network = Script(task.network)
    watch = Stopwatch(task.device)

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def training_step(self, batch: list[torch.Tensor], place: int) -> torch.Tensor:
            return usual_loss(self.network(batch[0]), batch[0])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return adam(task, self)

    class Watch(lightning.Callback):
        def on_train_epoch_start(self, *_: Any) -> None:
            watch.start()

        def on_train_epoch_end(self, *_: Any) -> None:
            watch.stop()

    is_on_gpu = task.device.type == "cuda"
    images = TensorDataset(task.images)
    batches = DataLoader(images, task.batch_size, shuffle=True, pin_memory=is_on_gpu)
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
    network = Script(task.network)
    watch = Stopwatch(task.device)

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.layers = network.encoder

        def forward(self, x: torch.Tensor) -> ModelOutput:
            return ModelOutput(embedding=self.layers(x))

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.layers = network.decoder

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
            per_device_train_batch_size=task.batch_size,
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
    network = Script(task.network).to(task.device, memory_format=torch.channels_last)
    images = task.images.permute(0, 2, 3, 1).contiguous().to(task.device)  # [N, H, W, C]
    optimizer = adam(task, network, fused=task.device.type in ("cpu", "cuda"))
    watch = Stopwatch(task.device)
    network.train()
    for _ in range(WARM_UP + task.epochs):
        watch.start()
        for places in torch.randperm(len(images), device=task.device).split(task.batch_size):
            batch = images.index_select(0, places).permute(0, 3, 1, 2)  # is channels_last
            optimizer.zero_grad()
            with autocast(task.device, precision):
                made = network(batch)
            usual_loss(made, batch).backward()
            optimizer.step()
        watch.stop()
    return Outcome(network, watch.seconds)


def profile(task: Task) -> dict[str, Any]:
    """What a step of this project is made of, and what this machine could do at best."""
    from torch.profiler import ProfilerActivity
    from torch.utils.flop_counter import FlopCounterMode

    make_ready(task.device)
    few = task.images[:4]
    script = Script(task.network)
    with FlopCounterMode(display=False) as counted:
        usual_loss(script(few), few).backward()
    with tempfile.TemporaryDirectory() as folder:
        task.experiment.config.trainer.save_dir = folder
        with closing(task.experiment.open_run()) as opened:
            trainer = task.experiment.trainer(opened)
            trainer.model.train()
            batches = list(itertools.islice(task.loader.batches(1), PROFILED))
            trainer.update(1, batches[0])
            with torch.profiler.profile(activities=[ProfilerActivity.CPU]) as profiled:
                for batch in batches:
                    trainer.update(1, batch)
    events = [(event.key, event.self_cpu_time_total) for event in profiled.key_averages()]
    in_layers = sum(time for key, time in events if any(word in key for word in LAYERS))
    return {
        "batch": task.batch_size,
        "flops_per_image": counted.get_total_flops() / len(few),
        "in_layers": in_layers / sum(time for _, time in events),
        "peak": {name: matrix_speed(task.device, dtype) for name, dtype in PRECISIONS.items()},
    }


def matrix_speed(device: torch.device, dtype: torch.dtype) -> float:
    """GFLOP/s of a product of large matrices, the fastest of ten."""
    size = 2048
    left, right = torch.randn(2, size, size, device=device).to(dtype)
    laps = []
    for _ in range(10):
        watch = Stopwatch(device)
        watch.start()
        left @ right
        laps.append(watch.stop())
    return 2 * size**3 / min(laps) / 1e9


CONTENDERS: dict[str, Callable[[Task], Outcome]] = {
    "project": project,
    "project-fp32": project,
    "project-compiled": project,
    "template": template,
    "lightning-fp32": partial(lightning, precision="32-true"),
    "lightning-bf16": lightning_bf16,
    "pythae": pythae,
    "bare-bf16": partial(bare, precision="bf16"),
    "bare-fp32": partial(bare, precision="fp32"),
}


def run(
    name: str, config_name: str, device_name: str, epochs: int, overrides: list[str]
) -> dict[str, Any]:
    """Train as the contender `name` does -> facts for one line of JSON."""
    if name == "profile":
        return profile(prepare(config_name, device_name, epochs, overrides))
    task = prepare(config_name, device_name, epochs, [*overrides, *OWN_SETTINGS.get(name, [])])
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
