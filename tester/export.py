"""A trained model for places without torch: two ONNX files, and a program that uses them."""

import copy
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch

from base.base_data_loader import BaseDataLoader
from base.base_dataset import BaseDataset
from data_loader.image_folder import ImageFolder
from data_loader.labels import USUAL_NAME
from data_loader.pixel_dataset import BaseImages
from data_loader.wafers import BaseWafers
from tester.onnx_files import OPSET, Decoder, Encoder, check_packages, write_network
from trainer.experiment import Experiment
from trainer.start import Start
from utils.errors import ConfigError
from utils.output import say, whole_folder

FILES = ("encoder.onnx", "decoder.onnx", "model.json", "use.py")
PROGRAM = Path(__file__).with_name("use_exported.py")
MOST_DIFFERENT = 1e-4  # what onnxruntime may make otherwise than torch, in any number


def export(start: Start, device: str, target: Path) -> None:
    """Write a trained model to `target`, whole or not at all.

    What is written computes in float32 on images as they are, without a corruption.

    Raises:
        ConfigError: a package is missing, the folder cannot be used, no image is held out, or
            the model cannot be written as ONNX; nothing is left.
    """
    check_packages()
    if target.is_file():
        raise ConfigError(f"--export {target}: is a file; name a folder")
    source = _source(start)  # first, for a run that goes on may write another checkpoint
    experiment = Experiment(start, device)
    if experiment.model.conditional:
        raise ConfigError(
            "--export: the model is conditional, and the files and program of an export take no "
            "classes; use it through load of trainer/experiment.py, or train one without "
            "arch.args.conditional"
        )
    held_out = experiment.validation or experiment.test
    if not held_out:
        raise ConfigError(
            "--export: the run holds out no image, and p-values are counted from held-out ones; "
            "train with data_loader.args.validation_split=0.1"
        )
    with whole_folder(target, FILES, _is_whole) as folder:
        Export(experiment, held_out, source).write(folder)
    say(f"written to {target}")


def _is_whole(folder: Path) -> bool:
    """Whether an earlier export lies in a folder."""
    return all((folder / name).exists() for name in FILES)


def _source(start: Start) -> dict[str, Any]:
    """Which checkpoint a trained model is from."""
    if not (start.path and start.checkpoint):
        raise ConfigError("--export: no model is trained; give a run with -r")
    with start.path.open("rb") as file:
        checksum = hashlib.file_digest(file, "sha256").hexdigest()
    return {"file": start.path.name, "sha256": checksum, "epoch": start.checkpoint.epoch}


class Export:
    """Writes the model of an experiment.

    Args:
        experiment: with the weights of a checkpoint.
        held_out: the images that what is written is tried with, and p-values are counted from.
        source: which checkpoint it is, in plain values.
    """

    def __init__(
        self, experiment: Experiment, held_out: BaseDataLoader, source: dict[str, Any]
    ) -> None:
        self.experiment, self.held_out, self.source = experiment, held_out, source
        model = copy.deepcopy(experiment.model).cpu().eval()
        model = model.to(memory_format=torch.contiguous_format)
        self.encoder, self.decoder = Encoder(model).eval(), Decoder(model).eval()

    def write(self, folder: Path) -> None:
        """Write the files, run them on the held-out images and say how much they differ.

        Raises:
            ConfigError: the model cannot be written as ONNX, or does otherwise there.
        """
        write_network(self.encoder, folder / "encoder.onnx")
        write_network(self.decoder, folder / "decoder.onnx")
        difference, errors = self.run(folder)
        if not difference <= MOST_DIFFERENT:  # so that NaN does not pass
            raise ConfigError(
                f"--export: onnxruntime's numbers differ from torch's by {difference:.1e}; at "
                f"most {MOST_DIFFERENT:.0e} is allowed, so nothing is written"
            )
        facts = self.facts() | {
            "largest_difference": difference,
            "held_out_errors": np.sort(errors).tolist(),
        }
        text = json.dumps(facts, indent=1, ensure_ascii=False)
        (folder / "model.json").write_text(text + "\n", encoding="utf-8")
        shutil.copyfile(PROGRAM, folder / "use.py")
        say(
            f"onnxruntime and torch differ by {difference:.1e} at most on {len(errors)} held-out "
            "images"
        )
        if self.experiment.evaluator.corrupter:
            say("note: they are shown the images as they are, without the corruption of training")

    @torch.no_grad()
    def run(self, folder: Path) -> tuple[float, np.ndarray]:
        """Run what is written on the held-out images, the first also alone.

        -> the largest difference from what torch makes of them, and the error of each image.
        """
        from tester.use_exported import errors_of, open_networks

        networks = open_networks(folder)
        errors: list[np.ndarray] = []
        largest: list[float] = []
        for batch in self.held_out.batches():
            images = batch.images.cpu().contiguous()
            for shown in (images[:1], images) if not errors else (images,):
                own = self.encoder(shown)
                own += self.decoder(own[0])
                given = networks[0].run(None, {"images": shown.numpy()})
                given += networks[1].run(None, {"code": given[0]})
                largest += [np.abs(a - b.numpy()).max() for a, b in zip(given, own, strict=True)]
            errors.append(errors_of(images.numpy(), given[-1]))
        return float(np.max(largest)), np.concatenate(errors)

    def facts(self) -> dict[str, Any]:
        """What the model is, and how the images are laid out that it takes."""
        config = self.experiment.config
        return {
            "name": config.name,
            "arch": config.arch.type,
            "checkpoint": self.source,
            "opset": OPSET,
            "torch": torch.__version__,
            "encoder": {"takes": self.encoder.takes, "gives": self.encoder.gives},
            "decoder": {"takes": self.decoder.takes, "gives": self.decoder.gives},
            "code_shape": self.decoder.shape,
            **layout_facts(self.experiment.dataset, config.dataset.args),
        }


def layout_facts(dataset: BaseDataset, args: dict[str, Any]) -> dict[str, Any]:
    """How files of images like those of a data set are laid out, as use.py reads and writes them.

    Images of a data set that does not say are taken as the model takes them, float32 (N, C, H, W).

    Args:
        args: what the config says of the data set.
    """
    facts = {"file_range": list(dataset.value_range)} | dataset.facts()
    if isinstance(dataset, BaseImages | BaseWafers):
        array = dataset.to_file(torch.zeros(1, *dataset.shape))
    else:
        facts |= {"layout": "CHW", "file_range": list(dataset.value_range)}
        array = np.zeros((1, *dataset.shape), np.float32)
    if facts["layout"] == "codes":
        facts["file_range"] = [0, dataset.shape[0] - 1]
    return facts | {
        "data_name": args.get("data_name", "data"),
        "label_name": args.get("label_name", USUAL_NAME),
        "file_shape": array.shape[1:],
        "dtype": array.dtype.name,
        "channels_first": facts["layout"] in ("CHW", "channels first"),
        "one_hot": isinstance(dataset, BaseWafers),
        "legend": [entry._asdict() for entry in dataset.legend],
        "picture": {
            "resize": isinstance(dataset, ImageFolder) and args.get("size") is not None,
            "takes_any_colour": isinstance(dataset, ImageFolder | BaseWafers),
            "background": args.get("background") or "white",
        },
    }
