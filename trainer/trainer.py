"""One epoch of batches. It knows no file."""

import shlex
import time
from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any

import torch
from torch.nn.utils import clip_grad_norm_
from tqdm import tqdm

from base.base_data_loader import BaseDataLoader, Batch
from base.base_trainer import BaseTrainer
from logger.run import Run
from logger.tensorboard import tile
from trainer.evaluator import code_use
from trainer.experiment import Experiment
from trainer.sums import Sums
from trainer.updates import Updates
from utils.arguments import command_line
from utils.checkpoint import Checkpoint
from utils.config.messages import shown
from utils.errors import CheckpointError
from utils.output import say
from utils.seed import seed_step

PREVIEWED = 8  # images shown in TensorBoard
PROJECTED = 500  # codes in its projector, if they are no more than so many numbers in all:
MOST_PROJECTED = 1_000_000


class Trainer(BaseTrainer):
    """Trains a model to give back the images of a loader.

    One of your own extends it in a file of `trainer/`: it may make another `update`, add to
    `epoch_numbers` and `show_epoch`, and `keep` what else a checkpoint has to hold.

    Args:
        experiment: what is trained, on what, and where.
        run: where logs and files go.
    """

    def __init__(self, experiment: Experiment, run: Run) -> None:
        super().__init__(experiment, run)
        self.experiment, self.evaluator = experiment, experiment.evaluator
        self.loader, self.validation = experiment.loader, experiment.validation
        self.updates = Updates(self.loader, self.settings.accumulate)
        self._parallel = self.ranks.parallel(self.evaluator.network)
        self.kl_of_units: torch.Tensor | None = None  # of a VAE's code, after each epoch
        self.sums = Sums()  # over this rank's images of the epoch so far

    def announce(self) -> None:
        """Say what is about to be trained, on what, and where."""
        settings = self.settings
        self.run.log(self.model.table())
        if self.loader.dataset.note:
            self.run.log(f"warning: {self.loader.dataset.note}")
        held_out = self.validation.count if self.validation else 0
        self.run.log(
            f"{self.loader.count} training and {held_out} validation images, {len(self.updates)} "
            f"steps an epoch, on {self.evaluator.device} in {settings.precision}, "
            f"images {self.loader.source}"
        )
        if self.ranks.count > 1 or settings.accumulate > 1:
            self.run.log(str(self.updates))
        for line in self.experiment.begun_with:
            self.run.log(line)
        if self.averaged:
            self.run.log(
                f"validated and saved are averaged weights, with a decay of {settings.ema:g}"
            )
        self.run.log(f"run {self.run.folder}")
        if self.is_stopped_early():
            self.run.log(
                f"nothing to do: trainer.early_stop={settings.early_stop} ended the run after "
                f"epoch {self.epoch} of {settings.epochs}: {self.why_early()}; to go on, add "
                f"-s trainer.early_stop={2 * self.monitor.epochs_without}, or 0 for all epochs"
            )
        elif self.is_finished():
            self.run.log(f"nothing to do: {self.epoch} of {settings.epochs} epochs are trained")
        elif self.step:
            self.run.log(f"goes on after epoch {self.epoch}, step {self.step}")

    def announce_next(self) -> None:
        """Say which commands test the run, show its curves and train it further."""
        if not self.run.speaks:
            return
        run, settings = str(self.run.folder), self.settings
        more = f"trainer.epochs={2 * self.epoch}"
        if self.is_stopped_early():
            more = f"trainer.early_stop={2 * self.monitor.epochs_without}"
        say(f"test it:     {command_line(['test.py', '-r', run])}")
        if settings.tensorboard:
            say(f"its curves:  {shlex.join(['tensorboard', '--logdir', settings.save_dir])}")
        say(f"train on:    {command_line(['train.py', '-r', run, '-s', more])}")

    def train_epoch(self, epoch: int) -> dict[str, float]:
        """Train on every image once, then look at the images held out."""
        numbers = {"lr": float(self.optimizer.param_groups[0]["lr"])}
        self.evaluator.loss.begin_epoch(epoch)
        started, before = time.perf_counter(), self.trained
        self._train_batches(epoch)
        numbers |= self.sums.means(self.ranks)
        if not before:  # of an epoch that was begun elsewhere the time is not known
            numbers["images_per_second"] = self.trained / (time.perf_counter() - started)
        numbers |= self.epoch_numbers()
        numbers["seconds"] = time.perf_counter() - started
        self.sums, self.trained = Sums(), 0
        return numbers

    def epoch_numbers(self) -> dict[str, float]:
        """What is measured after each epoch, by name: 'val_loss', 'val_psnr', ..."""
        numbers: dict[str, float] = {}
        if self.validation:
            scores = self.evaluator.score(self.validation, after_batch=self.stop_if_asked)
            numbers |= {f"val_{name}": score for name, score in scores.items()}
        if "logvar" in self.model.gives:
            looked_at = self.validation or self.loader.in_order()
            numbers["active_units"], self.kl_of_units = code_use(self.evaluator, looked_at)
        return numbers

    def update(self, epoch: int, batch: Batch) -> dict[str, torch.Tensor]:
        """Train on a batch -> the terms and metrics of each image that counts.

        The images of the batch are augmented already.
        """
        output = self.reconstruct(epoch, batch)
        numbers = batch.counting(self.evaluator.measure(output, batch.images))
        self.descend(epoch, batch, numbers)
        return numbers

    def reconstruct(self, epoch: int, batch: Batch) -> dict[str, torch.Tensor]:
        """What the model makes of a batch as training shows it: 'reconstruction', 'code', ..."""
        shown = self.evaluator.corrupter.in_step(batch.images, *self._place(epoch))
        return self.evaluator.run(shown, self._parallel, self.loader.labels_of(batch))

    def descend(self, epoch: int, batch: Batch, numbers: dict[str, torch.Tensor]) -> None:
        """Go down the mean of numbers["loss"], [n], if all is finite.

        The step of the optimizer is made at the last batch of an update, down the mean over the
        images of all its batches.
        """
        if not self.updates.gathered:
            self.optimizer.zero_grad()
        # Every image moves the weights by as much, those of a smaller last update too. Between
        # ranks gradients are averaged, so that this is the sum over all of them by their number.
        (numbers["loss"].sum() / self.updates.images).backward()
        self.guard.check(epoch, self.step, batch.indices[: batch.counted], numbers)
        if self.updates.ends_with(self.trained):
            if self.settings.clip_gradient:
                clip_grad_norm_(self.guard.weights, self.settings.clip_gradient)
            self.optimizer.step()

    def _train_batches(self, epoch: int) -> None:
        """Train on the images of the epoch that remain; in a new epoch, on all."""
        self.model.train()
        with self.averaged.training() if self.averaged else nullcontext():
            for batch in self._remaining_batches(epoch):
                self.sums.add(self._train_batch(epoch, batch))
                self._finish_batch()
            self.guard.read()
        self.ranks.copy_buffers(self.model)

    def _remaining_batches(self, epoch: int) -> Iterable[Batch]:
        """The batches of the epoch that are not trained yet, under a progress bar."""
        return tqdm(
            self.loader.batches(epoch, self.trained),
            f"epoch {epoch}",
            total=len(self.loader),
            initial=self.trained // self.loader.images_per_step,
            leave=False,
            disable=None if self.run.speaks else True,  # None: where nobody watches
        )

    def _train_batch(self, epoch: int, batch: Batch) -> dict[str, torch.Tensor]:
        """One batch, whose random numbers follow from its place alone."""
        place = self._place(epoch)
        seed_step(self.config.seed, *place)
        images = self.experiment.augmenter.in_step(batch.images, *place)
        return self.update(epoch, batch._replace(images=images))

    def _place(self, epoch: int) -> tuple[int, int, int]:
        """The epoch, the number of the batch and the rank, which no other batch shares."""
        return epoch, self.updates.number(self.step), self.ranks.rank

    def _finish_batch(self) -> None:
        """Count a batch, and the update that ends with it."""
        is_update = self.updates.ends_with(self.trained)
        self.trained = min(self.trained + self.loader.images_per_step, self.loader.count)
        self.updates.gathered = 0 if is_update else self.updates.gathered + 1
        if is_update:
            self.finish_step()

    def within_epoch(self) -> dict[str, Any]:
        """The sums over the images of this epoch so far, those of all ranks."""
        return self.sums.state(self.ranks) if self.trained else super().within_epoch()

    def go_on(self) -> None:
        """Go on from the checkpoint of the experiment.

        Raises:
            CheckpointError: it is of other parts, or was written where no batch ends.
        """
        start, checkpoint = self.experiment.start, self.experiment.checkpoint
        if not checkpoint:
            return
        self._check_place(checkpoint)
        changes = (
            f"{change.key} from {shown(change.before)} to {shown(change.now)}"
            for change in start.changed(self.config)
        )
        self.sums = self._own_sums(checkpoint)
        self.resume(checkpoint, changes, start.new_rate())

    def _check_place(self, checkpoint: Checkpoint) -> None:
        count, images, per_step = (
            checkpoint.trained,
            self.loader.count,
            self.loader.images_per_step * self.settings.accumulate,
        )
        is_other_step = checkpoint.machine.get("processes") != self.ranks.count
        if count > images or (count % per_step and count != images and not is_other_step):
            raise CheckpointError(
                f"within_epoch: {count} images are trained, but epochs have {images} in steps "
                f"of {per_step}"
            )

    def _own_sums(self, checkpoint: Checkpoint) -> Sums:
        """The sums of a begun epoch, which the leader alone carries on."""
        within = checkpoint.within_epoch
        if not self.ranks.leads:
            within = {"count": 0, "totals": dict.fromkeys(within["totals"], 0.0)}
        return Sums(within)

    def show_epoch(self) -> None:
        """Show a few images above what the model was shown and its reconstructions."""
        if not self.run.board:
            return
        loader = self.validation or self.loader
        if self.kl_of_units is not None:
            self.run.board.add_spread(self.epoch, "kl of each code number", self.kl_of_units)
        if self.is_finished():
            most = min(PROJECTED, MOST_PROJECTED // self.model.code_size)
            self._show_codes(loader.of(loader.indices[:most]))
        batch = next(loader.of(loader.indices[:PREVIEWED]).batches())
        labels = loader.labels_of(batch)
        self.model.eval()
        if self.epoch <= self.settings.save_period:  # not before training: that takes a while
            told = (labels[:1].to(batch.images.device),) if self.model.conditional else ()
            self.run.board.add_graph(self.model, batch.images[:1], *told)
        with torch.no_grad():
            shown = self.evaluator.shown(batch)
            made = self.evaluator.run(shown, labels=labels)["reconstruction"]
        rows = [batch.images, shown, made] if self.evaluator.corrupter else [batch.images, made]
        picture = tile([self.dataset.to_rgb(row.cpu()) for row in rows])
        self.run.board.add_picture(self.epoch, "reconstructions", picture)

    def _show_codes(self, loader: BaseDataLoader) -> None:
        """Give the codes of some images, with small pictures of them, to TensorBoard."""
        if loader.count < 2:
            return
        dataset = loader.dataset
        names = [dataset.labels.names[label] for label in dataset.labels.indices[loader.indices]]
        images = torch.cat([batch.images.cpu() for batch in loader.batches()])
        codes = self.evaluator.encode(loader).flatten(1)
        self.run.board.add_codes(self.epoch, codes, names, dataset.to_rgb(images))
