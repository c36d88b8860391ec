"""The pictures of test.py: which images they show and what the model makes of them."""

from itertools import islice
from pathlib import Path

import numpy as np
import torch

from base.base_data_loader import BaseDataLoader
from base.base_dataset import BaseDataset
from logger.figures import Grid, save_grid
from logger.lettering import class_names
from tester.generate import Children, generate_images, interpolate
from trainer.evaluator import Evaluator

SHOWN = 12  # rows or columns at most
STEPS = 9  # images along an interpolation


def representatives(labels: torch.Tensor, indices: torch.Tensor, number: int) -> list[int]:
    """Places of images to show: the first of each class, class by class, then further ones."""
    by_class = [indices[labels[indices] == label].tolist() for label in labels[indices].unique()]
    chosen: list[int] = []
    turn = 0
    while len(chosen) < number and any(len(places) > turn for places in by_class):
        chosen += [places[turn] for places in by_class if len(places) > turn]
        turn += 1
    return sorted(chosen[:number], key=lambda place: int(labels[place]))


def one_of_each_class(dataset: BaseDataset, indices: torch.Tensor) -> list[int]:
    """An image of each class; where there is one class only, a few images of it."""
    labels = dataset.labels.indices
    number = len(labels[indices].unique())
    return representatives(labels, indices, min(SHOWN, number if number > 1 else 4))


def draw_reconstructions(evaluator: Evaluator, loader: BaseDataLoader, path: Path) -> None:
    """Images of every class above what the model makes of them."""
    dataset = loader.dataset
    count = min(SHOWN, max(8, len(dataset.labels.names)))
    places = representatives(dataset.labels.indices, loader.indices, count)
    originals, made = _seen_and_made(evaluator, loader, places)
    save_grid(
        Grid(
            [rgb(dataset, originals), rgb(dataset, made)],
            ["original", "reconstruction"],
            [name_of(dataset, place) for place in places],
            "Images and their reconstructions",
            dataset.legend,
        ),
        path,
    )


@torch.no_grad()
def draw_denoised(evaluator: Evaluator, loader: BaseDataLoader, path: Path) -> None:
    """Images of every class above what the model was shown of them and what it made of that."""
    dataset = loader.dataset
    count = min(SHOWN, max(8, len(dataset.labels.names)))
    places = representatives(dataset.labels.indices, loader.indices, count)
    rows: list[list[np.ndarray]] = [[], [], []]
    for batch in loader.of(torch.tensor(places)).batches():
        seen = evaluator.shown(batch)
        made = evaluator.run(seen)["reconstruction"]
        for row, images in zip(rows, (batch.images, seen, made), strict=True):
            row += rgb(dataset, images.cpu())
    names = [name_of(dataset, place) for place in places]
    title = "Images, what the model was shown of them, and what it made of that"
    grid = Grid(rows, ["clean", "corrupted", "cleaned"], names, title, dataset.legend)
    save_grid(grid, path)


def draw_generated(
    evaluator: Evaluator,
    loader: BaseDataLoader,
    children: Children,
    scale: torch.Tensor | None,
    path: Path,
) -> None:
    """For each class one original and its children."""
    dataset = loader.dataset
    sources, levels = torch.tensor(children.sources()), children.levels()
    rows, names, captions = [], [], []
    for place in one_of_each_class(dataset, sources):
        own = list(islice(children.of(place), SHOWN))
        original, _ = _seen_and_made(evaluator, loader, [place])
        rows.append(
            rgb(dataset, torch.cat([original, generate_images(evaluator, loader, own, scale)]))
        )
        names.append(name_of(dataset, place))
        captions.append(["original", *(f"noise {child.noise:g}" for child in own)])
    most = max(map(len, rows)) - 1
    unit = "" if scale is None else " of the code's own spread"
    noise = " and ".join(f"{level:g}" for level in levels)
    title = f"Originals and children made with noise {noise}{unit} in the code"
    columns = ["original", *(f"child {number + 1}" for number in range(most))]
    told = ([], captions) if len(levels) > 1 else (columns, ())
    save_grid(Grid(rows, names, told[0], title, dataset.legend, told[1]), path)


def draw_interpolation(evaluator: Evaluator, loader: BaseDataLoader, path: Path) -> None:
    """Images decoded between the codes of two images of different classes, where there are any."""
    dataset = loader.dataset
    places = one_of_each_class(dataset, loader.indices)
    pairs = list(zip(places, places[1:], strict=False))[:SHOWN]
    if not pairs:
        return
    rows = [rgb(dataset, interpolate(evaluator, loader, *pair, STEPS)) for pair in pairs]
    names = [f"{name_of(dataset, first)} to {name_of(dataset, second)}" for first, second in pairs]
    columns = [f"{step / (STEPS - 1):.0%}" for step in range(STEPS)]
    save_grid(Grid(rows, names, columns, "Between the codes of two images", dataset.legend), path)


def _seen_and_made(
    evaluator: Evaluator, loader: BaseDataLoader, places: list[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Images and their reconstructions, each [n, C, H, W] on the CPU."""
    chosen = loader.of(torch.tensor(places))
    originals = torch.cat([batch.images.cpu() for batch in chosen.batches()])
    return originals, evaluator.decode(evaluator.encode(chosen))


def rgb(dataset: BaseDataset, images: torch.Tensor) -> list[np.ndarray]:
    """Images [n, C, H, W] as a list of pictures [H, W, 3]."""
    return list(dataset.to_rgb(images).numpy())


def name_of(dataset: BaseDataset, place: int) -> str:
    """The class of the image at a place, as pictures show it."""
    return class_names(dataset.labels.names)[int(dataset.labels.indices[place])]
