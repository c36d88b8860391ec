"""Images that a trained model has never seen, read the way its own are."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from base.base_dataset import BaseDataset, Labels
from data_loader.array_files import open_array
from data_loader.image_folder import SUFFIXES, find_pictures
from data_loader.labels import USUAL_NAME, read_labels
from data_loader.npz import array_shapes
from utils.errors import DataError

UNLABELLED = "all"  # the class of images without labels
BLOCK = 2**20  # bytes of a file that are read together


@dataclass(frozen=True)
class NewImages:
    """New images and what is known of them."""

    dataset: BaseDataset
    files: list[Path]
    """What they were read from: one array file, or picture files in their order."""
    names: Sequence[str] | None
    """Of each picture; None where they are the rows of an array."""
    has_labels: bool

    def name(self, place: int) -> str:
        """What an image is called: its picture's name, or its place in the array."""
        return str(place) if self.names is None else self.names[place]

    def checksum(self) -> str:
        """SHA-256 of the bytes of all files, one after the other, in hexadecimal digits."""
        found = hashlib.sha256()
        for path in self.files:
            with path.open("rb") as file:
                while block := file.read(BLOCK):
                    found.update(block)
        return found.hexdigest()


def open_new_images(
    path: Path, label: Path | None, like: BaseDataset, args: dict[str, Any]
) -> NewImages:
    """The images in a .npy or .npz file, which may be one alone, a picture or a folder of them.

    Args:
        label: a .npy or .npz file of their classes; None takes those in the .npz file of the
            images, or the names of the folders that the pictures are in, where there are any.
        like: the data set that the model was trained with.
        args: of that data set in its config; they say what arrays are called in a .npz file.

    Raises:
        DataError: not such images as those of `like`; the message names the file and the rule.
    """
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    label_name = args.get("label_name", USUAL_NAME)
    if not path.is_dir() and path.suffix.lower() not in SUFFIXES:
        dataset, label = _of_array(path, label, like, args.get("data_name", "data"), label_name)
        files, names, folders = [path], None, None
    else:
        files, folders = _pictures(path)
        names = [_name(file, path) for file in files]
        dataset = like.of_pictures(files)
        for _ in dataset.pieces():  # every picture is decoded once before anything is written
            pass
    if label is not None:
        dataset.labels = _labels(label, label_name, len(dataset), like.labels, path)
    elif folders is not None:
        dataset.labels = _matched(folders, folders.names, like.labels.names)
    else:
        dataset.labels = Labels(np.zeros(len(dataset), np.int64), [UNLABELLED])
    return NewImages(dataset, files, names, label is not None or folders is not None)


def _of_array(
    path: Path, label: Path | None, like: BaseDataset, name: str, label_name: str
) -> tuple[BaseDataset, Path | None]:
    """The images in an array file, and where their labels are."""
    name = _array_name(path, name, label_name)
    array = open_array(str(path), name)
    if array.shape == like.to_file(torch.zeros(1, *like.shape)).shape[1:]:
        array = array[None]  # one image alone
    dataset = type(like).of_array(array, like.facts(), str(path))
    if label is None and label_name in array_shapes(str(path)):
        label = path
    return dataset, label


def _array_name(path: Path, wanted: str, other: str) -> str:
    """What the wanted array is called in a .npz file: as in training, or it is the only one.

    Args:
        other: the name of an array that is none of those looked for.
    """
    try:
        names = [name for name in array_shapes(str(path)) if name != other]
    except Exception:  # whatever is wrong with the file, opening it says so
        return wanted
    if wanted in names or not names:
        return wanted
    if len(names) > 1:
        raise DataError(
            f"{path}: holds no array '{wanted}' but {', '.join(names)}; save it as '{wanted}', "
            "as the training file has it, or alone"
        )
    return names[0]


def _pictures(path: Path) -> tuple[list[Path], Labels | None]:
    """The picture files at `path`, and their classes where they are in folders of classes."""
    if path.is_file():
        return [path], None
    try:
        files, labels = find_pictures(str(path))
    except OSError as error:
        raise DataError(f"{path}: cannot be looked through: {error.strerror}") from None
    return files, None if files[0].parent == path else labels


def _name(file: Path, path: Path) -> str:
    return file.name if file == path else file.relative_to(path).as_posix()


def _labels(path: Path, name: str, count: int, like: Labels, images: Path) -> Labels:
    """Labels from a file, in the classes of training where they are of these."""
    if path.is_file() and path != images:
        name = _array_name(path, name, "")
    own = read_labels(str(path), name, count, None, str(images))
    if own.values.dtype.kind in "US":
        found = _matched(own, own.names, like.names)
        return Labels(found.indices.numpy(), found.names, np.array(found.names), own.is_column)
    if like.values.dtype.kind in "US":
        raise DataError(
            f"{path}: labels of type {own.values.dtype}; the model was trained with words, as "
            f"'{like.names[0]}'"
        )
    names = (*like.names, *own.names[len(like.names) :])
    values = np.arange(len(names)).astype(own.values.dtype)
    return Labels(own.indices.numpy(), names, values, own.is_column)


def _matched(own: Labels, words: Sequence[str], known: Sequence[str]) -> Labels:
    """Labels that are words, in the classes of training and then those that it had not."""
    names = [*known, *(word for word in words if word not in known)]
    places = np.array([names.index(word) for word in words])
    return Labels(places[own.indices.numpy()], names)
