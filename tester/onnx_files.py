"""The two halves of a model as ONNX files."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from base.base_model import BaseModel
from utils.errors import ConfigError, Interrupted, first_line

# The oldest that the exporter writes without converting: older runtimes can read it too.
OPSET = 18


class Encoder(nn.Module):
    """What a model makes of images: codes, of a VAE mean and log variance.

    Attributes:
        takes, shape: the name and, for one image, the shape of what goes in ...
        gives: ... and the names of what comes out.
    """

    takes = "images"

    def __init__(self, model: BaseModel) -> None:
        super().__init__()
        self.model, self.shape = model, model.shape
        self.gives = ("mean", "logvar") if "logvar" in model.gives else ("code",)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """images [N, C, H, W] -> code, or mean and log variance, each [N, *code_shape]."""
        if "logvar" in self.model.gives:
            return self.model.posterior(images)
        return (self.model.encode(images),)


class Decoder(nn.Module):
    """What a model makes of codes; attributes as those of Encoder."""

    takes, gives = "code", ("reconstruction",)

    def __init__(self, model: BaseModel) -> None:
        super().__init__()
        self.model, self.shape = model, model.code_shape

    def forward(self, code: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """code [N, *code_shape] -> reconstruction [N, C, H, W]."""
        return (self.model.decode(code),)


def check_packages() -> None:
    """Check that what writes and runs ONNX files is installed.

    Raises:
        ConfigError: it is not.
    """
    try:
        import onnx, onnxruntime, onnxscript  # noqa: E401, F401, I001
    except ImportError as error:
        raise ConfigError(
            "--export: needs the packages onnx, onnxscript and onnxruntime "
            f"({first_line(error)}); install them with pip install -r requirements-export.txt"
        ) from None


def write_network(network: Encoder | Decoder, path: Path) -> None:
    """Write a network as an ONNX file that takes any number of images or codes.

    Raises:
        ConfigError: the exporter cannot follow what it does.
    """
    example = torch.zeros(2, *network.shape)  # two, for of one the exporter makes a constant
    try:
        program: Any = torch.onnx.export(
            network, (example,), dynamo=True, verbose=False, opset_version=OPSET,
            dynamic_shapes=({0: torch.export.Dim("N")},),
            input_names=[network.takes], output_names=list(network.gives),
        )  # fmt: skip
        content = program.model_proto.SerializeToString()
    except (Interrupted, MemoryError):
        raise
    except Exception as error:  # what a model of one's own does makes torch raise anything
        raise ConfigError(
            f"--export: {type(network.model).__name__} cannot be written as ONNX: "
            f"{first_line(error)}"
        ) from None
    path.write_bytes(content)
