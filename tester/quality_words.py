"""How good children of one level are, all classes together, in words that the numbers support."""

from typing import Any

from generation.noise_choice import Step, lacks

# What noise is measured in, short enough for the axis of a small chart.
UNITS = {
    "absolute": "in the code's own numbers",
    "code": "in standard deviations of the code",
    "class": "in smoothing widths of the class",
    "posterior": "in standard deviations of posteriors",
}


def summary(rows: list[dict[str, Any]], level: float, real: str, method: str) -> str:
    """One sentence or two; "" where too few images tell.

    What is worse is said by the rule that noise is chosen by, `noise_choice.lacks`.

    Args:
        rows: of all classes together, as quality.json has them.
        level: of noise, one of those measured; 0 is measured, too.
        real: what the held-out images are, "validation images".
        method: how children are made.
    """
    found = {(row["made_by"], row["noise"]): row for row in rows}
    held, turned = found["held out", None], found["symmetries", None]
    made, plain = found["children", level], found["children", 0.0]
    if any(row[name] is None for row in (held, turned, made, plain)
           for name in ("class_kept", "density")):  # fmt: skip
        return ""
    said = (
        f"{_named(level)} keep their class in {_told(made)}; {real} in {_told(held)}; turned "
        f"originals in {_told(turned)}. So they are {_beside(made, held, turned, real)}; "
        f"{made['new']:.0%} of them are no near copies of training images, of the {real} "
        f"{held['new']:.0%}."
    )
    if level and _is_worse(made, held):
        said += _cause(made, plain, held, method)
    return said


def _named(level: float) -> str:
    return f"Children at noise {level:g}" if level else "Children without noise"


def _told(row: dict[str, Any]) -> str:
    return f"{row['class_kept']:.0%} of cases (density {row['density']:.2f})"


def _is_worse(row: dict[str, Any], other: dict[str, Any]) -> bool:
    return bool(lacks(_step(row), _step(other)))


def _step(row: dict[str, Any]) -> Step:
    return Step(row["noise"] or 0.0, row["class_kept"], row["density"])


def _beside(made: dict[str, Any], held: dict[str, Any], turned: dict[str, Any], real: str) -> str:
    than_real, than_turned = (
        "worse than" if _is_worse(made, other) else "no worse than" for other in (held, turned)
    )
    if than_real == than_turned:
        return f"{than_real} {real} and turned originals"
    return f"{than_real} {real}, but {than_turned} turned originals"


def _cause(made: dict[str, Any], plain: dict[str, Any], held: dict[str, Any], method: str) -> str:
    """Whether children are worse than real images by their noise or without it."""
    way = "the reconstruction" if method == "noise" else f"the method, {method},"
    without = f" Without noise it is {_told(plain)}: "
    if not _is_worse(plain, held):
        return f"{without}the noise is what makes them worse."
    if _is_worse(made, plain):
        return f"{without}{way} makes them worse, and the noise does so further."
    return f"{without}{way} is what makes them worse, not the noise."
