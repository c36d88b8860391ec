"""What training minimises. A loss gives its terms by name, one number for each image.

A term of an image is the mean over its numbers, in the units of the data set; the mean over
images is taken outside, so that every image weighs the same whatever the batches are.
"""

import torch
import torch.nn.functional as F


class BaseLoss:
    """A loss: model output and target -> its terms, `loss` among them, each [N]."""

    runtime: tuple[str, ...] = ()
    needs_probabilities = False

    def __init__(self) -> None:
        pass

    def __call__(
        self, output: dict[str, torch.Tensor], target: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Output of a model and target [N, C, H, W] -> {"loss": [N], ...}."""
        raise NotImplementedError


def per_image(numbers: torch.Tensor) -> torch.Tensor:
    """The mean over all but the first axis: [N, ...] -> [N]."""
    return numbers.flatten(1).mean(1)


class MSE(BaseLoss):
    """The squared error, a mean over the numbers of an image."""

    def __call__(
        self, output: dict[str, torch.Tensor], target: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """-> {"loss": [N]}."""
        return {"loss": per_image((output["reconstruction"] - target).square())}


class L1(BaseLoss):
    """The absolute error, a mean over the numbers of an image."""

    def __call__(
        self, output: dict[str, torch.Tensor], target: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """-> {"loss": [N]}."""
        return {"loss": per_image((output["reconstruction"] - target).abs())}


class BCE(BaseLoss):
    """Binary cross-entropy in nats, a mean over the numbers of an image.

    Images and reconstructions must lie in [0, 1]: the decoder has to end with a sigmoid.
    """

    needs_probabilities = True

    def __call__(
        self, output: dict[str, torch.Tensor], target: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """-> {"loss": [N]}."""
        entropy = F.binary_cross_entropy(output["reconstruction"], target, reduction="none")
        return {"loss": per_image(entropy)}
