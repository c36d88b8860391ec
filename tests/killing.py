"""Runs that are killed and resumed until they are through, and what they must end as."""

import hashlib
import json
import time
from pathlib import Path

import numpy as np
import torch

from tests import processes

EXPERIMENT = {
    "name": "killed",
    "seed": 3,
    "dataset": {"type": "SyntheticWafers", "args": {"size": 12, "count": 41}},
    "data_loader": {"type": "ImageLoader", "args": {"batch_size": 8, "validation_split": 0.2}},
    "arch": {
        "type": "Autoencoder",
        "args": {
            "encoder": [{"conv": 4, "stride": 2, "norm": "batch"}, {"dropout": 0.2}],
            "decoder": "mirror",
        },
    },
    "loss": {"type": "MSE"},
    "metrics": ["psnr"],
    "optimizer": {"type": "Adam", "args": {"lr": 0.01}},
    "lr_scheduler": {"type": "CosineAnnealingLR", "args": {"T_max": 5}},
    "trainer": {"epochs": 5, "save_period": 1, "save_steps": 2, "tensorboard": False},
}
VARIATIONAL = {
    "arch": {
        "type": "VAE",
        "args": {
            "encoder": [{"conv": 4, "stride": 2}],
            "latent": {"linear": 3},
            "decoder": "mirror",
        },
    },
    "loss": {"type": "ELBO", "args": {"warm_up": 3}},
    "corruption": {"type": "GaussianNoise", "args": {"sigma": 0.3}},
}


def from_files(folder):
    """The variational experiment on images that two workers read from files."""
    drawn = np.random.default_rng(0)
    data = folder / "images.npy"
    np.save(data, drawn.integers(0, 256, (41, 12, 12), np.uint8))
    batches = {"batch_size": 8, "validation_split": 8, "memory": 0, "num_workers": 2}
    return VARIATIONAL | {
        "dataset": {"type": "Arrays", "args": {"data": str(data)}},
        "data_loader": {"type": "ImageLoader", "args": batches},
    }


def write_config(folder, changes=None, **trainer):
    """The experiment as a file in `folder`, saving below it."""
    config = json.loads(json.dumps(EXPERIMENT | (changes or {})))  # nobody's dict is changed
    config["trainer"] |= {"save_dir": str(folder / "saved"), **trainer}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.json"
    path.write_text(json.dumps(config))
    return path


def run_folder(folder):
    """The one run below `folder`, or None where there is none yet."""
    runs = list((folder / "saved").glob("*/*"))
    assert len(runs) < 2, runs
    return runs[0] if runs else None


def uninterrupted(folder, changes=None, **trainer):
    """Train without a kill -> the run folder."""
    config = write_config(folder, changes, **trainer)
    code, said = processes.run("-c", config, output=folder / "out")
    assert code == 0, said
    return run_folder(folder)


def resume(run, *more):
    """Go on with a run to its end -> what it said."""
    code, said = processes.run("-r", run, *more, output=run.parent / f"{run.name}.out")
    assert code == 0, said
    return said


def content_of(path):
    """A checkpoint as it is, for whole-checkpoint comparisons."""
    return torch.load(path, map_location="cpu", weights_only=True)


def digest(content):
    """SHA-256 of everything in a checkpoint, the bytes of its tensors above all."""
    summary = hashlib.sha256()

    def take(value):
        if isinstance(value, dict):
            for key, inner in value.items():
                summary.update(repr(key).encode())
                take(inner)
        elif isinstance(value, list | tuple):
            for inner in value:
                take(inner)
        elif isinstance(value, torch.Tensor):
            summary.update(f"{value.dtype} {tuple(value.shape)}".encode())
            summary.update(value.contiguous().flatten().view(torch.uint8).numpy().tobytes())
        else:
            summary.update(repr(value).encode())

    take({key: value for key, value in content.items() if key != "config"})
    return summary.hexdigest()


def lines_of(run):
    """metrics.jsonl without the times."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [
        {key: value for key, value in line.items() if key not in ("seconds", "images_per_second")}
        for line in lines
    ]


def end_state(run):
    """All that a finished run must have in common with an uninterrupted one."""
    files = sorted(run.glob("*.pth"))
    return {
        **{path.name: digest(content_of(path)) for path in files},
        "metrics.jsonl": lines_of(run),
        "left over": sorted(path.name for path in run.glob("*.partial")),
    }


class Killer:
    """Starts runs, kills them at random instants, resumes them, and counts what differs.

    Args:
        folder: where everything goes; the files of a run that differs stay there.
        random: draws the instants.
    """

    def __init__(self, folder, random, changes=None, **trainer):
        self.folder, self.random, self.changes, self.trainer = folder, random, changes, trainer
        processes.finish(processes.start(time.sleep, 0))  # the server itself takes seconds
        started = time.perf_counter()
        self.expected = end_state(uninterrupted(folder / "reference", changes, **trainer))
        self.seconds = time.perf_counter() - started
        self.kills, self.runs, self.different = 0, 0, []

    def kill(self, number):
        """Go on until `number` kills have hit a run that was alive."""
        while self.kills < number:
            self.runs += 1
            folder = self.folder / f"run{self.runs}"
            self._survive(folder)
            if end_state(run_folder(folder)) != self.expected:
                self.different.append(str(folder))

    def _survive(self, folder):
        config = write_config(folder, self.changes, **self.trainer)
        while True:
            run = run_folder(folder)
            if run and not (run / "config.json").exists():
                run.rename(folder / f"stillborn{self.kills}")
                run = None
            arguments = ["-r", run] if run else ["-c", config]
            process = processes.start(processes.train, arguments, folder / "out")
            process.join(self.random.uniform(0, self.seconds))
            if process.exitcode is None:
                process.kill()
                process.join()
                self.kills += process.exitcode == -9
            if process.exitcode == 0:
                return
            assert process.exitcode == -9, Path(folder / "out").read_text()
