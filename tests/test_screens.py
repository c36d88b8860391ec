"""TensorBoard in a real browser, on a run and on a sweep, and the README's pictures of browsers.

The pictures go into a temporary folder, and into the folder that SCREENSHOTS names, if it is set.
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.board import EVERYWHERE, SECONDS, asked, has, tensorboard, wait_until
from tests.browser import broken, browser, screenshot
from tests.conftest import ROOT, fresh_command, only_run

pytestmark = pytest.mark.slow
LARGEST = 200_000  # bytes of a picture of the README
DEFAULT = ["trainer.epochs=12", "trainer.save_period=4", "generation.pictures=false"]
LOADED = f"""{EVERYWHERE}
return find(arguments[0]).filter((e) => e.complete && e.naturalWidth)
  .map((e) => [e.naturalWidth, e.naturalHeight]);
"""
# What of report.html is too long for a picture.
SHORTENED = """
for (const e of document.querySelectorAll("#scores, #worst, #pictures, #about, #quality"))
  e.style.display = "none";
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A short run of the default model, tested."""
    folder = tmp_path_factory.mktemp("run")
    config = ROOT / "config.json"
    done = fresh_command("train.py", "-c", config, "-d", "cpu", "-s", *DEFAULT,
                   f"trainer.save_dir={folder}")  # fmt: skip
    assert done.returncode == 0, done.stderr
    done = fresh_command("test.py", "-r", folder, "-d", "cpu")
    assert done.returncode == 0, done.stderr
    return only_run(folder)


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """The folder of the runs of a sweep over VAEs that clean images."""
    from tests.conftest import small as small_fixture

    folder = tmp_path_factory.mktemp("sweep")
    config = small_fixture.__wrapped__(folder) | {
        "arch": {
            "type": "VAE",
            "args": {"encoder": [{"conv": 4, "stride": 2}], "latent": {"linear": 3},
                     "decoder": "mirror"},
        },
        "loss": {"type": "ELBO"},
        "corruption": {"type": "GaussianNoise", "args": {"sigma": 0.3}},
        "generation": {"pictures": False},
        "sweep": {"runs": [{"label": "slow", "optimizer.args.lr": 0.0},
                           {"label": "wide", "arch.args.latent": {"linear": 8}}]},
    }  # fmt: skip
    config["trainer"]["tensorboard"] = True
    path = folder / "config.json"
    path.write_text(json.dumps(config))
    done = fresh_command("train.py", "-c", path, "-d", "cpu")
    assert done.returncode == 0, done.stderr
    return folder / "saved"


@pytest.fixture(scope="module")
def of_run(run, tmp_path_factory):
    """The address of TensorBoard on the run."""
    with tensorboard(run.parent.parent, tmp_path_factory.mktemp("said") / "run") as address:
        yield address


@pytest.fixture(scope="module")
def of_sweep(swept, tmp_path_factory):
    """The address of TensorBoard on the sweep."""
    with tensorboard(swept, tmp_path_factory.mktemp("said") / "sweep") as address:
        yield address


def show(driver, address, tab, *, begins):
    """Open a tab of TensorBoard once it has read what `begins` names, a path and a run."""
    path, name = begins
    wait_until(lambda: name in str(asked(address, path)))
    driver.set_script_timeout(SECONDS)
    driver.get(f"{address}?darkMode=false&smoothing=0#{tab}")


def has_both_curves(driver, path):
    """Whether the colours of both runs are in the first chart; a picture of it goes to `path`.

    A chart is a canvas that no script can read.
    """
    canvas = driver.find_element("css selector", "scalar-card canvas")
    canvas.screenshot(str(path))
    with Image.open(path) as shot:
        pixels = np.asarray(shot.convert("RGB")).astype(int)
    colours = driver.execute_script(
        "return [...document.querySelector('scalar-card').querySelectorAll('.row-circle span')]"
        ".map((e) => getComputedStyle(e).backgroundColor.match(/\\d+/g).map(Number))"
    )
    seen = [(abs(pixels - colour).max(-1) < 30).sum() for colour in colours]
    return len(seen) == 2 and min(seen) > 50


def for_readme(driver, name, folder):
    """Take the README's picture `name`."""
    path = folder / name
    screenshot(driver, path)
    with Image.open(path) as shot:
        colours = Image.Quantize.MAXCOVERAGE  # the rare ones of points and lines as well
        content = shot.convert("RGB").quantize(256, colours, dither=Image.Dither.NONE)
    content.save(path, optimize=True)
    assert path.stat().st_size < LARGEST
    if to := os.environ.get("SCREENSHOTS"):
        (Path(ROOT, to) / name).write_bytes(path.read_bytes())


def test_curves_of_training_and_validation_are_in_one_chart(of_run, run, tmp_path):
    name = f"{run.parent.name}/{run.name}"
    assert wait_until(lambda: asked(of_run, "data/runs")) == [name, f"{name}/validation"]
    with browser(1520, 1085) as driver:
        show(driver, of_run, "timeseries", begins=("data/plugin/images/tags", "Scratch"))
        has(driver, ".group-title", "curves", "image | reconstruction", "training")
        has(driver, "button", "Settings")
        driver.execute_script("document.querySelector(\"[aria-label='Close side pane']\").click()")
        has(driver, "scalar-card", "/loss", "/psnr")
        charts = has(driver, "scalar-card", f"{name}/validation")
        for number, chart in zip(("loss", "psnr"), charts, strict=True):
            lines = [line.strip() for line in chart.split("\n") if line.strip()]
            assert lines[:2] == ["curves", f"/{number}"]
            assert {name, f"{name}/validation"} < set(lines)
        wait_until(lambda: has_both_curves(driver, tmp_path / "curves.png"))
        images = has(driver, "image-card", "/Center", "/Donut")
        assert all(image.startswith("image | reconstruction") for image in images)
        sizes = wait_until(lambda: driver.execute_script(LOADED, "image-card img"))
        assert {tuple(size) for size in sizes} == {(264, 130)}
        for_readme(driver, "tensorboard.png", tmp_path)
        assert broken(driver) == []


def test_images_have_a_tab(of_run, tmp_path):
    with browser() as driver:
        show(driver, of_run, "images", begins=("data/plugin/images/tags", "Scratch"))
        has(driver, ".heading-label", "image | reconstruction/Center")
        sizes = wait_until(lambda: driver.execute_script(LOADED, "img"))
        assert {tuple(size) for size in sizes} == {(264, 130)}
        screenshot(driver, tmp_path / "images.png")
        assert broken(driver) == []


def test_the_graph_has_a_tab(of_run, tmp_path):
    with browser() as driver:
        show(driver, of_run, "graphs", begins=("data/plugin/graphs/info", "WaferAE"))
        nodes = f"{EVERYWHERE} return find('g.node text').map((e) => e.textContent).join()"
        wait_until(lambda: "Autoencoder" in driver.execute_script(nodes))
        # Until the graph is fitted to its place, TensorBoard fails when the window is resized.
        placed = f"{EVERYWHERE} return find('g#root[transform]').length"
        wait_until(lambda: driver.execute_script(placed))
        screenshot(driver, tmp_path / "graph.png")
        assert broken(driver) == []


def test_codes_can_be_coloured_by_class(of_run, tmp_path):
    label = f"{EVERYWHERE} return everywhere(document).filter((e) => e.label == 'Color by')[0]"
    with browser() as driver:
        show(driver, of_run, "projector", begins=("data/plugin/projector/runs", "WaferAE"))
        for _ in range(2):  # one frame is in another
            frame = wait_until(lambda: driver.find_elements("tag name", "iframe"))
            driver.switch_to.frame(frame[0])
        # While it loads, a curtain lies over everything.
        curtain = f"{EVERYWHERE} return find('iron-overlay-backdrop.opened').length"
        wait_until(lambda: driver.execute_script(label) and not driver.execute_script(curtain))
        driver.execute_script(label).click()
        has(driver, "paper-item", "class", "image")
        classes = driver.execute_script(
            f"{EVERYWHERE} const items = find('paper-item');"
            "const item = items.find((e) => e.innerText.startsWith('class'));"
            "const text = item.innerText; item.click(); return text;"
        )
        assert classes.split() == ["class", "8", "colors"]  # the lone Donut is trained on
        driver.switch_to.default_content()
        screenshot(driver, tmp_path / "projector.png")
        assert broken(driver) == []


@pytest.mark.parametrize("tab", ["histograms", "distributions"])
def test_the_parts_of_a_code_are_spread(of_sweep, tmp_path, tab):
    with browser() as driver:
        show(driver, of_sweep, tab, begins=("data/plugin/histograms/tags", "kl of each"))
        has(driver, "figcaption", "kl of each code number")
        screenshot(driver, tmp_path / f"{tab}.png")
        assert broken(driver) == []


def test_a_sweep_is_a_table_of_its_runs_and_no_others(of_sweep, swept, tmp_path):
    members = sorted(path.parent for path in swept.glob("small-*/*/test"))
    names = [f"{member.parent.name}/{member.name}" for member in members]
    runs = sorted(part for name in names for part in (name, f"{name}/validation"))
    assert sorted(wait_until(lambda: asked(of_sweep, "data/runs"))) == runs
    with browser() as driver:
        show(driver, of_sweep, "hparams", begins=("data/runs", names[-1]))
        cells = has(driver, "vaadin-grid-cell-content", *names)
        width = cells.index(names[0])
        heading, *rows = (cells[at : at + width] for at in range(0, len(cells), width))
        assert heading[2:8] == [
            "arch.args.latent", "label", "optimizer.args.lr", "seed", "best/loss", "best/psnr",
        ]  # fmt: skip
        screenshot(driver, tmp_path / "hparams.png")
        assert broken(driver) == []
    assert rows


def test_the_page_of_a_run_is_pictured(run, tmp_path):
    from selenium.webdriver import Keys

    with browser(1110, 900) as driver:
        driver.get((run / "test" / "report.html").as_uri())
        driver.execute_script(SHORTENED)
        driver.find_element("id", "plot").send_keys(Keys.HOME)
        assert "error" in driver.find_element("id", "card-text").text
        for_readme(driver, "report.png", tmp_path)
        assert broken(driver) == []
