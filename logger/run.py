"""The folder of a run: its config, its log, its numbers."""

import json
import logging
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from utils.config import Config
from utils.errors import ConfigError


class Run:
    """Writes what a run has to say into its folder and onto the console.

    Args:
        folder: an existing folder.
        board: where the numbers go besides, or None.
    """

    def __init__(self, folder: Path, board: Any = None) -> None:
        self.folder = folder
        self.board = board
        self._log = logging.Logger("run")
        self._log.addHandler(logging.StreamHandler(sys.stdout))
        file = logging.FileHandler(folder / "info.log", encoding="utf-8")
        file.setFormatter(logging.Formatter("%(asctime)s  %(message)s", "%Y-%m-%d %H:%M:%S"))
        self._log.addHandler(file)

    def log(self, message: str) -> None:
        """Say something on the console and in info.log."""
        self._log.info(message)

    def record(self, epoch: int, numbers: dict[str, float]) -> None:
        """Add an epoch's numbers to metrics.jsonl and to TensorBoard."""
        with (self.folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"epoch": epoch, **numbers}) + "\n")
        if self.board:
            self.board.add_numbers(epoch, numbers)

    def cut_back(self, epoch: int) -> None:
        """Drop the numbers of the epochs after `epoch`: they will be trained again."""
        path = self.folder / "metrics.jsonl"
        if not path.exists():
            return
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [
            line for line in lines if line.endswith("\n") and json.loads(line)["epoch"] <= epoch
        ]
        partial = path.with_name("metrics.jsonl.partial")
        partial.write_text("".join(kept), encoding="utf-8")
        partial.replace(path)

    def close(self) -> None:
        """Finish what is still being written."""
        if self.board:
            self.board.close()
        for handler in self._log.handlers:
            handler.close()


def open_run(config: Config, folder: Path | None, checkpoint: dict[str, Any] | None) -> Run:
    """A new run with its folder, or the one in `folder`, to go on after `checkpoint`.

    Raises:
        ConfigError: the folder cannot be made.
    """
    folder = folder or create_folder(config.trainer.save_dir, config.name)
    text = json.dumps(config.as_json(), indent=2, ensure_ascii=False)
    (folder / "config.json").write_text(text + "\n", encoding="utf-8")
    if not config.trainer.tensorboard:
        return Run(folder)
    from logger.tensorboard import TensorBoard

    return Run(folder, TensorBoard(folder, after=checkpoint["epoch"] if checkpoint else 0))


def create_folder(save_dir: str, name: str) -> Path:
    """A new folder for a run, named by the time; runs started together get one each.

    Raises:
        ConfigError: it cannot be made.
    """
    parent = Path(save_dir) / name
    stamp = datetime.now().strftime("%m%d_%H%M%S")
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for number in range(1, 1000):
            folder = parent / (stamp if number == 1 else f"{stamp}_{number}")
            try:
                folder.mkdir()
            except FileExistsError:
                continue
            return folder
    except OSError as error:
        raise ConfigError(f"trainer.save_dir: cannot make {parent}: {error.strerror}") from None
    raise ConfigError(f"trainer.save_dir: {parent} has 999 runs of this second")
