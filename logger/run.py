"""The folder of a run: its config, its log, its numbers."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from logger.tensorboard import TensorBoard
from utils.checkpoint import Checkpoint
from utils.checkpoint_files import places_in
from utils.config.sections import Config
from utils.errors import (
    CheckpointError,
    ConfigError,
    Interrupted,
    SaidElsewhere,
    TrainingError,
    UserError,
)
from utils.lock import hold
from utils.output import append, remove_partials, say, without_nan, write_file


class Run:
    """Writes what a run has to say into its folder and onto the console.

    As a context it notes in info.log why a run ended before its end.

    Args:
        folder: an existing folder.
        board: where the numbers go besides, or None.

    Attributes:
        speaks: whether it writes and says anything at all.
    """

    speaks = True

    def __init__(self, folder: Path, board: Any = None) -> None:
        self.folder = folder
        self.board = board

    def keep_config(self, config: Config) -> None:
        """Write the complete config."""
        text = json.dumps(config.as_json(), indent=2, ensure_ascii=False)
        write_file(self.folder / "config.json", f"{text}\n".encode())

    def save(self, checkpoint: Checkpoint, name: str) -> None:
        """Write a checkpoint into the file `name`."""
        checkpoint.write(self.folder / name)

    def log(self, message: str) -> None:
        """Say something on the console and in info.log."""
        say(message)
        self._note(message)

    def record(self, epoch: int, numbers: dict[str, float]) -> None:
        """Add an epoch's numbers to metrics.jsonl and to TensorBoard."""
        line = json.dumps({"epoch": epoch, **without_nan(numbers)})
        append(self.folder / "metrics.jsonl", f"{line}\n")
        if self.board:
            self.board.add_numbers(epoch, numbers)

    def cut_back(self, epoch: int) -> None:
        """Drop the numbers of the epochs after `epoch`: they will be trained again."""
        path = self.folder / "metrics.jsonl"
        if not path.exists():
            return
        before = path.read_bytes()
        kept = [line for line in before.splitlines(keepends=True) if _is_until(epoch, line)]
        if b"".join(kept) != before:
            write_file(path, b"".join(kept))
        if self.board:
            self.board.catch_up(map(json.loads, kept))

    def set_aside_later(self, checkpoint: Checkpoint) -> bool:
        """Set aside checkpoints written after this one; True where the best model is one."""
        later = [path for place, path in places_in(self.folder) if place > checkpoint.place]
        best = self.folder / "model_best.pth"
        is_best_later = best.exists() and _is_after(best, checkpoint.epoch)
        for path in [*later, best] if is_best_later else later:
            path.replace(path.with_name(f"{path.name}.superseded"))
            self.log(f"{path.name} is now {path.name}.superseded")
        return is_best_later

    def close(self) -> None:
        """Finish what is still being written."""
        if self.board:
            self.board.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        try:
            if isinstance(error, TrainingError | UserError | SaidElsewhere):
                self._note(f"failed: {error}")
            if isinstance(error, Interrupted):
                self._note(str(error))
            self.close()
        except TrainingError:
            if error is None:
                raise  # else the disk is full once more: the first error says it

    def _note(self, message: str) -> None:
        append(self.folder / "info.log", f"{datetime.now():%Y-%m-%d %H:%M:%S}  {message}\n")


class SilentRun(Run):
    """A run that leaves nothing behind.

    It is that of a process which follows another one, which writes and speaks for both, and of a
    model that is wanted for a moment only.
    """

    speaks = False

    def __init__(self) -> None:
        super().__init__(Path())

    def keep_config(self, config: Config) -> None:
        """Nobody writes it, or another process."""

    def save(self, checkpoint: Checkpoint, name: str) -> None:
        """Nobody writes it, or another process."""

    def record(self, epoch: int, numbers: dict[str, float]) -> None:
        """Nobody writes them, or another process."""

    def log(self, message: str) -> None:
        """Nobody says it, or another process."""

    def _note(self, message: str) -> None:
        """Nobody says it, or another process."""


def _is_until(epoch: int, line: bytes) -> bool:
    """Whether a line of metrics.jsonl is whole and of an epoch up to `epoch`."""
    try:
        return line.endswith(b"\n") and json.loads(line)["epoch"] <= epoch
    except (ValueError, KeyError, TypeError):
        return False


def _is_after(best: Path, epoch: int) -> bool:
    try:
        return Checkpoint.read(best).epoch > epoch
    except CheckpointError:
        return True  # nobody can use it


def open_run(config: Config, folder: Path | None, checkpoint: Checkpoint | None) -> Run:
    """A new run with its folder, or the one in `folder`, to go on after `checkpoint`.

    Raises:
        ConfigError: the folder cannot be made, or another process trains in it.
        TrainingError: there is no room for the config.
    """
    after = checkpoint.epoch if checkpoint else 0
    is_new = folder is None
    folder = folder or create_folder(config.trainer.save_dir, config.name)
    hold(folder)
    remove_partials(folder)
    board = None
    if config.trainer.tensorboard:
        board = TensorBoard(folder, after=None if is_new else after)
    run = Run(folder, board)
    if not checkpoint:
        run.keep_config(config)
        run.cut_back(0)  # an old folder without a checkpoint: its run begins again
    return run


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
