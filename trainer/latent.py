"""How much a VAE tells in each number of its code."""

import torch

from base.base_data_loader import BaseDataLoader
from model.loss import kl_of_numbers
from trainer.evaluator import Evaluator

LOOKED_AT = 1024  # images: enough for a mean over images to be steady
ACTIVE = 0.01  # variance of the posterior's mean over images from which a number counts as used


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
        output = evaluator.run(evaluator.seen(batch))
        codes = output["code"].flatten(1).double().cpu()
        of_batch = kl_of_numbers(output["code"], output["logvar"]).flatten(1)
        total, squares = total + codes.sum(0), squares + codes.square().sum(0)
        kl = kl + of_batch.double().sum(0).cpu()
    spread = squares / images.count - (total / images.count).square()
    return int((spread > ACTIVE).sum()), (kl / images.count).float()
