"""What tests share: the real commands, a config that trains in a second, real data if any."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import command

__all__ = ["command"]
ROOT = Path(__file__).parent.parent
MOST_WORKERS = 8  # each takes a gigabyte
DATA = Path(os.environ.get("AUTOENCODER_DATA", ROOT.parent / "shared" / "data"))


def pytest_xdist_auto_num_workers(config):
    """As many processes share the whole suite as there are cores; parts of it are run in one."""
    is_whole = config.args_source is not pytest.Config.ArgsSource.ARGS
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(cores, MOST_WORKERS) if is_whole and cores > 1 else 0


def fresh_command(script, *args, cwd=ROOT, **options):
    """Run train.py or test.py in a fresh Python; returns the finished process.

    It takes seconds to import torch; `command` does not.
    """
    return subprocess.run(
        [sys.executable, str(ROOT / script), *map(str, args)],
        cwd=cwd, capture_output=True, text=True, timeout=300, check=False, **options,
    )  # fmt: skip


def small_config(folder):
    """A complete config as a dict: 40 drawn maps of 12x12, two epochs, runs in `folder`/saved.

    Its tests draw no pictures and judge no children, which takes most of the time of a test;
    `with_pictures` has them do it.
    """
    return {
        "name": "small",
        "seed": 1,
        "dataset": {"type": "SyntheticWafers", "args": {"size": 12, "count": 40}},
        "data_loader": {
            "type": "ImageLoader",
            "args": {"batch_size": 16, "validation_split": 0.2},
        },
        "arch": {
            "type": "Autoencoder",
            "args": {"encoder": [{"conv": 4, "stride": 2}], "decoder": "mirror"},
        },
        "loss": {"type": "MSE"},
        "metrics": ["psnr"],
        "optimizer": {"type": "Adam", "args": {"lr": 0.01}},
        "lr_scheduler": {"type": "StepLR", "args": {"step_size": 2}},
        "trainer": {"epochs": 2, "save_dir": str(folder / "saved"), "tensorboard": False},
        "generation": {"pictures": False},
    }


def with_pictures(config):
    """The same config, whose tests draw pictures and judge the children."""
    return config | {"generation": config["generation"] | {"pictures": True}}


@pytest.fixture
def small(tmp_path):
    """`small_config` of the folder of a test."""
    return small_config(tmp_path)


@pytest.fixture
def written(tmp_path):
    """A function that writes a config dict into a file and returns its path."""

    def write(config, name="config.json"):
        path = tmp_path / name
        path.write_text(json.dumps(config))
        return path

    return write


def only_run(folder):
    """The one run folder below a save_dir."""
    (run,) = {path.parent for path in Path(folder).glob("*/*/config.json")}
    return run


def numbers_of(run):
    """The lines of a run's metrics.jsonl."""
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture
def real_data():
    """The folder of real data: wafer1281/, eyes/ and mnist/."""
    if not DATA.exists():
        pytest.skip("needs a folder of real data in AUTOENCODER_DATA")
    return DATA


@pytest.fixture
def real_wafers(real_data):
    """A folder with the real maps' data.npy and label.npy."""
    return real_data / "wafer1281"
