"""Tables in plain text: what a run says of its model, and test.py of its scores."""

from collections.abc import Sequence


def columns(rows: Sequence[tuple[str, ...]]) -> str:
    """Rows of words as text, each column as wide as its longest word; numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        first, *rest = (word for word in row)
        cells = [word.rjust(width) for word, width in zip(rest, widths[1:], strict=True)]
        lines.append("   ".join([first.ljust(widths[0]), *cells]).rstrip())
    return "\n".join(lines)


def model_report(
    rows: Sequence[tuple[str, str, str]], parameters: int, code_size: int, compression_ratio: float
) -> str:
    """The layer table of a model, its size and that of its code.

    Args:
        rows: layer, output shape and parameters of each layer.
        compression_ratio: numbers in an image for each number in its code.
    """
    lines = [
        columns([("layer", "output", "parameters"), *rows]),
        f"{parameters:,} parameters, {code_size:,} numbers in a code, "
        f"compression ratio {compression_ratio:.3g}",
    ]
    if compression_ratio < 1:
        lines.append(
            f"warning: the code is {1 / compression_ratio:.2g}x larger than the image; "
            "low errors then show a good copy, not a good summary"
        )
    return "\n".join(lines)
