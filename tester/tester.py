"""Testing a trained model: scores beside their baselines, generated arrays, pictures."""

import json
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from base.base_data_loader import BaseDataLoader
from generation.children import Children, originals, plan_children
from generation.generator import Generator, code_spread
from logger.lettering import undrawable
from logger.tables import columns
from report.of_test import write_test_page
from tester.array_writer import check_room, write_generated
from tester.baselines import baselines
from tester.code_pictures import LARGEST_PRINTED, CodePictures, Spread, spread_of
from tester.page_facts import Split, errors_by_class, gallery_of, page_facts
from tester.pictures import Pictures
from tester.scores import Scorer, Scores
from trainer.evaluator import code_use
from trainer.experiment import Experiment
from utils.config.messages import Problem, refuse
from utils.output import say, without_nan

MOST_LISTED = 256  # numbers of a code whose KL is listed one by one


class Tester:
    """Tests the model of an experiment.

    Args:
        experiment: with the weights of a checkpoint.

    Attributes:
        loader: the training images, in order.
        splits: the images to score, by the name of their split.
        default_folder: of the report, in the run's folder.
        files: every file that a report may have: those of an earlier one do not stay beside it.
    """

    default_folder = "test"
    files: tuple[str, ...] = (
        "metrics.json", "gen_data.npy", "gen_label.npy", "generated.json", "generated.png",
        "reconstructions.png", "interpolation.png", "denoised.png", "noise.png", "latent.png",
        "prior.png", "posterior.png", "random_codes.png", "latent_grid.png", "report.html",
    )  # fmt: skip

    def __init__(self, experiment: Experiment) -> None:
        self.experiment, self.evaluator = experiment, experiment.evaluator
        self.config, self.model = experiment.config, experiment.model
        self.loader, self.validation = experiment.loader.in_order(), experiment.validation
        splits = {"train": self.loader, "validation": self.validation, "test": experiment.test}
        self.splits = {name: split for name, split in splits.items() if split}

    @cached_property
    def generator(self) -> Generator:
        """Makes images from those that the model was trained on."""
        return self.generator_over(self.loader)

    def generator_over(self, loader: BaseDataLoader) -> Generator:
        """Makes images from those of a loader, with noise in the unit that the config says."""
        is_relative = self.config.generation.relative
        unit = code_spread(self.evaluator, self.loader) if is_relative else None
        return Generator(self.evaluator, loader, unit)

    @cached_property
    def scorer(self) -> Scorer:
        """Measures the model and the baselines, which are fitted to the training images."""
        return Scorer(self.evaluator, baselines(self.loader, self.model.code_size))

    @cached_property
    def spread(self) -> Spread:
        """Where the codes of the training images lie."""
        return spread_of(self.evaluator, self.loader)

    @cached_property
    def children(self) -> Children:
        """The images to make."""
        if self.config.generation.split == "images":
            rule = "there are no new images here; give some with --images, or take 'train'"
            refuse("config", [Problem("generation.split", "images", rule)])
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
        measured = self.score()
        scores = self.scorer.as_json(measured)
        say(score_table(scores))
        write_json(folder / "metrics.json", scores | self.facts())
        if note := undrawable(self.experiment.dataset.labels.names):
            say(note)
        self.generate(folder)
        if self.config.generation.pictures:
            self.draw(folder)
        names = list(self.experiment.dataset.labels.names)
        self.write_page(folder, self.shown_splits(measured), names)

    def score(self) -> dict[str, Scores]:
        """The scores of each split, and those of the baselines on it.

        Where images are corrupted, a split's scores are those of the cleaned images; `corrupted`
        are the scores without cleaning, and `psnr_gain` is what the model adds to their PSNR in
        dB.
        """
        return {name: self.scorer.scores(split, name) for name, split in self.splits.items()}

    def shown_splits(self, measured: dict[str, Scores]) -> list[Split]:
        """The splits as the page shows them."""
        return [
            Split(
                name, loader, measured[name].errors(),
                loader.dataset.labels.indices[loader.indices].numpy(), "image {}".format,
            )
            for name, loader in self.splits.items()
        ]  # fmt: skip

    def write_page(
        self, folder: Path, splits: list[Split], classes: list[str], notes: Sequence[str] = ()
    ) -> None:
        """The page of the report, which shows the other files of `folder`.

        Args:
            classes: the names that the labels of `splits` count.
            notes: what it says at its top besides.
        """
        gallery = gallery_of(splits, self.evaluator, self.spread.plane, classes)
        by_class = errors_by_class(splits, classes)
        facts = page_facts(self.experiment, by_class, self.again(), list(notes))
        write_test_page(folder, facts, gallery)

    def again(self) -> list[str]:
        """The arguments of test.py, after -r, that make this report again."""
        changed = self.experiment.start.overrides
        return ["-s", *changed] if changed else []

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
        """Every picture that this model allows, under a progress bar where someone watches."""
        pictures = Pictures(self.generator, folder)
        due: list[Callable[[], None]] = [
            partial(pictures.generated, self.children),
            pictures.reconstructions,
            pictures.interpolation,
            *self._pictures_of_codes(CodePictures(self.generator, folder)),
        ]
        if self.evaluator.corrupter:
            due.append(partial(pictures.denoised, self.validation or self.loader))
        for draw in tqdm(due, "drawing", leave=False, disable=None):
            draw()

    def _pictures_of_codes(self, pictures: CodePictures) -> Iterator[Callable[[], None]]:
        size, settings, seed = self.model.code_size, self.config.generation, self.config.seed
        levels = settings.levels()
        levels = levels if len(levels) > 1 else [times * levels[0] for times in (1, 2, 4, 8)]
        yield partial(pictures.noise_levels, levels)
        yield lambda: pictures.cloud(self.spread)
        if "logvar" in self.model.gives:
            yield partial(pictures.prior, seed)
            yield partial(pictures.posterior, seed)
        if size <= LARGEST_PRINTED:
            codes = self.evaluator.encode(self.loader).flatten(1)
            yield partial(pictures.random_codes, codes, seed)
            if size == 2:
                yield partial(pictures.code_grid, codes, settings.grid or 15)

    def _code_use(self, loader: BaseDataLoader) -> dict[str, Any]:
        """How much a VAE tells in its code; the KL of each number where they are few."""
        active, kl = code_use(self.evaluator, loader)
        facts: dict[str, Any] = {"active_units": active, "kl": float(kl.sum())}
        return facts | ({"kl_per_unit": kl.tolist()} if len(kl) <= MOST_LISTED else {})


def has_report(folder: Path) -> bool:
    """Whether the files of a folder are those of an earlier test, not of another program."""
    try:
        scores = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(scores, dict) and {"splits", "baselines"} <= scores.keys()


def score_table(scores: dict[str, Any]) -> str:
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


def write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(without_nan(content), indent=1) + "\n", encoding="utf-8")
