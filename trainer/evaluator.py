"""What a model makes of images, and how good that is."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from base.base_data_loader import BaseDataLoader, Batch
from base.base_dataset import BaseDataset
from base.base_model import BaseModel
from data_loader.corruption import Corrupter
from model.loss import BaseLoss, kl_of_numbers
from model.metric import Metric
from trainer.sums import Sums
from utils.device import Compute, autocast

Numbers = dict[str, torch.Tensor]
LOOKED_AT = 1024  # images: enough for a mean over images to be steady
ACTIVE = 0.01  # variance of the posterior's mean over images from which a number counts as used


class Evaluator:
    """Runs a model on batches and measures its reconstructions.

    Args:
        loss: its terms are measured.
        metrics: measured besides, by name.
        dataset: where the images come from; its value range rules the metrics.
        compute: the device where the model is, and how its layers compute.
        corrupter: what the model has to clean; None shows it the images as they are.

    Attributes:
        network: the model as `run` calls it.
    """

    def __init__(
        self,
        model: BaseModel,
        loss: BaseLoss,
        metrics: dict[str, Metric],
        dataset: BaseDataset,
        compute: Compute,
        corrupter: Corrupter | None = None,
    ) -> None:
        self.model, self.loss, self.metrics, self.dataset = model, loss, metrics, dataset
        self.device, self.precision, is_compiled = compute
        self.corrupter = corrupter or Corrupter()
        # Asked for nothing but to run: a compiled network has no truth value.
        self.network: Any = model
        self._replayed: Callable[[Numbers, torch.Tensor], Numbers] | None = None
        if is_compiled:
            is_on_gpu = self.device.type == "cuda"
            self.network = torch.compile(model, mode="reduce-overhead" if is_on_gpu else "default")
            if is_on_gpu:  # where launching kernels takes longer than they do: all is replayed
                self._replayed = torch.compile(self._measured, mode="reduce-overhead")

    def shown(self, batch: Batch) -> torch.Tensor:
        """What the model is shown of a batch in evaluation: the images, corrupted if asked for."""
        return self.corrupter.of_images(batch.images, batch.indices)

    def _told(self, labels: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        """What the model is given beside images or codes: of a conditional one their classes."""
        if labels is None or not self.model.conditional:
            return ()
        return (labels.to(self.device),)

    def run(
        self,
        images: torch.Tensor,
        network: nn.Module | None = None,
        labels: torch.Tensor | None = None,
    ) -> Numbers:
        """What the model makes of images [n, C, H, W]: 'reconstruction', 'code', ... float32.

        Args:
            network: called in place of `self.network`.
            labels: the classes of the images, int64 [n], which a conditional model is shown.
        """
        images = images.contiguous(memory_format=torch.channels_last)
        with autocast(self.device, self.precision):
            output = (self.network if network is None else network)(images, *self._told(labels))
        return {name: value.float() for name, value in output.items()}

    def measure(self, output: Numbers, images: torch.Tensor) -> Numbers:
        """The terms of the loss and the metrics, one number for each image, name -> [n]."""
        # Without gradients a replay would write over what the network's own gave.
        if self._replayed is None or not torch.is_grad_enabled():
            return self._measured(output, images)
        # What it gives lies where the next one writes.
        return {name: values.clone() for name, values in self._replayed(output, images).items()}

    def _measured(self, output: Numbers, images: torch.Tensor) -> Numbers:
        return self.loss(output, images) | self.compare(output["reconstruction"], images)

    @torch.no_grad()
    def compare(self, made: torch.Tensor, images: torch.Tensor) -> Numbers:
        """The metrics of images made from `images`, whoever made them, name -> [n].

        Values are counted from the lowest that an image may hold: SSIM is of intensities, and that
        of the same pictures must not depend on what they were scaled to.
        """
        if lowest := self.dataset.value_range[0]:
            made, images = made - lowest, images - lowest
        return {
            name: metric(made, images, self.dataset.data_range)
            for name, metric in self.metrics.items()
        }

    @torch.no_grad()
    def score(
        self, loader: BaseDataLoader, after_batch: Callable[[], None] = lambda: None
    ) -> dict[str, float]:
        """The means over a loader's images; `after_batch` may raise to end it early."""
        self.model.eval()
        sums = Sums()
        for batch in loader.batches():
            output = self.run(self.shown(batch), labels=loader.labels_of(batch))
            sums.add(batch.counting(self.measure(output, batch.images)))
            after_batch()
        return sums.means(loader.ranks)

    @torch.no_grad()
    def encode(self, loader: BaseDataLoader) -> torch.Tensor:
        """The codes of a loader's images, float32 [N, *code_shape] on the CPU."""
        return torch.cat(
            [self.encode_batch(b.images, loader.labels_of(b)) for b in loader.batches()]
        )

    @torch.no_grad()
    def encode_batch(
        self, images: torch.Tensor, labels: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The codes of images [n, C, H, W] on the device, float32 [n, *code_shape] on the CPU.

        A conditional model is shown their classes `labels`, int64 [n].
        Computed in float32: in bfloat16 codes that lie close together would become one.
        """
        self.model.eval()
        images = images.contiguous(memory_format=torch.channels_last)
        return self.model.encode(images, *self._told(labels)).cpu()

    @torch.no_grad()
    def posterior(
        self, images: torch.Tensor, labels: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log variance of a VAE's codes of images [n, C, H, W] on the device.

        A conditional model is shown their classes `labels`, int64 [n].

        Each float32 [n, *code_shape] on the CPU, and computed in float32.
        """
        self.model.eval()
        images = images.contiguous(memory_format=torch.channels_last)
        parts = self.model.posterior(images, *self._told(labels))
        mean, logvar = (part.float().cpu() for part in parts)
        return mean, logvar

    @torch.no_grad()
    def decode(self, codes: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """Images from codes [n, *code_shape], float32 [n, C, H, W] on the CPU.

        A conditional model makes them of the classes `labels`, int64 [n].
        """
        self.model.eval()
        with autocast(self.device, self.precision):
            made = self.model.decode(codes.to(self.device), *self._told(labels))
            return made.float().cpu()


@torch.no_grad()
def code_use(evaluator: Evaluator, loader: BaseDataLoader) -> tuple[int, torch.Tensor]:
    """How many numbers of a VAE's code vary with the image, and the KL of each in nats.

    -> active numbers, mean KL over images [code_size]; both over the loader's first 1024 images.

    Source: Burda et al. 2016, "Importance weighted autoencoders", section 5 (active units).
    """
    evaluator.model.eval()
    images = loader.of(loader.indices[:LOOKED_AT])
    total = squares = kl = torch.zeros((), dtype=torch.float64)
    for batch in images.batches():
        output = evaluator.run(evaluator.shown(batch), labels=images.labels_of(batch))
        code, of_batch = output["code"], kl_of_numbers(output["code"], output["logvar"])
        total = total + code.sum(0).cpu().double()
        squares = squares + code.square().sum(0).cpu().double()
        kl = kl + of_batch.sum(0).cpu().double()
    spread = squares / images.count - (total / images.count).square()
    return int((spread > ACTIVE).sum()), (kl / images.count).float().flatten()
