"""Pictures of new images: the oddest of them, and their errors beside those of training."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from base.base_data_loader import BaseDataLoader
from logger.figures import Grid, save_grid
from logger.histogram import Histogram, save_histogram
from tester.conformal import Conformal
from trainer.evaluator import Evaluator

SHOWN = 8  # images of the largest error
COLOURS = "magma"  # of matplotlib, from black for no error to a light yellow for the largest


class Odd(NamedTuple):
    """New images of the largest errors, the largest first."""

    places: list[int]
    """In their data set."""
    captions: list[str]
    """What is said of each."""


@torch.no_grad()
def draw_oddest(odd: Odd, evaluator: Evaluator, loader: BaseDataLoader, path: Path) -> None:
    """Each image beside its reconstruction and a map of the error of its pixels.

    Where the model cleans images, beside what it was shown, too.

    Args:
        loader: of the images that the places are among.
    """
    evaluator.model.eval()
    parts: dict[str, list[torch.Tensor]] = {"image": [], "shown": [], "reconstruction": []}
    for batch in loader.of(torch.tensor(odd.places)).batches():
        shown = evaluator.shown(batch)
        made = evaluator.run(shown, labels=loader.labels_of(batch))["reconstruction"]
        for own, new in zip(parts.values(), (batch.images, shown, made), strict=True):
            own.append(new.cpu())
    images = {name: torch.cat(own) for name, own in parts.items()}
    errors = (images["reconstruction"] - images["image"]).square().mean(1).numpy()
    if not evaluator.corrupter:
        del images["shown"]
    columns = [list(loader.dataset.to_rgb(own).numpy()) for own in images.values()]
    columns.append(_in_colours(errors))
    rows = [list(row) for row in zip(*columns, strict=True)]
    title = f"The largest errors; of a pixel from 0 (black) to {errors.max():.3g} (light)"
    titles = [*images, "squared error"]
    save_grid(Grid(rows, odd.captions, titles, title, loader.dataset.legend), path)


def _in_colours(errors: np.ndarray) -> list[np.ndarray]:
    """Errors [n, H, W] as pictures [H, W, 3], the largest of all in the lightest colour."""
    from matplotlib import colormaps

    shares = errors / max(float(errors.max()), 1e-30)
    return list(colormaps[COLOURS](shares)[..., :3])


def draw_errors(groups: dict[str, np.ndarray], conformal: Conformal, path: Path) -> None:
    """The distribution of errors of training, held-out and new images, and the threshold.

    Args:
        groups: errors by the name of what they are of.
    """
    line = None
    if conformal.threshold is not None:
        line = (conformal.threshold, f"flagged above, at alpha {conformal.alpha:g}")
    title = "Errors of images that the model was trained with, and of others"
    save_histogram(Histogram(groups, line, "mean squared error of an image", title), path)
