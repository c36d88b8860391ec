"""One epoch of batches. It knows no file."""

import time
from collections.abc import Iterable
from typing import Any

import torch
from tqdm import tqdm

from base.base_data_loader import BaseDataLoader, Batch
from base.base_trainer import BaseTrainer
from logger.report import model_report
from logger.run import Run
from logger.tiles import tile
from trainer.evaluate import Evaluator
from trainer.latent import code_use
from trainer.sums import Sums
from utils.config import Config
from utils.errors import CheckpointError
from utils.seed import seed_step

PREVIEWED = 8  # images shown in TensorBoard
PROJECTED = 500  # codes in its projector, if they are no more than so many numbers in all:
MOST_NUMBERS = 1_000_000


class Trainer(BaseTrainer):
    """Trains a model to give back the images of a loader.

    Args:
        evaluator: the model, and how its reconstructions are measured.
        optimizer, scheduler: what changes the weights, and its rate; the scheduler may be None.
        loader: the training images.
        validation: the images held out, or None.
        config, data, run: as in BaseTrainer.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        optimizer: torch.optim.Optimizer,
        scheduler: Any,
        loader: BaseDataLoader,
        validation: BaseDataLoader | None,
        config: Config,
        data: dict[str, Any],
        run: Run,
    ) -> None:
        super().__init__(evaluator.model, optimizer, scheduler, config, data, run)
        self.evaluator, self.loader, self.validation = evaluator, loader, validation
        self.kl_of_units: torch.Tensor | None = None  # of a VAE's code, after each epoch
        self.sums = Sums()  # over the images of this epoch so far

    def announce(self) -> None:
        """Say what is about to be trained, on what, and where."""
        model, settings = self.model, self.settings
        self.run.log(
            model_report(
                model.rows(), model.parameter_count, model.code_size, model.compression_ratio
            )
        )
        held_out = self.validation.count if self.validation else 0
        self.run.log(
            f"{self.loader.count} training and {held_out} validation images, {len(self.loader)} "
            f"steps an epoch, on {self.evaluator.device} in {settings.precision}, "
            f"images {self.loader.source}"
        )
        self.run.log(f"run {self.run.folder}")
        if self.is_finished():
            self.run.log(f"nothing to do: {self.epoch} of {settings.epochs} epochs are trained")
        elif self.step:
            self.run.log(f"goes on after epoch {self.epoch}, step {self.step}")
        elif self.run.board:
            model.eval()  # or else the tracing would count in batch norms
            self.run.board.add_graph(model, next(self.loader.batches()).images[:1])

    def train_epoch(self, epoch: int) -> dict[str, float]:
        """Train on every image once, then look at the images held out."""
        numbers = {"lr": float(self.optimizer.param_groups[0]["lr"])}
        self.evaluator.loss.begin_epoch(epoch)
        started, seen = time.perf_counter(), self.sums.count
        self._train_batches(epoch)
        numbers |= self.sums.means()
        trained = self.sums.count - seen
        numbers["images_per_second"] = trained / (time.perf_counter() - started)
        if self.validation:
            scores = self.evaluator.score(self.validation, after_batch=self.stop_if_asked)
            numbers |= {f"val_{name}": score for name, score in scores.items()}
        if "logvar" in self.model.gives:
            looked_at = self.validation or self.loader.in_order()
            numbers["active_units"], self.kl_of_units = code_use(self.evaluator, looked_at)
        numbers["seconds"] = time.perf_counter() - started
        self.sums = Sums()
        return numbers

    def _train_batches(self, epoch: int) -> None:
        """Train on the images of the epoch that remain; in a new epoch, on all."""
        self.model.train()
        for batch in self._remaining_batches(epoch):
            seed_step(self.config.seed, epoch, self.step)
            self.sums.add(self._train_batch(epoch, batch))
            self.finish_step()
        self.guard.read()

    def _remaining_batches(self, epoch: int) -> Iterable[Batch]:
        """The batches of the epoch that are not trained yet, under a progress bar."""
        seen = self.sums.count
        return tqdm(
            self.loader.batches(epoch, seen),
            f"epoch {epoch}",
            total=len(self.loader),
            initial=seen // self.loader.batch_size,
            leave=False,
            disable=None,  # where nobody watches
        )

    def _train_batch(self, epoch: int, batch: Batch) -> dict[str, torch.Tensor]:
        """One update -> the terms and metrics of each image."""
        seen = self.evaluator.corrupter.in_step(batch.images, epoch, self.step)
        numbers = self.evaluator.measure(self.evaluator.run(seen), batch.images)
        self.optimizer.zero_grad()
        # Every image moves the weights by as much, those of a smaller last batch too.
        (numbers["loss"].sum() / self.loader.batch_size).backward()
        self.guard.check(epoch, self.step, batch.indices, numbers)
        self.optimizer.step()
        return numbers

    def within_epoch(self) -> dict[str, Any]:
        """The sums over the images of this epoch so far."""
        return self.sums.state()

    def resume(self, checkpoint: dict[str, Any]) -> None:
        """Take up the counters of a checkpoint, and the epoch where it was left.

        Raises:
            CheckpointError: it was left where no batch of this loader ends.
        """
        count = checkpoint["within_epoch"]["count"]
        if count > self.loader.count or (
            count % self.loader.batch_size and count != self.loader.count
        ):
            raise CheckpointError(
                f"within_epoch: {count} images are trained, but epochs have {self.loader.count} "
                f"in batches of {self.loader.batch_size}"
            )
        super().resume(checkpoint)
        self.sums = Sums(checkpoint["within_epoch"])

    def show_epoch(self) -> None:
        """Show a few images above what was seen of them and their reconstructions."""
        if not self.run.board:
            return
        shown = self.validation or self.loader
        if self.kl_of_units is not None:
            self.run.board.add_spread(self.epoch, "kl of each code number", self.kl_of_units)
        if self.is_finished():
            most = min(PROJECTED, MOST_NUMBERS // self.model.code_size)
            self._show_codes(shown.of(shown.indices[:most]))
        batch = next(shown.of(shown.indices[:PREVIEWED]).batches())
        with torch.no_grad():
            self.model.eval()
            seen = self.evaluator.seen(batch)
            made = self.evaluator.run(seen)["reconstruction"]
        rows = [batch.images, seen, made] if self.evaluator.corrupter else [batch.images, made]
        picture = tile([shown.dataset.to_rgb(row.cpu()) for row in rows])
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
