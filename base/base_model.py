"""What every model is: an encoder, a decoder, and a table of what they are made of."""

from typing import NamedTuple

import torch
from torch import nn

from logger.tables import columns


class LayerRow(NamedTuple):
    """One line of the layer table."""

    layer: str
    output: str
    parameters: str


class BaseModel(nn.Module):
    """An autoencoder of images.

    Args:
        shape: C, H, W of the images.

    Attributes:
        gives: what `forward` gives besides reconstruction and code; "logvar" makes it a VAE.
        code_shape: the shape of the code of one image.
        output_activation: the name of the decoder's last activation, None where it is linear.
        conditional: whether it is shown the class of each image: `encode`, `decode`, `forward`
            and `posterior` are then given `labels`, int64 [N], and else images or codes alone.
    """

    runtime: tuple[str, ...] = ("shape",)
    gives: tuple[str, ...] = ()
    code_shape: tuple[int, ...]
    output_activation: str | None = None
    conditional: bool = False

    def __init__(self, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.shape = shape

    def encode(self, x: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """x [N, C, H, W] -> code [N, *code_shape]."""
        raise NotImplementedError

    def decode(self, code: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """code [N, *code_shape] -> images [N, C, H, W]."""
        raise NotImplementedError

    def forward(
        self, x: torch.Tensor, labels: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        """x [N, C, H, W] -> {"reconstruction": [N, C, H, W], "code": [N, *code_shape], ...}.

        The names beyond these two are those of `gives`.
        """
        told = () if labels is None else (labels,)
        code = self.encode(x, *told)
        return {"reconstruction": self.decode(code, *told), "code": code}

    def posterior(
        self, x: torch.Tensor, labels: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """x [N, C, H, W] -> mean and log variance of its code, each [N, *code_shape].

        Of a model that gives "logvar", whose code in evaluation is the mean.

        Raises:
            TypeError: the model gives none.
        """
        if "logvar" not in self.gives:
            raise TypeError(
                f"{type(self).__name__} gives no logvar, so its codes have no posterior"
            )
        output = self(x) if labels is None else self(x, labels)
        return output["code"], output["logvar"]

    def rows(self) -> list[LayerRow]:
        """The layer table, without its heading; by default the model's parts."""
        return [
            LayerRow(name, "", f"{sum(p.numel() for p in part.parameters()):,}")
            for name, part in self.named_children()
        ]

    def table(self) -> str:
        """The layer table as text, the size of the model and that of its code."""
        ratio = self.compression_ratio
        lines = [
            columns([("layer", "output", "parameters"), *self.rows()]),
            f"{self.parameter_count:,} parameters, {self.code_size:,} numbers in a code, "
            f"compression ratio {ratio:.3g}",
        ]
        if ratio < 1:
            lines.append(
                f"warning: the code is {1 / ratio:.2g}x larger than the image; "
                "low errors then show a good copy, not a good summary"
            )
        return "\n".join(lines)

    @property
    def parameter_count(self) -> int:
        """The number of trained numbers."""
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def code_size(self) -> int:
        """The numbers in the code of one image."""
        return torch.Size(self.code_shape).numel()

    @property
    def compression_ratio(self) -> float:
        """Numbers in an image for each number in its code; below 1 the code is the larger."""
        return torch.Size(self.shape).numel() / self.code_size
