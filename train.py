"""Train an autoencoder: python train.py -c config.json"""

import argparse
from typing import TYPE_CHECKING

from utils.arguments import train_arguments
from utils.config.overrides import apply_overrides
from utils.config.source import read_json
from utils.errors import run_command
from utils.ranks import Ranks
from utils.torchrun import joined

if TYPE_CHECKING:
    from trainer.start import Start


def main() -> None:
    """Command line -> checked config -> one run, the runs of a sweep, or a study."""
    args = train_arguments(__doc__)
    with joined() as ranks:
        start = ranks.broadcast(lambda: begin(args))
        if start.config.sweep:
            from trainer.sweep import run_sweep as run_several
        elif start.config.study:
            from study.study import run_study as run_several
        else:
            args.members.refuse_for_one_run()
            train(start, args.device, ranks)
            return
        run_several(start.config, args.device, args.members)


def begin(args: argparse.Namespace) -> "Start":
    """A new run from a config file, or one that goes on."""
    # Read before torch is imported, which takes seconds that a slip in the JSON need not cost.
    content = None if args.resume else apply_overrides(read_json(args.config), args.set)
    from trainer.start import Start

    if content is not None:
        return Start.new(content, args.config, args.set)
    return Start.resumed(args.resume, args.set)


def train(start: "Start", device: str, ranks: Ranks) -> None:
    """Config -> parts -> trainer -> files, on every rank."""
    from trainer.experiment import Experiment
    from utils.device import make_ready

    experiment = ranks.in_turn(lambda: Experiment(start, device, ranks))
    make_ready(experiment.device)
    with experiment.open_run() as run, ranks.together():
        trainer = experiment.trainer(run)
        ranks.in_turn(trainer.go_on)
        trainer.announce()
        trainer.train()


if __name__ == "__main__":
    run_command(main)
