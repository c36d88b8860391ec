"""The programs of benchmarks/ as they are called: each contender trains, each table is made."""

import json
import re

import pytest

from tests.conftest import fresh_command

pytestmark = pytest.mark.slow
SMALL = [
    "dataset.args.count=200", "data_loader.args.batch_size=30",
    'arch={"type": "Autoencoder", "args": {"encoder": [{"conv": 4, "stride": 2}]}}',
]  # fmt: skip


def facts_of(contender, *settings):
    """What a contender tells of itself after an epoch."""
    arguments = ["--contender", contender, "-d", "cpu", "--epochs", 1, "-s", *settings]
    done = fresh_command("benchmarks/speed.py", *arguments)
    assert not done.returncode, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("contender", ["project", "project-fp32", "template", "bare-fp32"])
def test_a_contender_trains_with_what_the_tables_set(contender):
    facts = facts_of(contender, *SMALL)
    assert (facts["images"], facts["trained_on"], facts["size"]) == (200, 180, "26x26")
    assert facts["images_per_second"] == pytest.approx(180 / facts["seconds_per_epoch"])
    assert 0 < facts["loss"] < 1


def test_a_profile_counts_the_work_of_the_layers():
    facts = facts_of("profile", *SMALL)
    # 13x13 places, 3x3 windows, 3 and 4 channels: a convolution and its mirror; both ways is
    # thrice, but the gradient of the images themselves, which nobody asks for.
    assert facts["flops_per_image"] == 2 * 13 * 13 * 9 * 12 * 5
    assert 0 < facts["in_layers"] < 1


def test_the_table_of_starts_is_beside_torch_with_an_optimizer():
    done = fresh_command("benchmarks/speed.py", "--startup", "--rounds", 1)
    assert not done.returncode, done.stderr
    rows = re.findall(r"^\| (`.*?) \| ([\d.]+) \| ([\d.]+)x \|$", done.stdout, re.MULTILINE)
    titles = [title.split("`")[1] for title, _, _ in rows]
    assert titles == ["import torch", "import torch", "python train.py", "python train.py"]
    assert float(rows[1][2]) == 1
