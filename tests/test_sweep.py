"""Sweeps: several runs of one config and the table of their scores."""

import csv
import json
import os
import shutil
import signal
import time
import zlib
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from tests import processes
from tests.conftest import command
from tests.events import curve, curves, settings_of
from trainer.catalogue import catalogue
from trainer.plan import Member, plan_sweep
from trainer.sweep import show_in_tensorboard
from trainer.sweep_tables import generation_table, markdown, sweep_table, write_table
from utils.checkpoint import load_checkpoint
from utils.config.build import build
from utils.config.check import load_config


@pytest.mark.slow
def test_a_sweep_runs_each_member_once_and_tells_their_scores(small, written, tmp_path):
    small["trainer"]["epochs"] = 1
    small["sweep"] = {"runs": [{"optimizer.args.lr": 0.01}, {"optimizer.args.lr": 0.0}]}
    config = written(small)
    done = command("train.py", "-c", config)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "saved" / "small-sweep"
    rows = list(csv.DictReader((folder / "table.csv").read_text().splitlines()))
    assert [row["setting"] for row in rows] == ["optimizer.args.lr 0.01", "optimizer.args.lr 0.0"]
    for row in rows:
        (report,) = (tmp_path / "saved").glob(f"small-{rows.index(row)}-*/*/test/metrics.json")
        validation = json.loads(report.read_text())["splits"]["validation"]
        assert float(row["mse"]) == validation["mse"]
    shown = {run: settings_of(run) for run in member_runs(tmp_path)}
    assert list(shown.values()) == [
        {"seed": "1", "optimizer.args.lr": 0.01}, {"seed": "1", "optimizer.args.lr": 0.0},
    ]  # fmt: skip

    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "saved").rglob("*.pth")}
    damaged = 'corruption={"type": "Mask"}'
    assert command("test.py", "-r", report.parent.parent, "-s", damaged).returncode == 0
    table = (folder / "table.csv").read_text()
    assert command("train.py", "-c", config).returncode == 0
    assert (folder / "table.csv").read_text() == table
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "saved").rglob("*.pth")}
    assert before == after
    assert shown == {run: settings_of(run) for run in member_runs(tmp_path)}
    events = [path.parent for path in (tmp_path / "saved").rglob("events.*")]
    assert sorted(events) == list(shown)


def member_runs(folder):
    """The folders of the runs of a sweep's members, in their order."""
    return sorted(
        path.parent.parent for path in folder.glob("saved/small-?-*/*/test/metrics.json")
    )


def test_a_member_that_cannot_run_is_refused_before_any_runs(small, written, tmp_path):
    small["sweep"] = {"runs": [{"optimizer.args.lr": 0.1}, {"optimizer.args.lrr": 0.1}]}
    done = command("train.py", "-c", written(small))
    assert done.returncode == 2
    assert (
        "sweep.runs.1: optimizer.args.lrr: 0.1: unknown key; did you mean 'optimizer.args.lr'?"
        in done.stderr
    )
    assert not (tmp_path / "saved").exists()


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"arch.args.encoder": [{"conv": 3, "kernel_size": 99}]}, "arch.args.encoder.0: conv "),
        ({"data_loader.args.validation_split": 39}, "data_loader.args.validation_split: holds "),
        ({"metrics": ["ssim"], "dataset.args.size": 5}, 'config: metrics: "ssim": needs '),
        ({"loss.type": "BCE", "arch.args.output_activation": None}, 'config: loss.type: "BCE": '),
        ({"optimizer.args.lr": 1, "optimizer": {"type": "SGD"}}, "-s optimizer: would undo "),
        ({"optimizer.args.lr": 0.01}, "trains what sweep.runs.0 trains; leave one out"),
    ],
)
def test_a_member_whose_parts_do_not_fit_is_refused_before_any_runs(
    small, written, tmp_path, setting, says
):
    done = command("train.py", "-c", written(small | {"sweep": {"runs": [{}, setting]}}))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: sweep.runs.1: {says}")
    assert not (tmp_path / "saved").exists()


@pytest.mark.parametrize(
    ("sweep", "says"),
    [
        ({"runs": [{"seed": 3}]}, "sweep.runs.0.seed: 3: seeds are written into sweep.seeds"),
        ({"runs": [{}, {"name": "x"}]}, 'sweep.runs.1.name: "x": is the same for all members'),
        ({"runs": [{"trainer.save_dir": "y"}]}, "is the same for all members"),
        ({"runs": [{"trainer": {"epochs": 1, "save_dir": "y"}}]}, "is the same for all members"),
        ({"runs": [{"sweep": None}]}, "is the same for all members"),
        ({"runs": [{}], "seeds": [0, 0, 1]}, "sweep.seeds: [0, 0, 1]: names a seed twice"),
    ],
)
def test_what_members_share_is_not_theirs_to_change(small, written, tmp_path, sweep, says):
    done = command("train.py", "-c", written(small | {"sweep": sweep}))
    assert done.returncode == 2
    assert says in done.stderr
    assert not (tmp_path / "saved").exists()


def test_a_member_keeps_the_folder_that_it_had_before_there_were_later_keys(small, written):
    other = {"augmentation": {"type": "Symmetries"}}
    config = load_config(written(small | {"sweep": {"runs": [{}, other]}}), [], catalogue())
    member, augmented = plan_sweep(config, catalogue())
    assert augmented.folder.name[-8:] != member.folder.name[-8:]
    content = json.loads(json.dumps(member.config)) | {"name": "small"}
    before = ("epochs", "monitor", "early_stop", "precision", "compile")
    content["trainer"] = {key: content["trainer"][key] for key in before}
    assert content.pop("augmentation") is content.pop("study") is None
    assert content["arch"]["args"].pop("conditional") is False
    made = content["generation"]
    made["relative"] = made.pop("unit") == "code"
    made = {
        key: made[key] for key in ("samples", "per_class", "noise", "relative", "split", "grid")
    }
    content["generation"] = made
    data = build(config, catalogue(), "dataset").fingerprint()
    mark = zlib.crc32(json.dumps([content, data]).encode())
    assert member.folder.name == f"small-0-seed1-{mark:08x}"


def test_a_member_keeps_its_folder_when_one_before_it_is_left_out(small, written, tmp_path):
    runs = [{}, {"optimizer.args.lr": 0.5}, {"optimizer.args.lr": 0.25}]

    def folders(runs):
        config = load_config(written(small | {"sweep": {"runs": runs}}), [], catalogue())
        return [member.folder for member in plan_sweep(config, catalogue())]

    first, _, third = folders(runs)
    third.mkdir(parents=True)
    (tmp_path / "saved" / third.name.replace("small-2", "small-label")).mkdir()
    assert folders([runs[0], runs[2]]) == [first, third]
    renumbered = third.with_name(third.name.replace("small-2", "small-1"))
    renumbered.mkdir()
    assert folders([runs[0], runs[2]]) == [first, renumbered]


def test_a_name_too_long_for_its_members_is_refused_before_any_runs(small, written, tmp_path):
    done = command("train.py", "-c", written(small | {"name": "n" * 90, "sweep": {"runs": [{}]}}))
    assert done.returncode == 2
    assert "name: " in done.stderr
    assert not (tmp_path / "saved").exists()


def scores_of(mse):
    return {"count": 5, "mse": mse, "ssim": None, "corrupted": {"mse": 2 * mse}}


def test_a_table_gives_mean_and_spread_over_seeds():
    facts = {"parameters": 7, "code_size": 2, "compression_ratio": 8.0}
    results = [
        (Member(0, {"a": 1}, seed, {}, Path()), {"splits": {"train": scores_of(mse)}, **facts})
        for seed, mse in ((0, 1.0), (1, 3.0))
    ]
    (row,) = sweep_table(results)
    assert row["mse"] == 2.0
    assert round(row["mse sd"], 6) == round(2**0.5, 6)
    assert row["corrupted mse"] == 4.0
    assert "ssim" not in row
    assert "| 2 ± 1.4 |" in markdown([row])


def test_children_are_told_at_each_level_of_noise_over_seeds(tmp_path):
    results = []
    for seed, kept in ((0, 0.5), (1, 0.75)):
        test = tmp_path / f"member{seed}" / "0102_030405" / "test"
        test.mkdir(parents=True)
        (test / "metrics.json").write_text("{}")
        of_children = {"made_by": "children", "images": 8, "class_kept": kept, "density": None}
        rows = [
            of_children | {"noise": 2.0, "kid": 1.0},
            of_children | {"noise": 0.5, "kid": 0.25 + seed},
            {"made_by": "copies", "noise": None, "class_kept": 1.0},
        ]
        groups = [{"class": "all classes", "rows": rows}, {"class": "Donut", "rows": rows[:1]}]
        (test / "quality.json").write_text(json.dumps({"classes": groups}))
        results.append((Member(0, {}, seed, {}, tmp_path / f"member{seed}", "AE"), {}))
    results.append((Member(1, {}, 0, {}, tmp_path / "member0", "VAE"), {}))
    low, high, alone, _ = generation_table(results)
    assert (low["setting"], low["noise"], low["seeds"]) == ("AE", 0.5, 2)
    assert low["class kept"] == 0.625
    assert (low["KID"], round(low["KID sd"], 6)) == (0.75, round(0.5**0.5, 6))
    assert "density" not in low
    assert (high["noise"], high["KID"], high["KID sd"]) == (2.0, 1.0, 0.0)
    assert (alone["setting"], alone["seeds"], alone["class kept"]) == ("VAE", 1, 0.5)


def test_settings_whose_keys_end_alike_stay_apart():
    facts = {"parameters": 7, "code_size": 2, "compression_ratio": 8.0}
    results = [
        (Member(place, {"a": 1}, 0, {}, Path()), {"splits": {"train": scores_of(mse)}, **facts})
        for place, mse in ((0, 1.0), (1, 3.0))
    ]
    assert [row["mse"] for row in sweep_table(results)] == [1.0, 3.0]


def test_settings_with_other_scores_have_empty_cells(tmp_path):
    facts = {"parameters": 7, "code_size": 2, "compression_ratio": 8.0}
    results = [
        (Member(0, {}, 0, {}, Path("a")), {"splits": {"train": {"mse": 1.0}}, **facts}),
        (Member(1, {"b": 1}, 0, {}, Path("b")), {"splits": {"train": {"kl": 2.0}}, **facts}),
    ]
    write_table(sweep_table(results), tmp_path, "table")
    rows = list(csv.DictReader((tmp_path / "table.csv").read_text().splitlines()))
    assert [(row["mse"], row["kl"]) for row in rows] == [("1.0", ""), ("", "2.0")]


def test_hparams_have_a_column_for_whatever_any_member_changes(tmp_path):
    facts = {"parameters": 7, "code_size": 2, "compression_ratio": 8.0}
    base = {"optimizer": {"args": {"lr": 0.5}}, "metrics": ["ssim", "mse"], "augmentation": None}
    narrow = base | {"arch": {"args": {"latent": 3, "conditional": True}}}
    runs = [
        ({"arch.args.latent": 3, "arch.args.conditional": True}, narrow, "narrow"),
        ({"optimizer.args.lr": 0.25, "augmentation": [1, "a"]}, base, ""),
    ]
    results = []
    for place, (overrides, config, label) in enumerate(runs):
        folder = tmp_path / f"member{place}"
        (folder / "0102_030405" / "test").mkdir(parents=True)
        (folder / "0102_030405" / "test" / "metrics.json").write_text("{}")
        member = Member(place, overrides, 7, config, folder, label)
        report = {"epoch": 4, "splits": {"train": scores_of(0.5 + place)}, **facts}
        results.append((member, report))
    (tmp_path / "hparams" / "of an earlier version").mkdir(parents=True)
    for _ in range(2):
        show_in_tensorboard(sweep_table(results), results, tmp_path)
    assert not (tmp_path / "hparams").exists()
    first, second = (member.folder / "0102_030405" for member, _ in results)
    assert settings_of(first) == {
        "label": "narrow", "seed": "7", "arch.args.latent": 3.0, "arch.args.conditional": "true",
        "optimizer.args.lr": 0.5, "augmentation": "null",
    }  # fmt: skip
    assert settings_of(second) == {
        "label": "optimizer.args.lr 0.25, augmentation [1, a]", "seed": "7",
        "optimizer.args.lr": 0.25, "augmentation": "[1, a]",
    }  # fmt: skip
    assert curve(second, "best/mse") == [(4, 1.5)]
    assert list(curves(second)) == ["best/mse"]
    assert len(list(second.glob("events.*"))) == 1


def test_a_member_is_found_again_unless_it_would_be_trained_otherwise(small):
    from trainer.catalogue import catalogue
    from trainer.sweep import plan_sweep
    from utils.config.check import check_config

    def folders(**trainer):
        content = small | {"sweep": {"runs": [{}]}, "trainer": small["trainer"] | trainer}
        config = check_config(content, catalogue(), "config.json")
        return [member.folder.name for member in plan_sweep(config, catalogue())]

    assert folders() == folders(save_period=3)
    before = folders()
    small["generation"] = {"pictures": True}
    assert folders() == before
    assert folders() != folders(epochs=7)


def test_a_member_of_other_images_is_another_member(small, tmp_path):
    from trainer.catalogue import catalogue
    from trainer.sweep import plan_sweep
    from utils.config.check import check_config

    small["dataset"] = {"type": "Arrays", "args": {"data": str(tmp_path / "data.npy")}}
    config = check_config(small | {"sweep": {"runs": [{}]}}, catalogue(), "config.json")
    names = set()
    for value in (0, 255):
        np.save(tmp_path / "data.npy", np.full((9, 12, 12), value, np.uint8))
        names |= {member.folder.name for member in plan_sweep(config, catalogue())}
    assert len(names) == 2


@pytest.mark.slow
def test_a_member_is_tested_again_where_other_images_are_asked_for_and_not_trained(
    small, written, tmp_path
):
    small["trainer"]["epochs"] = 1
    small["sweep"] = {"runs": [{}]}
    config = written(small)
    assert command("train.py", "-c", config).returncode == 0
    (run,) = member_runs(tmp_path)
    trained = {path: path.stat().st_mtime_ns for path in run.glob("*.pth")}
    table = tmp_path / "saved" / "small-sweep" / "generation.md"
    table.write_text("of images made before")
    other = command("train.py", "-c", config, "-s", "generation.method=neighbours")
    assert other.returncode == 0, other.stderr
    assert member_runs(tmp_path) == [run]
    assert json.loads((run / "test" / "generated.json").read_text())["method"] == "neighbours"
    assert {path: path.stat().st_mtime_ns for path in run.glob("*.pth")} == trained
    assert not table.exists()

    tested = (run / "test" / "metrics.json").stat().st_mtime_ns
    assert command("train.py", "-c", config, "-s", "generation.method=neighbours").returncode == 0
    assert (run / "test" / "metrics.json").stat().st_mtime_ns == tested
    assert command("train.py", "-c", config).returncode == 0
    assert json.loads((run / "test" / "generated.json").read_text())["method"] == "noise"


@pytest.mark.slow
def test_the_run_that_is_tested_is_the_one_that_was_trained(small, written, tmp_path):
    """What outlives a killed sweep may still write into a run beside it."""
    small["trainer"]["epochs"] = 1
    small["sweep"] = {"runs": [{}]}
    config = written(small)
    assert command("train.py", "-c", config).returncode == 0
    (run,) = member_runs(tmp_path)
    other = shutil.copytree(run, run.with_name("0101_000000"))
    shutil.rmtree(other / "test")
    shutil.rmtree(run / "test")
    for path in other.glob("*.pth"):
        os.utime(path)  # the newest of all
    assert command("train.py", "-c", config).returncode == 0
    assert member_runs(tmp_path) == [run]


def test_labels_noted_by_two_sweeps_at_once_are_both_kept(small, written, tmp_path, monkeypatch):
    from trainer import sweep

    labels = tmp_path / "saved" / "small-sweep" / "labels.json"

    @contextmanager
    def alone_in(folder):
        labels.write_text('{"small-other-seed1": 7}')  # by the one that was here first
        yield folder

    monkeypatch.setattr(sweep, "alone_in", alone_in)
    monkeypatch.setattr(sweep.SweepRuns, "finish", lambda *_: None)
    config = written(small | {"sweep": {"runs": [{"label": "own"}]}})
    sweep.run_sweep(load_config(config, [], catalogue()), "cpu")
    assert sorted(json.loads(labels.read_text())) == ["small-other-seed1", "small-own-seed1"]


@pytest.mark.slow
def test_a_signal_stops_a_sweep_and_its_member_which_goes_on(small, written, tmp_path):
    small["trainer"] |= {"epochs": 100_000, "early_stop": 0, "save_period": 100_000}
    small["sweep"] = {"runs": [{}]}
    config = written(small)
    process = processes.start(processes.train, ["-c", config], tmp_path / "said")
    wait_for(tmp_path / "said", "epoch ")
    os.kill(process.pid, signal.SIGTERM)
    assert processes.finish(process) == 143
    said = (tmp_path / "said").read_text().splitlines()
    assert said[-2].startswith("stopped by SIGTERM after step")
    assert said[-1] == "sweep stopped; start it again to go on"
    (checkpoint,) = tmp_path.glob("saved/small-0-*/*/checkpoint-epoch*.pth")
    stopped_at = load_checkpoint(checkpoint)["step"]
    assert stopped_at > 0

    process = processes.start(processes.train, ["-c", config], tmp_path / "said-again")
    wait_for(tmp_path / "said-again", "epoch ")
    os.kill(process.pid, signal.SIGTERM)
    assert processes.finish(process) == 143
    assert f"step {stopped_at}" in (tmp_path / "said-again").read_text()


def wait_for(path, word):
    """Wait until a word stands in a file."""
    while not path.exists() or word not in path.read_text():
        time.sleep(0.05)
