"""Test a trained autoencoder and make new images with it: python test.py -r saved/WaferAE"""

from utils.arguments import test_arguments
from utils.errors import run_command
from utils.output import say, whole_folder
from utils.ranks import refuse_ranks


def main() -> None:
    """Checkpoint -> the same parts -> scores, generated images, pictures, or an export."""
    args = test_arguments(__doc__)
    refuse_ranks("test.py")
    from tester.export import export
    from tester.images_tester import ImagesTester, report_files
    from tester.tester import Tester, has_report
    from trainer.experiment import Experiment
    from trainer.start import Start
    from utils.device import make_ready

    start = Start.trained(args.checkpoint, args.set)
    if args.export:
        return export(start, args.device, args.export)
    if args.images:  # which are dirty or clean already
        start = start.without_corruption()
    experiment = Experiment(start, args.device)
    make_ready(experiment.device, is_test=True)
    if args.images:
        tester: Tester = ImagesTester(experiment, args.images, args.labels, args.alpha)
    else:
        tester = Tester(experiment)
    target = args.output or start.report_folder(tester.default_folder)
    tester.check_room(target)
    with whole_folder(target, report_files(tester, target), has_report) as folder:
        tester.report(folder)
    say(f"written to {target}")


if __name__ == "__main__":
    run_command(main)
