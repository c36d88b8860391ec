"""Templates filled in: one file that needs no other, every text in it escaped."""

import base64
import io
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from utils.output import write_file

NAME = "report.html"
TEMPLATES = Path(__file__).parent / "templates"
EXACT_ZERO = 1e-6  # a score below it is rounding


def write_page(folder: Path, template: str, content: dict[str, Any]) -> None:
    """Write report.html into a folder, whole or not at all.

    Args:
        template: the name of a file of `templates/`.
        content: what it asks for.
    """
    places = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    places.filters["number"] = number
    text = places.get_template(template).render(content)
    # A file name need not be text; a surrogate in it is written as \udcff.
    write_file(folder / NAME, text.encode("utf-8", "backslashreplace"))


def number(value: Any) -> str:
    """A value as the page shows it: four digits of a number, nothing for none."""
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if value == 0:  # no noise, none of all; -0.0 is 0, too
        return "0"
    return "0.0000" if abs(value) < EXACT_ZERO else f"{value:.4g}"


def data_uri(png: bytes) -> str:
    """A PNG as an address that holds it."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def png_of(picture: Image.Image) -> bytes:
    """A picture as the content of a PNG file."""
    content = io.BytesIO()
    picture.save(content, "PNG")
    return content.getvalue()
