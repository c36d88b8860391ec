"""report.html: one page that needs no other file, says what the numbers say, and escapes all."""

import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from base.base_data_loader import Batch
from data_loader.wafers import SyntheticWafers
from report.charts import chart, thinned
from report.extras import extras_in
from report.gallery import MOST, WORST, Gallery, gallery_content
from report.history import best_epoch, charts_of, read_history
from report.of_test import epoch_told
from report.page import number, write_page
from report.sentences import size_of_code, verdicts
from tester.code_pictures import Plane
from tester.page_facts import errors_by_class
from tester.page_images import PageImages, Split
from tester.scores import Measured
from tests.conftest import command, only_run, small_config, with_pictures
from tests.reading import Page

NASTY = ["<script>alert(1)</script>", 'it\'s "quoted" & {{ 7 * 7 }}', "\N{GRINNING FACE} – é"]


def nasty_config(small, folder):
    """A config whose names and description are not to be trusted, and whose code is large."""
    random = np.random.default_rng(0)
    np.save(folder / "data.npy", random.integers(0, 256, (40, 12, 12), np.uint8))
    np.save(folder / "label.npy", np.arange(40) % 3)
    args = {name: str(folder / f"{name}.npy") for name in ("data", "label")} | {"classes": NASTY}
    small["description"] = "</script><script>alert(2)</script><img src=x onerror=alert(3)>"
    small["dataset"] = {"type": "Arrays", "args": args}
    small["trainer"]["epochs"] = 3
    return small


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of a test of a small run with nasty names."""
    folder = tmp_path_factory.mktemp("page")
    config = with_pictures(nasty_config(small_config(folder), folder))
    (folder / "config.json").write_text(json.dumps(config))
    for words in (("train.py", "-c", folder / "config.json"), ("test.py", "-r", folder / "saved")):
        done = command(*words)
        assert done.returncode == 0, done.stderr
    return only_run(folder / "saved") / "test"


@pytest.fixture(scope="module")
def page(made):
    return Page((made / "report.html").read_text(encoding="utf-8"))


def test_the_page_asks_for_nothing_else(page):
    for element in page.elements:
        for name in ("src", "href", "action", "data", "srcset"):
            address = element.attributes.get(name) or ""
            assert address.startswith(("data:", "#")) or not address, element
        assert element.tag not in ("link", "iframe", "object", "base")
    styles = "".join(element.text for element in page.all("style"))
    assert set(re.findall(r"url\((.{5})", styles)) <= {"data:"}
    (policy,) = (e for e in page.all("meta") if "http-equiv" in e.attributes)
    assert policy.attributes["content"].startswith("default-src 'none'; img-src data:;")


def test_names_are_text_whatever_they_are(page, made):
    assert len(page.all("script")) == 2
    assert not any(name.startswith("on") for e in page.elements for name in e.attributes)
    (h1,) = page.all("h1")
    assert h1.text == "small"
    lead = next(e for e in page.all("p") if e.attributes.get("class") == "lead")
    assert lead.text == "</script><script>alert(2)</script><img src=x onerror=alert(3)>"
    labels = [element.text for element in page.all("label")]
    assert [label.rpartition(" (")[0] for label in labels] == NASTY
    data = json.loads(next(e for e in page.all("script") if "id" in e.attributes).texts[0])
    assert data["classes"] == NASTY
    assert "{{ 7 * 7 }}" in (made / "report.html").read_text(encoding="utf-8")


def test_the_scores_are_those_of_the_file(page, made):
    report = json.loads((made / "metrics.json").read_text())
    heading, *rows = page.rows("Scores of each split")
    names = [name.split()[0] for name in heading[2:]]
    split = report["splits"]["validation"]
    (own,) = (row for row in rows if row[:2] == ["validation images (8)", "this model"])
    shown = [cell.removesuffix(" best") for cell in own[2:]]
    assert shown == [number(split[name]) for name in names]
    (mean,) = (row for row in rows if row[:2] == ["training images (32)", "mean image"])
    errors = [number(report["baselines"]["mean_image"]["train"][name]) for name in names]
    assert [cell.removesuffix(" best") for cell in mean[2:]] == errors
    places = [names.index("mse"), names.index("psnr")]
    for of in ("training images (32)", "validation images (8)"):
        table = [row for row in rows if row[0] == of]
        for place, best in zip(places, (min, max), strict=True):
            cells = [row[2 + place] for row in table]
            values = [float(cell.removesuffix(" best")) for cell in cells]
            assert values[cells.index(next(c for c in cells if c.endswith(" best")))] == best(
                values
            )


def test_the_worst_images_come_first(page):
    errors = [float(row[-1]) for row in page.rows("Worst images")[1:]]
    assert len(errors) == WORST
    assert errors == sorted(errors, reverse=True)


def test_a_screen_reader_finds_its_way(page, made):
    for image in page.all("img"):
        assert image.attributes["alt"].strip()
    levels = [int(element.tag[1]) for element in page.all("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:], strict=False))
    assert all(element.attributes.get("scope") in ("col", "row") for element in page.all("th"))
    regions = [e.attributes["aria-label"] for e in page.all("div") if "role" in e.attributes
               and e.attributes["role"] == "region"]  # fmt: skip
    assert len(set(regions)) == len(regions) > 2
    drawn = {path.name for path in made.glob("*.png")}
    large = [image for image in page.all("img") if image.attributes.get("class") != "thumb"]
    assert len(large) == len(drawn)


def test_the_page_is_small_and_says_how_it_was_made(page, made):
    assert (made / "report.html").stat().st_size < 2_000_000
    commands = [element.text for element in page.all("code")]
    checkpoint = json.loads((made / "metrics.json").read_text())["checkpoint"]
    assert commands[0].startswith("python test.py -r ")
    assert commands[1] == f"python test.py -r {checkpoint}"


def report_of(model, mean, pca, trained, ratio=4.0, **others):
    splits = {"train": {"mse": trained}, "validation": {"mse": model}}
    baselines = {"mean_image": mean, "pca": pca} | others
    of_both = {name: {"train": {"mse": error}, "validation": {"mse": error}}
               for name, error in baselines.items()}  # fmt: skip
    return {"splits": splits, "baselines": of_both, "code_size": 32, "compression_ratio": ratio,
            "image_shape": [2, 8, round(2 * ratio)]}  # fmt: skip


def test_sentences_say_what_the_numbers_say():
    said = verdicts(report_of(0.02, 0.08, 0.04, 0.01))
    assert said == [
        "On the validation images the model explains 75.0% of what the mean image leaves: an "
        "error of 0.02 against 0.08.",
        "PCA, 32 numbers, does worse: the model's error is 50% below its 0.04.",
        "The validation images come out worse than the training images: 2 times their error.",
    ]
    said = verdicts(report_of(0.1, 0.08, 0.05, 0.1))
    assert said[0].startswith("On the validation images the model does worse than the mean image")
    assert said[1] == "PCA, 32 numbers, does better: its error is 0.05, 50% lower."
    assert said[2] == (
        "Better than the model, whose error is 0.1, on the training images: "
        "PCA, 32 numbers (0.05)."
    )
    assert said[3] == "The validation images come out as well as the training images."


def test_pca_of_a_code_as_large_as_the_image_is_no_rival():
    report = report_of(0.02, 0.08, 1e-15, 0.02, ratio=0.5, pca_16=0.01)
    said = verdicts(report)
    assert "room for the whole image" in said[1]
    assert said[2] == "PCA, 16 numbers, does better: its error is 0.01, 50% lower."
    assert said[3] == (
        "Better than the model, whose error is 0.02, on the training images: "
        "PCA, 16 numbers (0.01)."
    )


def test_what_is_said_of_a_large_code_follows_from_the_errors():
    room = (
        "The code, 32 numbers, is 2 times larger than the image, 2 x 8 x 1 = 16 numbers: it "
        "could hold the image itself, without any error."
    )
    bad, good = (report_of(error, 0.08, 1e-15, 0.02, ratio=0.5) for error in (0.02, 0.0032))
    assert size_of_code(bad) == (
        f"{room} Yet the model leaves 25.0% of the mean image's error on the validation images: "
        "that is not even a good copy."
    )
    assert size_of_code(good) == (
        f"{room} The model leaves 4.0% of the mean image's error on the validation images: that "
        "shows a good copy, not a good summary."
    )
    same = report_of(0.02, 0.0, 1e-15, 0.02, ratio=1.0)
    assert size_of_code(same) == (
        "The code, 32 numbers, is as large as the image, 2 x 8 x 2 = 32 numbers: it could hold "
        "the image itself, without any error."
    )
    assert size_of_code(report_of(1.0, 1.0, 1.0, 1.0)) == (
        "The code, 32 numbers, is 4 times smaller than the image, 2 x 8 x 8 = 128 numbers."
    )


def test_small_pcas_stand_beside_one_that_holds_the_image(small, written, tmp_path):
    small["arch"]["args"] = {"encoder": [{"conv": 4}], "decoder": "mirror"}
    small["trainer"]["epochs"] = 1
    assert command("train.py", "-c", written(small)).returncode == 0
    assert command("test.py", "-r", tmp_path / "saved").returncode == 0
    folder = only_run(tmp_path / "saved") / "test"
    found = json.loads((folder / "metrics.json").read_text())["baselines"]
    assert list(found) == ["mean_image", "pca", "pca_16", "pca_64"]

    from data_loader.image_loader import stratified_split
    from data_loader.wafers import SyntheticWafers

    drawn = SyntheticWafers(12, 40)
    training, _ = stratified_split(drawn.labels.indices, 8, seed=1)
    points = drawn.to_images(drawn.stored[training]).flatten(1).double().numpy()
    values = np.linalg.svd(points - points.mean(0), compute_uv=False)
    expected = (values[16:] ** 2).sum() / points.size
    assert found["pca_16"]["train"]["mse"] == pytest.approx(expected, rel=1e-4)
    page = Page((folder / "report.html").read_text())
    assert any("PCA, 576 numbers: the image itself" in cell
               for row in page.rows("Scores of each split") for cell in row)  # fmt: skip


def split_of(name, errors, labels=None):
    errors = np.asarray(errors, float)
    labels = np.zeros(len(errors), int) if labels is None else np.asarray(labels)
    return Split(name, SimpleNamespace(), errors, labels, str)


def picked(errors, batch_size):
    """The images of a page, picked from images whose two codes are their number."""
    maps, picking = SyntheticWafers(12, 40), PageImages(Plane(torch.zeros(2), None), len(errors))
    for own in torch.arange(len(errors)).split(batch_size):
        images = maps.to_images(maps.stored[own % 40])
        output = {"reconstruction": images, "code": own[:, None].expand(-1, 2).float()}
        numbers = {"model": {"mse": torch.tensor(errors)[own]}}
        picking.add(maps, Measured(Batch(images, own), images, output, numbers))
    return picking


def test_of_many_images_a_sample_is_shown_with_all_of_the_worst():
    errors = np.zeros(9001)
    worst = np.arange(3, 9001, 300)[:WORST]
    errors[:2500:7] = 0.5  # the worst, until worse ones come
    errors[worst] = 1
    picking = picked(errors, 512)
    assert set(worst.tolist()) <= set(picking.numbers)
    assert MOST * 0.7 < len(picking.numbers) <= MOST
    assert picked(errors, 7).numbers == picking.numbers
    splits = [split_of("train", errors[:7000]), split_of("validation", errors[7000:])]
    for split in splits:
        split.loader.indices = torch.arange(len(split.errors)) + 10
    gallery = picking.gallery(splits, ["none"])
    assert gallery.points[:, 0].astype(int).tolist() == picking.numbers
    assert gallery.errors.tolist() == errors[picking.numbers].tolist()
    held_out = gallery.splits.count("validation")
    assert held_out / len(picking.numbers) == pytest.approx(2001 / 9001, rel=0.05)
    assert int(gallery.names[-held_out]) - 10 == picking.numbers[-held_out] - 7000
    colours = SyntheticWafers(12, 40)
    shown = colours.to_rgb(colours.to_images(colours.stored[torch.tensor(picking.numbers) % 40]))
    assert np.array_equal(gallery.images, (shown * 255).round().numpy().astype(np.uint8))


def test_errors_by_class_are_means_over_its_images():
    splits = [split_of("train", [1, 3, 5], [0, 0, 2]), split_of("validation", [4], [0])]
    assert errors_by_class(splits, ["a", "b", "c"]) == [
        {"name": "a", "splits": {"train": (2, 2.0), "validation": (1, 4.0)}},
        {"name": "c", "splits": {"train": (1, 5.0)}},
    ]


def gallery_with(classes, count, side):
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (count, side, side, 3), np.uint8)
    return Gallery(
        random.normal(size=(count, 2)), np.arange(count) % len(classes), ["train"] * count,
        [f"image {place}" for place in range(count)], random.random(count), images, images,
        classes, "two numbers", count,
    )  # fmt: skip


def test_pictures_that_would_be_too_large_are_of_fewer_images():
    content = gallery_content(gallery_with(["a"], 2000, 32))
    assert content["shown"] < content["total"] == 2000
    assert sum(map(len, content["sheets"].values())) < 4_000_000
    assert len(content["worst"]) == WORST


def test_an_error_that_is_no_number_does_not_spoil_the_page():
    gallery = gallery_with(["a"], 3, 4)
    gallery.errors[1], gallery.points[2] = np.nan, np.nan
    points = gallery_content(gallery)["data"]["points"]
    assert json.loads(json.dumps(points, allow_nan=False))[1][5] is None


def test_two_hundred_classes_have_a_box_and_a_colour_each():
    names = [f"class {place} <b>" for place in range(200)]
    groups = gallery_content(gallery_with(names, 400, 4))["groups"]
    assert [group.name for group in groups] == names
    assert len({group.colour for group in groups}) > 190
    assert {group.images for group in groups} == {2}


def test_curves_are_those_of_the_file(tmp_path):
    lines = [{"epoch": 1, "loss": 4.0, "val_loss": 5.0, "lr": 0.1, "seconds": 1.0},
             {"epoch": 2, "loss": 2.0, "val_loss": 3.0, "lr": 0.1, "seconds": 1.0},
             {"epoch": 3, "loss": 1.0, "val_loss": 6.0, "lr": 0.1, "seconds": 1.0}]  # fmt: skip
    text = "".join(json.dumps(line) + "\n" for line in lines) + '{"epoch": 4, "lo'
    (tmp_path / "metrics.jsonl").write_text(text)
    epochs = read_history(tmp_path)
    assert epochs == lines
    assert best_epoch(epochs, "min val_loss") == 2
    assert best_epoch(epochs, "off") is None
    assert "train longer" not in epoch_told(2, "min val_loss", 2, epochs)
    assert epoch_told(3, "min loss", 2, epochs) == (
        "The run trained 3 epochs; this test is of epoch 2. The best by 'min loss' is epoch 3, "
        "the dotted line. That is the last one: the model may still get better, so train longer."
    )
    loss, rate = charts_of(epochs, 2)
    assert (loss.title, rate.title) == ("loss", "learning rate")
    assert loss.told == "training from 4 to 1; validation from 5 to 6"
    assert [line.name for line in loss.lines] == ["training", "validation"]
    xs = [float(point.split()[0]) for point in loss.lines[0].path[1:].split("L")]
    assert xs[0] == loss.left
    assert xs[-1] == loss.right
    assert loss.mark == pytest.approx((loss.left + loss.right) / 2)


def test_a_chart_of_one_epoch_and_of_very_many():
    single = chart("loss", "", {"training": [(1, 0.0)]}, 1)
    assert single.lines[0].path.count("L") == 1
    points = [(epoch, 1.0) for epoch in range(1, 10_001)]
    kept = thinned(points)
    assert len(kept) <= 501
    assert (kept[0], kept[-1]) == (points[0], points[-1])


def test_sections_of_others_appear_when_their_files_are_there(tmp_path):
    assert extras_in(tmp_path) == []
    measures = {"class_kept": 0.5, "new": 1.0, "density": None, "coverage": 0.25}
    row = {"made_by": "children", "noise": 0.1, "images": 64, "to_nearest_pixels": 3.0, **measures}
    quality = {
        "chosen": [{"labels": ["<b>", "Loc"], "noise": 0.1, "reason": "at 0.5 it falls"}],
        "classes": [{"class": "<b>", "rows": [row, row | {"made_by": "held out", "noise": None}]}],
        "held_out": {"split": "test", "count": 64},
    }
    (tmp_path / "quality.json").write_text(json.dumps(quality))
    (tmp_path / "study.csv").write_text("arm,mse\nsmall,0.25\n")
    first, second = extras_in(tmp_path)
    assert [first.title, second.title] == ["Quality of the generated images", "Study"]
    assert first.tables[0].rows == [["<b>, Loc", 0.1, "at 0.5 it falls"]]
    numbers = [64, 0.5, 1.0, None, 0.25, 3.0]
    assert first.tables[1].rows == [
        ["<b>", "children", 0.1, *numbers], ["<b>", "test images", None, *numbers]
    ]  # fmt: skip
    assert first.tables[1].names[4:6] == ["class kept ↑", "new ↑"]
    assert "about what the test images have" in first.tables[1].told[0]
    assert second.tables[0].rows == [["small", 0.25]]


def test_a_template_that_lacks_something_is_an_error(tmp_path):
    with pytest.raises(Exception, match="undefined"):
        write_page(tmp_path, "test.html", {"title": "x"})


def test_new_images_have_a_page_of_their_own(made):
    images = np.random.default_rng(1).integers(0, 256, (5, 12, 12), np.uint8)
    np.save(made.parent / "new.npy", images)
    done = command("test.py", "-r", made.parent, "--images", made.parent / "new.npy")
    assert done.returncode == 0, done.stderr
    page = Page((made.parent / "images" / "report.html").read_text(encoding="utf-8"))
    assert "of 5 images are flagged" in " ".join(element.text for element in page.all("li"))
    assert "new, of no known class (5)" in [element.text for element in page.all("label")]
    assert 0 < sum(row[4] == "images" for row in page.rows("Worst images"))


def test_the_hardest_class_is_named_in_quotes(page):
    # "class 100" or a name of no letters would otherwise be lost in the sentence
    (said,) = [item.text for item in page.all("li") if "are hardest" in item.text]
    quoted = [f'"{name}"' for name in NASTY]
    assert sum(f"those of {name} are hardest" in said for name in quoted) == 1
    assert sum(f"those of {name} are easiest" in said for name in quoted) == 1
