"""Reading the labels of images: whole numbers from 0, or words."""

from typing import Annotated

import numpy as np
from pydantic import AfterValidator, Field

from base.base_dataset import Labels
from data_loader.array_files import open_array
from data_loader.npz import array_shapes
from utils.errors import DataError

USUAL_NAME = "label"  # what labels are called in a .npz file unless the config says otherwise


def _are_distinct(names: list[str]) -> list[str]:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"names '{name}' twice; give each class a name of its own")
    return names


ClassNames = Annotated[
    list[str],
    Field(min_length=1, json_schema_extra={"uniqueItems": True}),
    AfterValidator(_are_distinct),
]


def read_labels(
    path: str | None, name: str, count: int, classes: list[str] | None, images: str
) -> Labels:
    """The labels of `count` images.

    Args:
        path: a .npy or .npz file of labels (N,) or (N, 1); None takes those in the file of the
            images, or else puts all images in one class.
        name: what the labels are called in a .npz file.
        classes: names of the classes 0, 1, 2, ..., or the words in their order; None numbers
            them, or takes the words in alphabetical order.
        images: the file of the images.

    Raises:
        DataError: labels of another number, shape or kind; the message names the file.
    """
    if path is None and _are_beside(images, name):
        path = images
    if path is None:
        return _one_class(count, classes, images)
    values = np.asarray(open_array(path, name))
    is_column = values.ndim == 2 and values.shape[1] == 1
    values = values[:, 0] if is_column else values
    if values.ndim != 1:
        raise DataError(f"{path}: labels of shape {values.shape}; must be (N,) or (N, 1)")
    if len(values) != count:
        raise DataError(f"{path}: {len(values)} labels for {count} images; must be as many")
    if values.dtype.kind in "US":
        return _words(values, path, classes, is_column)
    indices = _whole_numbers(values, path)
    known = classes or [f"class {index}" for index in range(indices.max() + 1)]
    if indices.max() >= len(known):
        raise DataError(
            f"{path}: label {indices.max()}, but dataset.args.classes names {len(known)} classes; "
            "name them all or leave classes out"
        )
    return Labels(indices, known, np.arange(len(known)).astype(values.dtype), is_column)


def unread_note(path: str | None, name: str, count: int, images: str) -> str:
    """What is to be said where the file of the images has what may be labels, which is not read.

    Args:
        path, name, count, images: as in `read_labels`.
    """
    if path is not None:
        return ""
    shapes = array_shapes(images)
    may_be = [other for other, shape in shapes.items() if shape in ((count,), (count, 1))]
    if name in shapes or not may_be:
        return ""
    return (
        f"all images are of one class: {images} holds no array '{name}' but "
        f"{', '.join(may_be)}; where its labels are there, say so with "
        f"dataset.args.label_name={may_be[0]}"
    )


def _are_beside(images: str, name: str) -> bool:
    """Whether the labels are to be read from the file of the images: they are there, or were
    asked for by a name of their own and must be."""
    names = array_shapes(images)
    return name in names or (bool(names) and name != USUAL_NAME)


def _one_class(count: int, classes: list[str] | None, images: str) -> Labels:
    """The labels of images without labels."""
    if classes and len(classes) > 1:
        raise DataError(
            f"{images}: dataset.args.classes names {len(classes)} classes, but there are no "
            "labels; say where they are with dataset.args.label, or label_name in a .npz file"
        )
    return Labels(np.zeros(count, np.int64), classes or ["all"])


def _words(values: np.ndarray, path: str, classes: list[str] | None, is_column: bool) -> Labels:
    """Labels that are words."""
    words, indices = np.unique(values, return_inverse=True)
    names = [_text(word) for word in words]
    if classes is None:
        return Labels(indices, names, words, is_column)
    for name in names:
        if name not in classes:
            raise DataError(
                f"{path}: label '{name}' is not in dataset.args.classes, "
                f"which has {', '.join(classes)}"
            )
    places = np.array([classes.index(name) for name in names])
    # As the file writes them; what it does not hold is written in the same way, and in full.
    written = dict(zip(names, words.tolist(), strict=True))
    is_bytes = words.dtype.kind == "S"
    others = [name.encode() if is_bytes else name for name in classes]
    values = np.array([written.get(*pair) for pair in zip(classes, others, strict=True)])
    values = values.astype(np.result_type(values, words))
    return Labels(places[indices], classes, values, is_column)


def _text(word: str | bytes) -> str:
    """A word of a label file; bytes are UTF-8, and what is none is shown as \\xff."""
    content = word if isinstance(word, bytes) else word.encode("utf-8", "backslashreplace")
    return content.decode("utf-8", "backslashreplace")


def _whole_numbers(values: np.ndarray, path: str) -> np.ndarray:
    """Labels as int64 from 0."""
    if values.dtype.kind not in "iubf":
        raise DataError(f"{path}: labels of type {values.dtype}; must be whole numbers or words")
    is_float = values.dtype.kind == "f"
    broken = np.flatnonzero(values != np.floor(values)) if is_float else np.empty(0, np.int64)
    if len(broken):
        raise DataError(
            f"{path}: label {values[broken[0]]} of image {broken[0]}; must be a whole number"
        )
    if values.min() < 0 or values.max() > 10_000:
        raise DataError(
            f"{path}: labels from {values.min()} to {values.max()}; must be 0 to 10000"
        )
    return values.astype(np.int64)
