"""The class of an image as numbers, which a conditional model sees beside image and code."""

import torch
from torch import nn

from base.base_model import LayerRow

MOST_NUMBERS = 8  # for a class: fewer than that tell any number of classes apart


class Label(nn.Embedding):
    """Numbers for each class, learned with the model.

    Args:
        classes: how many there are.

    Source: Sohn et al. 2015, "Learning structured output representation using deep conditional
    generative models", which shows a network the class itself, as a one among zeros.
    """

    def __init__(self, classes: int) -> None:
        super().__init__(classes, min(classes, MOST_NUMBERS))

    def rows(self) -> list[LayerRow]:
        """Its row of the layer table."""
        layer = f"label: one of {self.num_embeddings:,} classes"
        return [LayerRow(layer, str(self.embedding_dim), f"{self.weight.numel():,}")]


def numbers_of(label: Label | None, labels: torch.Tensor | None) -> torch.Tensor | None:
    """The numbers of classes `labels` int64 [N], [N, L]; None of a model that is not conditional.

    Raises:
        ValueError: a conditional model is given no classes.
    """
    if label is None:
        return None
    if labels is None:
        raise ValueError("labels: the model is conditional; give the class of each image")
    return label(labels)


def beside(x: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """x [N, C, H, W] with numbers [N, L] as L constant channels, or [N, D] as L numbers more."""
    if x.dim() == 4:
        numbers = numbers[:, :, None, None].expand(-1, -1, *x.shape[2:])
    return torch.cat([x, numbers], 1)
