"""What every trainer does: epochs, the monitored value, checkpoints. It knows no batch."""

import math
import operator
from typing import Any

import numpy as np
import torch

from base.base_model import BaseModel
from logger.run import Run
from utils.checkpoint import save_checkpoint
from utils.config import Config
from utils.errors import TrainingError


class Monitor:
    """The best value so far of the number that is watched, and how long ago it was.

    Args:
        rule: "min NAME", "max NAME" or "off".
    """

    def __init__(self, rule: str) -> None:
        mode, _, self.name = rule.partition(" ")
        self.is_off = mode == "off"
        self._is_better = operator.lt if mode == "min" else operator.gt
        self.best: float | None = None
        self.epochs_without = 0

    def update(self, numbers: dict[str, float]) -> bool:
        """Take in an epoch's numbers; True where the watched one improved. A tie does not."""
        if self.is_off:
            return False
        value = numbers[self.name]
        if self.best is None or self._is_better(value, self.best):
            self.best, self.epochs_without = value, 0
            return True
        self.epochs_without += 1
        return False


class BaseTrainer:
    """Trains epoch by epoch until the last one, or until nothing improves any more.

    Args:
        model, optimizer, scheduler: what a checkpoint has to hold; the scheduler may be None.
        config: the whole config; its `trainer` section rules here.
        data: a fingerprint of the data, kept in checkpoints.
        run: where logs and files go.
    """

    def __init__(
        self,
        model: BaseModel,
        optimizer: torch.optim.Optimizer,
        scheduler: Any,
        config: Config,
        data: dict[str, Any],
        run: Run,
    ) -> None:
        self.model, self.optimizer, self.scheduler = model, optimizer, scheduler
        self.config, self.data, self.run = config, data, run
        self.settings = config.trainer
        self.monitor = Monitor(config.trainer.monitor)
        self.epoch = 0  # epochs trained
        self.step = 0  # updates made

    def train(self) -> None:
        """Train the epochs that remain.

        Raises:
            TrainingError: the loss is no longer a finite number; no checkpoint holds such weights.
        """
        for epoch in range(self.epoch + 1, self.settings.epochs + 1):
            numbers = self.train_epoch(epoch)
            if not math.isfinite(numbers["loss"]):
                raise TrainingError(
                    f"epoch {epoch}: the loss is {numbers['loss']}; the checkpoints of earlier "
                    "epochs are unharmed. Try a lower optimizer.args.lr"
                )
            self.epoch = epoch
            self._step_scheduler(numbers)
            self._finish_epoch(numbers)
            if 0 < self.settings.early_stop <= self.monitor.epochs_without:
                self.run.log(
                    f"stopped: no better {self.monitor.name} for "
                    f"{self.monitor.epochs_without} epochs"
                )
                self.save_epoch()
                break

    def train_epoch(self, epoch: int) -> dict[str, float]:
        """Train one epoch -> its numbers by name: 'loss', 'val_loss', 'lr', ..."""
        raise NotImplementedError

    def show_epoch(self) -> None:
        """Draw what the model makes of a few images."""

    def _step_scheduler(self, numbers: dict[str, float]) -> None:
        if isinstance(self.scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
            self.scheduler.step(numbers[self.monitor.name])
        elif self.scheduler:
            self.scheduler.step()

    def _finish_epoch(self, numbers: dict[str, float]) -> None:
        """Write the epoch down; checkpoints last, so that none is ahead of the numbers."""
        self.run.record(self.epoch, {"step": self.step, **numbers})
        self.run.log(_epoch_line(self.epoch, self.settings.epochs, numbers))
        if self.monitor.update(numbers):
            save_checkpoint(self.checkpoint(), self.run.folder / "model_best.pth")
        if self.epoch % self.settings.save_period == 0 or self.epoch == self.settings.epochs:
            self.save_epoch()
            self.show_epoch()

    def save_epoch(self) -> None:
        """Write the checkpoint of this epoch."""
        save_checkpoint(self.checkpoint(), self.run.folder / f"checkpoint-epoch{self.epoch}.pth")

    def checkpoint(self) -> dict[str, Any]:
        """All that moves, and what it was made with."""
        return {
            "arch": self.config.arch.type,
            "config": self.config.as_json(),
            "epoch": self.epoch,
            "step": self.step,
            "state_dict": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "lr_scheduler": self.scheduler.state_dict() if self.scheduler else None,
            "monitor_best": self.monitor.best,
            "early_stop_count": self.monitor.epochs_without,
            "data": self.data,
            "versions": {"torch": str(torch.__version__), "numpy": np.__version__},
        }

    def resume(self, checkpoint: dict[str, Any]) -> None:
        """Go on from a checkpoint as if there had been no interruption."""
        self.model.load_state_dict(checkpoint["state_dict"])
        self.optimizer.load_state_dict(checkpoint["optimizer"])
        if self.scheduler:
            self.scheduler.load_state_dict(checkpoint["lr_scheduler"])
        self.epoch, self.step = checkpoint["epoch"], checkpoint["step"]
        self.monitor.best = checkpoint["monitor_best"]
        self.monitor.epochs_without = checkpoint["early_stop_count"]


def _epoch_line(epoch: int, epochs: int, numbers: dict[str, float]) -> str:
    """An epoch in one line of the log."""
    words = (f"{name} {value:.4g}" for name, value in numbers.items())
    return f"epoch {epoch:>{len(str(epochs))}}/{epochs}  " + "  ".join(words)
