"""How layers change sizes: followed forwards, solved backwards, mirrored."""

import math
from collections.abc import Sequence
from typing import Any

from model.layers import AvgPool, Conv, Deconv, Dropout, Layer, Linear, MaxPool, Upsample

Shape = tuple[int, ...]  # of one image: C, H, W for maps, D for features


class SizeError(ValueError):
    """A layer list whose sizes cannot be; the message shows how far they went."""


def on_axis(value: Any, axis: int) -> int:
    """A setting that holds one number for both axes, or one for each: the one of `axis`."""
    return value[axis] if isinstance(value, tuple) else value


def size_after(layer: Layer, size: int, axis: int) -> int:
    """The height (axis 0) or width (axis 1) that a map of `size` has after `layer`."""
    if isinstance(layer, Upsample):
        pair = layer.upsample
        return pair[axis] if isinstance(pair, tuple) else size * pair
    if isinstance(layer, Deconv):
        kernel, stride, padding = _window(layer, axis)
        extra = on_axis(layer.output_padding or 0, axis)
        return (size - 1) * stride - 2 * padding + kernel + extra
    if isinstance(layer, Dropout):
        return size
    kernel, stride, padding = _window(layer, axis)
    return (size + 2 * padding - kernel) // stride + 1


def _window(layer: Any, axis: int) -> tuple[int, int, int]:
    """Kernel, stride and padding of a layer with a sliding window."""
    kernel = getattr(layer, "kernel_size", None) or getattr(layer, layer.kind())
    stride = kernel if layer.stride is None else layer.stride
    return on_axis(kernel, axis), on_axis(stride, axis), on_axis(layer.padding, axis)


def is_map_layer(layer: Layer) -> bool:
    """Whether the layer works on maps C, H, W and on nothing else."""
    return not isinstance(layer, Linear | Dropout)


def unflattened(features: int, maps: Sequence[Shape] = ()) -> Shape:
    """The maps that features become: the first of `maps` that fits, else 1x1 maps."""
    return next((shape for shape in maps if math.prod(shape) == features), (features, 1, 1))


def shape_after(layer: Layer, shape: Shape, maps: Sequence[Shape] = ()) -> Shape:
    """The shape of one image after `layer`; `maps` as in `unflattened`.

    Raises:
        SizeError: nothing would be left of the map.
    """
    if isinstance(layer, Dropout):
        return shape
    if isinstance(layer, Linear):
        return (layer.linear,)
    if len(shape) == 1:
        shape = unflattened(shape[0], maps)
    channels, *sizes = shape
    _check_window(layer)
    sizes = [size_after(layer, size, axis) for axis, size in enumerate(sizes)]
    if min(sizes) < 1:
        raise SizeError(f"{layer.kind()} leaves nothing of a {shape_text(shape)} map")
    return (getattr(layer, layer.kind()) if isinstance(layer, Conv | Deconv) else channels, *sizes)


def _check_window(layer: Layer) -> None:
    """Raise a SizeError for what torch itself refuses only when it computes."""
    for axis in (0, 1):
        if isinstance(layer, MaxPool | AvgPool):
            kernel, _, padding = _window(layer, axis)
            if 2 * padding > kernel:
                raise SizeError(f"{layer.kind()} may have at most half its window as padding")
        elif isinstance(layer, Deconv):
            stride, extra = layer.stride, layer.output_padding or 0
            if on_axis(extra, axis) >= on_axis(stride, axis):
                raise SizeError("deconv must have an output_padding below its stride")


def norm_groups(norm: str, channels: int) -> int:
    """The groups of channels that are normalised by themselves: eight at most, or all as one."""
    return math.gcd(channels, 8) if norm == "group" else 1


def _check_norm(layer: Layer, shape: Shape) -> None:
    """Raise a SizeError where an image has but one number in a group: it would become zero."""
    norm = getattr(layer, "norm", None)
    if norm in ("group", "layer") and math.prod(shape) == norm_groups(norm, shape[0]):
        raise SizeError(
            f"{layer.kind()} of {shape_text(shape)} has one number in each group of norm "
            f"'{norm}', which would always become 0"
        )


def shapes_along(layers: list[Layer], shape: Shape, maps: Sequence[Shape] = ()) -> list[Shape]:
    """The shape before the first layer and after each.

    Raises:
        SizeError: the place of the layer that cannot be, and the sizes up to it.
    """
    shapes = [shape]
    for place, layer in enumerate(layers):
        try:
            after = shape_after(layer, shapes[-1], maps)
            _check_norm(layer, after)
        except SizeError as error:
            table = size_table(layers[:place], shapes)
            raise SizeError(f"{place}: {error}; sizes so far:\n{table}") from None
        shapes.append(after)
    return shapes


def size_table(layers: list[Layer], shapes: list[Shape]) -> str:
    """What goes in and what each layer makes of it, a line each."""
    lines = [f"  {'input':<44} {shape_text(shapes[0])}"]
    lines += [
        f"  {place} {str(layer):<42} {shape_text(shape)}"
        for place, (layer, shape) in enumerate(zip(layers, shapes[1:], strict=True))
    ]
    return "\n".join(lines)


def flattened_maps(shapes: list[Shape]) -> list[Shape]:
    """The shapes of maps that become features on the way, the last first, and the last of all.

    They are what a decoder's features can become again.
    """
    ends = [*shapes[1:], (0,)]
    found = [shape for shape, after in zip(shapes, ends, strict=True) if len(shape) > len(after)]
    return found[::-1]


def solve_output_padding(
    layers: list[Layer], shape: Shape, target: Shape | None = None, maps: Sequence[Shape] = ()
) -> list[Layer]:
    """The layers with every omitted `output_padding` filled in so that they end at `target`.

    Where nothing fits, or there is no target, the omitted ones become 0.
    """
    rows, columns = (
        _search(layers, shape, target, maps, axis) or [0] * len(layers) for axis in (0, 1)
    )
    return [
        layer.model_copy(update={"output_padding": pair}) if _is_open(layer) else layer
        for layer, pair in zip(layers, zip(rows, columns, strict=True), strict=True)
    ]


def _is_open(layer: Layer) -> bool:
    return isinstance(layer, Deconv) and layer.output_padding is None


def _search(
    layers: list[Layer], shape: Shape, target: Shape | None, maps: Sequence[Shape], axis: int
) -> list[int] | None:
    """One output padding for each layer along one axis, the first that ends at the target."""
    if not layers:
        fits = not target or len(shape) == 1 or shape[1 + axis] == target[1 + axis]
        return [] if fits else None
    first, *rest = layers
    open_to = on_axis(getattr(first, "stride", 1), axis) if _is_open(first) else 1
    for padding in range(open_to):
        trial = first.model_copy(update={"output_padding": padding}) if _is_open(first) else first
        try:
            tail = _search(rest, shape_after(trial, shape, maps), target, maps, axis)
        except SizeError:
            continue
        if tail is not None:
            return [padding, *tail]
    return None


def mirror(
    encoder: list[Layer], shapes: list[Shape], output_activation: str | None
) -> list[Layer]:
    """The decoder that undoes `encoder` layer by layer and returns exactly its input's size.

    Each mirrored layer takes norm and activation from the encoder layer whose output it
    restores; the one that restores the image has no norm and `output_activation`.

    Args:
        shapes: what `shapes_along` gives for the encoder.
    """
    decoder: list[Layer] = []
    for place in range(len(encoder) - 1, -1, -1):
        layer, before, after = encoder[place], shapes[place], shapes[place + 1]
        makers = [made for made in encoder[:place] if isinstance(made, Conv | Deconv | Linear)]
        ending = (
            {"norm": makers[-1].norm, "activation": makers[-1].activation}
            if makers
            else {"norm": None, "activation": output_activation}
        )
        if isinstance(layer, Linear):
            decoder.append(Linear(linear=math.prod(before), **ending))
        elif isinstance(layer, Conv | Deconv):
            decoder.append(_transposed(layer, before, after, ending))
        elif is_map_layer(layer):
            decoder.append(Upsample(upsample=(before[1], before[2]), mode="bilinear"))
    return decoder


def _transposed(layer: Any, before: Shape, after: Shape, ending: dict[str, Any]) -> Layer:
    """The layer that turns maps of shape `after` back into maps of shape `before`."""
    before = before if len(before) == 3 else unflattened(before[0])
    window = {key: getattr(layer, key) for key in ("kernel_size", "stride", "padding")}
    if isinstance(layer, Deconv):
        return Conv(conv=before[0], **window, **ending)
    back = Deconv(deconv=before[0], **window, **ending)
    missing = tuple(before[1 + a] - size_after(back, after[1 + a], a) for a in (0, 1))
    return back.model_copy(update={"output_padding": missing})


def shape_text(shape: Shape) -> str:
    """A shape as people write it: 64x13x13."""
    return "x".join(map(str, shape))
