"""Testing a trained model: scores beside their baselines, generated arrays, pictures."""

import json
from functools import cached_property
from pathlib import Path
from typing import Any

from base.base_data_loader import BaseDataLoader
from logger.lettering import undrawable
from logger.tables import columns
from tester.baselines import baselines, score_baseline
from tester.code_pictures import LARGEST_PRINTED, CodePictures
from tester.generate import Children, Generator, code_spread, originals, plan_children
from tester.generated_files import check_room, write_generated
from tester.pictures import Pictures
from trainer.evaluator import code_use
from trainer.experiment import Experiment
from utils.output import say, without_nan

MOST_LISTED = 256  # numbers of a code whose KL is listed one by one
# Every file that a test may leave: those of an earlier test do not stay beside this one's.
FILES = (
    "metrics.json", "gen_data.npy", "gen_label.npy", "generated.json", "generated.png",
    "reconstructions.png", "interpolation.png", "denoised.png", "noise.png", "latent.png",
    "prior.png", "posterior.png", "random_codes.png", "latent_grid.png",
)  # fmt: skip


class Tester:
    """Tests the model of an experiment.

    Args:
        experiment: with the weights of a checkpoint.

    Attributes:
        loader: the training images, in order.
        splits: the images to score, by the name of their split.
    """

    def __init__(self, experiment: Experiment) -> None:
        self.experiment, self.evaluator = experiment, experiment.evaluator
        self.config, self.model = experiment.config, experiment.model
        self.loader, self.validation = experiment.loader.in_order(), experiment.validation
        splits = {"train": self.loader, "validation": self.validation, "test": experiment.test}
        self.splits = {name: split for name, split in splits.items() if split}

    @cached_property
    def generator(self) -> Generator:
        """Makes images from those that the model was trained on."""
        is_relative = self.config.generation.relative
        unit = code_spread(self.evaluator, self.loader) if is_relative else None
        return Generator(self.evaluator, self.loader, unit)

    @cached_property
    def children(self) -> Children:
        """The images to make."""
        sources = originals(self.loader, self.config.generation.split)
        labels = self.experiment.dataset.labels.indices
        return plan_children(sources, labels, self.config.generation, self.config.seed)

    def check_room(self, folder: Path) -> None:
        """Check that a report fits on the disk of `folder`.

        Raises:
            ConfigError: the images to make do not.
        """
        check_room(self.children, self.experiment.dataset, self.config.generation, folder)

    def report(self, folder: Path) -> None:
        """Score, generate and draw into `folder`."""
        scores = self.score()
        say(_score_table(scores))
        _write_json(folder / "metrics.json", scores | self.facts())
        if note := undrawable(self.experiment.dataset.labels.names):
            say(note)
        self.generate(folder)
        self.draw(folder)

    def score(self) -> dict[str, Any]:
        """The scores of each split, and those of the baselines on it.

        Where images are corrupted, a split's scores are those of the cleaned images; `corrupted`
        are the scores without cleaning, and `psnr_gain` is what the model adds to their PSNR in
        dB.
        """
        found: dict[str, Any] = {"splits": {}, "baselines": {}}
        for name, split in self.splits.items():
            own: dict[str, Any] = {"count": split.count} | self.evaluator.score(split)
            if self.evaluator.corrupter:
                corrupted = score_baseline(lambda shown: shown, self.evaluator, split)
                gain = own["psnr"] - corrupted["psnr"]
                own |= {"corrupted": corrupted, "psnr_gain": gain}
            found["splits"][name] = own
        for name, reconstruct in baselines(self.loader, self.model.code_size).items():
            found["baselines"][name] = {
                split: score_baseline(reconstruct, self.evaluator, images)
                for split, images in self.splits.items()
            }
        return found

    def facts(self) -> dict[str, Any]:
        """What model this is, and what of its config was changed for this test."""
        start, checkpoint = self.experiment.start, self.experiment.checkpoint
        facts: dict[str, Any] = {
            "parameters": self.model.parameter_count,
            "code_size": self.model.code_size,
            "compression_ratio": self.model.compression_ratio,
            "data_range": list(self.experiment.dataset.value_range),
            "checkpoint": str(start.path),
            "epoch": checkpoint.epoch if checkpoint else 0,
            "changed": list(start.overrides),
        }
        if "logvar" in self.model.gives:
            facts |= self._code_use(self.validation or self.loader)
        return facts

    def generate(self, folder: Path) -> None:
        """The generated arrays, and what each image was made from."""
        split, labels = self.config.generation.split, self.experiment.dataset.labels
        sources = originals(self.loader, split)
        missing = sorted(set(labels.indices.tolist()) - set(labels.indices[sources].tolist()))
        if missing:
            names = ", ".join(labels.names[label] for label in missing)
            say(f"note: split '{split}' has no image of {names}, so none is made")
        facts = {
            "checkpoint": str(self.experiment.start.path),
            "split": split,
            "relative": self.config.generation.relative,
        }
        write_generated(self.generator, self.children, facts, folder)
        say(f"{self.children.count} generated images from {len(sources)} of split '{split}'")

    def draw(self, folder: Path) -> None:
        """Every picture that this model allows."""
        pictures = Pictures(self.generator, folder)
        pictures.generated(self.children)
        pictures.reconstructions()
        pictures.interpolation()
        self._draw_codes(CodePictures(self.generator, folder))
        if self.evaluator.corrupter:
            pictures.denoised(self.validation or self.loader)

    def _draw_codes(self, pictures: CodePictures) -> None:
        size, settings, seed = self.model.code_size, self.config.generation, self.config.seed
        levels = settings.levels()
        pictures.noise_levels(
            levels if len(levels) > 1 else [times * levels[0] for times in (1, 2, 4, 8)]
        )
        pictures.cloud()
        if "logvar" in self.model.gives:
            pictures.prior(seed)
            pictures.posterior(seed)
        if size <= LARGEST_PRINTED:
            codes = self.evaluator.encode(self.loader).flatten(1)
            pictures.random_codes(codes, seed)
            if size == 2:
                pictures.code_grid(codes, settings.grid or 15)

    def _code_use(self, loader: BaseDataLoader) -> dict[str, Any]:
        """How much a VAE tells in its code; the KL of each number where they are few."""
        active, kl = code_use(self.evaluator, loader)
        facts: dict[str, Any] = {"active_units": active, "kl": float(kl.sum())}
        return facts | ({"kl_per_unit": kl.tolist()} if len(kl) <= MOST_LISTED else {})


def has_report(folder: Path) -> bool:
    """Whether the files of a folder are those of an earlier test, not of another program."""
    try:
        scores = json.loads((folder / FILES[0]).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(scores, dict) and {"splits", "baselines"} <= scores.keys()


def _score_table(scores: dict[str, Any]) -> str:
    """Scores as text: what made the images, of which split, each score."""
    rows: list[tuple[str, ...]] = []
    for split, own in scores["splits"].items():
        makers = {"model": own} | {name: of[split] for name, of in scores["baselines"].items()}
        if "corrupted" in own:
            makers["no cleaning"] = own["corrupted"]
        names = list(scores["baselines"]["mean_image"][split])
        rows = rows or [("images of", "made by", *names)]
        rows += [
            (split, maker, *(f"{numbers[name]:.4f}" for name in names))
            for maker, numbers in makers.items()
        ]
    return columns(rows)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(without_nan(content), indent=1) + "\n", encoding="utf-8")
