"""Tables, and the page that keeps them, a section for each device and kind of table."""

import re
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "PERFORMANCE.md"
OPENING = """\
# Speed and memory

Made by `python benchmarks/speed.py --write`, with `--scale` or `--startup` for the other tables.

"""


def markdown(heading: list[str], rows: list[list[str]]) -> str:
    """A table; numbers stand to the right."""
    lines = [heading, ["---", *["---:"] * (len(heading) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def write_section(title: str, text: str) -> None:
    """Put `text` under the heading `title`; the page's other sections stay as they are."""
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    _, *pieces = re.split(r"^## ", page, flags=re.MULTILINE)
    sections = dict(piece.split("\n", 1) for piece in pieces) | {title: text}
    whole = [f"## {name}\n\n{sections[name].strip()}\n" for name in sorted(sections)]
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(OPENING + "\n".join(whole), encoding="utf-8")
    print(f"written to {PAGE}")
