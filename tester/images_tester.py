"""A trained model at work on images that it has never seen: scores, p-values, the oddest."""

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data_loader.new_images import open_new_images
from generation.making import Making, plan_making
from logger.lettering import undrawable
from tester.conformal import Conformal
from tester.findings import class_errors, class_table, sentence, unlike_scores
from tester.odd_pictures import SHOWN, Odd, draw_errors, draw_oddest
from tester.page_images import Split
from tester.score_files import ScoreFiles, check_apart, check_disk
from tester.scores import MODEL, Measured, Scores
from tester.tester import Tester, has_report, score_table, write_json
from trainer.experiment import Experiment
from utils.config.sections import GenerationSection
from utils.errors import ConfigError, DataError
from utils.output import say

SPLIT = "images"  # what the new images are called among the splits
UNLABELLED = "new, of no known class"


class ImagesTester(Tester):
    """Scores new images with the model of an experiment.

    Args:
        experiment: with the weights of a checkpoint.
        path: of the images: a .npy or .npz file, a picture, or a folder of pictures.
        label: a file of their classes, if any.
        alpha: the share of images like the held-out ones that may be flagged as odd.

    Attributes:
        images: the new images.
        loader_of_new: gives them in their order, from their files.
        held_out: the name of the split that p-values are counted from.

    Raises:
        ConfigError, DataError: no images are held out, or the new ones are not such images.
    """

    default_folder = "images"
    files: tuple[str, ...] = (
        "metrics.json", "scores.csv", "codes.npy", "reconstructions.npy", "oddest.png",
        "errors.png", "gen_data.npy", "gen_label.npy", "generated.json", "report.html",
    )  # fmt: skip

    def __init__(
        self, experiment: Experiment, path: Path, label: Path | None, alpha: float
    ) -> None:
        super().__init__(experiment)
        self.path, self.label_path, self.alpha = path, label, alpha
        held_out = [name for name in ("validation", "test") if name in self.splits]
        if not held_out:
            raise ConfigError(
                f"{experiment.start.path}: no image was held out from training, which p-values "
                "are counted from; train with data_loader.args.validation_split above 0"
            )
        self.held_out = held_out[0]
        args = self.config.dataset.args
        self.images = open_new_images(path, label, experiment.dataset, args)
        self.loader_of_new = self.loader.once_over(self.images.dataset)
        if self.model.conditional:
            self._check_classes()

    def _check_classes(self) -> None:
        """Raise a DataError where a class of the new images is none that the model has seen."""
        if not self.images.has_labels:
            raise DataError(
                f"{self.path}: the model is conditional and has to be shown the class of each "
                "image; give their classes with --labels"
            )
        own, known = self.images.dataset.labels, self.experiment.dataset.labels
        trained = known.indices[self.loader.indices]
        new = own.indices[~torch.isin(own.indices, trained)].unique().tolist()
        if new:
            names = ", ".join(own.names[label] for label in new)
            raise DataError(
                f"{self.label_path or self.path}: no class of training: {names}; the model is "
                "conditional and can be shown no other class, so leave such images out"
            )

    @cached_property
    def checksum(self) -> str:
        """SHA-256 of the files of the new images: large as they may be, they are read once."""
        return self.images.checksum()

    def plan(self, settings: GenerationSection) -> Making | None:
        """Which images to make from the new ones, where they are asked for."""
        if settings.split != SPLIT:
            return None
        return plan_making(
            self.evaluator, self.loader_of_new, self.loader, settings, self.config.seed
        )

    def check_room(self, folder: Path) -> None:
        """Check that a report fits on the disk of `folder` and takes the place of no input.

        Raises:
            ConfigError: it does not.
        """
        inputs = {"--images": self.path, "--labels": self.label_path}
        check_apart(folder, self.files, {name: path for name, path in inputs.items() if path})
        check_disk(folder, self.images, self.model.code_size, len(self.evaluator.metrics))
        super().check_room(folder)

    def report(self, folder: Path) -> None:
        """Score into `folder`, draw, and make children where they are asked for."""
        self._say_notes()
        splits = self.score()
        conformal = Conformal(splits[self.held_out].errors(), self.alpha)
        if conformal.note:
            say(f"note: {conformal.note}")
        splits[SPLIT] = self._score_into(folder, conformal)
        content = self.scorer.as_json(splits)
        say(score_table(content))
        found = self._findings(splits, conformal)
        say(sentence(found))
        if "classes" in found:
            say(class_table(found["classes"]))
        write_json(folder / "metrics.json", content | {SPLIT: found} | self.facts())
        if self.draws:
            self._draw_found(folder, splits, conformal)
        if self.making:
            self.generate(self.making, folder)
        names = [*self._known_names(), *([] if self.images.has_labels else [UNLABELLED])]
        told = [sentence(found), *filter(None, [conformal.note])]  # for whoever sees the page only
        self.write_page(folder, self.shown_splits(splits), names, ["; ".join(told)])

    def shown_splits(self, measured: dict[str, Scores]) -> list[Split]:
        """The splits as the page shows them, the new images among them."""
        labels = self.images.dataset.labels.indices.numpy()
        if not self.images.has_labels:
            labels = np.full(len(labels), len(self._known_names()))
        new = Split(SPLIT, self.loader_of_new, measured[SPLIT].errors(), labels, self._title)
        return [*super().shown_splits(measured), new]

    @property
    def total(self) -> int:
        """How many images are scored, the new ones among them."""
        return super().total + self.loader_of_new.count

    def again(self) -> list[str]:
        """The arguments of test.py, after -r, that make this report again."""
        label = ["--labels", str(self.label_path)] if self.label_path else []
        return ["--images", str(self.path), *label, "--alpha", str(self.alpha), *super().again()]

    def _known_names(self) -> list[str]:
        """The names of classes: those of training, then those that only new images have."""
        own, known = self.images.dataset.labels.names, self.experiment.dataset.labels.names
        return list(own if self.images.has_labels else known)

    def _say_notes(self) -> None:
        if note := self.images.dataset.note:
            say(f"warning: {note}")
        if self.evaluator.corrupter:
            say("note: the model is shown the images with the corruption of the command line")
        elif self.experiment.checkpoint and self.experiment.checkpoint.config.get("corruption"):
            say("note: the model learnt to clean; it is shown the images as they are")
        if names := self._new_classes():
            say(f"note: no class of training: {names}; such images count as unlike it")

    def _new_classes(self) -> str:
        """The classes of the new images that training had not, in words."""
        own, known = self.images.dataset.labels, len(self.experiment.dataset.labels.names)
        found = own.indices.unique().tolist() if self.images.has_labels else []
        return ", ".join(own.names[index] for index in found if index >= known)

    def _score_into(self, folder: Path, conformal: Conformal) -> Scores:
        """Write the files of scores, batch by batch."""
        to_file = self.experiment.dataset.to_file
        with ScoreFiles(folder, self.images, list(self.evaluator.metrics), conformal) as files:

            def write(measured: Measured) -> None:
                made = to_file(measured.output["reconstruction"].cpu())
                files.add(measured.output["code"].cpu(), made, measured.numbers[MODEL])

            return self.score_split(self.loader_of_new, SPLIT, write)

    def _findings(self, splits: dict[str, Scores], conformal: Conformal) -> dict[str, Any]:
        """What metrics.json says of the new images beside their scores."""
        scores = splits[SPLIT]
        flagged = conformal.is_flagged(conformal.p_values(scores.errors()))
        found: dict[str, Any] = {
            "file": str(self.path),
            "sha256": self.checksum,
            "alpha": self.alpha,
            "held_out": {"split": self.held_out, "count": len(conformal.held_out)},
            "threshold": conformal.threshold,
            "flagged": int(flagged.sum()),
            "count": scores.count,
            "corrupted": bool(self.evaluator.corrupter),
        }
        if not self.images.has_labels:
            return found
        own, known = self.images.dataset.labels, self.experiment.dataset.labels
        held = self.splits[self.held_out]
        held_labels = held.dataset.labels.indices[held.indices].numpy()
        classes = class_errors(
            own, scores.errors(), flagged, (held_labels, splits[self.held_out].errors())
        )
        trained = known.indices[self.loader.indices].unique()
        is_unlike = ~torch.isin(own.indices, trained)
        errors = {maker: scores.errors(maker) for maker in (MODEL, *self.scorer.baselines)}
        return found | {"classes": classes, "unlike": unlike_scores(is_unlike, errors)}

    def _draw_found(self, folder: Path, splits: dict[str, Scores], conformal: Conformal) -> None:
        errors = splits[SPLIT].errors()
        places = np.argsort(-errors, kind="stable")[:SHOWN]
        p_values = conformal.p_values(errors[places])
        captions = [
            f"{self._name(place)}: error {errors[place]:.3g}, p = {p:.3g}"
            for place, p in zip(places.tolist(), p_values, strict=True)
        ]
        if note := undrawable(captions):
            say(note)
        odd = Odd(places.tolist(), captions)
        draw_oddest(odd, self.evaluator, self.loader_of_new, folder / "oddest.png")
        groups = {
            "training": splits["train"].errors(),
            f"held out ({self.held_out})": conformal.held_out,
            "new": errors,
        }
        draw_errors(groups, conformal, folder / "errors.png")

    def _title(self, place: int) -> str:
        return self.images.name(place) if self.images.names else f"image {place}"

    def _name(self, place: int) -> str:
        labels = self.images.dataset.labels
        name = self._title(place)
        if not self.images.has_labels:
            return name
        return f"{name}, {labels.names[labels.indices[place]]}"

    def generate(self, making: Making, folder: Path) -> None:
        """The children of the new images, and what each was made from."""
        self.write(making, {"file": str(self.path), "sha256": self.checksum}, folder)
        say(f"{making.children.count} generated images from {len(self.images.dataset)} new ones")


def report_files(tester: Tester, folder: Path) -> tuple[str, ...]:
    """The files that a report may have and, where the last report in a folder is of the other
    kind, those of that one: none of them stays beside a report that it is not of."""
    if not has_report(folder):
        return tester.files
    scores = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    earlier = ImagesTester if SPLIT in scores else Tester
    return tuple(dict.fromkeys([*tester.files, *earlier.files]))
