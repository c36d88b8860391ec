"""Text in pictures: fonts that have its characters, and lines that keep to their room."""

import logging
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, wraps
from typing import Any

from matplotlib import rc_context, rcParams
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font

DPI = 130  # of every picture
LONGEST = 48  # characters of a class name in a picture
BOX = "\N{WHITE SQUARE}"  # in place of a character that no installed font has
ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
BOXES = "Last Resort"  # fonts that come with matplotlib and have a box for every character
LISTED = 5  # characters that a note names
SLACK = 1.25  # letters by themselves may be wider than together, but not by as much


@lru_cache
def class_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names of classes as pictures show them: of moderate length, in characters that can be drawn.

    Names that would look alike, or lack characters, are followed by the number of their class.
    """
    short = [shorten(drawable(name), LONGEST) for name in names]
    uses = Counter(short)
    return tuple(
        f"{name} #{number}".strip() if not name or BOX in name or uses[name] > 1 else name
        for number, name in enumerate(short)
    )


def undrawable(names: Sequence[str]) -> str:
    """A note on the characters of class names that no installed font has; "" without any."""
    lost = sorted({letter for name in names for letter in name if _is_lost(letter)})
    if not lost:
        return ""
    listed = ", ".join(f"U+{ord(letter):04X}" for letter in lost[:LISTED])
    more = f" and {len(lost) - LISTED} more" if len(lost) > LISTED else ""
    return (
        f"note: no installed font has {listed}{more}: the pictures show boxes and the numbers of "
        "such classes; install a font that has them, such as Noto"
    )


def shorten(text: str, most: int) -> str:
    """`text` with an ellipsis in its middle where it has more than `most` characters.

    The end stays, since numbered names differ there.
    """
    if len(text) <= most:
        return text
    end = (most - 1) // 3
    return text[: most - 1 - end] + ELLIPSIS + text[len(text) - end :]


def drawable(text: str) -> str:
    """`text` in one line, of characters that some installed font has."""
    line = "".join(" " if letter.isspace() else letter for letter in text).strip()
    seen = (letter for letter in line if not _is_unseen(letter))
    return "".join(BOX if _is_lost(letter) else letter for letter in seen)


def text_settings(texts: Sequence[str]) -> Any:
    """Settings of matplotlib that draw `texts` as they are: "$" begins no mathematics."""
    found = dict.fromkeys(_font_with(letter) for text in texts for letter in set(text))
    others = [family for family in found if family]
    return {"text.parse_math": False, "font.family": [*rcParams["font.family"], *others]}


def literally(texts_of: Callable[[Any], Sequence[str]]) -> Callable[..., Any]:
    """Let a drawing function write text as it is, in fonts that have it.

    Args:
        texts_of: the texts of what the function draws.
    """

    def decorate(draw: Callable[[Any], Any]) -> Callable[[Any], Any]:
        @wraps(draw)
        def drawn(content: Any) -> Any:
            with rc_context(text_settings(texts_of(content))), quiet_fonts():
                return draw(content)

        return drawn

    return decorate


@contextmanager
def quiet_fonts() -> Iterator[None]:
    """Keep matplotlib from saying of each font in which other weight it takes it."""
    log = logging.getLogger("matplotlib.font_manager")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


class Ruler:
    """Measures and breaks text of one font; within `text_settings`, as it will be drawn.

    Args:
        font: its size in points, and what else matplotlib's FontProperties take.
    """

    def __init__(self, **font: Any) -> None:
        self._font = FontProperties(**font)
        self._renderer = RendererAgg(1, 1, DPI)
        self._known: dict[str, float] = {}

    def width(self, text: str) -> float:
        """The inches that one line, or the widest of several, takes."""
        return max(map(self._width, text.split("\n")))

    def _width(self, line: str) -> float:
        if line not in self._known:
            pixels, _, _ = self._renderer.get_text_width_height_descent(line, self._font, False)
            self._known[line] = pixels / DPI
        return self._known[line]

    def fit(self, text: str, width: float, lines: int = 1) -> str:
        """`text` in at most so many lines of `width` inches, shortened where it needs more."""
        text = shorten(drawable(text), 20 * lines + 100)
        for most in range(len(text), 1, -1):
            short = shorten(text, most)
            if sum(map(self._width, "".join(short.split()))) > SLACK * lines * width:
                continue  # far from fitting: to look for breaks takes a hundred times as long
            broken = self._break(short, width)
            if len(broken) <= lines:
                return "\n".join(broken)
        return text[:1]

    def _break(self, text: str, width: float) -> list[str]:
        """The lines of `text`: broken between words where possible, else within them."""
        lines = [""]
        for word in re.findall(r"[^\s_/-]*[\s_/-]|[^\s_/-]+", text):
            if self._width((lines[-1] + word).rstrip()) <= width:
                lines[-1] += word
                continue
            lines += [""] if lines[-1] else []
            for letter in word:
                if lines[-1] and self._width((lines[-1] + letter).rstrip()) > width:
                    lines.append("")
                lines[-1] += letter
        return [line.rstrip() for line in lines]


def _is_unseen(letter: str) -> bool:
    """Whether a character has no shape of its own: control characters, joiners, variants."""
    return unicodedata.category(letter) in ("Cc", "Cf") or "\ufe00" <= letter <= "\ufe0f"


def _is_lost(letter: str) -> bool:
    return not letter.isspace() and not _is_unseen(letter) and _font_with(letter) is None


@lru_cache(maxsize=10_000)
@quiet_fonts()
def _font_with(letter: str) -> str | None:
    """The family of a font that has a character; "" is the usual one, None is none at all."""
    if unicodedata.category(letter) == "Cs":
        return None  # half a character, which no renderer takes
    if _has(findfont(FontProperties()), letter):
        return ""
    for entry in fontManager.ttflist:
        if entry.name.startswith(BOXES) or not _has(entry.fname, letter):
            continue
        # Text is drawn in the font that its family's name leads to.
        if _has(findfont(FontProperties(family=[entry.name])), letter):
            return entry.name
    return None


def _has(path: str, letter: str) -> bool:
    try:
        font = get_font(path)
        font.set_size(9, DPI)
        if not font.get_char_index(ord(letter)):
            return False
        font.load_char(ord(letter))  # fonts of coloured bitmaps have it, yet nothing to draw
    except (RuntimeError, OSError):
        return False
    return True
