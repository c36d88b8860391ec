"""The command lines of train.py and test.py."""

import argparse
from pathlib import Path

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
    """The arguments of test.py: checkpoint, device, set, output."""
    parser = argparse.ArgumentParser(description=about)
    add = parser.add_argument
    checkpoint = "a checkpoint, a run folder (its best model), or a folder of runs (the newest)"
    add(
        "-r", "--resume", dest="checkpoint", type=argument_path, required=True, help=checkpoint
    )  # fmt: skip
    add("-d", "--device", default="auto", help=DEVICES)
    _add_set(parser, "change how to test: generation.noise=0.3 dataset.args.data=moved.npy")
    add("-o", "--output", type=argument_path, help="where the results go (<run>/test)")
    return parser.parse_args()


def _add_set(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument(
        "-s", "--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help=text
    )  # fmt: skip
