"""Several processes train one model together: torchrun, on the CPU through gloo."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest
import torch

from data_loader.image_loader import ImageLoader
from data_loader.wafers import SyntheticWafers
from tests import processes
from tests.conftest import ROOT, numbers_of
from tests.killing import EXPERIMENT, end_state, run_folder, uninterrupted, write_config
from utils.checkpoint import load_checkpoint
from utils.checkpoint_files import checkpoints_in
from utils.ranks import Ranks

CPU = torch.device("cpu")
# Two ranks see the 33 training images in five steps, as one rank does with batches of 8.
HALVES = {
    "data_loader": {"type": "ImageLoader", "args": {"batch_size": 4, "validation_split": 0.2}}
}
# No batch norm and no dropout: what a rank computes does not depend on its neighbours' images.
PLAIN = {
    "trainer": {**EXPERIMENT["trainer"], "precision": "fp32"},
    "arch": {"type": "Autoencoder", "args": {"encoder": [{"conv": 4, "stride": 2}]}},
    "optimizer": {"type": "SGD", "args": {"lr": 0.5}},
}


ALL = None


class As:
    """Makes a process one of several ranks; rank `where`, or all, then calls `spoil`."""

    def __init__(self, rank, count, port, spoil=None, where=1):
        self.rank, self.count, self.port = rank, count, port
        self.spoil, self.where = spoil, where

    def __call__(self):
        os.environ |= {
            "RANK": str(self.rank), "LOCAL_RANK": str(self.rank),
            "WORLD_SIZE": str(self.count), "LOCAL_WORLD_SIZE": str(self.count),
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(self.port),
        }  # fmt: skip
        if self.spoil and self.where in (self.rank, ALL):
            self.spoil()


def begin(folder, count, *arguments, spoil=None, where=1):
    """Start `count` ranks of train.py -> their processes and the files they speak into."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    files = [folder / f"said-by-{rank}" for rank in range(count)]
    for file in files:
        file.unlink(missing_ok=True)
    started = [
        processes.start(processes.train, arguments, file, As(rank, count, port, spoil, where))
        for rank, file in enumerate(files)
    ]
    return started, files


def train_together(folder, count, *arguments, spoil=None, where=1):
    """Train with `count` ranks to the end -> their exit codes, what each said."""
    started, files = begin(folder, count, *arguments, spoil=spoil, where=where)
    codes = [processes.finish(process) for process in started]
    return codes, [file.read_text() for file in files]


def at_step(epoch, step, do):
    """Have this process call `do(batch)` before a step of its training."""
    from trainer.trainer import Trainer

    train = Trainer._train_batch

    def trained(self, now, batch):
        if (now, self.step) == (epoch, step):
            do(batch)
        return train(self, now, batch)

    Trainer._train_batch = trained


def die():
    at_step(3, 12, lambda batch: os.kill(os.getpid(), signal.SIGKILL))


def stop():
    at_step(2, 6, lambda batch: os.kill(os.getpid(), signal.SIGTERM))


def fail():
    def fault(batch):
        raise ArithmeticError("a fault of this rank")

    at_step(3, 12, fault)


def hang():
    """Rank 1 sleeps; every rank waits no longer than 3 s."""
    import utils.ranks

    utils.ranks.PATIENCE = 3
    if os.environ["RANK"] == "1":
        at_step(3, 12, lambda batch: time.sleep(60))


def make_nan():
    at_step(3, 12, lambda batch: batch.images[1].fill_(torch.nan))


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("images", [9, 33, 40])
def test_every_image_counts_once_an_epoch_on_one_rank(images, count):
    dataset = SyntheticWafers(size=8, count=images)
    loader = ImageLoader(dataset, CPU, 0, batch_size=2, validation_split=0)
    for epoch in (1, 2):
        places, steps = [], []
        for rank in range(count):
            batches = list(loader.shared_by(Ranks(rank, count)).batches(epoch))
            steps.append(len(batches))
            assert all(len(batch.images) for batch in batches)  # no rank sits a step out
            places += [batch.indices[: batch.counted] for batch in batches]
        assert torch.cat(places).sort().values.tolist() == list(range(images))
        assert len(set(steps)) == 1


@pytest.mark.parametrize("is_compiled", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_two_ranks_follow_one_with_batches_twice_as_large(tmp_path, is_compiled):
    alone = uninterrupted(tmp_path / "alone", PLAIN)
    settings = {"trainer": PLAIN["trainer"] | {"compile": is_compiled}}
    config = write_config(tmp_path / "two", PLAIN | HALVES | settings)
    codes, said = train_together(tmp_path, 2, "-c", config)
    assert codes == [0, 0], said
    assert "an update is made from 8 images, 4 in each" in said[0]
    assert said[1] == "" or is_compiled  # torch's compiler speaks on every rank
    together = run_folder(tmp_path / "two")
    for one, two in zip(numbers_of(alone), numbers_of(together), strict=True):
        assert one["step"] == two["step"]
        for name in ("loss", "val_loss", "psnr", "val_psnr"):
            assert two[name] == pytest.approx(one[name], rel=1e-5)
    assert numbers_of(alone)[-1]["loss"] < 0.9 * numbers_of(alone)[0]["loss"]  # it does learn


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The end of an uninterrupted run of two ranks, with batch norm and dropout."""
    folder = tmp_path_factory.mktemp("two")
    codes, said = train_together(folder, 2, "-c", write_config(folder, HALVES))
    assert codes == [0, 0], said
    return end_state(run_folder(folder))


def resume_together(folder, expected):
    codes, said = train_together(folder, 2, "-r", run_folder(folder))
    assert codes == [0, 0], said
    assert end_state(run_folder(folder)) == expected


def test_a_killed_rank_ends_the_others_and_the_run_goes_on_exactly(tmp_path, expected):
    started = time.perf_counter()
    codes, said = train_together(tmp_path, 2, "-c", write_config(tmp_path, HALVES), spoil=die)
    assert codes == [1, -signal.SIGKILL]
    assert time.perf_counter() - started < 15
    assert said[0].count("failed: rank 0 lost another rank") == 1
    assert "Traceback" not in said[0]
    assert "failed: rank 0 lost" in (run_folder(tmp_path) / "info.log").read_text()
    resume_together(tmp_path, expected)


def test_a_rank_that_raises_ends_the_others(tmp_path, expected):
    codes, said = train_together(tmp_path, 2, "-c", write_config(tmp_path, HALVES), spoil=fail)
    assert codes == [1, 1]
    assert "a fault of this rank" in said[1]
    assert "lost another rank" in said[0]
    resume_together(tmp_path, expected)


def test_a_rank_that_hangs_ends_the_others(tmp_path, expected):
    config = write_config(tmp_path, HALVES)
    started, files = begin(tmp_path, 2, "-c", config, spoil=hang, where=ALL)
    began = time.perf_counter()
    assert processes.finish(started[0]) == 1
    assert time.perf_counter() - began < 3 + 15
    assert "not answered for 3 s" in files[0].read_text()
    started[1].kill()
    started[1].join()
    resume_together(tmp_path, expected)


def test_a_signal_to_one_rank_stops_all_on_one_step(tmp_path, expected):
    config = write_config(tmp_path, HALVES)
    codes, said = train_together(tmp_path, 2, "-c", config, spoil=stop)
    assert codes == [143, 143], said
    assert said[0].splitlines()[-1].startswith("stopped by SIGTERM after step 7; go on with -r")
    (path, *_) = checkpoints_in(run_folder(tmp_path))
    content = load_checkpoint(path)
    assert (content["step"], content["within_epoch"]["count"]) == (7, 16)
    resume_together(tmp_path, expected)


def test_a_run_goes_on_with_another_number_of_ranks_and_says_so(tmp_path):
    config = write_config(tmp_path, HALVES, save_steps=0, save_period=2)
    train_together(tmp_path, 2, "-c", config, spoil=stop)
    run = run_folder(tmp_path)
    for count, before, epochs in ((3, 2, 5), (1, 3, 6)):
        codes, said = train_together(tmp_path, count, "-r", run, "-s", f"trainer.epochs={epochs}")
        assert codes == [0] * count, said
        assert (
            f"by {count} processes from here, one batch each, and was made by {before}" in said[0]
        )
    lines = numbers_of(run)
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert lines[1]["step"] == 7 + 2  # 17 images remained, 12 in a step of three ranks


def test_what_is_not_finite_is_said_once_by_the_rank_that_saw_it(tmp_path):
    codes, said = train_together(tmp_path, 2, "-c", write_config(tmp_path, HALVES), spoil=make_nan)
    assert codes == [1, 1]
    assert "failed" not in said[0]
    (line,) = [line for line in said[1].splitlines() if line]
    assert line.startswith("failed: epoch 3, step 13: loss nan")
    assert "rank 1 says what is not finite" in (run_folder(tmp_path) / "info.log").read_text()


@pytest.mark.parametrize(
    ("count", "overrides", "rule"),
    [
        (2, ["trainer.epoch=3"], "trainer.epoch: 3: unknown key"),
        (
            10,
            ["data_loader.args.validation_split=32"],
            "torchrun processes: 10: are more than the 9",
        ),
        (2, ['dataset={"type": "Arrays", "args": {"data": "none.npy"}}'], "none.npy"),
    ],
)
def test_what_is_wrong_is_said_once_and_nothing_is_made(tmp_path, count, overrides, rule):
    config = write_config(tmp_path)
    codes, said = train_together(tmp_path, count, "-c", config, "-s", *overrides)
    assert codes == [2] * count, said
    (line,) = "".join(said).splitlines()
    assert line.startswith("error: ")
    assert rule in line
    assert not (tmp_path / "saved").exists()


@pytest.mark.parametrize(
    ("section", "what"),
    [
        ({"sweep": {"runs": [{}]}}, "a sweep"),
        ({"study": {"arms": [{"name": "a"}, {"name": "b", "baseline": "copies"}]}}, "a study"),
    ],
)
def test_a_sweep_or_a_study_wants_one_process(tmp_path, section, what):
    codes, said = train_together(tmp_path, 2, "-c", write_config(tmp_path, section))
    assert codes == [2, 2]
    assert "".join(said).splitlines() == [
        f"error: {what} is one process: start it with python, not with torchrun"
    ]


def torchrun(*arguments):
    """The real torchrun, from its module in this Python."""
    return subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", *map(str, arguments)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


@pytest.mark.slow
def test_torchrun_restarts_a_run_where_a_killed_rank_left_it(tmp_path, expected):
    config = write_config(tmp_path, HALVES)
    job = torchrun(
        "--standalone", "--nproc_per_node=2", "--max-restarts=1", "tests/dying.py", "-c", config
    )
    said, _ = job.communicate(timeout=120)
    assert job.returncode == 0, said
    assert "goes on after epoch" in said
    assert end_state(run_folder(tmp_path)) == expected
