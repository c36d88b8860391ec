"""Generated images: as many as the disk holds, never more than a batch of them in memory."""

import io
import json
import resource
from itertools import islice

import numpy as np
import pytest
import torch

from generation.children import plan_children
from tester.array_writer import Record, RowFile
from tests import processes
from tests.conftest import command, only_run
from utils.config.sections import GenerationSection


def trained_on(config, written, folder):
    """The run of a config whose network makes large images at little cost."""
    encoder = [{"conv": 1, "kernel_size": 8, "stride": 8}]
    config["arch"]["args"] = {"encoder": encoder, "decoder": "mirror"}
    config["trainer"]["epochs"] = 1
    done = command("train.py", "-c", written(config))
    assert done.returncode == 0, done.stderr
    return only_run(folder / "saved")


@pytest.mark.parametrize("key", ["samples", "per_class"])
def test_more_images_than_the_disk_holds_are_refused_before_anything(
    small, written, tmp_path, key
):
    small["dataset"]["args"]["size"] = 16
    run = trained_on(small, written, tmp_path)
    count = {"samples": 32 * 10**9 * 3, "per_class": 9 * 10**9}[key]  # 32 maps of 9 classes
    target = tmp_path / "new" / "folder"
    settings = [f"generation.{key}=1000000000", "generation.noise=[0.1,0.2,0.3]"]
    done = command("test.py", "-r", run, "-o", target, "-s", *settings)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    beginning = f"error: config: generation.{key}: 1000000000: would make {count:,} images, about "
    assert done.stderr.startswith(beginning)
    needed, _, rest = done.stderr.removeprefix(beginning).partition(" bytes ")
    # A map of 16x16 bytes, a label of 8, and 60 to 80 characters of generated.json.
    assert count * (256 + 8 + 60) < int(needed.replace(",", "")) < count * (256 + 8 + 80)
    assert f" are free at {target}; lower it" in rest
    assert not (tmp_path / "new").exists()


def peak_of_a_test(arguments, output, measured):
    """Be test.py and leave the most memory that the process ever had, in bytes."""
    processes.evaluate(arguments, output)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    measured.write_text(str(peak))


def test_memory_does_not_grow_with_the_number_of_images(small, written, tmp_path):
    images = np.random.default_rng(0).random((10, 64, 64, 3))
    np.save(tmp_path / "data.npy", images)
    args = {"data": str(tmp_path / "data.npy"), "value_range": [0, 1]}
    small["dataset"] = {"type": "Arrays", "args": args}
    run = trained_on(small, written, tmp_path)
    peaks = []
    for samples in (4, 300):
        arguments = ["-r", run, "-s", f"generation.samples={samples}"]
        output, measured = tmp_path / f"said{samples}", tmp_path / f"peak{samples}"
        process = processes.start(peak_of_a_test, arguments, output, measured)
        assert processes.finish(process) == 0, output.read_text()
        peaks.append(int(measured.read_text()))
    data = np.load(run / "test" / "gen_data.npy", mmap_mode="r")
    assert (len(data), data.nbytes) == (8 * 300, 8 * 300 * images[0].nbytes)  # 236 MB
    assert peaks[1] - peaks[0] < data.nbytes / 6


def test_the_files_are_those_that_numpy_and_json_would_write(small, written, tmp_path):
    labels = np.array(["ring", "scratch"] * 5, dtype=">U7")
    images = np.random.default_rng(0).integers(0, 9, (10, 3, 16, 16)).astype(">i2")
    np.save(tmp_path / "data.npy", images)
    np.save(tmp_path / "label.npy", labels[:, None])
    args = {name: str(tmp_path / f"{name}.npy") for name in ("data", "label")}
    small["dataset"] = {"type": "Arrays", "args": args | {"value_range": [0, 8]}}
    run = trained_on(small, written, tmp_path)
    settings = ["generation.split=all", "generation.samples=7", "generation.noise=[0.1,1]"]
    done = command("test.py", "-r", run, "-s", *settings)
    assert done.returncode == 0, done.stderr
    test = run / "test"
    for name, shape in (("data", (140, 3, 16, 16)), ("label", (140, 1))):
        array, whole = np.load(test / f"gen_{name}.npy"), io.BytesIO()
        assert array.shape == shape
        np.save(whole, array)
        assert (test / f"gen_{name}.npy").read_bytes() == whole.getvalue()
    assert np.load(test / "gen_label.npy").tolist() == labels.repeat(14)[:, None].tolist()
    text = (test / "generated.json").read_text()
    record = json.loads(text)
    assert text == json.dumps(record, indent=1) + "\n"
    assert list(record) == [
        "checkpoint",
        "split",
        "method",
        "unit",
        "symmetries",
        "keep_outline",
        "images",
    ]
    assert [image["source"] for image in record["images"]] == np.arange(10).repeat(14).tolist()
    assert [image["noise"] for image in record["images"]] == [0.1, 1.0] * 70


def test_rows_are_written_as_they_lie_in_the_whole(tmp_path):
    whole = np.arange(2 * 3 * 4 * 5, dtype=np.uint16).reshape(2, 3, 4, 5).transpose(0, 3, 1, 2)
    with RowFile(tmp_path / "a.npy", 2) as file:
        file.add(whole[:1])
        file.add(whole[1:])
    np.save(tmp_path / "b.npy", whole)
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


def test_children_are_planned_when_their_turn_comes():
    settings = GenerationSection(samples=10**12, noise=[0.1, 0.2])
    children = plan_children(torch.tensor([4, 7]), torch.zeros(9).long(), settings, seed=0)
    assert children.count == 2 * 10**12 * 2
    first = list(islice(children, 4))
    assert [(child.source, child.noise) for child in first] == [(4, 0.1), (4, 0.2)] * 2
    assert [child.source for child in islice(children.of(7), 2)] == [7, 7]


def test_a_balanced_plan_lets_the_images_and_the_levels_take_turns():
    settings = GenerationSection(per_class=3, noise=[0.1, 0.2])
    labels = torch.tensor([0, 1, 0, 2, 2, 2, 2])
    children = plan_children(torch.arange(7), labels, settings, seed=0)
    assert children.count == 9
    assert [(child.source, child.noise) for child in children] == [
        (0, 0.1), (0, 0.2), (1, 0.1), (1, 0.2), (1, 0.1), (2, 0.2), (3, 0.1), (4, 0.2), (5, 0.1)
    ]  # fmt: skip
    assert children.sources() == [0, 1, 2, 3, 4, 5]  # the last of class 2 has none
    assert children.levels() == [0.1, 0.2]
    few = GenerationSection(per_class=1, noise=[0.5, 0.2])
    assert plan_children(torch.arange(1), labels, few, seed=0).levels() == [0.5]


def test_a_record_that_is_not_finished_does_not_look_whole(tmp_path):
    with pytest.raises(OSError, match="full"), Record(tmp_path / "a.json", {"split": "all"}):
        raise OSError("full")
    assert not (tmp_path / "a.json").read_text().endswith("}\n")


def test_noise_that_overflows_leaves_no_images_of_nan(small, written, tmp_path):
    np.save(tmp_path / "data.npy", np.random.default_rng(2).random((20, 12, 12)))
    args = {"data": str(tmp_path / "data.npy"), "value_range": [0, 1]}
    small["dataset"] = {"type": "Arrays", "args": args}
    run = trained_on(small, written, tmp_path)
    done = command("test.py", "-r", run, "-s", "generation.noise=[0, 1e300]")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done
    assert done.stderr.startswith("error: generation.noise: 1e+300 is so much that ")
    assert not (run / "test").exists()
