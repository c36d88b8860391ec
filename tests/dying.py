"""train.py whose rank 1 kills itself once: before step 13 of a job that was not restarted yet."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.test_ranks import die  # noqa: E402, after the path to it
from train import main  # noqa: E402
from utils.errors import run_command  # noqa: E402

if os.environ["RANK"] == "1" and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
    die()
run_command(main)
