"""Reading the labels of images: whole numbers from 0, or words."""

import numpy as np

from base.base_dataset import Labels
from data_loader.array_files import holds, open_array
from utils.errors import DataError


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
    if path is None and holds(images, name):
        path = images
    if path is None:
        return Labels(np.zeros(count, np.int64), (classes or ["all"])[:1])
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


def _words(values: np.ndarray, path: str, classes: list[str] | None, is_column: bool) -> Labels:
    """Labels that are words."""
    words, indices = np.unique(values, return_inverse=True)
    names = [word.decode("utf-8", "replace") if isinstance(word, bytes) else str(word)
             for word in words]  # fmt: skip
    if classes is None:
        return Labels(indices, names, words, is_column)
    for name in names:
        if name not in classes:
            raise DataError(
                f"{path}: label '{name}' is not in dataset.args.classes, "
                f"which has {', '.join(classes)}"
            )
    places = np.array([classes.index(name) for name in names])
    return Labels(places[indices], classes, np.array(classes).astype(words.dtype), is_column)


def _whole_numbers(values: np.ndarray, path: str) -> np.ndarray:
    """Labels as int64 from 0."""
    if values.dtype.kind not in "iubf":
        raise DataError(f"{path}: labels of type {values.dtype}; must be whole numbers or words")
    broken = np.flatnonzero(values != np.floor(values)) if values.dtype.kind == "f" else ()
    if len(broken):
        raise DataError(
            f"{path}: label {values[broken[0]]} of image {broken[0]}; must be a whole number"
        )
    if values.min() < 0 or values.max() > 10_000:
        raise DataError(
            f"{path}: labels from {values.min()} to {values.max()}; must be 0 to 10000"
        )
    return values.astype(np.int64)
