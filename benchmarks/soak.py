"""Kill a run at random instants as long as you like: python benchmarks/soak.py --kills 200

Each run is killed with SIGKILL at instants drawn uniformly over its length, resumed, and killed
again until it is through; then all its checkpoints and numbers must equal, bit for bit, those of
a run that was left alone.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.killing import Killer
from utils.config.overrides import apply_overrides


def main() -> int:
    """Kill until there are enough kills -> 0 where no run differs."""
    args = parse_arguments()
    seed = random.randrange(10**6) if args.seed is None else args.seed
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    changes = apply_overrides({"trainer": {}}, args.set)
    trainer = {"epochs": args.epochs, "save_steps": args.save_steps} | changes.pop("trainer")
    killer = Killer(folder, random.Random(seed), changes, **trainer)
    print(f"seed {seed}, in {folder}; a run takes {killer.seconds:.2f} s", flush=True)
    started = time.perf_counter()
    while killer.kills < args.kills:
        killer.kill(min(killer.kills + 20, args.kills))
        print(
            f"{killer.kills} kills in {killer.runs} runs, {len(killer.different)} differ, "
            f"{time.perf_counter() - started:.0f} s",
            flush=True,
        )
    if killer.different:
        print("these differ and are kept:", *killer.different, sep="\n  ")
        return 1
    shutil.rmtree(folder)
    return 0


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--kills", type=int, default=50)
    add("--seed", type=int, help="of the instants; the run itself always has the same")
    add("--epochs", type=int, default=30)
    add("--save-steps", type=int, default=3)
    add("-s", "--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE",
        help="replace parts of the experiment: arch={...}")  # fmt: skip
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
