"""The pictures of a folder, each with a sentence on how it is read."""

from pathlib import Path
from typing import NamedTuple

from PIL import Image

from report.page import data_uri, png_of

SMALL = 460  # pixels across of a copy that only shows which picture it is

# File -> what it is called, and how it is read.
TOLD = {
    "reconstructions.png": (
        "Images and their reconstructions",
        "Above each reconstruction is the image that it was made from: look for what is lost.",
    ),
    "denoised.png": (
        "Clean, corrupted and cleaned images",
        "The last row should look like the first, though the model saw the middle one only.",
    ),
    "noise.png": (
        "More and more noise in the code",
        "Downwards noise grows; the last row that still looks like its class is how much the "
        "code bears.",
    ),
    "generated.png": (
        "Generated images",
        "Each row is an original and children made from its code: they should be of its class, "
        "and not all alike.",
    ),
    "interpolation.png": (
        "Between two codes",
        "From left to right one image becomes another; the steps between should still be images.",
    ),
    "latent.png": (
        "The codes of training images",
        "Each point is an image; classes that lie apart are told apart by the code.",
    ),
    "prior.png": (
        "Images from random codes of the prior",
        "They should look like images of the data; where they do not, the prior is a poor source.",
    ),
    "posterior.png": (
        "Samples of posteriors",
        "Along a row samples for one image: how much they differ is how unsure the encoder is.",
    ),
    "random_codes.png": (
        "Images from random codes",
        "The numbers above each image are its code; codes of training images have this spread.",
    ),
    "latent_grid.png": (
        "A grid over the code",
        "Each image is what the decoder makes of the code at its place.",
    ),
    "oddest.png": (
        "The oddest of the new images",
        "Beside each image is what the model made of it; light pixels are where it failed.",
    ),
    "errors.png": (
        "Errors of training, held-out and new images",
        "New images to the right of the others are unlike what the model knows.",
    ),
}  # fmt: skip


class Picture(NamedTuple):
    """A picture in the page."""

    file: str
    title: str
    told: str
    address: str
    width: int
    height: int


def pictures_in(folder: Path) -> list[Picture]:
    """Those of the known pictures that a folder holds."""
    return [picture(folder / name, *told) for name, told in TOLD.items()
            if (folder / name).exists()]  # fmt: skip


def picture(path: Path, title: str, told: str) -> Picture:
    """A picture file, whole."""
    with Image.open(path) as image:
        width, height = image.size
        # Drawn figures have few colours: a palette of them is a third of the size.
        content = png_of(image.convert("RGB").quantize(256, Image.Quantize.FASTOCTREE))
    return Picture(path.name, title, told, data_uri(content), width, height)


def small_copy(path: Path, title: str) -> Picture:
    """A picture file, small enough to stand beside many others."""
    with Image.open(path) as image:
        copy = image.convert("RGB")
    copy.thumbnail((SMALL, SMALL * 2))
    content = png_of(copy.quantize(128, Image.Quantize.FASTOCTREE))
    return Picture(path.name, title, TOLD[path.name][1], data_uri(content), *copy.size)
