"""What every trainer does: epochs, the monitored value, checkpoints. It knows no batch."""

import math
import operator
import signal
from typing import Any

import numpy as np
import torch

from base.base_model import BaseModel
from logger.run import Run
from utils.checkpoint import checkpoint_name, remove_passed, scheduler_state
from utils.config.sections import Config
from utils.device import describe_machine
from utils.errors import Interrupted, SaidElsewhere, TrainingError
from utils.finite import FiniteGuard
from utils.ranks import Ranks
from utils.signals import StopRequest


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
        """Take in an epoch's numbers; True where the watched one improved.

        A tie does not improve, and what is not finite is never the best.
        """
        if self.is_off:
            return False
        value = numbers[self.name]
        if math.isfinite(value) and (self.best is None or self._is_better(value, self.best)):
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
        ranks: the processes that train the model together.
    """

    def __init__(
        self,
        model: BaseModel,
        optimizer: torch.optim.Optimizer,
        scheduler: Any,
        config: Config,
        data: dict[str, Any],
        run: Run,
        ranks: Ranks,
    ) -> None:
        self.model, self.optimizer, self.scheduler = model, optimizer, scheduler
        self.config, self.data, self.run, self.ranks = config, data, run, ranks
        self.settings = config.trainer
        self.monitor = Monitor(config.trainer.monitor)
        self.guard = FiniteGuard(optimizer, ranks)
        self.stop = StopRequest(speaks=ranks.leads)
        self.epoch = 0  # epochs trained to their end
        self.step = 0  # updates made
        self.seen = 0  # images trained of the epoch that has begun

    def train(self) -> None:
        """Train the epochs that remain.

        Raises:
            TrainingError: a number is no longer finite; no checkpoint holds such weights.
            Interrupted: a signal came; the checkpoint is written.
        """
        with self.stop:
            while not self.is_finished():
                self._finish_epoch(self.train_epoch(self.epoch + 1))
                self.stop_if_asked()

    def is_finished(self) -> bool:
        """Whether all epochs are trained, or so many did not improve that it ends early."""
        return self.is_stopped_early() or self.epoch >= self.settings.epochs

    def is_stopped_early(self) -> bool:
        """Whether `early_stop` ends training before its last epoch."""
        is_early = 0 < self.settings.early_stop <= self.monitor.epochs_without
        return is_early and self.epoch < self.settings.epochs

    def why_early(self) -> str:
        """What `early_stop` found, in words."""
        return f"no better {self.monitor.name} for {self.monitor.epochs_without} epochs"

    def is_save_due(self) -> bool:
        """Whether the end of this epoch is to be kept."""
        return self.epoch % self.settings.save_period == 0 or self.is_finished()

    def train_epoch(self, epoch: int) -> dict[str, float]:
        """Train one epoch -> its numbers by name: 'loss', 'val_loss', 'lr', ..."""
        raise NotImplementedError

    def finish_step(self) -> None:
        """Count an update; save where it is time to, stop where somebody asked to."""
        self.step += 1
        if self.settings.save_steps and self.step % self.settings.save_steps == 0:
            self.save()
        self.stop_if_asked()

    def stop_if_asked(self) -> None:
        """Where a signal came to any rank, save this very moment and stop."""
        number = self.ranks.largest(self.stop.number or 0)
        if not number:
            return
        self.save()
        if not self.ranks.leads:
            raise SaidElsewhere(128 + number, "the leader says so")
        name = signal.Signals(number).name
        raise Interrupted(
            number, f"stopped by {name} after step {self.step}; go on with -r {self.run.folder}"
        )

    def within_epoch(self) -> dict[str, Any]:
        """What an epoch that has begun has gathered: 'count' images, 'totals' by name."""
        return {"count": 0, "totals": {}}

    def show_epoch(self) -> None:
        """Draw what the model makes of a few images."""

    def _finish_epoch(self, numbers: dict[str, float]) -> None:
        """Write the epoch down; checkpoints last, so that none is ahead of the numbers."""
        self.epoch += 1
        for name in ("loss", "val_loss"):
            if not math.isfinite(numbers.get(name, 0.0)):
                raise TrainingError(
                    f"epoch {self.epoch}: {name} is {numbers[name]}; the checkpoints of earlier "
                    "epochs are unharmed. Try a lower optimizer.args.lr"
                )
        if isinstance(self.scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
            self.scheduler.step(numbers[self.monitor.name])
        elif self.scheduler:
            self.scheduler.step()
        self.run.record(self.epoch, {"step": self.step, **numbers})
        self.run.log(_epoch_line(self.epoch, self.settings.epochs, numbers))
        if self.monitor.update(numbers):
            self.run.save(self.checkpoint(), "model_best.pth")
        if self.is_save_due():
            self.save()
            self.show_epoch()
        if self.is_stopped_early():
            self.run.log(f"stopped: {self.why_early()}")

    def save(self) -> None:
        """Write a checkpoint of this very moment, be it the end of an epoch or within one."""
        self.guard.read()
        self.run.save(self.checkpoint(), self.checkpoint_name())
        if self.ranks.leads:
            remove_passed(self.run.folder / self.checkpoint_name())

    def checkpoint_name(self) -> str:
        """What a checkpoint of this very moment is called."""
        if self.seen:
            return checkpoint_name(self.epoch + 1, self.step)
        return checkpoint_name(self.epoch)

    def checkpoint(self) -> dict[str, Any]:
        """All that moves, and what it was made with."""
        return {
            "arch": self.config.arch.type,
            "config": self.config.as_json(),
            "epoch": self.epoch,
            "step": self.step,
            "within_epoch": self.within_epoch(),
            "state_dict": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "lr_scheduler": scheduler_state(self.scheduler) if self.scheduler else None,
            "monitor_best": self.monitor.best,
            "early_stop_count": self.monitor.epochs_without,
            "data": self.data,
            "versions": self.versions(),
            "machine": self.machine(),
        }

    def versions(self) -> dict[str, str]:
        """The libraries that the numbers come from."""
        return {"torch": str(torch.__version__), "numpy": np.__version__}

    def machine(self) -> dict[str, str | int]:
        """What computes: another machine may round the last digits differently."""
        return describe_machine(self.guard.weights[0].device)

    def resume(self, checkpoint: dict[str, Any]) -> None:
        """Take up the counters of a checkpoint."""
        self.epoch, self.step = checkpoint["epoch"], checkpoint["step"]
        self.seen = checkpoint["within_epoch"]["count"]
        self.monitor.best = checkpoint["monitor_best"]
        self.monitor.epochs_without = checkpoint["early_stop_count"]


def _epoch_line(epoch: int, epochs: int, numbers: dict[str, float]) -> str:
    """An epoch in one line of the log."""
    words = (f"{name} {value:.4g}" for name, value in numbers.items())
    return f"epoch {epoch:>{len(str(epochs))}}/{epochs}  " + "  ".join(words)
