"""How good a reconstruction is. A metric gives one number for each image.

Metrics are independent of the loss and of batches: the score of a split is the mean of its
images' numbers. Values are counted from the lowest that an image of the data set may hold, so that
they lie between 0 and `data_range`: 1 for a data set of [0, 1], 2 for one of [-1, 1]. `best` says
which way a metric is better, and makes any function in a file of `model/` a metric that a config
can name.
"""

import math
from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F

from model.loss import per_image
from utils.channels import largest_channel

Metric = Callable[[torch.Tensor, torch.Tensor, float], torch.Tensor]

# PSNR of an exact copy is infinite; a mean over images needs a number, so MSE stops here.
HIGHEST_PSNR = 100.0
SSIM_WINDOW, SSIM_SIGMA = 11, 1.5  # pixels
# Numbers at once on a CPU: images and what is made of them stay near the processor.
SSIM_AT_ONCE = 2**16


def best(mode: Literal["min", "max"]) -> Callable[[Metric], Metric]:
    """Mark a metric as one that is best at its lowest or at its highest value."""

    def mark(metric: Metric) -> Metric:
        metric.best = mode  # type: ignore[attr-defined]  # functions take any attribute
        return metric

    return mark


@best("min")
def mse(output: torch.Tensor, target: torch.Tensor, data_range: float) -> torch.Tensor:
    """Mean squared error of each image; output and target [N, C, H, W] -> [N]."""
    return per_image((output - target).square())


@best("min")
def l1(output: torch.Tensor, target: torch.Tensor, data_range: float) -> torch.Tensor:
    """Mean absolute error of each image, [N]."""
    return per_image((output - target).abs())


@best("max")
def psnr(output: torch.Tensor, target: torch.Tensor, data_range: float) -> torch.Tensor:
    """Peak signal-to-noise ratio of each image in dB, at most 100, [N].

    10 log10(data_range^2 / MSE).
    """
    relative = mse(output, target, data_range) / data_range**2
    return -10 * relative.clamp_min(10 ** (-HIGHEST_PSNR / 10)).log10()


@best("max")
def ssim(output: torch.Tensor, target: torch.Tensor, data_range: float) -> torch.Tensor:
    """Structural similarity of each image, Gaussian window of 11x11 pixels, [N].

    Borders count too, mirrored, as torchmetrics has it; the mean over whole windows alone, as the
    paper's own program takes it, can be lower by a tenth. Values below 0, which an intensity never
    has, would say little: it compares mean brightnesses by their product. NaN where an image is
    smaller than the window.

    Source: Wang et al. 2004, "Image quality assessment", equation 13.
    """
    if min(output.shape[2:]) < SSIM_WINDOW:
        return output.new_full((len(output),), torch.nan)
    of_side = {side: _windows(side, output) for side in set(output.shape[2:])}
    windows = [of_side[side] for side in output.shape[2:]]
    at_once = len(output)
    if output.device.type == "cpu":
        at_once = max(SSIM_AT_ONCE // math.prod(output.shape[1:]), 1)
    pairs = zip(output.split(at_once), target.split(at_once), strict=True)
    return torch.cat([_ssim(*pair, windows, data_range) for pair in pairs])


def _ssim(
    output: torch.Tensor, target: torch.Tensor, windows: list[torch.Tensor], data_range: float
) -> torch.Tensor:
    """As `ssim`, of a few images."""
    least, less = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2  # C1 and C2
    means = [images.mean((2, 3), keepdim=True) for images in (output, target)]
    # Variances of numbers around 0: of others float32 would keep few digits.
    x, y = output - means[0], target - means[1]
    down, across = windows
    # Rows, then columns: the window is the product of two, and the mean does not mind the turn.
    blurred = (torch.cat([x, y, x * x + y * y, x * y]) @ across).mT @ down
    mean_x, mean_y, squares, product = blurred.chunk(4)
    spread = squares - mean_x.square() - mean_y.square()
    together = product - mean_x * mean_y
    mean_x, mean_y = mean_x + means[0], mean_y + means[1]
    likeness = (2 * mean_x * mean_y + least) * (2 * together + less)
    return per_image(
        likeness / ((mean_x.square() + mean_y.square() + least) * (spread.clamp_min(0) + less))
    )


def _windows(side: int, like: torch.Tensor) -> torch.Tensor:
    """What a row of `side` pixels is multiplied by to give its weighted means around each pixel,
    the row mirrored at its ends, [side, side]."""
    reach = SSIM_WINDOW // 2
    steps = torch.arange(-reach, reach + 1, dtype=like.dtype, device=like.device)
    weights = (-0.5 * (steps / SSIM_SIGMA).square()).exp()
    each = torch.eye(side, dtype=like.dtype, device=like.device)[None]
    mirrored = F.pad(each, (reach, reach), mode="reflect")[0]
    return mirrored.unfold(1, SSIM_WINDOW, 1) @ (weights / weights.sum())


@best("max")
def pixel_accuracy(output: torch.Tensor, target: torch.Tensor, data_range: float) -> torch.Tensor:
    """The share of pixels whose likeliest channel is the right one, of one-hot images, [N]."""
    return per_image((largest_channel(output) == largest_channel(target)).float())


@best("max")
def defect_f1(output: torch.Tensor, target: torch.Tensor, data_range: float) -> torch.Tensor:
    """F1 of the defective dies of one-hot wafer maps, 1 where neither map has any, [N].

    2 TP / (2 TP + FP + FN), a die counting as defective where its channel 2 is the largest.
    """
    found, real = (largest_channel(maps).flatten(1) == 2 for maps in (output, target))
    both = 2 * (found & real).sum(1)
    all_of_them = found.sum(1) + real.sum(1)
    return torch.where(all_of_them > 0, both / all_of_them.clamp_min(1), 1.0)


# What every data set can be measured by, and what only one-hot maps can.
METRICS: dict[str, Metric] = {"mse": mse, "l1": l1, "psnr": psnr, "ssim": ssim}
MAP_METRICS: dict[str, Metric] = {"pixel_accuracy": pixel_accuracy, "defect_f1": defect_f1}


def metrics_for(known: dict[str, Metric], extra: tuple[str, ...] | None) -> dict[str, Metric]:
    """Of the known metrics those that make sense for a data set, by name.

    Args:
        extra: the names of metrics that it has besides the usual ones; None if it is not known.
    """
    return {
        name: metric
        for name, metric in known.items()
        if name not in MAP_METRICS or extra is None or name in extra
    }
