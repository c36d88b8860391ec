"""The files of generated images, written batch by batch: memory never holds more than one."""

import json
import shutil
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from tqdm import tqdm

from base.base_dataset import BaseDataset
from generation.children import Child, Children
from generation.generator import Generated, Generator
from utils.config.messages import Problem, refuse
from utils.config.sections import GenerationSection

# Writes the pairs of an object below each other; `indent` would do so in Python, slowly.
PAIRS = json.JSONEncoder(separators=(",\n   ", ": "))


class RowFile:
    """A .npy file whose rows come one piece after the other.

    Its bytes are those that numpy.save would write of all rows. A mapped file would not do:
    its pages count as memory of this program.

    Args:
        path: of the new file.
        count: of all rows.
    """

    def __init__(self, path: Path, count: int) -> None:
        self._file, self._count, self._left = path.open("wb"), count, count

    def add(self, rows: np.ndarray) -> None:
        """Write the next rows, [n, ...]."""
        if self._left == self._count:
            header = np.lib.format.header_data_from_array_1_0(rows[:1])
            header |= {"shape": (self._count, *rows.shape[1:]), "fortran_order": False}
            np.lib.format.write_array_header_1_0(self._file, header)
        self._file.write(rows.tobytes())
        self._left -= len(rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


class Record:
    """generated.json: some facts, and what each generated image was made from.

    Args:
        path: of the new file.
        facts: what holds for all of the images.
        settings: how they are made; by default the plainest way.
    """

    def __init__(
        self,
        path: Path,
        facts: dict[str, Any],
        settings: GenerationSection = GenerationSection(),  # noqa: B008, a frozen value
    ) -> None:
        self._settings = settings
        self._file = path.open("w", encoding="utf-8")
        opening = json.dumps(facts, indent=1).removesuffix("\n}")
        self._file.write(f'{opening},\n "images": [')
        self._between = ""

    def add(self, children: list[Child]) -> None:
        """Write the next children."""
        for child in children:
            self._file.write(self._between + _lines_of(child, self._settings))
            self._between = ","

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        with self._file:
            if error is None:
                self._file.write("\n ]\n}\n")


def _lines_of(child: Child, settings: GenerationSection) -> str:
    """A child as an element of a list in an object, after the comma of the one before it."""
    return f"\n  {{\n   {PAIRS.encode(child.told(settings))[1:-1]}\n  }}"


class Alike:
    """Finds the classes of which all generated images are the same.

    Args:
        labels: the class of every image of the data set, int64 [N].
    """

    def __init__(self, labels: torch.Tensor) -> None:
        self._labels = labels
        self._counts: Counter[int] = Counter()
        self._only: dict[int, np.ndarray | None] = {}  # None where a second one is different

    def add(self, made: Generated) -> None:
        """Look at the next images."""
        own = self._labels[[child.source for child in made.children]].tolist()
        self._counts.update(own)
        for label, image in zip(own, made.data, strict=True):
            if label not in self._only:
                self._only[label] = image.copy()
            elif (only := self._only[label]) is not None and not np.array_equal(only, image):
                self._only[label] = None

    def found(self) -> list[int]:
        """The classes of two images or more that are all the same."""
        return [label for label, only in self._only.items()
                if only is not None and self._counts[label] > 1]  # fmt: skip


def write_generated(
    generator: Generator, children: Children, facts: dict[str, Any], folder: Path
) -> list[int]:
    """Make the planned children and write them into `folder`, each batch as it comes.

    Args:
        facts: what the record says of all of them.

    Returns:
        The classes of which all children, two at least, are the same image.
    """
    alike = Alike(generator.loader.dataset.labels.indices)
    with ExitStack() as files:
        data, labels = (
            files.enter_context(RowFile(folder / f"gen_{name}.npy", children.count))
            for name in ("data", "label")
        )
        record = files.enter_context(Record(folder / "generated.json", facts, generator.settings))
        bar = files.enter_context(
            tqdm(total=children.count, desc="generating", leave=False, disable=None)
        )
        for made in generator.generate(children):
            data.add(made.data)
            labels.add(made.labels)
            record.add(made.children)
            alike.add(made)
            bar.update(len(made.children))
    return alike.found()


def check_room(
    children: Children, dataset: BaseDataset, settings: GenerationSection, folder: Path
) -> None:
    """Check that the generated images will fit on the disk of `folder`, which need not exist.

    Raises:
        ConfigError: they will not; it says how many bytes they need and how many are free.
    """
    image = dataset.to_file(torch.zeros(1, *dataset.shape)).nbytes
    label = dataset.labels.to_file(torch.zeros(1, dtype=torch.int64)).nbytes
    first = next(iter(children))
    usual = first._replace(neighbour=first.source, u=1 / 3)
    needed = children.count * (image + label + len(_lines_of(usual, settings)))
    free = free_bytes(folder)
    if needed > free:
        key = "samples" if settings.per_class is None else "per_class"
        rule = (
            f"would make {children.count:,} images, about {needed:,} bytes with their record, but "
            f"{free:,} are free at {folder}; lower it, or write to another disk with -o"
        )
        refuse("config", [Problem(f"generation.{key}", getattr(settings, key), rule)])


def free_bytes(folder: Path) -> int:
    """How many bytes are free on the disk of a folder, which need not exist."""
    existing = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    return shutil.disk_usage(existing).free
