"""Test a trained autoencoder and make new images with it: python test.py -r saved/WaferAE"""

from utils.arguments import test_arguments
from utils.errors import run_command
from utils.ranks import refuse_ranks


def main() -> None:
    """Checkpoint -> the same parts -> scores, generated images, pictures."""
    args = test_arguments(__doc__)
    refuse_ranks("test.py")
    from tester.export import export
    from tester.tester import FILES, Tester
    from trainer.experiment import Experiment
    from trainer.start import Start
    from utils.device import make_ready
    from utils.output import say, whole_folder

    start = Start.trained(args.checkpoint, args.set)
    if args.export:
        return export(start, args.device, args.export)
    target = args.output or start.report_folder
    experiment = Experiment(start, args.device)
    make_ready(experiment.device)
    tester = Tester(experiment)
    tester.check_room(target)
    with whole_folder(target, FILES) as folder:
        tester.report(folder)
    say(f"written to {target}")


if __name__ == "__main__":
    run_command(main)
