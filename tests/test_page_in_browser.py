"""report.html in a real browser: it asks for nothing, can be used by hand and keys, and fits."""

import pytest

from tests.browser import browser, complaints, faults_for_readers, requested, screenshot
from tests.test_page import made

__all__ = ["made"]
pytestmark = pytest.mark.slow

# Elements that stick out of the window without being in a box that scrolls, and texts cut off.
STICKING_OUT = """
const wide = document.documentElement.clientWidth;
const isInBox = (e) => e.closest(".scroll, .sides, .boxes, .skip, .sr");
return [...document.querySelectorAll("main *")].filter((e) => !isInBox(e)
  && e.getBoundingClientRect().width > 0 && e.getBoundingClientRect().right > wide + 1)
  .map((e) => e.outerHTML.slice(0, 120));
"""
OVERLAPPING = """
const found = [];
for (const of of document.querySelectorAll("main, section, .codes, .charts, header")) {
  const boxes = [...of.children].filter((e) => !["STYLE", "SCRIPT"].includes(e.tagName))
    .map((e) => [e, e.getBoundingClientRect()]).filter(([, b]) => b.width && b.height);
  for (let i = 0; i < boxes.length; i++) for (let j = i + 1; j < boxes.length; j++) {
    const [a, b] = [boxes[i][1], boxes[j][1]];
    if (Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
        && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1)
      found.push(boxes[i][0].outerHTML.slice(0, 80) + " / " + boxes[j][0].outerHTML.slice(0, 80));
  }
}
return found;
"""
UNLOADED = "return [...document.images].filter((i) => !i.complete || !i.naturalWidth).length"


def text_of(driver, selector):
    return driver.execute_script(f"return document.querySelector('{selector}').innerText")


def errors_shown(driver):
    script = (
        "return [...document.querySelectorAll('#worst tbody tr')]"
        ".map((row) => Number(row.cells[5].dataset.v))"
    )
    return driver.execute_script(script)


@pytest.mark.parametrize("width", [390, 1500])
def test_the_page_fits_and_asks_for_nothing(made, tmp_path, width):
    page = (made / "report.html").as_uri()
    with browser(width) as driver:
        driver.get(page)
        assert complaints(driver) == []
        assert requested(driver) == [page]
        assert driver.execute_script(UNLOADED) == 0
        assert driver.execute_script("return document.documentElement.scrollWidth") == width
        assert driver.execute_script(STICKING_OUT) == []
        assert driver.execute_script(OVERLAPPING) == []
        screenshot(driver, tmp_path / f"{width}.png")


def test_points_are_shown_under_the_pointer_and_by_keys(made):
    from selenium.webdriver import ActionChains, Keys
    from selenium.webdriver.common.by import By

    with browser() as driver:
        driver.get((made / "report.html").as_uri())
        assert text_of(driver, "#card-text") == "No point is chosen."
        plot = driver.find_element(By.ID, "plot")
        driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", plot)
        x, y = driver.execute_script(
            "const p = JSON.parse(document.getElementById('points').textContent).points[3];"
            "const box = document.querySelector('#plot svg').getBoundingClientRect();"
            "return [p[0] / 640 - 0.5, p[1] / 480 - 0.5].map((s, i) => "
            "Math.round(s * (i ? box.height : box.width)))"
        )
        ActionChains(driver).move_to_element_with_offset(plot, x, y).perform()
        assert "error" in text_of(driver, "#card-text")
        assert "image" in text_of(driver, "#card-text")
        plot.send_keys(Keys.HOME)
        worst = text_of(driver, "#card-text")
        assert float(worst.split("error ")[1]) == pytest.approx(errors_shown(driver)[0], rel=1e-3)
        plot.send_keys(Keys.ARROW_RIGHT)
        right = text_of(driver, "#card-text")
        plot.send_keys(Keys.ARROW_LEFT)
        left = text_of(driver, "#card-text")
        assert right != worst or left != worst
        assert driver.execute_script(
            "return getComputedStyle(document.getElementById('cell-made')).backgroundSize"
        ).endswith("px")
        driver.find_element(By.ID, "none").click()
        assert text_of(driver, "#card-text") == "No point is chosen."
        shown = "return [...document.querySelectorAll('.dots')].map((e) => e.style.display)"
        assert set(driver.execute_script(shown)) == {"none"}
        driver.find_elements(By.CSS_SELECTOR, ".boxes input")[1].send_keys(Keys.SPACE)
        assert driver.execute_script(shown) == ["none", "", "none"]
        assert complaints(driver) == []


def test_tab_reaches_the_plot_which_shows_a_point(made):
    from selenium.webdriver import ActionChains, Keys

    with browser() as driver:
        driver.get((made / "report.html").as_uri())
        for _ in range(60):
            ActionChains(driver).send_keys(Keys.TAB).perform()
            if driver.execute_script("return document.activeElement.id") == "plot":
                break
        assert "error" in text_of(driver, "#card-text")
        outline = "return getComputedStyle(document.getElementById('plot')).outlineStyle"
        assert driver.execute_script(outline) == "solid"


def test_tables_are_sorted_by_mouse_and_keys(made):
    from selenium.webdriver import Keys
    from selenium.webdriver.common.by import By

    with browser() as driver:
        driver.get((made / "report.html").as_uri())
        button = driver.find_element(By.CSS_SELECTOR, "#worst th:last-child button")
        before = errors_shown(driver)
        button.click()
        assert errors_shown(driver) == sorted(before)
        button.send_keys(Keys.ENTER)
        assert errors_shown(driver) == sorted(before, reverse=True)
        heading = "return document.querySelector('#worst th:last-child').ariaSort"
        assert driver.execute_script(heading) == "descending"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(made, scheme):
    assert faults_for_readers(made / "report.html", scheme) == []
