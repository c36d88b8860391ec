"""Everything that a config names, built once: what training, testing and notebooks work with."""

from functools import cached_property
from typing import Any

import torch

from base.base_data_loader import BaseDataLoader
from base.base_dataset import BaseDataset
from base.base_model import BaseModel
from base.base_trainer import BaseTrainer
from data_loader.augmentation import Augmenter
from data_loader.corruption import Corrupter
from logger.run import Run, SilentRun, open_run
from model.loss import BaseLoss
from model.metric import metrics_for
from trainer.catalogue import build_model, catalogue
from trainer.evaluator import Evaluator
from trainer.first_weights import first_weights
from trainer.fit import check_fit, check_network
from trainer.schedule import in_sequence
from trainer.start import Start
from trainer.trained import load
from utils.config.build import build, build_part
from utils.config.sections import Config
from utils.device import Compute, pick_device, pick_precision
from utils.optimizer_state import load_weights
from utils.ranks import ALONE, Ranks
from utils.seed import seed_init

__all__ = ["Experiment", "load"]


class Experiment:
    """The parts of a config, and where they compute.

    A trained model has the weights of its checkpoint, a new one first weights that follow from
    the seed.

    Args:
        start: the config, and the checkpoint to go on from, if any.
        device: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.
        ranks: the processes that train together.
        dataset: the images, in place of those that the config names.

    Attributes:
        config: with the precision that layers compute in.
        loader: the training images, shared by the ranks.
        validation: the images held out, or None.
        metrics: those that the config names, or, where a trained model is tested, all.
        data: what tells the images from others.
        augmenter: what training makes of its batches.
        corrupter: what the model is shown of an image, in training and in evaluation.
        begun_with: where the first weights come from, in words, if from another run.

    Raises:
        ConfigError, DataError, CheckpointError: a part cannot be built, or does not fit another.
    """

    def __init__(
        self,
        start: Start,
        device: str = "auto",
        ranks: Ranks = ALONE,
        dataset: BaseDataset | None = None,
    ) -> None:
        self.start, self.ranks, self.checkpoint = start, ranks, start.checkpoint
        self.classes = catalogue()
        self.device = pick_device(device)
        self.config = _with_precision(start, self.device)
        self.seed = self.config.seed
        self.dataset: BaseDataset = self._build("dataset") if dataset is None else dataset
        self.data = self.dataset.fingerprint()
        self._open_loaders()
        start.check_data(self.data)
        if not start.is_test:
            check_network(self.config, self.classes, self.dataset, self.loader, self.device)
        self.model = self._build_model()
        self.loss: BaseLoss = self._build("loss")
        self.metrics = self._pick_metrics()
        self.augmenter = Augmenter(self._build("augmentation", self.dataset), self.seed)
        self.corrupter = self._build_corrupter()
        check_fit(self.config, self.model, self.loss, self.loader, self.validation)
        self.begun_with: list[str] = []
        self._take_weights()
        settings, compiles = self.config.trainer, self.config.trainer.compile and not start.is_test
        self.evaluator = Evaluator(
            self.model, self.loss, self.metrics, self.dataset,
            Compute(self.device, settings.precision, compiles), self.corrupter,
        )  # fmt: skip

    @cached_property
    def test(self) -> BaseDataLoader | None:
        """The images that the data set keeps for testing, if any."""
        return self.loader.split_test()

    @cached_property
    def optimizer(self) -> torch.optim.Optimizer:
        """What changes the weights; it updates all in one pass where it can."""
        optimizer = self._build("optimizer", self.model.parameters())
        for group in optimizer.param_groups:
            if group.get("fused", False) is None and not group.get("foreach"):
                group["fused"] = self.device.type in ("cpu", "cuda")
        return optimizer

    @cached_property
    def scheduler(self) -> Any:
        """What changes the learning rate, or None."""
        built, section = self._build("lr_scheduler", self.optimizer), self.config.lr_scheduler
        return in_sequence(self.optimizer, built, section) if isinstance(section, list) else built

    def open_run(self) -> Run:
        """The folder of a new run, or of the one that goes on; of all ranks the leader writes."""
        silent: Run = SilentRun()
        return self.ranks.on_leader(
            lambda: open_run(self.config, self.start.folder, self.checkpoint), silent
        )

    def trainer(self, run: Run) -> BaseTrainer:
        """The trainer that the config names."""
        return build_part(self.config.trainer, self.classes.parts["trainer"], "trainer", self, run)

    def _build(self, key: str, *runtime: Any) -> Any:
        return build(self.config, self.classes, key, *runtime)

    def _open_loaders(self) -> None:
        whole: BaseDataLoader = self._build("data_loader", self.dataset, self.device, self.seed)
        held_out = whole.split_validation()
        self.loader = whole.shared_by(self.ranks)
        self.validation = held_out and held_out.shared_by(self.ranks)

    def _build_model(self) -> BaseModel:
        seed_init(self.seed)
        classes = len(self.dataset.labels.names)
        model = build_model(self.config, self.classes, self.dataset.shape, classes)
        return model.to(self.device).to(memory_format=torch.channels_last)

    def _pick_metrics(self) -> dict[str, Any]:
        known = metrics_for(self.classes.metrics, self.dataset.extra_metrics)
        return known if self.start.is_test else {name: known[name] for name in self.config.metrics}

    def _build_corrupter(self) -> Corrupter:
        corruption = self._build("corruption", self.dataset.shape, self.dataset.value_range)
        return Corrupter(corruption, self.seed)

    def _take_weights(self) -> None:
        if self.checkpoint:
            load_weights(self.model, self.checkpoint.state_dict)
            self.loss.begin_epoch(self.checkpoint.epoch + (self.checkpoint.trained > 0))
        elif self.config.trainer.init:
            weights, self.begun_with = first_weights(self.model, self.config.trainer.init)
            self.model.load_state_dict(weights, strict=False)


def _with_precision(start: Start, device: torch.device) -> Config:
    """The config with the precision that layers compute in on this device.

    A test computes in float32 whatever the model was trained in, as `load` and an export do: its
    numbers are the same on every machine, to the last digits.
    """
    wanted = start.config.trainer.precision
    precision = "fp32" if start.is_test else pick_precision(wanted, device)
    trainer = start.config.trainer.model_copy(update={"precision": precision})
    return start.config.model_copy(update={"trainer": trainer})
