"""Testing a trained model: scores beside their baselines, generated arrays, pictures."""

import json
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from base.base_data_loader import BaseDataLoader
from generation.children import originals
from generation.making import Making, plan_making
from logger.lettering import undrawable
from logger.tables import columns, short
from report.of_test import write_test_page
from tester.array_writer import check_room, write_generated
from tester.baselines import baselines
from tester.code_pictures import LARGEST_PRINTED, CodePictures, Spread, spread_of
from tester.page_facts import errors_by_class, page_facts
from tester.page_images import PageImages, Split
from tester.pictures import Pictures
from tester.score_files import check_apart
from tester.scores import Measured, Scorer, Scores
from trainer.evaluator import code_use
from trainer.experiment import Experiment
from utils.config.messages import Problem, refuse
from utils.config.sections import GenerationSection
from utils.output import say, without_nan

MOST_LISTED = 256  # numbers of a code whose KL is listed one by one

HOW_MADE = ("method", "unit", "symmetries", "keep_outline")  # keys that the record repeats


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
        "quality.json", "quality.png", "reconstructions.png", "interpolation.png", "denoised.png",
        "noise.png", "latent.png", "prior.png", "posterior.png", "random_codes.png",
        "latent_grid.png", "report.html",
    )  # fmt: skip

    def __init__(self, experiment: Experiment) -> None:
        self.experiment, self.evaluator = experiment, experiment.evaluator
        self.config, self.model = experiment.config, experiment.model
        self.loader, self.validation = experiment.loader.in_order(), experiment.validation
        splits = {"train": self.loader, "validation": self.validation, "test": experiment.test}
        self.splits = {name: split for name, split in splits.items() if split}

    @cached_property
    def scorer(self) -> Scorer:
        """Measures the model and the baselines, which are fitted to the training images."""
        return Scorer(self.evaluator, baselines(self.loader, self.model.code_size))

    @property
    def draws(self) -> bool:
        """Whether pictures are asked for."""
        return self.config.generation is None or self.config.generation.pictures

    @cached_property
    def spread(self) -> Spread:
        """Where the codes of the training images lie."""
        return spread_of(self.evaluator, self.loader)

    @cached_property
    def page_images(self) -> PageImages:
        """The images of the page, which are picked while all are scored."""
        return PageImages(self.spread.plane, self.total)

    @property
    def total(self) -> int:
        """How many images are scored."""
        return sum(split.count for split in self.splits.values())

    @cached_property
    def making(self) -> Making | None:
        """The images to make, None where none are asked for."""
        settings = self.config.generation
        return None if settings is None else self.plan(settings)

    def plan(self, settings: GenerationSection) -> Making | None:
        """Which images to make as the settings say."""
        if settings.split == "images":
            rule = "there are no new images here; give some with --images, or take 'train'"
            refuse("config", [Problem("generation.split", "images", rule)])
        loader = self.loader.of(originals(self.loader, settings.split))
        return plan_making(self.evaluator, loader, self.loader, settings, self.config.seed)

    def check_room(self, folder: Path) -> None:
        """Check that a report fits on the disk of `folder`.

        Raises:
            ConfigError: the images to make do not, or it would be among pictures that are read.
        """
        args, names = self.config.dataset.args, self.experiment.dataset.looked_through
        check_apart(folder, self.files, {f"dataset.args.{key}": Path(args[key]) for key in names})
        if self.making:
            generator = self.making.generator
            check_room(self.making.children, self.experiment.dataset, generator.settings, folder)

    def report(self, folder: Path) -> None:
        """Score, generate and draw into `folder`."""
        measured = self.score()
        scores = self.scorer.as_json(measured)
        say(score_table(scores))
        write_json(folder / "metrics.json", scores | self.facts())
        if note := undrawable(self.experiment.dataset.labels.names):
            say(note)
        if self.making:
            self.generate(self.making, folder)
        notes: list[str] = []
        if self.draws:
            notes = self.judge(folder)
            self.draw(folder)
        names = list(self.experiment.dataset.labels.names)
        self.write_page(folder, self.shown_splits(measured), names, notes)

    def judge(self, folder: Path) -> list[str]:
        """How good the children are, and why they have the noise that they have, where that was
        chosen.

        -> what the page says of it at its top.
        """
        from tester.quality_report import report_quality

        if not (making := self.making):
            return []
        over_training = making.generator.over(self.loader, making.generator.settings)
        own = making._replace(generator=over_training)
        if content := report_quality(own, self.splits, self.config.seed, folder):
            write_json(folder / "quality.json", content)
        return [content["summary"]] if content.get("summary") else []

    def score(self) -> dict[str, Scores]:
        """The scores of each split, and those of the baselines on it.

        Where images are corrupted, a split's scores are those of the cleaned images; `corrupted`
        are the scores without cleaning, and `psnr_gain` is what the model adds to their PSNR in
        dB.
        """
        return {name: self.score_split(split, name) for name, split in self.splits.items()}

    def score_split(
        self,
        loader: BaseDataLoader,
        name: str,
        after_batch: Callable[[Measured], None] = lambda measured: None,
    ) -> Scores:
        """The scores of all images of a loader, in the one pass that the page is fed from, too.

        Args:
            name: of the split.
            after_batch: called with each batch that has been measured.
        """
        scores = Scores(loader.count)
        for measured in self.scorer.measured(loader, name):
            scores.add(measured.numbers)
            self.page_images.add(loader.dataset, measured)
            after_batch(measured)
        return scores

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
        gallery = self.page_images.gallery(splits, classes)
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
            "image_shape": list(self.model.shape),
            "data_range": list(self.experiment.dataset.value_range),
            "checkpoint": str(start.path),
            "epoch": checkpoint.epoch if checkpoint else 0,
            "changed": list(start.overrides),
        }
        if "logvar" in self.model.gives:
            facts |= self._code_use(self.validation or self.loader)
        return facts

    def generate(self, making: Making, folder: Path) -> None:
        """The generated arrays, and what each image was made from."""
        split, labels = making.generator.settings.split, self.experiment.dataset.labels
        sources = making.generator.loader.indices
        missing = sorted(set(labels.indices.tolist()) - set(labels.indices[sources].tolist()))
        if missing:
            names = ", ".join(labels.names[label] for label in missing)
            say(f"note: split '{split}' has no image of {names}, so none is made")
        self.write(making, {}, folder)
        say(f"{making.children.count} generated images from {len(sources)} of split '{split}'")

    def write(self, making: Making, origin: dict[str, Any], folder: Path) -> None:
        """The files of the generated images.

        Args:
            origin: what the record says of where the originals are from, beside their split.
        """
        generator = making.generator
        for note in generator.notes():
            say(note)
        facts = {
            "checkpoint": str(self.experiment.start.path),
            "split": generator.settings.split,
            **origin,
            **generator.settings.model_dump(include=set(HOW_MADE)),
        }
        names = self.experiment.dataset.labels.names
        if alike := write_generated(generator, making.children, facts, folder):
            say(
                f"note: all children of {', '.join(names[label] for label in alike)} are the same "
                "image; for different ones raise generation.noise, or take another generation.unit"
            )

    def draw(self, folder: Path) -> None:
        """Every picture that this model allows, under a progress bar where someone watches."""
        pictures = Pictures(self.evaluator, self.loader, folder)
        due: list[Callable[[], None]] = [
            pictures.reconstructions,
            pictures.interpolation,
            *self._pictures_of_codes(CodePictures(self.evaluator, self.loader, folder)),
        ]
        if self.making:
            making = self.making
            due.append(partial(pictures.generated, making.generator, making.children))
        if self.evaluator.corrupter:
            due.append(partial(pictures.denoised, self.validation or self.loader))
        for draw in tqdm(due, "drawing", leave=False, disable=None):
            draw()

    def _pictures_of_codes(self, pictures: CodePictures) -> Iterator[Callable[[], None]]:
        size, settings, seed = self.model.code_size, self.config.generation, self.config.seed
        if self.making:
            yield partial(pictures.noise_levels, self.making.generator)
        yield partial(pictures.cloud, self.spread)
        if "logvar" in self.model.gives:
            yield partial(pictures.prior, seed)
            yield partial(pictures.posterior, seed)
        if size <= LARGEST_PRINTED:
            yield partial(pictures.random_codes, self.spread, seed)
            if size == 2:
                yield partial(pictures.code_grid, self.spread, (settings and settings.grid) or 15)

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
            (split, maker, *(short(numbers[name]) for name in names))
            for maker, numbers in makers.items()
        ]
    return columns(rows)


def write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(without_nan(content), indent=1) + "\n", encoding="utf-8")
