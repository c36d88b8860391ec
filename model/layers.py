"""The entries of a layer list: what each kind of layer may say in JSON.

A layer is an object with one key that names its kind, {"conv": 16, "stride": 2}.
"""

from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from pydantic import (
    BaseModel,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    model_serializer,
)

from utils.config.classes import STRICT

# Beyond any image; torch itself fails late and in other words where a number outgrows 64 bits.
Size = Annotated[int, Field(gt=0, lt=2**31)]
SizeOrZero = Annotated[int, Field(ge=0, lt=2**31)]
Pair = Size | tuple[Size, Size]  # one number for both axes, or H and W
PairOrZero = SizeOrZero | tuple[SizeOrZero, SizeOrZero]
Norm = Literal["batch", "group", "layer"]
Activation = Literal["relu", "leaky_relu", "elu", "selu", "gelu", "silu", "tanh", "sigmoid"]
Mode = Literal["nearest", "bilinear"]
# What an editor shows while a layer is written.
Kernel = Annotated[Pair, Field(description="Height and width of the window in pixels.")]
Stride = Annotated[Pair, Field(description="Pixels from one window to the next.")]
Padding = Annotated[PairOrZero, Field(description="Pixels of zeros put around the maps.")]
NormOrNot = Annotated[
    Norm | None,
    Field(description="Normalisation after the layer; 'group' makes eight groups at most."),
]
ActivationOrNot = Annotated[
    Activation | None, Field(description="What comes last; null is linear.")
]


class Defaults(BaseModel):
    """What convolutions and linear layers take where they say nothing themselves."""

    model_config = STRICT
    kernel_size: Kernel = 3
    stride: Stride = 1
    padding: Padding = 1
    norm: NormOrNot = None
    activation: ActivationOrNot = "relu"


class Layer(BaseModel):
    """One entry of a layer list."""

    model_config = STRICT

    @model_serializer(mode="wrap")
    def _only_what_was_written(self, handler: Any) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if key in self.model_fields_set}

    @classmethod
    def kind(cls) -> str:
        """The key that opens the entry."""
        return next(iter(cls.model_fields))

    def __str__(self) -> str:
        """The layer in one line: 'conv 16  k3 s1 p1  batch  relu'."""
        letters = {"kernel_size": "k", "stride": "s", "padding": "p", "output_padding": "op"}
        window = (letter + _pair_text(getattr(self, key, None)) for key, letter in letters.items())
        ending = (getattr(self, key, None) or "" for key in ("mode", "norm", "activation"))
        words = [
            f"{self.kind()} {_pair_text(getattr(self, self.kind()))}",
            " ".join(word for word in window if not word.endswith(("None", "op0"))),
            *ending,
        ]
        return "  ".join(word for word in words if word)

    def filled(self, defaults: Defaults) -> "Layer":
        """This layer with what it leaves out taken from `defaults`, if they are for its kind."""
        if "norm" not in type(self).model_fields:
            return self
        common = type(self).model_fields.keys() & Defaults.model_fields.keys()
        missing = common - self.model_fields_set
        return self.model_copy(update={key: getattr(defaults, key) for key in missing})


def _pair_text(value: int | float | tuple[int, int] | None) -> str:
    if isinstance(value, tuple) and value[0] == value[1]:
        value = value[0]
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)


class Conv(Layer):
    """A convolution to so many channels, then norm, then activation."""

    conv: Size
    kernel_size: Kernel = 3
    stride: Stride = 1
    padding: Padding = 1
    norm: NormOrNot = None
    activation: ActivationOrNot = None


class Deconv(Layer):
    """A transposed convolution; an omitted `output_padding` is solved from the sizes."""

    deconv: Size
    kernel_size: Kernel = 3
    stride: Stride = 1
    padding: Padding = 1
    output_padding: Annotated[
        PairOrZero | None, Field(description="Pixels added at the end; null is solved.")
    ] = None
    norm: NormOrNot = None
    activation: ActivationOrNot = None


class Linear(Layer):
    """A fully connected layer to so many features; maps are flattened before it."""

    linear: Size
    norm: NormOrNot = None
    activation: ActivationOrNot = None


class MaxPool(Layer):
    """The largest of each window of so many pixels."""

    maxpool: Pair
    stride: Stride | None = None
    padding: Padding = 0


class AvgPool(Layer):
    """The mean of each window of so many pixels."""

    avgpool: Pair
    stride: Stride | None = None
    padding: Padding = 0


class Upsample(Layer):
    """Maps resized: a number is a factor, a pair the size H, W to reach."""

    upsample: Pair
    mode: Annotated[Mode, Field(description="What lies between two pixels.")] = "nearest"


class Dropout(Layer):
    """Each number set to zero with this probability while training."""

    dropout: Annotated[float, Field(ge=0, lt=1)]


KINDS: dict[str, type[Layer]] = {
    kind.kind(): kind for kind in (Conv, Deconv, Linear, MaxPool, AvgPool, Upsample, Dropout)
}


def _tag(entry: Any) -> str | None:
    """Which kind of layer an entry is; in brackets, so that it equals no key of the entry."""
    keys = [entry.kind()] if isinstance(entry, Layer) else entry
    return next(
        (f"<{kind}>" for kind in KINDS if isinstance(keys, dict | list) and kind in keys), None
    )


if TYPE_CHECKING:
    AnyLayer = Layer
else:
    AnyLayer = Annotated[
        Union[tuple(Annotated[kind, Tag(f"<{name}>")] for name, kind in KINDS.items())],  # noqa: UP007
        Discriminator(
            _tag,
            custom_error_type="layer",
            custom_error_message=f"names no layer; one of its keys must be {', '.join(KINDS)}",
        ),
    ]
LayerList = Annotated[list[AnyLayer], Field(min_length=1)]


def parse_layers(entries: list[Any]) -> list[Layer]:
    """Layer objects from JSON objects; layer objects pass through."""
    return TypeAdapter(LayerList).validate_python(entries, strict=False)
