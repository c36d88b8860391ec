"""Test a trained autoencoder and make new images with it: python test.py -r saved/WaferAE"""

import argparse
from functools import partial

from utils.errors import run_command
from utils.home import argument_path


def main() -> None:
    """Checkpoint -> the same parts -> scores, generated images, pictures."""
    args = parse_arguments()
    from utils.ranks import refuse_ranks

    refuse_ranks("test.py")
    import torch
    from trainer.optimizer_state import load_weights

    from data_loader.corruption import Corrupter
    from model.metric import metrics_for
    from tester.generated_files import check_room
    from tester.tester import FILES, write_report
    from trainer.catalogue import catalogue
    from trainer.evaluator import Evaluator
    from trainer.rules import check_fit
    from trainer.start import check_data, load_weights, open_trained
    from utils.config.build import build
    from utils.device import make_ready, pick_device, usable_precision
    from utils.output import say, whole_folder

    classes = catalogue()
    config, checkpoint, path = open_trained(args.checkpoint, args.set, classes)
    device = pick_device(args.device)
    make_ready(device)
    make = partial(build, config, classes)
    dataset = make("dataset")
    loader = make("data_loader", dataset, device, config.seed)
    check_data(checkpoint, dataset.fingerprint())
    model = make("arch", dataset.shape).to(device, memory_format=torch.channels_last)
    load_weights(model, checkpoint["state_dict"])
    loss = make("loss")
    loss.begin_epoch(checkpoint["epoch"] + (checkpoint["within_epoch"]["count"] > 0))
    check_fit(config, model, loss, dataset, loader, loader.split_validation())
    precision = usable_precision(config.trainer.precision, device)
    metrics = metrics_for(dataset.extra_metrics)
    corruption = make("corruption", dataset.shape, dataset.value_range)
    corrupter = Corrupter(corruption, config.seed)
    evaluator = Evaluator(model, loss, metrics, dataset, device, precision, corrupter)
    check_room(loader, config, args.output or path.parent / "test")
    with whole_folder(args.output or path.parent / "test", FILES) as folder:
        made_with = {"checkpoint": str(path), "epoch": checkpoint["epoch"], "changed": args.set}
        write_report(evaluator, loader, config, made_with, folder)
    say(f"written to {args.output or path.parent / 'test'}")


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add(
        "-r",
        "--resume",
        dest="checkpoint",
        type=argument_path,
        required=True,
        help="a checkpoint, a run folder (its best model), or a folder of runs (the newest)",
    )
    add("-d", "--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps")
    add(
        "-s",
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="change how to test: generation.noise=0.3 dataset.args.data=moved.npy",
    )
    add("-o", "--output", type=argument_path, help="where the results go (<run>/test)")
    return parser.parse_args()


if __name__ == "__main__":
    run_command(main)
