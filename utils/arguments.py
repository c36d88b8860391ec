"""The command lines of train.py and test.py."""

import argparse
from pathlib import Path

from utils.errors import ConfigError
from utils.home import argument_path

DEVICES = "auto, cpu, cuda, cuda:1 or mps"


def train_arguments(about: str | None) -> argparse.Namespace:
    """The arguments of train.py: config, resume, device, set."""
    parser = argparse.ArgumentParser(description=about)
    add = parser.add_argument
    add("-c", "--config", type=argument_path, help="the config (config.json)")
    resume = "go on with a run: its folder or a checkpoint in it"
    add("-r", "--resume", type=argument_path, help=resume)
    add("-d", "--device", default="auto", help=DEVICES)
    _add_set(parser, "change the config: dotted keys, JSON values; trainer.epochs=5")
    for name, key in (("--lr", "optimizer.args.lr"), ("--bs", "data_loader.args.batch_size")):
        text = f"the same as -s {key}=..."
        add(name, dest="set", action="append", type=f"{key}={{}}".format, metavar="N", help=text)
    args = parser.parse_args()
    if args.resume and args.config:
        parser.error("-r goes on with the run's own config; leave out -c, change it with -s")
    args.config = args.config or Path("config.json")
    return args


def test_arguments(about: str | None) -> argparse.Namespace:
    """The arguments of test.py: checkpoint, device, set, output, export."""
    parser = argparse.ArgumentParser(description=about)
    add = parser.add_argument
    checkpoint = "a checkpoint, a run folder (its best model), or a folder of runs (the newest)"
    add(
        "-r", "--resume", dest="checkpoint", type=argument_path, required=True, help=checkpoint
    )  # fmt: skip
    add("-d", "--device", default="auto", help=DEVICES)
    _add_set(parser, "change how to test: generation.noise=0.3 dataset.args.data=moved.npy")
    add("-o", "--output", type=argument_path, help="where the results go (<run>/test)")
    export = "write the model as ONNX into this folder, with a program that uses it, and no more"
    add("--export", type=argument_path, metavar="FOLDER", help=export)
    args = parser.parse_args()
    _refuse_beside_export(args)
    return args


def _refuse_beside_export(args: argparse.Namespace) -> None:
    """Raise a ConfigError where an export is to do what a test does."""
    beside = [option for option in ("output", "images") if vars(args).get(option)]
    if args.export and beside:
        raise ConfigError(
            f"--export {args.export}: writes a model and tests nothing; leave out --{beside[0]}, "
            "or call test.py twice"
        )


def _add_set(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument(
        "-s", "--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help=text
    )  # fmt: skip
