"""How good the children are, as test.py reports it; the classifier that judges them."""

import json

import numpy as np
import pytest
import torch
from matplotlib import image

from data_loader.wafers import SyntheticWafers
from generation.classifier import (
    ClassifierSettings,
    Labelled,
    features_of,
    predict,
    train_classifier,
)
from generation.measures import Measure
from generation.quality import Group, Quality, Row
from logger.lettering import ELLIPSIS
from logger.panels import TOP, Curve, Panel, Panels, draw_panels
from tester import quality_report
from tester.quality_report import SHOWN, Words, draw_quality
from tester.quality_words import summary
from tests.conftest import command, only_run, with_pictures
from tests.reading import Page

SHAPES = [(1, 1, 1), (3, 26, 26), (1, 28, 28), (3, 33, 50), (2, 1, 7)]


def some(shape=(1, 8, 8), count=60, classes=3):
    """Images of noise, brighter from class to class."""
    random = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % classes
    noise = torch.rand(count, *shape, generator=random)
    return Labelled(noise + labels.view(-1, 1, 1, 1), labels)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_classifier_takes_images_of_any_size(shape):
    images = some(shape, 6)
    classifier = train_classifier(images, 4, ClassifierSettings(steps=2, batch_size=4), 0)
    assert predict(classifier, images.images).sum(1) == pytest.approx(np.ones(6), abs=1e-5)
    assert features_of(classifier, images.images).shape == (6, 64)
    assert not classifier.training


def test_a_classifier_follows_from_its_seed_and_leaves_torchs_numbers_alone():
    images, settings = some(), ClassifierSettings(steps=3, batch_size=8)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, again, other = (
        predict(train_classifier(images, 3, settings, seed), images.images) for seed in (1, 1, 2)
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("weighted", [False, True])
def test_a_classifier_learns_what_can_be_told(weighted):
    images = some()
    settings = ClassifierSettings(
        steps=40, batch_size=32, balanced=not weighted, weighted=weighted
    )
    found = predict(train_classifier(images, 3, settings, 0), images.images).argmax(1)
    assert (found == images.labels).float().mean() > 0.95


def test_generated_images_are_a_share_of_each_batch_and_all_are_augmented():
    seen = []

    def look(images, random):
        seen.append(images.mean((1, 2, 3)))
        return images

    real = Labelled(torch.zeros(9, 1, 4, 4), torch.arange(9) % 3)
    generated = Labelled(torch.ones(2, 1, 4, 4), torch.tensor([0, 2]))
    settings = ClassifierSettings(steps=3, batch_size=20, share=0.25)
    train_classifier(real, 3, settings, 0, look, generated)
    assert [int(step.sum()) for step in seen] == [5, 5, 5]
    assert [len(step) for step in seen] == [20, 20, 20]


def test_a_rare_class_is_drawn_as_often_as_a_common_one():
    seen = []

    def look(images, random):
        seen.append(images.mean((1, 2, 3)))
        return images

    labels = torch.tensor([0] * 98 + [1] * 2)
    real = Labelled(labels.float().view(-1, 1, 1, 1), labels)
    for balanced in (True, False):
        settings = ClassifierSettings(steps=10, batch_size=100, balanced=balanced)
        train_classifier(real, 2, settings, 0, look)
    shares = torch.stack(seen).mean(1)
    assert shares[:10].mean() == pytest.approx(0.5, abs=0.06)
    assert shares[10:].mean() == pytest.approx(0.02, abs=0.02)


def test_a_map_is_valid_with_the_outline_of_its_original():
    dataset = SyntheticWafers(size=8, count=9)
    images = dataset.to_images(dataset.stored)
    assert dataset.are_valid(images, images).all()
    holed, soft = images[:1].clone(), images[:1] * 0.9
    holed[0, :, 4, 4] = torch.tensor([1.0, 0.0, 0.0])
    assert not dataset.are_valid(torch.cat([holed, soft]), images[:1].repeat(2, 1, 1, 1)).any()


@pytest.fixture(scope="module")
def tested(tmp_path_factory):
    """The report of a small model on drawn maps, a third of them held out."""
    folder = tmp_path_factory.mktemp("quality")
    layers = {"encoder": [{"conv": 8, "stride": 2}], "decoder": "mirror"}
    config = {
        "name": "small",
        "dataset": {"type": "SyntheticWafers", "args": {"size": 12, "count": 200}},
        "data_loader": {
            "type": "ImageLoader", "args": {"batch_size": 32, "validation_split": 0.3}
        },
        "arch": {"type": "Autoencoder", "args": layers},
        "loss": {"type": "MSE"},
        "optimizer": {"type": "Adam", "args": {"lr": 0.01}},
        "trainer": {"epochs": 20, "save_dir": str(folder / "saved"), "tensorboard": False},
        "generation": {"noise": 0.5, "samples": 1},
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    done = command("train.py", "-c", folder / "config.json")
    assert done.returncode == 0, done.stderr
    run = only_run(folder / "saved")
    done = command("test.py", "-r", run)
    assert done.returncode == 0, done.stderr
    return run, done.stdout


def rows_of(run, name):
    quality = json.loads((run / "test" / "quality.json").read_text())
    (group,) = (group for group in quality["classes"] if group["class"] == name)
    return {(row["made_by"], row["noise"]): row for row in group["rows"]}


def test_the_report_has_a_curve_beside_copies_symmetries_and_held_out_images(tested):
    run, said = tested
    quality = json.loads((run / "test" / "quality.json").read_text())
    assert quality["levels"] == [0, 0.25, 0.5, 1, 2]
    assert quality["held_out"] == {"split": "validation", "count": 60}
    assert len(quality["classes"]) == 10
    rows = rows_of(run, "all classes")
    assert list(rows) == [
        ("children", 0), ("children", 0.25), ("children", 0.5), ("children", 1), ("children", 2),
        ("copies", None), ("symmetries", None), ("held out", None),
    ]  # fmt: skip
    assert "children at noise 0.5, and validation images: class kept" in said
    assert quality["summary"].startswith("Children at noise 0.5 keep their class in ")
    page = Page((run / "test" / "report.html").read_text(encoding="utf-8"))
    assert quality["summary"] in [item.text for item in page.all("li")]


def told(plain, made, held=(0.85, 1.0), turned=(0.82, 0.95), method="noise"):
    """What is said where (class kept, density) are so."""
    makers = [("children", 0.0, plain), ("children", 0.5, made), ("held out", None, held),
              ("symmetries", None, turned)]  # fmt: skip
    rows = [
        {"made_by": maker, "noise": noise, "class_kept": kept, "density": dense, "new": 0.5}
        for maker, noise, (kept, dense) in makers
    ]
    return summary(rows, 0.5, "validation images", method)


def test_the_summary_says_whether_the_noise_or_the_reconstruction_loses_the_class():
    assert told((0.41, 0.9), (0.4, 0.9)) == (
        "Children at noise 0.5 keep their class in 40% of cases (density 0.90); validation images "
        "in 85% of cases (density 1.00); turned originals in 82% of cases (density 0.95). So "
        "they are worse than validation images and turned originals; 50% of them are no near "
        "copies of training images, of the validation images 50%. Without noise it is 41% of "
        "cases (density 0.90): the reconstruction is what makes them worse, not the noise."
    )
    assert told((0.8, 1.0), (0.4, 1.0)).endswith("the noise is what makes them worse.")
    assert told((0.6, 1.0), (0.4, 1.0)).endswith(
        "the reconstruction makes them worse, and the noise does so further."
    )
    assert "the method, gaussian, is" in told((0.4, 1.0), (0.4, 1.0), method="gaussian")


def test_the_summary_goes_by_the_rule_that_noise_is_chosen_by():
    good = told((0.4, 0.5), (0.81, 0.91))
    assert "they are no worse than validation images and turned originals;" in good
    assert "Without noise" not in good
    assert "they are worse than validation images, but no worse than turned originals" in told(
        (0.8, 1.0), (0.81, 0.86)
    )
    assert told((0.8, None), (0.8, None), held=(0.8, None)) == ""


def test_the_report_tells_copies_from_children_and_much_noise_from_little(tested):
    rows = rows_of(tested[0], "all classes")
    copies, real = rows["copies", None], rows["held out", None]
    assert (copies["new"], copies["to_nearest_pixels"], copies["valid"]) == (0, 0, 1)
    assert copies["copying"] < -5
    assert real["density"] == pytest.approx(1, abs=0.25)
    assert real["coverage"] == pytest.approx(real["null_coverage"], abs=0.15)
    assert (real["copying"], real["kid_p"] > 0.1) == (0, True)
    little, much = rows["children", 0.25], rows["children", 2]
    assert little["to_nearest_pixels"] < much["to_nearest_pixels"]
    assert little["valid"] == much["valid"] == 1


def test_a_class_with_few_held_out_images_has_reasons_in_place_of_numbers(tested):
    (row,) = (row for key, row in rows_of(tested[0], "Donut").items() if key == ("copies", None))
    assert (row["density"], row["kid"], row["diversity"]) == (None, None, None)
    assert row["reasons"]["density"] == "0 held-out images, and it takes 10"
    assert row["new"] == 0
    assert row["images"] == 64


def test_held_out_images_too_few_to_halve_are_counted_in_full_in_the_reason(tested):
    quality = json.loads((tested[0] / "test" / "quality.json").read_text())
    few = [group for group in quality["classes"] if group["held_out"] < 19]
    assert any(10 <= group["held_out"] for group in few)
    for group in few:
        reasons = group["rows"][-1]["reasons"]
        assert reasons["density"].startswith(f"{group['held_out']} held-out images, and a half")


def test_the_picture_cuts_no_sentence_that_says_how_to_read_it(monkeypatch, tmp_path):
    drawn = []
    monkeypatch.setattr(quality_report, "save_panels", lambda panels, path: drawn.append(panels))
    measures = dict.fromkeys(SHOWN, Measure(0.5))
    made = [("copies", None), ("children", 0.35), ("symmetries", None), ("held out", None)]
    rows = [Row(maker, noise, 64, measures) for maker, noise in made]
    groups = [Group(label, 1234, 9, rows) for label in (None, 0, 1)]
    words = Words("class", "validation images")
    quality = Quality(groups, [0.35], 0)
    draw_quality(quality, ("a", "b"), words, dict.fromkeys(range(2), 0.35), tmp_path / "q.png")
    figure = draw_panels(drawn[0])
    shown = [text.get_text() for axes in figure.axes for text in axes.texts]
    shown += [text.get_text() for text in figure.texts]
    assert "1,234 training, 9 validation; good up to 0.35" in shown
    assert not [text for text in shown if ELLIPSIS in text]


def test_a_second_report_says_the_same(tested):
    run, _ = tested
    before = (run / "test" / "quality.json").read_bytes()
    assert command("test.py", "-r", run, "-s", "generation.per_class=2").returncode == 0
    assert (run / "test" / "quality.json").read_bytes() == before


def test_without_generation_or_classes_there_is_no_quality(tested, small, written, tmp_path):
    run, _ = tested
    target = tmp_path / "out"
    done = command("test.py", "-r", run, "-o", target, "-s", "generation=null")
    assert done.returncode == 0, done.stderr
    assert not (target / "quality.json").exists()
    np.save(tmp_path / "data.npy", np.random.default_rng(0).random((20, 12, 12)))
    args = {"data": str(tmp_path / "data.npy"), "value_range": [0, 1]}
    small["dataset"] = {"type": "Arrays", "args": args}
    assert command("train.py", "-c", written(with_pictures(small))).returncode == 0
    done = command("test.py", "-r", only_run(tmp_path / "saved"), "-o", target)
    assert done.returncode == 0, done.stderr
    assert not (target / "quality.png").exists()


def test_the_picture_is_of_moderate_size(tested):
    height, width, _ = image.imread(tested[0] / "test" / "quality.png").shape
    assert 800 < max(height, width) < 2500


def test_panels_keep_long_names_apart_and_draw_what_is_too_high_at_the_top():
    curves = {"density": Curve([9.0, 0.5, None, 0.2], 1.0)}
    panel = Panel("a very long name of a class " * 9, curves, "17 training")
    panels = Panels([panel] * 17, ["copies", "1", "2", "turned"], 1, "noise", "real", "t " * 300,
                    ["read " * 200])  # fmt: skip
    figure = draw_panels(panels)
    figure.canvas.draw()
    assert len(figure.axes) == 17
    ends = figure.axes[0].lines[1].get_ydata()
    assert ends.tolist() == [TOP, 0.2]
    width, height = figure.canvas.get_width_height()
    texts = [text for axes in figure.axes for text in axes.texts] + figure.texts
    for text in texts:
        box = text.get_window_extent()
        assert 0 <= box.x0 < box.x1 <= width
        assert 0 <= box.y0 < box.y1 <= height
