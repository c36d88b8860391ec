"""Class names of any length and script in the pictures: legible, apart, within the picture."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib import font_manager, image

from logger.figures import Grid, draw_grid, save_grid
from logger.lettering import (
    Ruler,
    class_names,
    quiet_fonts,
    shorten,
    text_settings,
    undrawable,
)
from logger.scatter import Cloud, draw_cloud
from tests.conftest import command, only_run

LONG = "x" * 300
CHINESE = "\u6f22\u5b57\u306e\u540d\u524d" * 9
NAMES = (
    "none", "near_full_ring_with_a_scratch", "a pattern of more than fifteen letters", LONG,
    "W" * 40, CHINESE, "party \U0001f389", "  ", "_hidden", "two\nlines", "2^ $x_$", r"$\frac$",
    "half \ud800",
)  # fmt: skip
LEGEND = [("off the wafer", (1.0, 1.0, 1.0)), ("\U0001f389", (1.0, 0.0, 0.0))]
LONG_LEGEND = [*LEGEND, ("_a colour that means a lot", (0.0, 0.0, 1.0)), (LONG, (0.0, 1.0, 0.0))]
UNKNOWN = chr(0x2B740)  # of a script that few fonts have


def pictures(*lengths):
    return [[np.zeros((26, 26, 3))] * length for length in lengths]


def extents(figure):
    """The texts of a figure, ticks aside, each with where it lies, in pixels."""
    with quiet_fonts():
        figure.canvas.draw()
    texts = [*figure.texts, *(text for legend in figure.legends for text in legend.get_texts())]
    for axes in figure.axes:
        texts += [axes.title, axes._left_title]
        texts += [axes.xaxis.label, axes.yaxis.label] if axes.axison else []
    return [(text.get_text(), text.get_window_extent()) for text in texts if text.get_text()]


def check_apart(figure):
    """No text overlaps another or leaves the figure."""
    found = extents(figure)
    width, height = figure.canvas.get_width_height()
    for text, box in found:
        assert min(box.x0, box.y0) >= 0, text
        assert box.x1 <= width, text
        assert box.y1 <= height, text
    for (one, at), (other, beside) in combinations(found, 2):
        assert not at.overlaps(beside), (one, other)


def test_titles_of_columns_stay_apart():
    names = class_names(NAMES)
    grid = Grid(pictures(13, 13), ["original", "reconstruction"], names, "Images", LEGEND)
    check_apart(draw_grid(grid))


def test_titles_of_rows_stay_apart_from_the_pictures():
    names = class_names(NAMES)
    rows = [f"{first} to {second}" for first, second in zip(names, names[1:], strict=False)]
    figure = draw_grid(Grid(pictures(*[9] * 12), rows, [], "Between", LEGEND))
    check_apart(figure)
    left = min(picture.get_extent()[0] for picture in figure.images)
    assert all(box.x1 < left for text, box in extents(figure) if " to" in text)


def test_long_titles_and_captions_stay_within_the_picture():
    title = "Children made with noise " + " and ".join(f"{step / 100}" for step in range(99))
    captions = [["original", "noise 0.1234567890123456789"]] * 2
    figure = draw_grid(Grid(pictures(2, 2), ["a", LONG], [], title, LONG_LEGEND, captions))
    check_apart(figure)
    assert figure.canvas.get_width_height()[0] < 1100
    assert len(figure.legends[0].get_texts()) == len(LONG_LEGEND)


def test_a_name_of_300_letters_makes_no_wider_picture(tmp_path):
    widths = []
    for name in ("w" * 40, "w" * 300):
        grid = Grid(pictures(4, 4), [name, "b"], [name] * 4, "Images")
        save_grid(grid, tmp_path / "grid.png")
        widths.append(image.imread(tmp_path / "grid.png").shape[1])
    assert widths[1] <= widths[0] + 5
    assert widths[1] < 130 * (0.12 + 2.2 + 0.1 + 4 * 1.15 + 0.12) + 1


def test_short_names_are_drawn_as_they_always_were():
    with_names = draw_grid(Grid(pictures(2, 2), ["a", "b"], ["Center", "Donut"], "Images"))
    assert {text for text, _ in extents(with_names)} == {"a", "b", "Center", "Donut", "Images"}
    assert with_names.get_size_inches()[1] == pytest.approx(0.62 + 2 * 1.15 + 0.12)


def test_each_picture_stands_at_its_place_enlarged_to_sharp_squares(tmp_path):
    red, wide = np.zeros((2, 2, 3)), np.ones((2, 4, 3)) * 0.5
    red[0, 1] = [1, 0, 0]
    captions = [["one", "two"], ["three"]]
    save_grid(Grid([[red, wide], [red]], ["", ""], [], "Images", (), captions), tmp_path / "g.png")
    drawn = (image.imread(tmp_path / "g.png")[..., :3] * 255).round().astype(int)
    side, cell, caption = round(1.15 * 0.92 * 130), 1.15 * 130, 0.17 * 130
    left = round(0.12 * 130)
    bottoms = [len(drawn) - round(0.12 * 130 + up * (cell + caption)) for up in (1, 0)]
    for bottom in bottoms:
        own = drawn[bottom - side + 1 : bottom - 1, left + 1 : left + side - 1]
        assert set(map(tuple, own.reshape(-1, 3))) == {(255, 0, 0), (0, 0, 0)}
        assert (own[: side // 2 - 2, side // 2 + 1 :] == [255, 0, 0]).all()
    second = round(left + cell)
    beside = drawn[bottoms[0] - side : bottoms[0], second + 2 : second + side - 2]
    rows = (beside == 128).all((1, 2))
    assert rows.sum() == pytest.approx(side / 2, abs=2)  # twice as wide as high, in the middle
    assert rows[side // 2]
    assert (beside[np.flatnonzero(rows)[-1] + 1 :] == 255).all()  # above it stands its caption


def cloud_of(names, points):
    labels = np.arange(points) % len(names)
    spread = np.random.default_rng(0).normal(size=(points, 2))
    return Cloud(spread, labels, names, ("first", "second"), "The codes")


@pytest.mark.parametrize("names", [NAMES, (LONG,) * 20, tuple(f"{LONG} {n}" for n in range(200))])
def test_the_legend_of_a_cloud_is_whole(names):
    check_apart(draw_cloud(cloud_of(class_names(names), 1000)))


def test_200_classes_share_no_colour_in_silence():
    names = tuple(f"class {number}" for number in range(200))
    labels = np.concatenate([np.arange(200), np.repeat(np.arange(100, 118), 5)])
    cloud = cloud_of(names, len(labels))._replace(labels=labels)
    (legend,) = draw_cloud(cloud).legends
    said = [text.get_text() for text in legend.get_texts()]
    assert said == [
        *(f"class {number} (6)" for number in range(100, 118)),
        "182 further classes (182)",
    ]
    colours = {tuple(handle.get_facecolor()[0]) for handle in legend.legend_handles}
    assert len(colours) == 19


def test_shortened_names_still_differ():
    assert shorten("abcdefghij", 7) == "abcd\u2026ij"
    assert class_names(("ring", "scratch")) == ("ring", "scratch")
    assert class_names(("ring", "ring", "  ", "a\nb")) == ("ring #0", "ring #1", "#2", "a b")
    assert len(set(class_names(tuple(f"{n} {LONG}" for n in range(9))))) == 9
    assert len(set(class_names(tuple(f"{LONG} {n} {LONG}" for n in range(9))))) == 9


def test_text_is_broken_between_words_and_shortened_in_its_middle():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ruler, "_width", lambda self, line: float(len(line)))
        ruler = Ruler(size=9)
        assert ruler.fit("one two three", 7, 2) == "one two\nthree"
        assert ruler.fit("one_two_three", 8, 2) == "one_two_\nthree"
        assert ruler.fit("abcdefghij", 4, 3) == "abcd\nefgh\nij"
        assert ruler.fit("abcdefghij", 4, 2) == "abcd\ne\u2026ij"
        assert ruler.fit("", 4) == ""


@pytest.fixture
def rare_font(tmp_path):
    """A font with one character that no usual font has, installed for a test."""
    from fontTools.fontBuilder import FontBuilder
    from fontTools.pens.ttGlyphPen import TTGlyphPen

    from logger.lettering import _font_with

    pen = TTGlyphPen(None)
    for move, *point in (("moveTo", 0, 0), ("lineTo", 0, 700), ("lineTo", 700, 700)):
        getattr(pen, move)(tuple(point))
    pen.closePath()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", "rare"])
    builder.setupCharacterMap({ord(UNKNOWN): "rare"})
    builder.setupGlyf({".notdef": TTGlyphPen(None).glyph(), "rare": pen.glyph()})
    builder.setupHorizontalMetrics({".notdef": (500, 0), "rare": (800, 0)})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Rare-Font Test", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(tmp_path / "rare.ttf")
    before = list(font_manager.fontManager.ttflist)
    font_manager.fontManager.addfont(tmp_path / "rare.ttf")
    _font_with.cache_clear()
    class_names.cache_clear()
    yield
    font_manager.fontManager.ttflist[:] = before
    _font_with.cache_clear()
    class_names.cache_clear()


def test_a_font_that_is_installed_draws_what_the_usual_one_lacks(rare_font, tmp_path, caplog):
    names = (f"a {UNKNOWN}", "b")
    assert class_names(names) == names
    assert undrawable(names) == ""
    assert text_settings(names)["font.family"][-1] == "Rare-Font Test"
    title = f"Class {UNKNOWN}"  # bold, which that font has not
    grid = Grid(pictures(2), ["original"], names, title)
    save_grid(grid, tmp_path / "grid.png")  # a warning would fail
    check_apart(draw_grid(grid))
    assert not caplog.records


def test_without_such_a_font_a_box_and_the_number_stand_there():
    names = ("b", f"a {UNKNOWN}")
    assert class_names(names) == ("b", "a \u25a1 #1")
    assert "no installed font has U+2B740: " in undrawable(names)
    assert undrawable(("b", "plain\u200d\ufe0f")) == ""


def test_no_name_makes_the_commands_warn(small, written, tmp_path):
    names = [*NAMES[:-1], f"a {UNKNOWN}"]
    count = len(names)
    np.save(tmp_path / "data.npy", np.arange(count * 2 * 144, dtype=np.uint8).reshape(-1, 12, 12))
    np.save(tmp_path / "label.npy", np.arange(count * 2) % count)
    args = {name: str(tmp_path / f"{name}.npy") for name in ("data", "label")}
    small["dataset"] = {"type": "Arrays", "args": args | {"classes": names}}
    small["generation"] = {"noise": [step / 100 for step in range(1, 41)], "samples": 1}
    small["trainer"]["epochs"] = 1
    trained = command("train.py", "-c", written(small))
    assert trained.returncode == 0, trained.stderr
    done = command("test.py", "-r", only_run(tmp_path / "saved"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("no installed font has") == 1
    for picture in (only_run(tmp_path / "saved") / "test").glob("*.png"):
        height, width, _ = image.imread(picture).shape
        assert max(height, width) < 2500, picture.name
