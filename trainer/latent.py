"""How much a VAE tells in each number of its code."""

import torch

from base.base_data_loader import BaseDataLoader
from model.loss import kl_of_numbers
from trainer.evaluate import Evaluator

LOOKED_AT = 1024  # images: enough for a mean over images to be steady
ACTIVE = 0.01  # variance of the posterior's mean over images from which a number counts as used


@torch.no_grad()
def code_use(evaluator: Evaluator, loader: BaseDataLoader) -> tuple[int, torch.Tensor]:
    """How many numbers of a VAE's code vary with the image, and the KL of each in nats.

    -> active numbers, mean KL over images [code_size]; both over the loader's first 1024 images.

    Source: Burda et al. 2016, "Importance weighted autoencoders", section 5 (active units).
    """
    evaluator.model.eval()
    means, divergences = [], []
    for batch in loader.of(loader.indices[:LOOKED_AT]).batches():
        output = evaluator.run(batch.images)
        means.append(output["code"].flatten(1).cpu())
        kl = kl_of_numbers(output["code"], output["logvar"])
        divergences.append(kl.flatten(1).sum(0).cpu())
    codes = torch.cat(means)
    spread = codes.var(0, unbiased=False)
    return int((spread > ACTIVE).sum()), torch.stack(divergences).sum(0) / len(codes)
