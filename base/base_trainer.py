"""What every trainer does: epochs, the monitored value, checkpoints. It knows no batch."""

import math
import signal
from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np
import torch

from base.averaged import AveragedWeights
from base.base_dataset import BaseDataset
from base.base_model import BaseModel
from base.monitor import Monitor
from logger.run import Run
from utils.checkpoint import Checkpoint
from utils.checkpoint_files import checkpoint_name, remove_passed
from utils.config.sections import Config
from utils.device import describe_machine
from utils.errors import Interrupted, SaidElsewhere, TrainingError
from utils.finite import FiniteGuard
from utils.optimizer_state import (
    Stateful,
    load_part,
    load_states,
    scheduler_state,
    set_learning_rate,
    states_of,
)
from utils.ranks import Ranks
from utils.signals import StopRequest


class Parts(Protocol):
    """What of an experiment the epochs of a training need."""

    config: Config
    dataset: BaseDataset
    data: dict[str, Any]
    model: BaseModel
    ranks: Ranks

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """What changes the weights."""

    @property
    def scheduler(self) -> Any:
        """What changes the learning rate, or None."""


class BaseTrainer:
    """Trains epoch by epoch until the last one, or until nothing improves any more.

    Args:
        experiment: the model, its optimizer and all else that its config names.
        run: where logs and files go.

    Attributes:
        epoch: epochs trained to their end.
        step: updates made.
        trained: images trained of the epoch that has begun.
        kept: what a checkpoint holds besides model, optimizer and scheduler, by name.
        averaged: the moving average of the weights, where `trainer.ema` asks for one. The model
            then has it everywhere but within `self.averaged.training()`.
    """

    runtime: tuple[str, ...] = ("experiment", "run")

    def __init__(self, experiment: Parts, run: Run) -> None:
        self.config, self.run, self.ranks = experiment.config, run, experiment.ranks
        self.model, self.dataset, self.data = experiment.model, experiment.dataset, experiment.data
        self.optimizer, self.scheduler = experiment.optimizer, experiment.scheduler
        self.settings = self.config.trainer
        self.monitor = Monitor(self.settings.monitor)
        self.guard = FiniteGuard(self.optimizer, self.ranks)
        self.stop = StopRequest(speaks=self.run.speaks)
        self.epoch = self.step = self.trained = 0
        self.kept: dict[str, Stateful] = {}
        self.averaged: AveragedWeights | None = None
        if self.settings.ema:
            self.averaged = AveragedWeights(self.model, self.settings.ema)
            self.keep(weights_in_training=self.averaged)

    def keep(self, **parts: Stateful) -> None:
        """Have checkpoints hold the states of further parts, and give them back on resuming.

        A part is whatever has `state_dict` and `load_state_dict`: a module, an optimizer.
        """
        self.kept |= parts

    def train(self) -> None:
        """Train the epochs that remain, and say what to do next.

        Raises:
            TrainingError: a number is no longer finite; no checkpoint holds such weights.
            Interrupted: a signal came; the checkpoint is written.
        """
        with self.stop:
            while not self.is_finished():
                self._finish_epoch(self.train_epoch(self.epoch + 1))
                self.stop_if_asked()
        self.announce_next()

    def announce(self) -> None:
        """Say what is about to be trained, on what, and where."""

    def announce_next(self) -> None:
        """Say what can be done with a run that has ended."""

    def go_on(self) -> None:
        """Go on from the checkpoint of the experiment, if it has one.

        Raises:
            CheckpointError: it is of other parts, or was written where no step ends.
        """
        raise NotImplementedError

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
        if self.averaged:
            self.averaged.update(self.step)
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
        if self.run.speaks:
            remove_passed(self.run.folder / self.checkpoint_name())

    def checkpoint_name(self) -> str:
        """What a checkpoint of this very moment is called."""
        if self.trained:
            return checkpoint_name(self.epoch + 1, self.step)
        return checkpoint_name(self.epoch)

    def checkpoint(self) -> Checkpoint:
        """All that moves, and what it was made with."""
        return Checkpoint(
            arch=self.config.arch.type,
            config=self.config.as_json(),
            epoch=self.epoch,
            step=self.step,
            within_epoch=self.within_epoch(),
            state_dict=self.averaged.average() if self.averaged else self.model.state_dict(),
            optimizer=self.optimizer.state_dict(),
            lr_scheduler=scheduler_state(self.scheduler) if self.scheduler else None,
            monitor_best=self.monitor.best,
            early_stop_count=self.monitor.epochs_without,
            data=self.data,
            versions=self.versions(),
            machine=self.machine(),
            images=self.dataset.facts(),
            more=states_of(self.kept),
        )

    def versions(self) -> dict[str, str]:
        """The libraries that the numbers come from."""
        return {"torch": str(torch.__version__), "numpy": np.__version__}

    def machine(self) -> dict[str, str | int]:
        """What computes: another machine may round the last digits differently."""
        return describe_machine(self.guard.weights[0].device)

    def resume(
        self, checkpoint: Checkpoint, changes: Iterable[str] = (), rate: float | None = None
    ) -> None:
        """Go on where a checkpoint was written; what lies after it in the folder is set aside.

        The model has its weights already.

        Args:
            changes: what the rest of the run does otherwise than the epochs before, in words.
            rate: the learning rate to go on with; None for the checkpoint's.

        Raises:
            CheckpointError: it is of other parts than the trainer's.
        """
        states = checkpoint.optimizer, checkpoint.lr_scheduler
        load_states(self.optimizer, self.scheduler, *states)
        for name, part in self.kept.items():
            load_part(name, part, checkpoint.more.get(name))
        self.epoch, self.step, self.trained = checkpoint.epoch, checkpoint.step, checkpoint.trained
        self.monitor.best = checkpoint.monitor_best
        self.monitor.epochs_without = checkpoint.early_stop_count
        self.run.keep_config(self.config)
        for change in changes:
            self.run.log(f"changed: {change}")
        if rate is not None:
            before = self.optimizer.param_groups[0]["lr"]
            self.run.log(f"the learning rate is {rate:g} from here, it was {before:g}")
            set_learning_rate(self.optimizer, self.scheduler, rate)
        self._report_differences(checkpoint)
        if self.ranks.leads:
            self._tidy(checkpoint)

    def _report_differences(self, checkpoint: Checkpoint) -> None:
        """Say what is not as it was: the last digits of results may then differ."""
        now: dict[str, Any] = {**self.machine(), **self.versions()}
        then: dict[str, Any] = {**checkpoint.machine, **checkpoint.versions}
        for name in sorted(now):
            if now[name] == then.get(name):
                continue
            if name == "processes":
                batches = self.settings.accumulate
                each = f"{batches} batches" if batches > 1 else "one batch"
                self.run.log(
                    f"note: an update is made by {now[name]} processes from here, {each} each, "
                    f"and was made by {then.get(name)} before"
                )
            else:
                self.run.log(
                    f"note: {name} is {now[name]} now and was {then.get(name)} when the "
                    "checkpoint was written; the last digits may differ from an uninterrupted "
                    "run's"
                )

    def _tidy(self, checkpoint: Checkpoint) -> None:
        """Make the run's folder what it was when the checkpoint had just been written.

        Checkpoints are renamed, then the numbers are cut: a kill between the two is harmless.
        """
        if self.run.set_aside_later(checkpoint):
            self._make_up_best()
        self.run.cut_back(checkpoint.epoch)
        here = self.run.folder / self.checkpoint_name()
        if here.exists():
            remove_passed(here)  # a kill may have come between the writing and this
        elif self.is_save_due() and not self.trained:
            self.save()  # the best model was written, and then there was no time for this one

    def _make_up_best(self) -> None:
        """Put the checkpoint in the place of a later best model, where it was itself the best."""
        best = self.monitor.best
        if best is not None and self.monitor.epochs_without == 0 and not self.trained:
            self.run.save(self.checkpoint(), "model_best.pth")
        elif best is not None:
            self.run.log(
                f"the weights that reached {self.monitor.name} {best:.4g} before this checkpoint "
                "are gone; there is no model_best.pth until an epoch is better"
            )


def _epoch_line(epoch: int, epochs: int, numbers: dict[str, float]) -> str:
    """An epoch in one line of the log."""
    words = (f"{name} {value:.4g}" for name, value in numbers.items())
    return f"epoch {epoch:>{len(str(epochs))}}/{epochs}  " + "  ".join(words)
