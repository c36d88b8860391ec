"""Train an autoencoder: python train.py -c config.json"""

import argparse
from functools import partial
from pathlib import Path

from utils.errors import run_command
from utils.home import argument_path


def main() -> None:
    """Command line -> checked config -> one run, or the runs of a sweep."""
    args = parse_arguments()
    from utils.ranks import joined

    with joined() as ranks:
        config, checkpoint, folder = ranks.told(lambda: open_work(args))
        if config.sweep:
            from trainer.catalogue import catalogue
            from trainer.sweep import run_sweep

            run_sweep(config, args.device, catalogue())
        else:
            train(config, args, ranks, checkpoint, folder)


def open_work(args):
    """Command line -> checked config, and the checkpoint and folder to go on with, if any."""
    from utils.config.check import check_config, read_config
    from utils.ranks import refuse_ranks

    # Read before torch is imported, which takes seconds that a slip in the JSON need not cost.
    content = None if args.resume else read_config(args.config, args.set)
    from trainer.catalogue import catalogue
    from trainer.start import begun_before_restart, reopen
    from utils.output import check_writable

    classes = catalogue()
    if args.resume:
        return reopen(args.resume, args.set, classes)
    config = check_config(content, classes, args.config, args.set)
    if config.sweep:
        refuse_ranks("a sweep")
    begun = begun_before_restart(Path(config.trainer.save_dir) / config.name)
    if begun:
        return reopen(begun, [], classes)
    check_writable(Path(config.trainer.save_dir))
    return config, None, None


def train(config, args, ranks, checkpoint, folder) -> None:
    """Config -> parts -> Trainer.train(), on every rank."""
    from trainer.optimizer_state import restore

    from logger.run import SilentRun, open_run
    from trainer.trainer import Trainer

    parts = ranks.in_turn(lambda: make_parts(config, args.device, ranks, checkpoint))
    opened = ranks.led(lambda: open_run(config, folder, checkpoint), SilentRun())
    with opened as run, ranks.together():
        trainer = Trainer(**parts, config=config, run=run)
        if checkpoint:
            ranks.in_turn(lambda: restore(trainer, checkpoint, args.set))
        trainer.announce()
        trainer.train()


def make_parts(config, device_name, ranks, checkpoint):
    """What a trainer is made of, by the names of its arguments."""
    import torch

    from data_loader.corruption import Corrupter
    from model.metric import metrics_for
    from trainer.catalogue import catalogue, fuse
    from trainer.evaluator import Evaluator
    from trainer.fit import check_network
    from trainer.rules import check_fit
    from trainer.start import check_data
    from utils.config.build import build
    from utils.device import make_ready, pick_device, pick_precision
    from utils.seed import seed_init

    device = pick_device(device_name)
    make_ready(device)
    config.trainer.precision = pick_precision(config.trainer.precision, device)

    classes = catalogue()
    make = partial(build, config, classes)
    dataset = make("dataset")
    loader = make("data_loader", dataset, device, config.seed).shared_by(ranks)
    validation = loader.split_validation()
    validation = validation and validation.shared_by(ranks)
    check_network(config, classes, dataset, loader, device)
    seed_init(config.seed)
    model = make("arch", dataset.shape).to(device, memory_format=torch.channels_last)
    loss = make("loss")
    corruption = make("corruption", dataset.shape, dataset.value_range)
    optimizer = fuse(make("optimizer", model.parameters()), device)
    scheduler = make("lr_scheduler", optimizer)
    check_fit(config, model, loss, dataset, loader, validation)
    data = dataset.fingerprint()
    if checkpoint:
        check_data(checkpoint, data)

    known = metrics_for(dataset.extra_metrics)
    metrics = {name: known[name] for name in config.metrics}
    corrupter = Corrupter(corruption, config.seed)
    how = config.trainer.precision, corrupter, config.trainer.compile
    return {
        "evaluator": Evaluator(model, loss, metrics, dataset, device, *how),
        "optimizer": optimizer,
        "scheduler": scheduler,
        "loader": loader,
        "validation": validation,
        "data": data,
    }


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("-c", "--config", type=argument_path, help="the config (config.json)")
    add(
        "-r",
        "--resume",
        type=argument_path,
        help="go on with a run: its folder or a checkpoint in it",
    )
    add("-d", "--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps")
    add(
        "-s",
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="change the config: dotted keys, JSON values; trainer.epochs=5",
    )
    for name, key in (("--lr", "optimizer.args.lr"), ("--bs", "data_loader.args.batch_size")):
        text = f"the same as -s {key}=..."
        add(name, dest="set", action="append", type=f"{key}={{}}".format, metavar="N", help=text)
    args = parser.parse_args()
    if args.resume and args.config:
        parser.error("-r goes on with the run's own config; leave out -c, change it with -s")
    args.config = args.config or Path("config.json")
    return args


if __name__ == "__main__":
    run_command(main)
