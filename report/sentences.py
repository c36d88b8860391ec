"""What the scores of a test say, in plain sentences that the numbers support."""

import math
from typing import Any

from report.page import number

HELD_OUT = ("test", "validation", "train")  # which split is spoken of, the first that there is
ALIKE = 0.05  # errors that differ by a smaller share count as the same
LOW = 0.05  # of the mean image's error, up to which a model's is that of a good copy
SPLITS = {"train": "training images", "validation": "validation images", "test": "test images",
          "images": "new images"}  # fmt: skip
MAKERS = {"model": "this model", "mean_image": "mean image", "corrupted": "no cleaning"}


def is_copy(report: dict[str, Any]) -> bool:
    """Whether a code has room for the whole image."""
    return report["compression_ratio"] <= 1


def spoken_of(report: dict[str, Any]) -> str:
    """The split that tells most: images that training has not seen, where there are any."""
    return next(name for name in HELD_OUT if name in report["splits"])


def maker_name(maker: str, report: dict[str, Any]) -> str:
    """Who made images, in words."""
    if maker == "pca":
        return f"PCA, {report['code_size']:,} numbers"
    if maker.startswith("pca_"):
        return f"PCA, {int(maker.removeprefix('pca_')):,} numbers"
    return MAKERS.get(maker, maker)


def verdicts(report: dict[str, Any]) -> list[str]:
    """Sentences on how good the model is, each with the numbers that it is from."""
    split = spoken_of(report)
    own, others = report["splits"][split], report["baselines"]
    said = [_against_mean(split, own["mse"], others["mean_image"][split]["mse"])]
    said += _against_pca(report, split) if "pca" in others else []
    if split != "train":
        said.append(_pca_ahead(report, "train"))
        said.append(_gap(split, own["mse"], report["splits"]["train"]["mse"]))
    if "corrupted" in own:
        said.append(_cleaning(split, own))
    return [sentence for sentence in said if sentence]


def numbers_of_image(report: dict[str, Any]) -> str:
    """The size of an image and how many numbers that is: "3 x 26 x 26 = 2,028 numbers"."""
    shape = report["image_shape"]
    return f"{' x '.join(map(str, shape))} = {math.prod(shape):,} numbers"


def relative_size(report: dict[str, Any]) -> str:
    """How large the code is beside the image."""
    ratio = report["compression_ratio"]
    if ratio == 1:
        return "as large as the image"
    if ratio > 1:
        return f"{number(float(ratio))} times smaller than the image"
    return f"{number(1 / ratio)} times larger than the image"


def size_of_code(report: dict[str, Any]) -> str:
    """How the code compares with the image, and what errors say where it has room for it."""
    size, image = f"{report['code_size']:,} numbers", numbers_of_image(report)
    said = f"The code, {size}, is {relative_size(report)}, {image}"
    if not is_copy(report):
        return f"{said}."
    return f"{said}: it could hold the image itself, without any error.{_copy_told(report)}"


def _copy_told(report: dict[str, Any]) -> str:
    """Whether a model whose code has room for the image gives it back."""
    split = spoken_of(report)
    own = report["splits"][split]["mse"]
    mean = report["baselines"]["mean_image"][split]["mse"]
    if own is None or not mean:
        return ""
    left = f"{own / mean:.1%} of the mean image's error on the {SPLITS[split]}"
    if own <= LOW * mean:
        return f" The model leaves {left}: that shows a good copy, not a good summary."
    return f" Yet the model leaves {left}: that is not even a good copy."


def _against_mean(split: str, own: float | None, mean: float | None) -> str:
    if own is None or not mean:
        return ""
    if own > mean:
        return (
            f"On the {SPLITS[split]} the model does worse than the mean image: an error of "
            f"{number(own)} against {number(mean)}."
        )
    return (
        f"On the {SPLITS[split]} the model explains {1 - own / mean:.1%} of what the mean image "
        f"leaves: an error of {number(own)} against {number(mean)}."
    )


def _against_pca(report: dict[str, Any], split: str) -> list[str]:
    own = report["splits"][split]["mse"]
    rivals = {maker: of[split]["mse"] for maker, of in report["baselines"].items()}
    if is_copy(report):
        said = [
            f"PCA with {report['code_size']:,} numbers has room for the whole image and gives "
            "back every image that lies among the training images' directions: its error near "
            "0.0000 says nothing about this model, for good or bad."
        ]
        small = [name for name in rivals if name.startswith("pca_")]
        return said + [_compared(report, name, own, rivals[name]) for name in small]
    return [_compared(report, "pca", own, rivals["pca"])]


def _pca_ahead(report: dict[str, Any], split: str) -> str:
    """Which PCAs, but for one that holds the image, have a lower error on a split."""
    own = report["splits"][split]["mse"]
    found = []
    for maker, of in report["baselines"].items():
        error = of[split]["mse"]
        is_rival = maker.startswith("pca") and not (maker == "pca" and is_copy(report))
        if is_rival and own is not None and error is not None and error < own * (1 - ALIKE):
            found.append(f"{maker_name(maker, report)} ({number(error)})")
    if not found:
        return ""
    return (
        f"Better than the model, whose error is {number(own)}, on the {SPLITS[split]}: "
        f"{'; '.join(found)}."
    )


def _compared(report: dict[str, Any], maker: str, own: float | None, other: float | None) -> str:
    if own is None or not other:
        return ""
    name, ratio = maker_name(maker, report), own / other
    if abs(ratio - 1) <= ALIKE:
        return f"{name}, does about as well ({number(other)})."
    if ratio > 1:
        return f"{name}, does better: its error is {number(other)}, {1 - 1 / ratio:.0%} lower."
    return f"{name}, does worse: the model's error is {1 - ratio:.0%} below its {number(other)}."


def _gap(split: str, own: float | None, trained: float | None) -> str:
    if own is None or not trained:
        return ""
    ratio = own / trained
    if abs(ratio - 1) <= ALIKE:
        return f"The {SPLITS[split]} come out as well as the training images."
    if ratio < 1:
        return f"The {SPLITS[split]} come out better than the training images, by {1 - ratio:.0%}."
    return (
        f"The {SPLITS[split]} come out worse than the training images: {number(ratio)} times "
        "their error."
    )


def _cleaning(split: str, own: dict[str, Any]) -> str:
    gain = own.get("psnr_gain")
    if gain is None:
        return ""
    word = "better" if gain > 0 else "worse"
    return f"Cleaning makes the {SPLITS[split]} {word}: {gain:+.2f} dB of PSNR."
