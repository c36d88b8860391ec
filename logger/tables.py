"""Tables in plain text: what a run says of its model, and test.py of its scores."""

from collections.abc import Sequence


def short(number: float) -> str:
    """A number with four decimals, or in powers of ten where these would hide it."""
    return f"{number:.2e}" if 0 < abs(number) < 0.001 else f"{number:.4f}"


def columns(rows: Sequence[tuple[str, ...]]) -> str:
    """Rows of words as text, each column as wide as its longest word; numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        first, *rest = (word for word in row)
        cells = [word.rjust(width) for word, width in zip(rest, widths[1:], strict=True)]
        lines.append("   ".join([first.ljust(widths[0]), *cells]).rstrip())
    return "\n".join(lines)
