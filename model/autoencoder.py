"""The autoencoder: an encoder and a decoder, each a list of layers."""

import math
from typing import Literal

import torch

from base.base_model import BaseModel, LayerRow
from model.label import Label, numbers_of
from model.layers import (
    Activation,
    AvgPool,
    Defaults,
    Layer,
    LayerList,
    MaxPool,
    Upsample,
    parse_layers,
)
from model.network import Network
from model.sizes import (
    Shape,
    SizeError,
    flattened_maps,
    mirror,
    shape_text,
    shapes_along,
    size_table,
    solve_output_padding,
)


class Autoencoder(BaseModel):
    """A deterministic autoencoder of any image size.

    Args:
        shape: C, H, W of the images.
        encoder: the layers from image to code.
        decoder: the layers from code to image, or "mirror" for the encoder turned around. An
            `output_padding` left out of a "deconv" is solved so that the image's size returns.
        defaults: what "conv", "deconv" and "linear" take where they say nothing themselves.
        output_activation: the last activation of a mirrored decoder; null is linear.
        conditional: whether encoder and decoder are shown the class of an image, as a few learned
            numbers beside what their first layers with weights take. The code is then without
            what the class says, and a rare class shares a decoder with the common ones.
        classes: how many there are.

    Raises:
        ValueError: the layers cannot return an image of `shape`; the message shows the sizes.
    """

    runtime = ("shape", "classes")

    def __init__(
        self,
        shape: tuple[int, int, int],
        encoder: LayerList,
        decoder: Literal["mirror"] | LayerList = "mirror",
        defaults: Defaults = Defaults(),  # noqa: B008, a frozen value
        output_activation: Activation | None = None,
        conditional: bool = False,
        classes: int = 1,
    ) -> None:
        super().__init__(shape)
        self.conditional = conditional
        self.label = Label(classes) if conditional else None
        label = self.label.embedding_dim if self.label else 0
        layers = encoder_layers(encoder, defaults, shape)
        self.encoder = Network(layers, shape, label=label)
        self.code_shape = self.encoder.shapes[-1]
        shapes = self.encoder.shapes
        layers = decoder_layers(decoder, defaults, layers, shapes, output_activation)
        maps = flattened_maps(shapes)
        self.decoder = Network(layers, self.code_shape, maps, ending=shape, label=label)
        self.output_activation = last_activation(layers)

    def encode(self, x: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """x [N, C, H, W] -> code [N, *code_shape]."""
        return self.encoder(x, numbers_of(self.label, labels))

    def decode(self, code: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """code [N, *code_shape] -> images [N, C, H, W]."""
        return self.decoder(code, numbers_of(self.label, labels))

    def rows(self) -> list[LayerRow]:
        """The label, if any, and the layers of encoder and decoder, the code between them."""
        label = self.label.rows() if self.label else []
        code = LayerRow("code", shape_text(self.code_shape), "")
        return [*label, *self.encoder.rows(), code, *self.decoder.rows()]


def encoder_layers(entries: LayerList, defaults: Defaults, shape: Shape) -> list[Layer]:
    """The complete layers of an encoder that takes images of `shape`.

    Raises:
        SizeError: they cannot follow one another.
    """
    layers = [layer.filled(defaults) for layer in parse_layers(entries)]
    layers = solve_output_padding(layers, shape, target=None)
    try:
        shapes_along(layers, shape)
    except SizeError as error:
        raise SizeError(f"encoder.{error}") from None
    return layers


def decoder_layers(
    entries: Literal["mirror"] | LayerList,
    defaults: Defaults,
    encoder: list[Layer],
    shapes: list[Shape],
    output_activation: Activation | None,
) -> list[Layer]:
    """The complete layers of a decoder that returns the image from the code.

    Args:
        encoder: the layers to the code.
        shapes: of the image, and after each of those layers.

    Raises:
        SizeError: they end at another shape than the image's.
    """
    if entries != "mirror" and output_activation is not None:
        raise ValueError(
            "output_activation: goes with a mirrored decoder; write the activation "
            "into the last layer of this one"
        )
    image, code, maps = shapes[0], shapes[-1], flattened_maps(shapes)
    if entries == "mirror":
        layers = mirror(encoder, shapes, output_activation)
    else:
        layers = [layer.filled(defaults) for layer in parse_layers(entries)]
        layers = solve_output_padding(layers, code, image, maps)
    if not layers:
        raise SizeError("encoder: has no layer that a mirror could turn around; add one")
    try:
        shapes = shapes_along(layers, code, maps)
    except SizeError as error:
        raise SizeError(f"decoder.{error}") from None
    if shapes[-1] not in (image, (math.prod(image),)):
        raise SizeError(_misfit(layers, shapes, image))
    return layers


def last_activation(layers: list[Layer]) -> str | None:
    """The activation whose range the images are in: resizing and pooling do not leave it."""
    passing = (Upsample, MaxPool, AvgPool)
    last = next((layer for layer in reversed(layers) if not isinstance(layer, passing)), None)
    return getattr(last, "activation", None)


def _misfit(layers: list[Layer], shapes: list[Shape], image: Shape) -> str:
    """Which layer of the decoder ends at the wrong shape, and the way there."""
    last = len(layers) - 1
    ending = (
        f"decoder.{last}: the decoder ends at {shape_text(shapes[-1])}, "
        f"an image is {shape_text(image)}"
    )
    if len(shapes[-1]) == 3 and shapes[-1][1:] == image[1:]:
        advice = f"the last layer must have {image[0]} channels"
    elif len(shapes[-1]) == 1:
        advice = f"the last layer must have {math.prod(image)} features"
    else:
        advice = 'no output_padding fits; change a stride or padding, or write "mirror"'
    return f"{ending}: {advice}\n{size_table(layers, shapes)}"
