"""What a study does, checked before any of it is done: its arms, its folds, its images."""

import json
from typing import Any, NamedTuple

import torch

from base.base_dataset import BaseDataset
from study.folds import Fold, Groups, evaluable, group_images, split
from trainer.catalogue import catalogue
from trainer.fit import check_later
from utils.config.build import build
from utils.config.changes import changes_of
from utils.config.check import Catalogue, check_config
from utils.config.messages import shown
from utils.config.overrides import apply_overrides
from utils.config.sections import ArmSection, Config, StudySection
from utils.errors import ConfigError

# What `trainer` has that records did not from the beginning: at these values they are the same.
LATER: dict[str, Any] = {"init": None, "clip_gradient": None, "accumulate": 1, "ema": None}


class Arm(NamedTuple):
    """One way to train a classifier."""

    section: ArmSection
    config: Config
    """Of its autoencoder, with the arm's `set` and `generation`."""
    augmented: Config
    """As the config of the study, but with the augmentation of this arm's classifier."""

    @property
    def name(self) -> str:
        """What tables and pictures call it."""
        return self.section.name

    def as_json(self) -> dict[str, Any]:
        """All that it does, complete, without its name."""
        aside: dict[str, Any] = {"name": True, "augmentation": True, "set": True}
        aside["generation"] = {"pictures"}  # which a study draws none of
        own = self.section.model_dump(mode="json", exclude=aside)
        return own | {
            "augmentation": self.augmented.as_json()["augmentation"],
            "autoencoder": self.autoencoder(),
        }

    def autoencoder(self) -> dict[str, Any] | None:
        """The config that its autoencoder is trained by, without what makes no difference."""
        if not self.section.generation:
            return None
        aside = ("name", "description", "dataset", "generation", "sweep", "study")
        content = {key: own for key, own in self.config.as_json().items() if key not in aside}
        content["trainer"] = {
            key: value
            for key, value in content["trainer"].items()
            if changes_of(f"trainer.{key}", self.config, {}).trains
            and (key not in LATER or value != LATER[key])
        }
        if content["arch"]["args"].get("conditional") is False:
            del content["arch"]["args"]["conditional"]  # as in records before there was the key
        return content


class Plan(NamedTuple):
    """A checked study."""

    config: Config
    settings: StudySection
    arms: list[Arm]
    dataset: BaseDataset
    data: dict[str, Any]
    """What tells the images, and how they are read, from others; not where they lie."""
    groups: Groups
    folds: list[Fold]

    @property
    def classes(self) -> list[int]:
        """The classes that have a test image in every fold."""
        return evaluable(self.groups, self.settings.folds)

    def member(self, fold: Fold, arm: Arm) -> dict[str, Any]:
        """All that the results of an arm in a fold depend on, but for the machine."""
        settings = self.settings
        return {
            "arm": arm.as_json(), "data": self.data, "seed": self.config.seed,
            "folds": settings.folds, "repeat": fold.repeat, "fold": fold.number,
            "seeds": settings.seeds, "steps": settings.steps, "check": settings.check,
        }  # fmt: skip


def plan_study(config: Config) -> Plan:
    """The arms and folds of a config's study.

    Raises:
        ConfigError, DataError: an arm that cannot be run, or images that cannot be split so.
    """
    classes, settings = catalogue(), config.study
    if settings is None:
        raise ConfigError("study: is missing")
    arms = [_arm(config, place, section, classes) for place, section in enumerate(settings.arms)]
    dataset: BaseDataset = build(config, classes, "dataset")
    groups = group_images(dataset)
    labels = dataset.labels.indices
    _check_classes(groups, settings, [dataset.labels.names[own] for own in labels.unique()])
    folds = list(split(groups, labels, settings.folds, settings.repeats, config.seed))
    read = {"type": config.dataset.type} | {
        key: value for key, value in config.dataset.args.items() if key not in dataset.movable
    }
    plan = Plan(config, settings, arms, dataset, dataset.fingerprint() | read, groups, folds)
    smallest = min(folds, key=lambda fold: len(fold.train))
    _check_parts(plan, dataset.only(smallest.train), classes)
    return plan


def _arm(config: Config, place: int, section: ArmSection, classes: Catalogue) -> Arm:
    """An arm whose config is checked as that of a run would be."""
    path, content = f"study.arms.{place}", config.as_json() | {"study": None}
    written = section.model_dump(mode="json", exclude_unset=True)
    augmentation = written.get("augmentation")
    augmented = check_config(content | {"augmentation": augmentation}, classes, path)
    if not section.generation:
        return Arm(section, config, augmented)
    own = [f"{key}={json.dumps(value)}" for key, value in section.set.items()]
    try:
        changed = apply_overrides(content | {"generation": written["generation"]}, own)
    except ConfigError as error:
        raise ConfigError(f"{path}.set: {error}") from None
    changed["trainer"]["tensorboard"] = False
    arm = Arm(section, check_config(changed, classes, path), augmented)
    if init := arm.config.trainer.init:
        raise ConfigError(
            f"{path}: trainer.init: {shown(init)}: may have been trained on images that a fold "
            "tests, which would be a leak; leave it out of a study"
        )
    return arm


def _check_classes(groups: Groups, settings: StudySection, names: list[str]) -> None:
    """Raise a ConfigError where the images have no classes, or too few for so many folds.

    Args:
        names: of the classes that have images.
    """
    if len(names) < 2:
        raise ConfigError(
            f"study: all images are of one class, {shown(names[0])}; a classifier needs labels: "
            "give the data set its label file"
        )
    if len(evaluable(groups, settings.folds)) < 2:
        most = sorted(groups.sizes)[-2]
        rule = f"lower it to {most} at most" if most > 1 else "such images cannot be studied"
        raise ConfigError(
            f"study.folds: {settings.folds}: fewer than two classes have so many different images "
            f"(turned and mirrored ones count once); {rule}"
        )


def _check_parts(plan: Plan, training: BaseDataset, classes: Catalogue) -> None:
    """Raise a ConfigError where the parts of an arm do not fit the images of a fold."""
    for place, arm in enumerate(plan.arms):
        try:
            build(arm.augmented, classes, "augmentation", training)
            if arm.section.generation:
                check_later(arm.config, classes, training)
        except ConfigError as error:
            raise ConfigError(f"study.arms.{place}: {error}") from None


def labels_of(plan: Plan, places: torch.Tensor) -> torch.Tensor:
    """The classes of the images at `places`, int64 [n]."""
    return plan.dataset.labels.indices[places]
