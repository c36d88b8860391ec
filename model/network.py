"""Modules from layer lists: one chain of layers, and the table that describes it."""

import math
from collections import OrderedDict
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from base.base_model import LayerRow
from model.label import beside
from model.layers import AvgPool, Conv, Deconv, Dropout, Layer, Linear, MaxPool, Upsample
from model.sizes import (
    Shape,
    is_map_layer,
    norm_groups,
    on_axis,
    shape_text,
    shapes_along,
    unflattened,
)

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}
# The lowest and the highest value of those that do not reach every number.
REACH: dict[str, tuple[float, float]] = {
    "relu": (0.0, math.inf),
    "elu": (-1.0, math.inf),
    "selu": (-1.7581, math.inf),
    "gelu": (-0.17, math.inf),
    "silu": (-0.2785, math.inf),
    "tanh": (-1.0, 1.0),
    "sigmoid": (0.0, 1.0),
}
LARGEST_TURNED = 5  # pixels, of a window that is faster as a convolution


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation of maps or features that takes a batch of one as it comes.

    One image has no statistics of a batch: it is normalised by the running ones and leaves
    them as they are, so that a lone last image cannot count for a whole batch.
    """

    def _check_input_dim(self, x: torch.Tensor) -> None:
        """Maps [N, C, H, W] and features [N, C] are both welcome."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x [N, C, ...] -> the same shape."""
        if not self.training or len(x) > 1:
            return super().forward(x)
        running = self.running_mean, self.running_var
        return F.batch_norm(x, *running, self.weight, self.bias, training=False, eps=self.eps)


class Deconvolution(nn.ConvTranspose2d):
    """A transposed convolution, computed as a convolution where it equals one.

    That is where it moves by one pixel, with its window turned around. Torch's own gradients of
    small windows take up to twice as long; but where the maps grow, a convolution computes with
    the zeros around them, and takes up to five times as long itself.

    Source: Dumoulin and Visin 2016, "A guide to convolution arithmetic for deep learning", 4.2.
    """

    def forward(self, x: torch.Tensor, output_size: list[int] | None = None) -> torch.Tensor:
        """x [N, C, H, W] -> maps of `output_size`, or of the size that the layer gives."""
        (height, width), (above, left) = self.kernel_size, map(int, self.padding)
        # What the window reaches beyond the maps: none at least, at most what keeps their size.
        margin = height - 1 - above, width - 1 - left
        fits = 0 <= margin[0] <= above and 0 <= margin[1] <= left
        is_small = max(height, width) <= LARGEST_TURNED
        if not is_small or self.stride != (1, 1) or not fits or output_size:
            return super().forward(x, output_size)
        weight = self.weight.transpose(0, 1).flip(2, 3)
        return F.conv2d(x, weight, self.bias, padding=margin)


class Upsampling(nn.Upsample):
    """Torch's upsampling, bilinear on a GPU as the product of two matrices.

    A GPU adds up the gradients of torch's own in no fixed order; what torch has instead where
    results must repeat takes some sixty kernels a pass.

    Args:
        before: rows and columns of what comes in.
        size: of what goes out.
        mode: nearest or bilinear.
    """

    down: torch.Tensor
    across: torch.Tensor

    def __init__(self, before: tuple[int, ...], size: tuple[int, ...], mode: str) -> None:
        super().__init__(size=size, mode=mode)
        for name, old, new in zip(("down", "across"), before, size, strict=True):
            # What a row of `old` pixels is multiplied by to make one of `new`, [new, old].
            matrix = F.interpolate(torch.eye(old)[None], new, mode="linear")[0].T.contiguous()
            self.register_buffer(name, matrix, persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x [N, C, *before] -> [N, C, *size]."""
        if x.device.type != "cuda" or self.mode != "bilinear":
            return super().forward(x)
        with torch.autocast("cuda", enabled=False):
            made = self.down @ x.float() @ self.across.mT
        return made.to(x.dtype, memory_format=torch.channels_last)


class Network(nn.Sequential):
    """A chain of layers that takes images of one shape.

    Args:
        layers: complete layers, every `output_padding` known.
        shape: of what goes in, C, H, W or D.
        maps: the shapes that features take where a layer needs maps, the first that fits.
        ending: the shape that the chain's last features are given, if any.
        label: how many numbers of a label the first layer with weights sees beside what it takes.

    Attributes:
        shapes: the shape before the first layer and after each.
        labelled: the place of the layer that sees the label, None where none does.

    Raises:
        ValueError: there is a label and no layer with weights.
    """

    def __init__(
        self,
        layers: list[Layer],
        shape: Shape,
        maps: Sequence[Shape] = (),
        ending: Shape | None = None,
        label: int = 0,
    ) -> None:
        super().__init__()
        self.layers = layers
        self.shapes = shapes_along(layers, shape, maps)
        self.labelled = _first_weighted(layers) if label else None
        for place, (layer, before) in enumerate(zip(layers, self.shapes, strict=False)):
            self.append(_module(layer, before, maps, label if place == self.labelled else 0))
        if ending and len(self.shapes[-1]) == 1:
            self.append(nn.Unflatten(1, ending))
            self.shapes[-1] = ending

    def forward(self, x: torch.Tensor, label: torch.Tensor | None = None) -> torch.Tensor:
        """x [N, *shapes[0]], of a labelled chain with label [N, L] -> [N, *shapes[-1]]."""
        if label is None:
            return super().forward(x)
        for place, module in enumerate(self):
            x = _labelled(module, x, label) if place == self.labelled else module(x)
        return x

    def rows(self) -> list[LayerRow]:
        """One row of the layer table for each layer."""
        names = [str(layer) for layer in self.layers]
        if self.labelled is not None:
            names[self.labelled] += " + label"
        return [
            LayerRow(name, shape_text(shape), _counts(module))
            for name, shape, module in zip(names, self.shapes[1:], self, strict=False)
        ]


def _first_weighted(layers: list[Layer]) -> int:
    """The place of the first layer with weights."""
    for place, layer in enumerate(layers):
        if isinstance(layer, Conv | Deconv | Linear):
            return place
    raise ValueError(
        "conditional: layers without weights cannot see a label; give encoder and decoder a conv, "
        "deconv or linear layer each"
    )


def _labelled(module: nn.Module, x: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """What the modules of one layer make of x, the label beside what its weights take."""
    for part in module.children():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            x = beside(x, label)
        x = part(x)
    return x


def _module(layer: Layer, before: Shape, maps: Sequence[Shape], label: int) -> nn.Sequential:
    """The modules of one layer that takes `before` and a label, in the order they act."""
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    if isinstance(layer, Linear) and len(before) == 3:
        parts["flatten"] = nn.Flatten()
        before = (math.prod(before),)
    if is_map_layer(layer) and len(before) == 1:
        before = unflattened(before[0], maps)
        parts["unflatten"] = nn.Unflatten(1, before)
    parts[layer.kind()] = _core(layer, (before[0] + label, *before[1:]))
    if isinstance(layer, Conv | Deconv | Linear):
        if layer.norm:
            parts["norm"] = _norm(layer.norm, getattr(layer, layer.kind()))
        if layer.activation:
            parts["activation"] = ACTIVATIONS[layer.activation]()
    return nn.Sequential(parts)


def _core(layer: Layer, before: Shape) -> nn.Module:
    channels = before[0]
    match layer:
        case Conv():
            window = (layer.kernel_size, _stride(layer, before), layer.padding)
            return nn.Conv2d(channels, layer.conv, *window)
        case Deconv():
            window = (layer.kernel_size, _stride(layer, before), layer.padding)
            return Deconvolution(channels, layer.deconv, *window, layer.output_padding or 0)
        case Linear():
            return nn.Linear(channels, layer.linear)
        case MaxPool():
            return nn.MaxPool2d(layer.maxpool, layer.stride, layer.padding)
        case AvgPool():
            return nn.AvgPool2d(layer.avgpool, layer.stride, layer.padding)
        case Upsample():
            size = shapes_along([layer], before)[-1][1:]
            return Upsampling(before[1:], size, layer.mode)
        case Dropout():
            return nn.Dropout(layer.dropout)
    raise TypeError(f"no module for {layer}")


def _stride(layer: Conv | Deconv, before: Shape) -> int | tuple[int, int]:
    """The layer's stride, which moves nothing where one pixel stays one pixel.

    There it is 1: oneDNN fills the bfloat16 gradients of such strided convolutions with whatever
    lay in memory.
    """
    is_pixel = all(shape[1:] == (1, 1) for shape in (before, shapes_along([layer], before)[-1]))
    extra = getattr(layer, "output_padding", None) or 0
    is_padded = any(on_axis(extra, axis) for axis in (0, 1))
    return 1 if is_pixel and not is_padded else layer.stride


def _norm(name: str, channels: int) -> nn.Module:
    if name == "batch":
        return BatchNorm(channels)
    return nn.GroupNorm(norm_groups(name, channels), channels)


def _counts(module: nn.Module) -> str:
    """The parameters of each part that has any: '448 + 32'."""
    counts = (sum(p.numel() for p in part.parameters()) for part in module.children())
    return " + ".join(f"{count:,}" for count in counts if count)
