"""The command lines of train.py and test.py."""

import argparse
import math
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from utils.errors import ConfigError
from utils.home import argument_path

DEVICES = "auto, cpu, cuda, cuda:1 or mps"
USUAL_ALPHA = 0.01


Item = TypeVar("Item")


class Share(NamedTuple):
    """The part of the members of a sweep or study that one process does: every `of`-th."""

    number: int = 1
    """Which of the parts, counted from 1."""
    of: int = 1

    def pick(self, items: Sequence[Item]) -> Sequence[Item]:
        """What of all is this part's."""
        return items[self.number - 1 :: self.of]

    def refuse_for_one_run(self) -> None:
        """Raise a ConfigError if it is not the whole."""
        if self.of > 1:
            raise ConfigError(
                f"--members {self.number}/{self.of}: the config is of one run, not of a sweep or "
                "study; leave it out"
            )


ALL = Share()


def train_arguments(about: str | None) -> argparse.Namespace:
    """The arguments of train.py: config, resume, device, members, set."""
    parser = argparse.ArgumentParser(description=about)
    add = parser.add_argument
    add("-c", "--config", type=argument_path, help="the config (config.json)")
    resume = "go on with a run: its folder or a checkpoint in it"
    add("-r", "--resume", type=argument_path, help=resume)
    add("-d", "--device", default="auto", help=DEVICES)
    members = "of a sweep or study every N-th member, from the K-th on; others do the rest"
    add("--members", type=_members, default=ALL, metavar="K/N", help=members)
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
    """The arguments of test.py: checkpoint, device, set, output, images, export."""
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
    _add_images(parser)
    args = parser.parse_args()
    _refuse_beside_export(args)
    return _with_images(args)


def command_line(words: list[str]) -> str:
    """A program and its arguments as one would type them, from the folder of the programs."""
    return shlex.join(["python", Path(words[0]).name, *words[1:]])


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


def _add_images(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    images = "score new images: a .npy or .npz file, a picture, or a folder of pictures"
    add("--images", type=argument_path, metavar="FILE_OR_FOLDER", help=f"{images} (<run>/images)")
    add("--labels", type=argument_path, metavar="FILE", help="the classes of the new images")
    alpha = f"flag at most this share of images like the held-out ones ({USUAL_ALPHA})"
    add("--alpha", type=_share, help=alpha)


def _with_images(args: argparse.Namespace) -> argparse.Namespace:
    """Arguments in which what belongs to --images is there with it only."""
    for name in ("labels", "alpha"):
        if not args.images and getattr(args, name) is not None:
            raise ConfigError(f"--{name}: is for new images; say which with --images")
    args.alpha = USUAL_ALPHA if args.alpha is None else args.alpha
    return args


def _members(text: str) -> Share:
    """A share of the members, written as in 3/10."""
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text, re.ASCII)
    share = Share(*map(int, found.groups())) if found else Share(0, 0)
    if not 1 <= share.number <= share.of:
        raise ConfigError(
            f"--members {text}: must be K/N, every N-th from the K-th on, with K from 1 to N, as "
            "in 3/10"
        )
    return share


def _share(text: str) -> float:
    """A number above 0 and below 1."""
    try:
        share = float(text)
    except ValueError:
        share = math.nan
    if not 0 < share < 1:
        raise ConfigError(f"--alpha {text}: must be a number above 0 and below 1, as in 0.01")
    return share
