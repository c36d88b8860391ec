"""Test a trained autoencoder and make new images with it: python test.py -r saved/WaferAE"""

from utils.arguments import test_arguments
from utils.errors import run_command
from utils.ranks import refuse_ranks


def main() -> None:
    """Checkpoint -> the same parts -> scores, generated images, pictures."""
    args = test_arguments(__doc__)
    refuse_ranks("test.py")
    from tester.tester import FILES, Tester, has_report
    from trainer.experiment import Experiment
    from trainer.start import Start
    from utils.device import make_ready
    from utils.output import say, whole_folder

    start = Start.trained(args.checkpoint, args.set)
    target = args.output or start.folder / "test"
    experiment = Experiment(start, args.device)
    make_ready(experiment.device)
    tester = Tester(experiment)
    tester.check_room(target)
    with whole_folder(target, FILES, has_report) as folder:
        tester.report(folder)
    say(f"written to {target}")


if __name__ == "__main__":
    run_command(main)
