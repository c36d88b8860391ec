"""Labels of a sweep's runs, and the page beside its tables."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from report.of_sweep import SweepFacts, SweepMember, Tables, write_sweep_page
from tests.browser import browser, complaints, faults_for_readers, screenshot
from tests.conftest import command
from tests.reading import Page

BEST = {"mse": "min", "psnr": "max"}


@pytest.fixture
def sweep(tmp_path):
    """Two settings of two seeds each, with what their tests would leave; one test is missing."""
    members = []
    for place, setting in enumerate(("<b>small</b>", "large")):
        for seed in (0, 1):
            test = tmp_path / f"run #{place}-{seed}" / "x" / "test"
            test.mkdir(parents=True)
            lines = [{"epoch": epoch, "val_loss": 1.0 / epoch + place} for epoch in (1, 2, 3)]
            text = "".join(json.dumps(line) + "\n" for line in lines)
            (test.parent / "metrics.jsonl").write_text(text)
            (test / "report.html").write_text("page")
            Image.fromarray(np.full((30, 900, 3), 99, np.uint8)).save(test / "noise.png")
            members.append(SweepMember(setting, seed, test))
    members[3] = members[3]._replace(test=None)
    table = [
        {"setting": "<b>small</b>", "seeds": 2, "split": "validation", "code_size": 4,
         "mse": 0.5, "mse sd": 0.1, "psnr": 9.0, "psnr sd": 0.0},
        {"setting": "large", "seeds": 2, "split": "validation", "code_size": 9,
         "mse": 0.25, "mse sd": 0.2, "psnr": 8.0, "psnr sd": 0.0},
    ]  # fmt: skip
    folder = tmp_path / "the-sweep"
    folder.mkdir()
    facts = SweepFacts("it's <i>", "", "min val_loss", BEST)
    generated = [
        {"setting": "large", "noise": noise, "seeds": 2, "KID": noise / 4, "KID sd": 0.5 * noise}
        for noise in (0.0, 2.0)
    ]
    write_sweep_page(folder, facts, Tables(table, generated), members)
    return folder


def test_generated_images_have_a_table_by_level_of_noise(sweep):
    heading, none, high = Page((sweep / "report.html").read_text()).rows("Generated images")
    assert heading == ["setting", "noise", "seeds", "KID"]
    assert none == ["large", "0", "2", "0"]
    assert high == ["large", "2", "2", "0.5 ± 1"]


def test_the_table_marks_the_best_and_links_the_runs(sweep):
    page = Page((sweep / "report.html").read_text())
    assert page.all("h1")[0].text == "it's <i>, sweep"
    heading, small, large = page.rows("Settings")
    assert heading == ["setting", "runs", "seeds", "split", "code_size", "mse", "psnr"]
    assert small == ["<b>small</b>", "seed 0, seed 1", "2", "validation", "4", "0.5 ± 0.1",
                     "9 best"]  # fmt: skip
    assert large == ["large", "seed 0, seed 1", "2", "validation", "9", "0.25 best ± 0.2", "8"]
    links = [e.attributes["href"] for e in page.all("a") if e.text.startswith("seed")]
    assert links == [f"../run%20%23{name}/x/test/report.html" for name in ("0-0", "0-1", "1-0")]
    said = page.all("ul")[0].text
    assert "large has the least error on the validation images: 0.25" in said
    assert "0.5. They differ by more than the seeds of one of them do (0.2)." in said


def test_scores_of_different_images_are_not_compared(tmp_path):
    table = [
        {"setting": "none held out", "seeds": 1, "split": "train", "mse": 0.25},
        {"setting": "a fifth", "seeds": 1, "split": "validation", "mse": 0.5},
        {"setting": "a half", "seeds": 1, "split": "validation", "mse": 1.0},
    ]
    facts = SweepFacts("it", "", "min loss", BEST)
    members = [SweepMember(row["setting"], 0, None) for row in table]
    write_sweep_page(tmp_path, facts, Tables(table, []), members)
    page = Page((tmp_path / "report.html").read_text())
    assert [row[-1] for row in page.rows("Settings")] == ["mse", "0.25", "0.5 best", "1"]
    said = page.all("ul")[0].text
    assert "some are of the training images, others of the validation images" in said
    assert "least error" not in said


def test_the_curves_and_pictures_of_all_runs_are_side_by_side(sweep):
    page = Page((sweep / "report.html").read_text())
    titles = [element.text for element in page.all("title")[1:]]
    assert titles == ["<b>small</b>, seed 0", "<b>small</b>, seed 1", "large, seed 0"]
    assert [image.attributes["alt"] for image in page.all("img")] == [
        "noise.png of <b>small</b>", "noise.png of large",
    ]  # fmt: skip
    assert all(image.attributes["src"].startswith("data:") for image in page.all("img"))


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1500])
def test_the_page_of_a_sweep_works_in_a_browser(sweep, width):
    with browser(width) as driver:
        driver.get((sweep / "report.html").as_uri())
        assert complaints(driver) == []
        assert driver.execute_script("return document.documentElement.scrollWidth") == width
        screenshot(driver, sweep / f"{width}.png")
        first = "return document.querySelector('tbody th').textContent"
        assert driver.execute_script(first) == "<b>small</b>"
        driver.execute_script("document.querySelectorAll('th button')[4].click()")
        assert driver.execute_script(first) == "large"
        driver.execute_script("document.querySelector('tbody a').click()")
        assert driver.find_element("tag name", "body").text == "page"


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault_in_the_page_of_a_sweep(sweep, scheme):
    assert faults_for_readers(sweep / "report.html", scheme) == []


@pytest.mark.parametrize(
    ("runs", "says"),
    [
        ([{"label": "a/b"}], 'label "a/b" must be part of a folder'),
        ([{"label": 3}], "label 3 must be part of a folder"),
        ([{"label": "A"}, {"label": "a", "seed": 1}], 'label "a" is given twice'),
        ([{"label": "a"}, {"label": "b"}], "trains what sweep.runs.0 trains"),
        ([{"label": "n" * 96}], "name: "),
    ],
)
def test_a_label_that_cannot_be_is_refused_before_any_runs(small, written, tmp_path, runs, says):
    done = command("train.py", "-c", written(small | {"sweep": {"runs": runs}}))
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "saved").exists()


def test_a_label_stands_for_one_setting_only(small, written, tmp_path):
    folder = tmp_path / "saved" / "small-fast-seed1"
    folder.mkdir(parents=True)
    small["sweep"] = {"runs": [{"label": "fast", "optimizer.args.lr": 0.1}]}
    done = command("train.py", "-c", written(small))
    assert done.returncode == 2
    assert done.stderr == (
        f'error: sweep.runs.0.label: "fast": {folder} holds runs of other settings or images; '
        "take another label, or move that folder away\n"
    )
    assert {path.name for path in (tmp_path / "saved").iterdir()} == {folder.name}


@pytest.mark.slow
def test_a_sweep_with_labels_and_without_pictures(small, written, tmp_path):
    small["trainer"]["epochs"] = 1
    small["generation"] = {"pictures": False}
    small["sweep"] = {"runs": [{"label": "quick one", "optimizer.args.lr": 0.05}, {}]}
    config = written(small)
    done = command("train.py", "-c", config)
    assert done.returncode == 0, done.stderr
    assert "sweep 1/2: quick one, seed 1" in done.stdout
    saved = tmp_path / "saved"
    (test,) = saved.glob("small-quick one-seed1/*/test")
    assert not list(test.glob("*.png"))
    assert (test / "report.html").exists()
    rows = list(csv.DictReader((saved / "small-sweep" / "table.csv").read_text().splitlines()))
    assert [row["setting"] for row in rows] == ["quick one", "as it is"]
    page = Page((saved / "small-sweep" / "report.html").read_text())
    for link in (e.attributes["href"] for e in page.all("a") if e.text.startswith("seed")):
        assert (saved / "small-sweep" / link.replace("%20", " ")).exists()
    times = {path: path.stat().st_mtime_ns for path in saved.rglob("*.pth")}
    assert command("train.py", "-c", config).returncode == 0  # found again, by its label
    assert times == {path: path.stat().st_mtime_ns for path in saved.rglob("*.pth")}
    small["sweep"]["runs"][0]["optimizer.args.lr"] = 0.06
    done = command("train.py", "-c", written(small))
    assert done.returncode == 2
    assert "holds runs of other settings" in done.stderr
