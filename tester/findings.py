"""What is found in new images: how many are odd, of which classes, and how well that is told."""

from typing import Any

import numpy as np
import torch

from base.base_dataset import Labels
from logger.tables import columns, short


def sentence(found: dict[str, Any]) -> str:
    """How many images are flagged, in words.

    Args:
        found: as metrics.json has it.
    """
    return (
        f"{found['flagged']:,} of {found['count']:,} images are flagged as odd at alpha "
        f"{found['alpha']:g}, by {found['held_out']['count']:,} held-out images "
        f"({found['held_out']['split']})"
    )


def class_errors(
    labels: Labels,
    errors: np.ndarray,
    is_flagged: np.ndarray,
    held_out: tuple[np.ndarray, np.ndarray],
) -> dict[str, dict[str, Any]]:
    """For each class of the new images their number, mean error and how many are flagged.

    And the number and mean error of the held-out images of the same class, the mean None where
    there are none.

    Args:
        held_out: the class of each held-out image, numbered as the new ones', and its error.
    """
    found = {}
    for index in labels.indices.unique().tolist():
        is_own = (labels.indices == index).numpy()
        theirs = held_out[1][held_out[0] == index]
        found[labels.names[index]] = {
            "count": int(is_own.sum()),
            "error": float(errors[is_own].mean()),
            "flagged": int(is_flagged[is_own].sum()),
            "held_out": {
                "count": len(theirs),
                "error": float(theirs.mean()) if len(theirs) else None,
            },
        }
    return found


def class_table(classes: dict[str, dict[str, Any]]) -> str:
    """Errors by class as text."""
    rows: list[tuple[str, ...]] = [("class", "images", "error", "flagged", "error held out")]
    for name, own in classes.items():
        theirs = own["held_out"]["error"]
        rows.append((
            name, f"{own['count']:,}", short(own["error"]), f"{own['flagged']:,}",
            "" if theirs is None else short(theirs),
        ))  # fmt: skip
    return columns(rows)


def unlike_scores(is_unlike: torch.Tensor, errors: dict[str, np.ndarray]) -> dict[str, Any]:
    """How well the errors of each maker tell images of other classes from those of training's.

    -> how many images are of other classes, and by maker the area under the ROC curve ("auroc")
    and the average precision; None where all images are of one kind.

    Args:
        is_unlike: whether an image's class is none of training, bool [n].
        errors: of each image, by who made its reconstruction.
    """
    found: dict[str, Any] = {"count": int(is_unlike.sum())}
    is_told = 0 < found["count"] < len(is_unlike)
    return found | {
        maker: _scores(is_unlike, own) if is_told else None for maker, own in errors.items()
    }


def _scores(is_unlike: torch.Tensor, errors: np.ndarray) -> dict[str, float]:
    from torchmetrics.functional.classification import binary_auroc, binary_average_precision

    # Their order is all that counts, and torchmetrics would take numbers above 1 for logits.
    _, order = torch.from_numpy(errors).unique(return_inverse=True)
    shares = order.double() / max(int(order.max()), 1)
    target = is_unlike.long()
    return {
        "auroc": float(binary_auroc(shares, target)),
        "average_precision": float(binary_average_precision(shares, target)),
    }
