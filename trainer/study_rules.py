"""What must hold within the study of a config, before any data are read."""

from collections.abc import Iterator

from utils.config.check import Catalogue
from utils.config.messages import MISSING, Problem
from utils.config.sections import ArmSection, Config

# What an arm may set otherwise for its autoencoder: all that makes one, and nothing else.
SETTABLE = (
    "augmentation", "corruption", "data_loader", "arch", "loss", "optimizer", "lr_scheduler",
    "trainer",
)  # fmt: skip
UNSET = ("trainer.save_dir",)


def check_study(config: Config, catalogue: Catalogue) -> Iterator[Problem]:
    """The arms of a study can be told apart, and each says what it does in one way."""
    if not config.study:
        return
    if config.sweep:
        rule = "a config is of a sweep or of a study; take one of them out"
        yield Problem("study", MISSING, rule)
    arms = config.study.arms
    for place, arm in enumerate(arms):
        yield from _check_arm(arm, f"study.arms.{place}")
        if arm.name in [other.name for other in arms[:place]]:
            rule = "another arm has this name; tables could not tell them apart"
            yield Problem(f"study.arms.{place}.name", arm.name, rule)
        for first, other in enumerate(arms[:place]):
            if arm.model_copy(update={"name": other.name}) == other:
                rule = f"does what study.arms.{first} does; leave one out"
                yield Problem(f"study.arms.{place}", MISSING, rule)
    if all(arm.generation for arm in arms):
        rule = 'each generates; add one to compare with, as {"name": "none"}'
        yield Problem("study.arms", MISSING, rule)


def _check_arm(arm: ArmSection, path: str) -> Iterator[Problem]:
    if not arm.name.isprintable() or arm.name != arm.name.strip():
        yield Problem(f"{path}.name", arm.name, "must be one line of text, without blanks around")
    if arm.generation is None:
        for key in ("share", "set"):
            if key in arm.model_fields_set:
                rule = "has no effect without generation; leave it out"
                yield Problem(f"{path}.{key}", getattr(arm, key), rule)
        return
    if arm.baseline:
        rule = "is what is done without an autoencoder; leave out this or generation"
        yield Problem(f"{path}.baseline", arm.baseline, rule)
    if arm.generation.split != "train":
        rule = "must be 'train': children of images that are tested would be a leak"
        yield Problem(f"{path}.generation.split", arm.generation.split, rule)
    for key, value in arm.set.items():
        if key.partition(".")[0] not in SETTABLE or key in UNSET:
            rule = f"is the same for all arms; an arm may set {', '.join(SETTABLE)}"
            yield Problem(f"{path}.set.{key}", value, rule)
