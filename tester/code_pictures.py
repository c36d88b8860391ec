"""Pictures of the code: what noise, chance and place in it look like as images."""

from pathlib import Path

import torch

from base.base_data_loader import BaseDataLoader
from logger.figures import Grid, save_grid
from logger.lettering import class_names
from logger.scatter import Cloud, save_cloud
from tester.generate import Child, generate_images
from tester.pictures import name_of, one_of_each_class, rgb
from tester.principal_components import on_plane
from trainer.evaluator import Evaluator
from utils.seed import PREVIEW, generator, mix

SHOWN = 8  # columns of a picture
MOST_LEVELS = 12  # rows of noise
CLOUD = 3000  # codes in the scatter
LARGEST_PRINTED = 8  # numbers of a code that fit above a picture
INNER = (0.02, 0.98)  # the share of codes that a grid of codes spans


def draw_noise_levels(
    evaluator: Evaluator,
    loader: BaseDataLoader,
    levels: list[float],
    scale: torch.Tensor | None,
    path: Path,
) -> None:
    """Images of several classes, a row for each level of noise in their codes.

    Args:
        levels: of many, every second, third, ... is shown.
        scale: the unit of noise for each number of a code; None is 1.
    """
    dataset = loader.dataset
    levels = levels[:: -(-len(levels) // MOST_LEVELS)]
    places = one_of_each_class(dataset, loader.indices)
    rows = [rgb(dataset, next(loader.of(torch.tensor(places)).batches()).images.cpu())]
    for level in levels:
        children = [Child(place, level, mix(PREVIEW, place)) for place in places]
        rows.append(rgb(dataset, generate_images(evaluator, loader, children, scale)))
    unit = "" if scale is None else ", in units of the code's own spread"
    save_grid(
        Grid(
            rows,
            ["original", *(f"noise {level:g}" for level in levels)],
            [name_of(dataset, place) for place in places],
            f"{type(evaluator.model).__name__}: more and more noise in the code{unit}",
            dataset.legend,
        ),
        path,
    )


def draw_prior(evaluator: Evaluator, seed: int, path: Path) -> None:
    """Images decoded from codes of the prior, a standard normal distribution."""
    shape = (SHOWN * SHOWN, *evaluator.model.code_shape)
    images = evaluator.decode(torch.randn(shape, generator=generator(seed, PREVIEW)))
    pictures = rgb(evaluator.dataset, images)
    rows = [pictures[start : start + SHOWN] for start in range(0, len(pictures), SHOWN)]
    title = "Images decoded from random codes of the prior"
    save_grid(Grid(rows, [""] * len(rows), [], title, evaluator.dataset.legend, cell=0.8), path)


@torch.no_grad()
def draw_posterior(evaluator: Evaluator, loader: BaseDataLoader, seed: int, path: Path) -> None:
    """Images, their reconstructions, and images decoded from samples of their posteriors."""
    dataset, model = loader.dataset, evaluator.model
    places = one_of_each_class(dataset, loader.indices)
    images = torch.cat([batch.images for batch in loader.of(torch.tensor(places)).batches()])
    model.eval()
    mean, logvar = (part.float().cpu() for part in model.posterior(images))
    noise = torch.randn((6, *mean.shape), generator=generator(seed, PREVIEW, 1))
    made = [evaluator.decode(mean + sample * (0.5 * logvar).exp()) for sample in noise]
    columns = [images.cpu(), evaluator.decode(mean), *made]
    rows = [list(row) for row in zip(*(rgb(dataset, column) for column in columns), strict=True)]
    titles = ["original", "mean", *(f"sample {number + 1}" for number in range(len(made)))]
    names = [name_of(dataset, place) for place in places]
    title = "Images decoded from samples of their posteriors"
    save_grid(Grid(rows, names, titles, title, dataset.legend), path)


def draw_code_grid(evaluator: Evaluator, codes: torch.Tensor, side: int, path: Path) -> None:
    """Images decoded from a grid over a code of two numbers.

    Args:
        codes: of the training images [N, 2]; the grid spans nearly all of them.
        side: rows and columns of the grid.
    """
    ends = torch.quantile(codes[:100_000], torch.tensor(INNER), dim=0)
    first, second = (torch.linspace(*ends[:, axis].tolist(), side) for axis in (0, 1))
    second = second.flip(0)  # upwards, as in the scatter of the codes
    points = torch.cartesian_prod(second, first).flip(1)
    pictures = rgb(
        evaluator.dataset, evaluator.decode(points.view(-1, *evaluator.model.code_shape))
    )
    rows = [pictures[start : start + side] for start in range(0, len(pictures), side)]
    save_grid(
        Grid(
            rows,
            [f"{value:.2f}" for value in second],
            [f"{value:.2f}" for value in first],
            "Images decoded from a grid over the code",
            evaluator.dataset.legend,
            cell=0.62,
        ),
        path,
    )


def draw_random_codes(evaluator: Evaluator, codes: torch.Tensor, seed: int, path: Path) -> None:
    """Images decoded from random codes, each with its code above it.

    Args:
        codes: of the training images [N, D]; random codes have their mean and spread.
    """
    noise = torch.randn((2 * SHOWN, codes.shape[1]), generator=generator(seed, PREVIEW, 2))
    drawn = codes.mean(0) + noise * codes.std(0)
    pictures = rgb(
        evaluator.dataset, evaluator.decode(drawn.view(-1, *evaluator.model.code_shape))
    )
    captions = [_code_text(code) for code in drawn.tolist()]
    save_grid(
        Grid(
            [pictures[:SHOWN], pictures[SHOWN:]],
            ["", ""],
            [],
            "Images decoded from random codes, the code above each",
            evaluator.dataset.legend,
            [captions[:SHOWN], captions[SHOWN:]],
        ),
        path,
    )


def _code_text(code: list[float]) -> str:
    words = [f"{number:.2f}" for number in code]
    return "\n".join("  ".join(words[start : start + 2]) for start in range(0, len(words), 2))


def draw_cloud(evaluator: Evaluator, loader: BaseDataLoader, path: Path) -> None:
    """A scatter of the codes of a loader's images, coloured by class."""
    labels = loader.dataset.labels
    seen = loader.of(loader.indices[:: max(1, loader.count // CLOUD)])
    codes = evaluator.encode(seen).flatten(1)
    is_plane = codes.shape[1] == 2
    axes = (
        ("first number", "second number") if is_plane else ("first component", "second component")
    )
    title = "The codes" if is_plane else f"The codes, {codes.shape[1]:,} numbers each, by PCA"
    points = on_plane(codes).numpy()
    classes = labels.indices[seen.indices].numpy()
    save_cloud(Cloud(points, classes, class_names(labels.names), axes, title), path)
