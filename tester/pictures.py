"""The pictures of test.py: which images they show and what the model makes of them."""

from itertools import islice
from pathlib import Path

import numpy as np
import torch

from base.base_data_loader import BaseDataLoader
from generation.children import Children
from generation.generator import Generator
from logger.figures import Grid, save_grid
from logger.lettering import class_names
from trainer.evaluator import Evaluator

MOST_SHOWN = 12  # rows or columns at most
STEPS = 9  # images along an interpolation
# How titles say the method and the unit of noise.
WAYS = {
    "noise": "",
    "neighbours": "on the way to neighbours, ",
    "extrapolate": "away from neighbours, ",
    "gaussian": "from a Gaussian of the class, ",
}
UNITS = {
    "absolute": "",
    "code": " of the code's own spread",
    "class": " of the class's own width",
    "posterior": " of each posterior's spread",
}


class Drawer:
    """What every picture is drawn with.

    Args:
        evaluator: with the model.
        loader: the images that it was trained on, in order.
        folder: where the pictures go.
    """

    def __init__(self, evaluator: Evaluator, loader: BaseDataLoader, folder: Path) -> None:
        self.evaluator, self.loader, self.folder = evaluator, loader, folder
        self.model, self.dataset = self.evaluator.model, self.loader.dataset

    def save(self, name: str, grid: Grid) -> None:
        """Draw a grid into a file of the folder."""
        save_grid(grid, self.folder / name)

    def one_of_each_class(self, places: torch.Tensor | None = None) -> list[int]:
        """Of the images at `places`, by default all, one of each class; of one class a few."""
        labels = self.dataset.labels
        places = self.loader.indices if places is None else places
        number = len(labels.indices[places].unique())
        return labels.examples(places, min(MOST_SHOWN, number if number > 1 else 4))

    def originals(self, places: list[int]) -> torch.Tensor:
        """The images at some places, [n, C, H, W] on the CPU."""
        chosen = self.loader.of(torch.tensor(places))
        return torch.cat([batch.images.cpu() for batch in chosen.batches()])

    def rgb(self, images: torch.Tensor) -> list[np.ndarray]:
        """Images [n, C, H, W] as a list of pictures [H, W, 3]."""
        return list(self.dataset.to_rgb(images).numpy())

    def names(self, places: list[int]) -> list[str]:
        """The classes of the images at some places, as pictures show them."""
        labels = self.dataset.labels
        names = class_names(labels.names)
        return [names[int(labels.indices[place])] for place in places]


class Pictures(Drawer):
    """Pictures of images and of what the model makes of them."""

    def reconstructions(self) -> None:
        """Images of every class above what the model makes of them."""
        places = self._examples(self.loader)
        codes = self.evaluator.encode(self.loader.of(torch.tensor(places)))
        made = self.evaluator.decode(codes, self.dataset.labels.indices[places])
        grid = Grid(
            [self.rgb(self.originals(places)), self.rgb(made)],
            ["original", "reconstruction"],
            self.names(places),
            "Images and their reconstructions",
            self.dataset.legend,
        )
        self.save("reconstructions.png", grid)

    @torch.no_grad()
    def denoised(self, loader: BaseDataLoader) -> None:
        """Images of a loader above what the model was shown of them and what it made of that."""
        places = self._examples(loader)
        rows: list[list[np.ndarray]] = [[], [], []]
        for batch in loader.of(torch.tensor(places)).batches():
            shown = self.evaluator.shown(batch)
            made = self.evaluator.run(shown, labels=loader.labels_of(batch))["reconstruction"]
            for row, images in zip(rows, (batch.images, shown, made), strict=True):
                row += self.rgb(images.cpu())
        title = "Images, what the model was shown of them, and what it made of that"
        sides = ["clean", "corrupted", "cleaned"]
        self.save(
            "denoised.png", Grid(rows, sides, self.names(places), title, self.dataset.legend)
        )

    def generated(self, generator: Generator, children: Children) -> None:
        """For each class one original and its children."""
        places = self.one_of_each_class(torch.tensor(children.sources()))
        rows, captions = [], []
        for place in places:
            own = list(islice(children.of(place), MOST_SHOWN))
            images = torch.cat([self.originals([place]), generator.images(own)])
            rows.append(self.rgb(images))
            captions.append(["original", *(f"noise {child.noise:g}" for child in own)])
        levels, most = children.levels(), max(map(len, rows)) - 1
        noise = " and ".join(f"{level:g}" for level in levels)
        way, unit = WAYS[generator.settings.method], UNITS[generator.settings.unit]
        title = f"Originals and children made {way}with noise {noise}{unit} in the code"
        columns = ["original", *(f"child {number + 1}" for number in range(most))]
        told: tuple[list[str], list[list[str]]] = (columns, [])
        if len(levels) > 1:
            told = ([], captions)
        grid = Grid(rows, self.names(places), told[0], title, self.dataset.legend, told[1])
        self.save("generated.png", grid)

    def interpolation(self) -> None:
        """Images between the codes of two images of different classes, where there are any.

        A conditional model's decoder is shown one class: there they are two images of a class.
        """
        places = self.one_of_each_class()
        pairs = list(zip(places, places[1:], strict=False))
        if self.model.conditional:
            pairs = self._pairs_of_a_class()
        pairs = pairs[:MOST_SHOWN]
        if not pairs:
            return
        rows = [self.rgb(self._between(*pair)) for pair in pairs]
        names = [" to ".join(self.names(list(pair))) for pair in pairs]
        columns = [f"{step / (STEPS - 1):.0%}" for step in range(STEPS)]
        title = "Between the codes of two images"
        self.save("interpolation.png", Grid(rows, names, columns, title, self.dataset.legend))

    def _between(self, first: int, second: int) -> torch.Tensor:
        """Images on the straight line between the codes of two others, [STEPS, C, H, W]."""
        start, end = self.evaluator.encode(self.loader.of(torch.tensor([first, second])))
        way = torch.linspace(0, 1, STEPS).view(-1, *[1] * start.dim())
        label = self.dataset.labels.indices[first]
        return self.evaluator.decode(start + way * (end - start), label.expand(STEPS))

    def _pairs_of_a_class(self) -> list[tuple[int, int]]:
        """The places of the first two training images of each class that has two."""
        labels, places = self.dataset.labels.indices, self.loader.indices
        of_classes = (places[labels[places] == label] for label in labels[places].unique())
        return [(int(own[0]), int(own[1])) for own in of_classes if len(own) > 1]

    def _examples(self, loader: BaseDataLoader) -> list[int]:
        """Places of a loader's images of every class, eight at least where there are so many."""
        count = min(MOST_SHOWN, max(8, len(self.dataset.labels.names)))
        return self.dataset.labels.examples(loader.indices, count)
