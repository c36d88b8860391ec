"""What training minimises. A loss gives its terms by name, one number for each image.

The mean over images is taken outside, so that every image weighs the same whatever the batches
are.
"""

from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeInt, PositiveInt


class BaseLoss:
    """A loss: model output and target -> its terms, `loss` among them, each [N].

    Attributes:
        terms: the names of its terms.
        rising: those of them of which more is better; of the others less is.
        needs: what a model's output must hold besides the reconstruction.
        needs_probabilities: whether images and reconstructions must lie in [0, 1].
    """

    runtime: tuple[str, ...] = ()
    terms: tuple[str, ...] = ("loss",)
    rising: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    needs_probabilities = False

    def __init__(self) -> None:
        """A loss without arguments."""

    def begin_epoch(self, epoch: int) -> None:
        """Prepare for `epoch`, counted from 1: the weight of a term may change with it."""

    def __call__(
        self, output: dict[str, torch.Tensor], target: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Output of a model and target [N, C, H, W] -> {"loss": [N], ...}."""
        raise NotImplementedError


def per_image(numbers: torch.Tensor, reduction: Literal["sum", "mean"] = "mean") -> torch.Tensor:
    """The mean, or the sum, over all but the first axis: [N, ...] -> [N]."""
    reduce = torch.sum if reduction == "sum" else torch.mean
    return reduce(numbers, dim=tuple(range(1, numbers.ndim)))


class MSE(BaseLoss):
    """The squared error, a mean over the numbers of an image."""

    def __call__(
        self, output: dict[str, torch.Tensor], target: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """-> {"loss": [N]}."""
        error = F.mse_loss(output["reconstruction"], target, reduction="none")
        return {"loss": per_image(error)}


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
        return {"loss": per_image(_CrossEntropy.apply(output["reconstruction"], target))}


class _CrossEntropy(torch.autograd.Function):
    """Torch's binary cross-entropy of each number in nats, made of what the CPU has in vectors.

    Torch's own takes ten times as long there, a sixth of a step of a fully connected VAE.
    """

    @staticmethod
    def forward(ctx: Any, made: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Probabilities and targets in [0, 1], of one shape -> the same shape, at most 100."""
        ctx.save_for_backward(made, target)
        is_one, is_none = made.log().clamp_min_(-100), torch.log1p(-made).clamp_min_(-100)
        return torch.lerp(is_none, is_one, target).neg_()

    @staticmethod
    def backward(ctx: Any, slope: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Slope of what is minimised -> that of the probabilities."""
        made, target = ctx.saved_tensors
        spread = (made * (1 - made)).clamp_min_(1e-12)
        return (made - target).mul_(slope).div_(spread), None


class ELBO(BaseLoss):
    """The negative evidence lower bound of a VAE: reconstruction + beta KL, both reported.

    Args:
        reconstruction: "mse" is half the squared error, "l1" the absolute error, "bce" the binary
            cross-entropy: minus the log-likelihood under a Gaussian and a Laplace distribution of
            scale 1 and a Bernoulli distribution, without constants.
        beta: the weight of KL.
        warm_up: epochs in which beta grows from 0 in equal steps; 0 for none.
        cycles: how often the warm-up is done, one after another, each as long as `warm_up` at a
            growing beta and as long again at the full one; 1 is a single warm-up.
        free_bits: nats of KL that each number of the code has for free.
        reduction: "sum" over the numbers of an image, in nats; or "mean": the mean squared (not
            halved), absolute or binary error over the numbers of an image, and the mean KL over
            the numbers of its code.

    Raises:
        ValueError: `cycles` without a `warm_up`.

    Source: Kingma and Welling 2014, appendix B (KL); Higgins et al. 2017 (beta); Fu et al. 2019
    (cycles); Kingma et al. 2016, appendix C.8 (free bits).
    """

    terms = ("loss", "reconstruction", "kl")
    needs = ("logvar",)

    def __init__(
        self,
        reconstruction: Literal["mse", "l1", "bce"] = "mse",
        beta: Annotated[float, Field(ge=0)] = 1.0,
        warm_up: NonNegativeInt = 0,
        cycles: PositiveInt = 1,
        free_bits: Annotated[float, Field(ge=0)] = 0.0,
        reduction: Literal["sum", "mean"] = "sum",
    ) -> None:
        super().__init__()
        if cycles > 1 and not warm_up:
            raise ValueError(
                f"cycles: {cycles}: without a warm_up there is nothing to repeat; set warm_up, in "
                "epochs, or leave cycles out"
            )
        self.error, self.free_bits, self.reduction = reconstruction, free_bits, reduction
        self.beta, self.warm_up, self.cycles = beta, warm_up, cycles
        self.needs_probabilities = reconstruction == "bce"
        self.beta_now = beta

    def begin_epoch(self, epoch: int) -> None:
        """Set beta for `epoch`, counted from 1."""
        place = epoch - 1
        if place < 2 * self.warm_up * self.cycles:
            place %= 2 * self.warm_up
        self.beta_now = self.beta * min(1.0, place / self.warm_up) if self.warm_up else self.beta

    def __call__(
        self, output: dict[str, torch.Tensor], target: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """-> {"loss", "reconstruction", "kl"}, each [N]; "kl" as it is, without free bits."""
        error = self._error(output["reconstruction"], target)
        reconstruction = per_image(error, self.reduction)
        kl, counted = self._kl(output["code"], output["logvar"])
        return {
            "loss": reconstruction + self.beta_now * counted,
            "reconstruction": reconstruction,
            "kl": kl,
        }

    def _kl(self, mean: torch.Tensor, logvar: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """KL of each image as it is, and as it counts, [N] each."""
        if self.free_bits:
            kl = kl_of_numbers(mean, logvar)
            counted = kl.clamp_min(self.free_bits)
            return per_image(kl, self.reduction), per_image(counted, self.reduction)
        kl = _KL.apply(mean, logvar)
        if self.reduction == "mean":
            kl = kl / mean[0].numel()
        return kl, kl

    def _error(self, made: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        if self.error == "bce":
            return _CrossEntropy.apply(made, target)
        if self.error == "l1":
            return (made - target).abs()
        squared = (made - target).square()
        return squared / 2 if self.reduction == "sum" else squared


class _KL(torch.autograd.Function):
    """The sum of `kl_of_numbers` over a code, with its gradient written out.

    A spatial code has more numbers than all else that a VAE computes: torch's own gradient of
    this sum takes twice as long.
    """

    @staticmethod
    def forward(ctx: Any, mean: torch.Tensor, logvar: torch.Tensor) -> torch.Tensor:
        """Mean and log variance [N, ...] -> [N]."""
        ctx.save_for_backward(mean, logvar)
        return per_image(kl_of_numbers(mean, logvar), "sum")

    @staticmethod
    def backward(ctx: Any, slope: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Slope [N] of what is minimised -> those of mean and log variance [N, ...]."""
        mean, logvar = ctx.saved_tensors
        slope = slope.reshape(-1, *[1] * (mean.ndim - 1))
        return mean * slope, logvar.exp().sub_(1).mul_(slope / 2)


def kl_of_numbers(mean: torch.Tensor, logvar: torch.Tensor) -> torch.Tensor:
    """KL divergence from a standard normal of each number of a code, in nats, [N, ...].

    Source: Kingma and Welling 2014, appendix B.
    """
    return mean.square().add_(logvar.exp()).sub_(1).sub_(logvar).div_(2)
