"""Train an autoencoder: python train.py -c config.json"""

import argparse
from functools import partial
from pathlib import Path

from utils.errors import run_command


def main() -> None:
    """Command line -> checked config -> one run, or the runs of a sweep."""
    args = parse_arguments()
    from utils.check import check_config, read_config

    # Read before torch is imported, which takes seconds that a slip in the JSON need not cost.
    content = None if args.resume else read_config(args.config, args.set)
    from trainer.parts import catalogue
    from trainer.resume import reopen
    from trainer.sweep import run_sweep
    from utils.output import check_writable

    classes = catalogue()
    if args.resume:
        config, checkpoint, folder = reopen(args.resume, args.set, classes)
    else:
        config = check_config(content, classes, args.config, args.set)
        checkpoint = folder = None
        check_writable(Path(config.trainer.save_dir))
    if config.sweep:
        run_sweep(config, args.device, classes)
    else:
        train(config, classes, args.device, checkpoint, folder, args.set)


def train(config, classes, device_name, checkpoint, folder, overrides) -> None:
    """Config -> parts -> Trainer.train()."""
    import torch

    from data_loader.corruption import Corrupter
    from logger.run import open_run
    from model.metric import metrics_for
    from trainer.checks import check_fit
    from trainer.evaluate import Evaluator
    from trainer.parts import fuse
    from trainer.restore import restore
    from trainer.resume import check_data
    from trainer.trainer import Trainer
    from utils.build import build
    from utils.device import keep_freed_memory, pick_device, pick_precision
    from utils.seed import seed_init

    keep_freed_memory()
    device = pick_device(device_name)
    config.trainer.precision = pick_precision(config.trainer.precision, device)

    make = partial(build, config, classes)
    dataset = make("dataset")
    loader = make("data_loader", dataset, device, config.seed)
    validation = loader.split_validation()
    seed_init(config.seed)
    model = make("arch", dataset.shape).to(device, memory_format=torch.channels_last)
    loss = make("loss")
    corruption = make("corruption", dataset.shape, dataset.value_range)
    optimizer = fuse(make("optimizer", model.parameters()), device)
    scheduler = make("lr_scheduler", optimizer)
    check_fit(config, model, loss, dataset, validation is not None)
    data = dataset.fingerprint()
    if checkpoint:
        check_data(checkpoint, data)

    known = metrics_for(dataset.extra_metrics)
    metrics = {name: known[name] for name in config.metrics}
    corrupter = Corrupter(corruption, config.seed)
    how = config.trainer.precision, corrupter, config.trainer.compile
    evaluator = Evaluator(model, loss, metrics, dataset, device, *how)
    with open_run(config, folder, checkpoint) as run:
        trainer = Trainer(evaluator, optimizer, scheduler, loader, validation, config, data, run)
        if checkpoint:
            restore(trainer, checkpoint, overrides)
        trainer.announce()
        trainer.train()


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("-c", "--config", type=Path, help="the config (config.json)")
    add("-r", "--resume", type=Path, help="go on with a run: its folder or a checkpoint in it")
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
    add("--lr", dest="set", action="append", type="optimizer.args.lr={}".format)
    add("--bs", dest="set", action="append", type="data_loader.args.batch_size={}".format)
    args = parser.parse_args()
    if args.resume and args.config:
        parser.error("-r goes on with the run's own config; leave out -c, change it with -s")
    args.config = args.config or Path("config.json")
    return args


if __name__ == "__main__":
    run_command(main)
