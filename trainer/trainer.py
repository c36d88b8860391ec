"""One epoch of batches. It knows no file."""

import copy
import shlex
import time
from collections.abc import Iterable
from contextlib import nullcontext
from functools import cached_property
from typing import Any

import torch
from torch.nn.utils import clip_grad_norm_
from tqdm import tqdm

from base.base_data_loader import BaseDataLoader, Batch
from base.base_trainer import BaseTrainer
from logger.run import Run
from logger.tensorboard import side_by_side
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

MOST_CLASSES = 16  # of which TensorBoard shows an image each; without classes,
UNCLASSED = 4  # so many images
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
        self.trained = self.updates.finish_batch(self.trained)
        if not self.updates.gathered:
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
        """Show an image of each class, beside what the model was shown and made of it."""
        board = self.run.board
        if not board:
            return
        if self.kl_of_units is not None:
            board.add_spread(self.epoch, "kl of each code number", self.kl_of_units)
        if self.is_finished():
            self._show_codes(self.validation or self.loader)
        if self.epoch <= self.settings.save_period:  # not before training: that takes a while
            self._show_graph()
        self._show_images()

    @cached_property
    def _examples(self) -> dict[str, int]:
        """The place of one image of each class by the names of the classes: held out, or else
        trained where none of the class is held out. The same in every epoch and every run."""
        labels = self.dataset.labels
        places = torch.cat([self.loader.held_out, self.loader.indices])
        if len(labels.indices[places].unique()) > 1:
            chosen = labels.examples(places, MOST_CLASSES)
            return {labels.names[int(labels.indices[place])]: place for place in chosen}
        return {f"image {place}": place for place in places[:UNCLASSED].tolist()}

    def _show_graph(self) -> None:
        """Give the model's graph to TensorBoard."""
        loader = self.loader.of(self.loader.indices[:1])
        batch = next(iter(loader.batches()))
        told = (loader.labels_of(batch),) if self.model.conditional else ()
        # On the CPU: what torch repeats exactly on a GPU, as upsampling, it cannot trace there.
        is_here = batch.images.device.type == "cpu"
        model = self.model if is_here else copy.deepcopy(self.model).cpu()
        self.run.board.add_graph(model.eval(), batch.images.cpu(), *told)

    @torch.no_grad()
    def _show_images(self) -> None:
        """Give TensorBoard the example of each class and what the model makes of it."""
        loader = self.loader.of(torch.tensor(list(self._examples.values())))
        is_damaged = bool(self.evaluator.corrupter)
        pictures: list[torch.Tensor] = []
        self.model.eval()
        for batch in loader.batches():
            shown = self.evaluator.shown(batch)
            made = self.evaluator.run(shown, labels=loader.labels_of(batch))["reconstruction"]
            sides = [batch.images, shown, made] if is_damaged else [batch.images, made]
            rows = [self.dataset.to_rgb(side.cpu()) for side in sides]
            pictures += [side_by_side(images) for images in zip(*rows, strict=True)]
        heading = "image | corrupted | reconstruction" if is_damaged else "image | reconstruction"
        named = dict(zip(self._examples, pictures, strict=True))
        self.run.board.add_pictures(self.epoch, heading, named)

    def _show_codes(self, loader: BaseDataLoader) -> None:
        """Give the codes of some images, with small pictures of them, to TensorBoard."""
        most = min(loader.count, PROJECTED, MOST_PROJECTED // self.model.code_size)
        if most < 2:
            return
        # From the first to the last, for some data sets are sorted by class.
        places = loader.indices[torch.linspace(0, loader.count - 1, most).long()]
        some, dataset = loader.of(places), loader.dataset
        images = torch.cat([batch.images.cpu() for batch in some.batches()])
        codes = self.evaluator.encode(some).flatten(1)
        classes = [dataset.labels.names[label] for label in dataset.labels.indices[places]]
        told = {"class": classes, "image": places.tolist()}
        self.run.board.add_codes(self.epoch, codes, told, dataset.to_rgb(images))
