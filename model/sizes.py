"""How layers change sizes: followed forwards, solved backwards, mirrored."""

import math
from typing import Any

from model.layers import Conv, Deconv, Dropout, Layer, Linear, Upsample

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


def unflattened(features: int, maps: Shape | None) -> Shape:
    """The maps that features become: those of shape `maps` where they fit, else 1x1 maps."""
    return maps if maps and math.prod(maps) == features else (features, 1, 1)


def shape_after(layer: Layer, shape: Shape, maps: Shape | None = None) -> Shape:
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
    sizes = [size_after(layer, size, axis) for axis, size in enumerate(sizes)]
    if min(sizes) < 1:
        raise SizeError(f"{layer.kind()} leaves nothing of a {shape_text(shape)} map")
    return (getattr(layer, layer.kind()) if isinstance(layer, Conv | Deconv) else channels, *sizes)


def shapes_along(layers: list[Layer], shape: Shape, maps: Shape | None = None) -> list[Shape]:
    """The shape before the first layer and after each.

    Raises:
        SizeError: the place of the layer that cannot be, and the sizes up to it.
    """
    shapes = [shape]
    for place, layer in enumerate(layers):
        try:
            shapes.append(shape_after(layer, shapes[-1], maps))
        except SizeError as error:
            table = size_table(layers[:place], shapes)
            raise SizeError(f"{place}: {error}; sizes so far:\n{table}") from None
    return shapes


def size_table(layers: list[Layer], shapes: list[Shape]) -> str:
    """What goes in and what each layer makes of it, a line each."""
    lines = [f"  {'input':<44} {shape_text(shapes[0])}"]
    lines += [
        f"  {place} {str(layer):<42} {shape_text(shape)}"
        for place, (layer, shape) in enumerate(zip(layers, shapes[1:], strict=True))
    ]
    return "\n".join(lines)


def last_maps(shapes: list[Shape]) -> Shape | None:
    """The last shape that is one of maps."""
    return next((shape for shape in reversed(shapes) if len(shape) == 3), None)


def solve_output_padding(
    layers: list[Layer], shape: Shape, target: Shape | None = None, maps: Shape | None = None
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
    layers: list[Layer], shape: Shape, target: Shape | None, maps: Shape | None, axis: int
) -> list[int] | None:
    """One output padding for each layer along one axis, the first that ends at the target."""
    if not layers:
        fits = not target or len(shape) == 1 or shape[1 + axis] == target[1 + axis]
        return [] if fits else None
    first, *rest = layers
    open_to = on_axis(first.stride, axis) if _is_open(first) else 1
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
            decoder.append(Upsample(upsample=before[1:], mode="bilinear"))
    return decoder


def _transposed(layer: Any, before: Shape, after: Shape, ending: dict[str, Any]) -> Layer:
    """The layer that turns maps of shape `after` back into maps of shape `before`."""
    before = before if len(before) == 3 else unflattened(before[0], None)
    window = {key: getattr(layer, key) for key in ("kernel_size", "stride", "padding")}
    if isinstance(layer, Deconv):
        return Conv(conv=before[0], **window, **ending)
    back = Deconv(deconv=before[0], **window, **ending)
    missing = tuple(before[1 + a] - size_after(back, after[1 + a], a) for a in (0, 1))
    return back.model_copy(update={"output_padding": missing})


def shape_text(shape: Shape) -> str:
    """A shape as people write it: 64x13x13."""
    return "x".join(map(str, shape))
