"""Images in a page: where their codes lie, what they look like, what was made of them."""

import math
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from report.page import data_uri, png_of

MOST = 2000  # images in a page
MOST_BYTES = 1_300_000  # of the pictures of all originals, or of all reconstructions
WORST = 30  # images in the table of the worst
COLUMNS = 50  # of a sheet
WIDTH, HEIGHT, MARGIN = 640, 480, 14  # of the scatter
# Colours of up to ten classes, told apart by most eyes (Okabe and Ito 2008, and two more).
FEW = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#56b4e9", "#7a5195", "#8c564b",
       "#7f7f7f", "#e15759")  # fmt: skip
GOLDEN = 137.508  # degrees: hues so far apart stay apart, however many there are


class Gallery(NamedTuple):
    """Some images of a test and what the model made of them."""

    points: np.ndarray
    """Their codes on a plane, [n, 2]."""
    labels: np.ndarray
    """The class of each, [n]."""
    splits: list[str]
    names: list[str]
    """Which image each is, in its split."""
    errors: np.ndarray
    """Mean squared, [n]."""
    images: np.ndarray
    """uint8 [n, h, w, 3]"""
    made: np.ndarray
    """Their reconstructions, likewise."""
    classes: list[str]
    axes: str
    """What the plane is."""
    total: int
    """Images of all splits."""


class Group(NamedTuple):
    """The points of a class."""

    number: int
    name: str
    images: int
    colour: str
    path: str


class Worst(NamedTuple):
    """A row of the table of the worst images."""

    name: str
    split: str
    label: str
    error: float
    original: str
    made: str


def gallery_content(gallery: Gallery) -> dict[str, Any]:
    """What the template needs to show a gallery."""
    originals, made, gallery = _sheets(gallery)
    places = _on_paper(gallery.points)
    order = np.argsort(-gallery.errors, kind="stable")
    present = sorted(set(gallery.labels.tolist()))
    height, width = gallery.images.shape[1:3]
    return {
        "groups": [_group(gallery, places, number, len(present)) for number in present],
        "sheets": {"original": data_uri(originals), "made": data_uri(made)},
        "axes": gallery.axes,
        "shown": len(places),
        "total": gallery.total,
        "data": {
            "size": [width, height, COLUMNS, math.ceil(len(places) / COLUMNS)],
            "classes": gallery.classes,
            "splits": sorted(set(gallery.splits)),
            "points": [_item(gallery, places, place) for place in range(len(places))],
        },
        "worst": [_worst(gallery, place) for place in order[:WORST].tolist()],
    }


def _item(gallery: Gallery, places: np.ndarray, place: int) -> list[Any]:
    """x, y, class, split, name, error."""
    splits = sorted(set(gallery.splits))
    across, down = places[place].tolist()
    error = gallery.errors[place]  # JSON has no NaN
    return [
        round(across, 1), round(down, 1), int(gallery.labels[place]),
        splits.index(gallery.splits[place]), gallery.names[place],
        float(f"{error:.4g}") if math.isfinite(error) else None,
    ]  # fmt: skip


def _group(gallery: Gallery, places: np.ndarray, number: int, count: int) -> Group:
    own = places[gallery.labels == number]
    # Strokes of no length with round ends are dots: a path of them is a tenth of as many circles.
    path = "".join(f"M{across:.1f} {down:.1f}h0" for across, down in own.tolist())
    return Group(number, gallery.classes[number], len(own), colour_of(number, count), path)


def colour_of(number: int, count: int) -> str:
    """The colour of one of so many classes, or of other things with names."""
    if count <= len(FEW):
        return FEW[number % len(FEW)]
    lightness = (38, 50, 60)[number % 3]
    return f"hsl({number * GOLDEN % 360:.0f} 65% {lightness}%)"


def _worst(gallery: Gallery, place: int) -> Worst:
    return Worst(
        gallery.names[place], gallery.splits[place], gallery.classes[gallery.labels[place]],
        float(gallery.errors[place]), _thumbnail(gallery.images[place]),
        _thumbnail(gallery.made[place]),
    )  # fmt: skip


def _thumbnail(image: np.ndarray) -> str:
    return data_uri(png_of(Image.fromarray(image)))


def _on_paper(points: np.ndarray) -> np.ndarray:
    """Points brought into the scatter's picture, upwards as in a plot, [n, 2]."""
    points = np.nan_to_num(points)
    low, high = points.min(0), points.max(0)
    shares = (points - low) / np.where(high > low, high - low, 1)
    room = np.array([WIDTH - 2 * MARGIN, HEIGHT - 2 * MARGIN])
    return MARGIN + np.stack([shares[:, 0], 1 - shares[:, 1]], 1) * room


def _sheets(gallery: Gallery) -> tuple[bytes, bytes, Gallery]:
    """All originals in a picture and all reconstructions in one, of fewer images if need be."""
    while True:
        sheets = [_sheet(gallery.images), _sheet(gallery.made)]
        if max(map(len, sheets)) <= MOST_BYTES or len(gallery.images) <= 2 * WORST:
            return sheets[0], sheets[1], gallery
        worst = np.argsort(-gallery.errors, kind="stable")[:WORST]
        gallery = _some(gallery, np.union1d(worst, np.arange(0, len(gallery.images), 2)))


def _some(gallery: Gallery, places: np.ndarray) -> Gallery:
    return gallery._replace(
        points=gallery.points[places], labels=gallery.labels[places],
        splits=[gallery.splits[place] for place in places],
        names=[gallery.names[place] for place in places],
        errors=gallery.errors[places], images=gallery.images[places], made=gallery.made[places],
    )  # fmt: skip


def _sheet(images: np.ndarray) -> bytes:
    """Images [n, h, w, 3] side by side in rows of COLUMNS, as a PNG of 256 colours at most."""
    count, height, width, _ = images.shape
    rows = math.ceil(count / COLUMNS)
    whole = np.zeros((rows * COLUMNS, height, width, 3), np.uint8)
    whole[:count] = images
    whole = whole.reshape(rows, COLUMNS, height, width, 3).swapaxes(1, 2)
    pixels = whole.reshape(rows * height, COLUMNS * width, 3)
    if (pixels == pixels[..., :1]).all():
        picture = Image.fromarray(np.ascontiguousarray(pixels[..., 0]))
    else:
        picture = Image.fromarray(pixels).quantize(256, Image.Quantize.FASTOCTREE)
    return png_of(picture)
