"""The page of a study: right whatever its names and scores are, and readable in a browser."""

import re

import pytest

from report.of_study import StudyArm, StudyClass, StudyFacts, write_study_page
from report.strips import Interval, Row, strips
from tests.browser import browser, complaints, faults_for_readers, requested
from tests.reading import Page
from tests.test_page_in_browser import OVERLAPPING, STICKING_OUT

NASTY = ["<script>alert(1)</script>", 'it\'s "quoted" & {{ 7 * 7 }} | bar',
         "\N{GRINNING FACE} – é", "x" * 60]  # fmt: skip
FOLDS = 10
SHEET = 718  # pixels across that a browser prints on A4
CLASHES = """
const found = [];
for (const of of document.querySelectorAll(".strips li, .axis svg")) {
  const boxes = [...of.children].filter((e) => ["SPAN", "svg", "text"].includes(e.tagName))
    .map((e) => e.getBoundingClientRect());
  for (let i = 0; i < boxes.length; i++) for (let j = i + 1; j < boxes.length; j++)
    if (Math.min(boxes[i].right, boxes[j].right) - Math.max(boxes[i].left, boxes[j].left) > 1
        && Math.min(boxes[i].bottom, boxes[j].bottom) - Math.max(boxes[i].top, boxes[j].top) > 1)
      found.push(of.textContent.slice(0, 80));
}
return found;
"""
CUT = """
return [...document.querySelectorAll("td, th, .strips span, dd, li")]
  .filter((e) => !e.closest(".sr") && e.scrollWidth > e.clientWidth + 1 && e.clientWidth)
  .map((e) => e.textContent.slice(0, 80));
"""


def named(place):
    return NASTY[place] if place < len(NASTY) else f"number {place}"


def arm(place, classes, is_alike):
    """The arm at a place; the second is the best without generated images."""
    mean = 0.7 if is_alike else 0.7 + 0.001 * (place * 7 % 5)
    gains = [0.0 if place == 1 or is_alike else 0.01 * ((place + fold) % 4 - 2)
             for fold in range(FOLDS)]  # fmt: skip
    gain = sum(gains) / FOLDS
    generates = place > 1
    bounds = None if is_alike else (gain - 0.02, gain + 0.03)
    return StudyArm(
        name=named(place), generates=generates, is_best=place == 1,
        macro_f1=Interval(mean, None if is_alike else (mean - 0.02, mean + 0.02)),
        balanced_accuracy=0.6 + 0.001 * place, check=0.5,
        difference=None if place == 1 else Interval(gain, bounds), differences=gains,
        p_value=0.25 if generates else None,
        verdict="no difference seen: it is so" if generates else "",
        least_seen=0.031 if generates and not is_alike else None,
        classes=[(0.5 + 0.001 * ((place + 5 * label) % 9), 0.4, 0.65) for label in range(classes)],
        noise={named(label): [0.1, 0.5] for label in range(classes)} if place == 2 else {},
        unit="code" if generates else "", minutes=1.5 * place,
    )  # fmt: skip


def page(folder, arms, classes, is_alike=False):
    """A page of so many arms and classes, and what its file is."""
    folder.mkdir(exist_ok=True)
    studied = [arm(place, classes, is_alike) for place in range(arms)]
    said = [(own.name, f"{own.verdict} (+0.1 points)") for own in studied if own.generates]
    facts = StudyFacts(
        name="it's <i>",
        description="</script><script>alert(2)</script>",
        settings={"folds": 5, "repeats": 2, "seeds": 3, "steps": 700, "check": "forest"},
        classes=[StudyClass(named(label), 9 + label, 8, True) for label in range(classes)]
        + [StudyClass("rare\n<b>", 2, 1, False)],
        conclusions=said, seed=7, command="python train.py -c 'a b.json'",
        date="2026-01-01 10:00", versions={"Python": "3.11"},
    )  # fmt: skip
    write_study_page(folder, facts, studied)
    return folder / "report.html"


def read(path):
    return Page(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(("arms", "classes"), [(2, 1), (5, 6), (13, 30)])
def test_every_name_is_text_and_has_its_row(tmp_path, arms, classes):
    found = read(page(tmp_path, arms, classes))
    assert len(found.all("script")) == 1
    assert not any(name.startswith("on") for e in found.elements for name in e.attributes)
    assert found.all("h1")[0].text == "it's <i>, study"
    assert [row[0] for row in found.rows("Arms")[1:]] == [named(place) for place in range(arms)]
    heading, *rows = found.rows("F1 of each class")
    assert heading == ["class", "images", *(named(place) for place in range(arms))]
    assert [row[0] for row in rows] == [named(label) for label in range(classes)]
    assert rows[-1][1:3] == [str(8 + classes), rows[-1][2]]
    assert re.match(r"0\.5\d (best )?0\.40 to 0\.65$", rows[-1][2])
    assert "rare <b>: 1 different image, fewer than the 5 folds" in found.all("main")[0].text
    levels = found.rows(f"Noise of {named(2)}")[1:] if arms > 2 else []
    assert levels == [[named(label), "0.3", "0.1", "0.5", "0.1 in 1, 0.5 in 1"]
                      for label in range(classes) if arms > 2]  # fmt: skip
    for element in found.elements:
        address = element.attributes.get("href") or element.attributes.get("src") or "#"
        assert address.startswith("#")


def test_the_best_is_marked_and_what_is_compared_is_said(tmp_path):
    found = read(page(tmp_path, 5, 6))
    heading, *rows = found.rows("Arms")
    marked = {name: [row[0] for row in rows if "best " in f"{row[heading.index(name)]} "
                     and "without" not in row[heading.index(name)]]
              for name in ("macro-F1", "balanced accuracy")}  # fmt: skip
    # 7 * place % 5 is largest, 4, at place 2; balanced accuracy grows with the place
    assert marked == {"macro-F1": [named(2)], "balanced accuracy": [named(4)]}
    assert rows[1][heading.index("difference, points")] == "– the best without"
    assert rows[0][heading.index("verdict")] == rows[0][heading.index("p")] == "–"
    # place 2: gains 0, 1, -2, -1, 0, 1, -2, -1, 0, 1 points, a mean of -0.3
    assert rows[2][heading.index("difference, points")] == "-0.3 -2.3 to +2.7"
    said = found.all("main")[0].text
    assert f"3 arms use generated images. Beside {named(1)}, the best without them, 0 help" in said
    assert "folds × repeats × seeds: 5 × 2 × 3 = 30, of 700 steps each" in said


def test_scores_that_are_all_alike_claim_no_interval(tmp_path):
    found = read(page(tmp_path, 4, 3, is_alike=True))
    heading, *rows = found.rows("Arms")
    place = heading.index("difference, points")
    assert [row[place] for row in rows] == [
        "+0.0 alike in all folds", "– the best without", *["+0.0 alike in all folds"] * 2,
    ]  # fmt: skip
    assert rows[2][heading.index("could have been seen, points")] == "–"


def test_strips_lie_on_one_axis():
    first = Row("a", False, Interval(1.0, (-2.0, 3.0)), [-2.0, 1.0], "")
    drawn = strips("", "", [first, Row("b", True, Interval(3.0, None), [], "")], with_zero=True)
    one, two = drawn.strips
    # -2 lies at 6 %, 3 at 94 %, so a unit is 17.6 %
    assert (one.low, one.high, drawn.zero) == pytest.approx((6, 94, 41.2))
    assert one.points == pytest.approx([6, 58.8])
    assert (two.mean, two.low, two.high) == pytest.approx((94, 94, 94))
    assert [tick.text for tick in drawn.ticks] == ["-2", "0", "2"]


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1500])
@pytest.mark.parametrize(("arms", "classes"), [(5, 6), (40, 200)])
def test_the_page_fits_and_is_sorted_in_a_browser(tmp_path, width, arms, classes):
    address = page(tmp_path, arms, classes).as_uri()
    with browser(width) as driver:
        driver.get(address)
        assert complaints(driver) == []
        assert requested(driver) == [address]
        assert driver.execute_script("return document.documentElement.scrollWidth") == width
        for script in (STICKING_OUT, OVERLAPPING, CLASHES, CUT):
            assert driver.execute_script(script) == []
        values = (
            "return [...document.querySelectorAll('#classes .sortable tbody tr')]"
            ".map((row) => Number(row.cells[2].dataset.v))"
        )
        before = driver.execute_script(values)
        driver.execute_script("document.querySelectorAll('#classes th button')[2].click()")
        assert driver.execute_script(values) == sorted(before) != before
        columns = driver.execute_script(
            "return [...document.querySelectorAll('#arms thead button')].map((e) => e.innerText)"
        )
        button = f"document.querySelectorAll('#arms thead button')[{columns.index('p')}]"
        driver.execute_script(f"{button}.click()")
        cells = (
            "return [...document.querySelectorAll('#arms tbody tr')]"
            ".map((row) => row.cells[5].dataset.v)"
        )
        assert driver.execute_script(cells)[-2:] == ["", ""]  # those without a p come last


@pytest.mark.slow
@pytest.mark.parametrize(("arms", "classes"), [(7, 6), (40, 200)])
def test_nothing_is_cut_off_on_paper(tmp_path, arms, classes):
    with browser(SHEET) as driver:
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
        driver.get(page(tmp_path, arms, classes).as_uri())
        wide = "return [...document.querySelectorAll('table')].map((e) => e.offsetWidth)"
        widths = driver.execute_script(wide)
        # of the arms, none of F1 for a screen, some of F1 for paper, of the noise
        assert [bool(own) for own in widths] == [True, False, *[True] * (-(-arms // 6)), True]
        room = "return document.querySelector('#arms').offsetWidth"
        assert max(widths) <= driver.execute_script(room)
        assert driver.execute_script("return document.documentElement.scrollWidth") == SHEET


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(tmp_path, scheme):
    assert faults_for_readers(page(tmp_path, 5, 6), scheme) == []
