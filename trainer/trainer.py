"""One epoch of batches. It knows no file."""

import time
from typing import Any

import torch
from tqdm import tqdm

from base.base_data_loader import BaseDataLoader
from base.base_trainer import BaseTrainer
from logger.report import model_report
from logger.run import Run
from logger.tiles import tile
from trainer.evaluate import Evaluator
from trainer.sums import Sums
from utils.config import Config
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
        if self.epoch >= settings.epochs:
            self.run.log(f"nothing to do: {self.epoch} of {settings.epochs} epochs are trained")
        elif self.epoch:
            self.run.log(f"goes on after epoch {self.epoch}")
        elif self.run.board:
            self.run.board.add_graph(model, next(self.loader.batches()).images[:1])

    def train_epoch(self, epoch: int) -> dict[str, float]:
        """Train on every image once, then look at the images held out."""
        numbers = {"lr": float(self.optimizer.param_groups[0]["lr"])}
        self.evaluator.loss.begin_epoch(epoch)
        started = time.perf_counter()
        numbers |= self._train_batches(epoch)
        numbers["images_per_second"] = self.loader.count / (time.perf_counter() - started)
        if self.validation:
            scores = self.evaluator.score(self.validation)
            numbers |= {f"val_{name}": score for name, score in scores.items()}
        numbers["seconds"] = time.perf_counter() - started
        return numbers

    def _train_batches(self, epoch: int) -> dict[str, float]:
        self.model.train()
        sums = Sums()
        batches = self.loader.batches(epoch)
        for batch in tqdm(batches, f"epoch {epoch}", len(self.loader), leave=False, disable=None):
            seed_step(self.config.seed, epoch, self.step)
            seen = self.evaluator.corrupter.in_step(batch.images, epoch, self.step)
            sums.add(self._train_batch(seen, batch.images))
            self.step += 1
        return sums.means()

    def _train_batch(self, seen: torch.Tensor, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """One update that makes more of `seen` like `images` -> terms and metrics of each."""
        numbers = self.evaluator.measure(self.evaluator.run(seen), images)
        self.optimizer.zero_grad()
        # Every image moves the weights by as much, those of a smaller last batch too.
        (numbers["loss"].sum() / self.loader.batch_size).backward()
        self.optimizer.step()
        return numbers

    def show_epoch(self) -> None:
        """Show a few images above what was seen of them and their reconstructions."""
        if not self.run.board:
            return
        shown = self.validation or self.loader
        if self.epoch == self.settings.epochs:
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
