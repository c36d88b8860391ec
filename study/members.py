"""The members of a study: every arm in every fold, from training images to predictions."""

import json
import time
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from base.base_dataset import BaseDataset
from data_loader.augmentation import Augmenter
from generation.children import originals
from generation.classifier import (
    Augmentation,
    ClassifierSettings,
    Labelled,
    predict,
    train_classifier,
)
from generation.making import plan_making
from logger.run import SilentRun
from study.baselines import copies, smote
from study.folds import Fold
from study.forest import forest_predictions
from study.plan import Arm, Plan
from study.statistics import balanced_accuracy, f1_scores
from trainer.catalogue import catalogue
from trainer.experiment import Experiment
from trainer.start import Start
from utils.config.build import build
from utils.config.sections import GenerationSection
from utils.device import make_ready, pick_device
from utils.seed import STUDY, generator, mix

Record = dict[str, Any]
OVERSAMPLERS = {"copies": copies, "smote": smote}


def use_one_thread() -> None:
    """Compute on one thread, whatever the machine has: sums in another order round differently."""
    torch.set_num_threads(1)
    threadpool_limits(1)


class Bench:
    """Where the arms of one fold are trained and tested; it sees no test image in training.

    Args:
        fold: which images are trained on and which are tested on.
        device: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.
    """

    def __init__(self, plan: Plan, fold: Fold, device: str) -> None:
        self.plan, self.fold, self.device = plan, fold, pick_device(device)
        make_ready(self.device)
        self.seed = mix(plan.config.seed, STUDY, fold.repeat, fold.number)
        self.training = plan.dataset.only(fold.train)
        self.real = self._labelled(self.training)
        self.test = self._labelled(plan.dataset.only(fold.test))
        self._autoencoders: dict[str, Experiment] = {}

    def run(self, arm: Arm) -> Record:
        """Train and test one arm -> what is kept of it."""
        started = time.perf_counter()
        used: Record = {"classifier": self.fold.train.tolist()}
        real, generated = self.real, None
        if arm.section.baseline in OVERSAMPLERS:
            real = OVERSAMPLERS[arm.section.baseline](self.real, self.seed)
        if arm.section.generation:
            generated = self._children(arm, arm.section.generation, used)
        classifiers = [
            self._scored(self._classified(arm, real, generated, mix(self.seed, number)))
            for number in range(self.plan.settings.seeds)
        ]
        check = None
        if self.plan.settings.check:
            used["features"] = used["classifier"]
            check = self._scored(self._checked(arm, real, generated))
        return {
            "name": arm.name, "repeat": self.fold.repeat, "fold": self.fold.number,
            "seconds": round(time.perf_counter() - started, 2),
            "test": self.fold.test.tolist(), "used": used,
            "classifiers": classifiers, "check": check,
            "member": self.plan.member(self.fold, arm),
        }  # fmt: skip

    def _labelled(self, dataset: BaseDataset) -> Labelled:
        images = [dataset.to_images(piece.to(self.device)) for piece in dataset.pieces()]
        return Labelled(torch.cat(images), dataset.labels.indices)

    def _children(self, arm: Arm, settings: GenerationSection, used: Record) -> Labelled:
        """The children of the fold's training images, as a data file holds images."""
        experiment = self._autoencoder(arm)
        loader = experiment.loader
        used["autoencoder"] = self._places(loader.indices)
        if experiment.validation:
            used["held out of it"] = self._places(experiment.validation.indices)
        labels = self.training.labels
        own = loader.of(originals(loader, settings.split))
        making = plan_making(experiment.evaluator, own, loader, settings, self.seed)
        used["generation"] = self._places(torch.tensor(making.children.sources()))
        if making.choice:
            used["noise choice"] = self._places(torch.tensor(making.choice.looked_at))
            used["noise"] = making.choice.as_json(labels.names)
        pieces = list(making.generator.generate(making.children))
        data = np.concatenate([piece.data for piece in pieces])
        made = type(self.training).of_array(data, self.training.facts(), "generated images")
        places = torch.tensor([child.source for piece in pieces for child in piece.children])
        return Labelled(self._labelled(made).images, labels.indices[places])

    def _autoencoder(self, arm: Arm) -> Experiment:
        """The autoencoder of an arm, trained on this fold; arms of the same config share it."""
        key = json.dumps(arm.autoencoder())
        if key not in self._autoencoders:
            config = arm.config.model_copy(update={"seed": self.seed})
            experiment = Experiment(Start(config), str(self.device), dataset=self.training)
            experiment.trainer(SilentRun()).train()
            self._autoencoders[key] = experiment
        return self._autoencoders[key]

    def _places(self, own: torch.Tensor) -> list[int]:
        """Places among the training images of this fold -> those in the whole data set."""
        return self.fold.train[own].sort().values.tolist()

    def _augmentation(self, arm: Arm) -> Augmentation | None:
        ways = build(arm.augmented, catalogue(), "augmentation", self.training)
        augmenter = Augmenter(ways)
        return (lambda images, random: augmenter.change(images, [random])) if ways else None

    def _is_natural(self, arm: Arm) -> bool:
        """Whether images are drawn as they come, rare classes seldom."""
        section = arm.section
        is_plain = not (section.baseline or section.augmentation or section.generation)
        return is_plain or section.baseline == "class_weights"

    def _classified(
        self, arm: Arm, real: Labelled, generated: Labelled | None, seed: int
    ) -> np.ndarray:
        """The classes that a classifier tells of the test images, int64 [n]."""
        settings = ClassifierSettings(
            steps=self.plan.settings.steps,
            balanced=not self._is_natural(arm),
            weighted=arm.section.baseline == "class_weights",
            share=arm.section.share,
        )
        augmentation, classes = self._augmentation(arm), len(self.training.labels.names)
        classifier = train_classifier(real, classes, settings, seed, augmentation, generated)
        return predict(classifier, self.test.images).argmax(1).numpy()

    def _checked(self, arm: Arm, real: Labelled, generated: Labelled | None) -> np.ndarray:
        share = arm.section.share if generated else 0.0
        parts = [(real, 1 - share), *([(generated, share)] if generated else [])]
        is_balanced = not self._is_natural(arm) or arm.section.baseline == "class_weights"
        return forest_predictions(
            parts, is_balanced, self._augmentation(arm), self.test.images, generator(self.seed)
        )

    def _scored(self, predicted: np.ndarray) -> Record:
        truth, classes = self.test.labels.numpy(), self.plan.classes
        return {
            "macro_f1": float(f1_scores(truth, predicted, classes).mean()),
            "balanced_accuracy": balanced_accuracy(truth, predicted, classes),
            "predictions": predicted.tolist(),
        }
