"""What a config says: its sections, their keys, types, ranges and defaults."""

import json
import re
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    NonNegativeInt,
    PositiveInt,
    Tag,
    field_validator,
    model_validator,
)

from utils.config.changes import Changes
from utils.config.classes import STRICT
from utils.home import at_home

_FOLDER = "the run keeps its folder"
_OTHER_NUMBERS = "the numbers before and after could not be compared"
_OTHER_TRAINER = "the state of the checkpoint belongs to this trainer"
Level = Annotated[float, Field(ge=0)]
AUTO = "auto"  # the noise that is chosen by the images
MONITOR = r"^(off|(min|max) \w+)$"
# A word, so that no name is a path or an option; Windows cuts a dot or a blank off the end.
NAME = r"^\w([\w .+-]*[\w+-])?$"
# The same as far as editors understand it: to theirs \w is ASCII.
NAME_IN_EDITORS = r"^[^\s./\\]([^/\\]*[^\s./\\])?$"
# Windows opens a device instead of a file of these names, whatever their extension.
LABEL = "label"  # the key of a sweep's run that is no override
DEVICES = r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?"


class Section(BaseModel):
    """A part of the config whose keys are fixed."""

    model_config = STRICT | ConfigDict(use_attribute_docstrings=True)


class Part(Section):
    """A part of the config that names the class to build and its arguments."""

    type: str
    """The class to build."""
    args: dict[str, Any] = {}
    """The arguments of its constructor; what is left out takes its default."""


class Phase(Part):
    """One of several schedulers, which rules the learning rate for some epochs."""

    epochs: PositiveInt | None = None
    """How many epochs it lasts before the next one begins; the last one, which lasts to the end of
    the run, leaves it out."""


def _one_or_several(value: Any) -> str:
    return "several" if isinstance(value, list) else "one"


# Told apart by what is written, so that a wrong key is not also reported as "no list".
Parts = Annotated[
    Annotated[Part, Tag("one")] | Annotated[list[Part], Tag("several")],
    Discriminator(_one_or_several),
]
PartOrPhases = Annotated[
    Annotated[Part, Tag("one")] | Annotated[list[Phase], Field(min_length=1), Tag("several")],
    Discriminator(_one_or_several),
]


class TrainerSection(Section):
    """How long to train, what to watch and what to write."""

    type: Annotated[str, Changes(because=_OTHER_TRAINER)] = "Trainer"
    """The class that trains: "Trainer", or one of your own that extends it."""
    args: Annotated[dict[str, Any], Changes(because=_OTHER_TRAINER)] = {}
    """The arguments of its constructor; what is left out takes its default."""
    init: Annotated[
        Annotated[str, Field(min_length=1)] | None,
        Changes(because="the run has weights of its own by now"),
    ] = None
    """Where the first weights come from instead of the seed: the checkpoint or the folder of
    another run, of which the best model is taken. Those that fit by name and shape are taken, and
    the log says which do not. It is not needed any more once the run has a checkpoint."""
    epochs: Annotated[PositiveInt, Changes(resumed=True)]
    """How often the model is trained on every training image."""
    save_dir: Annotated[
        str, Field(min_length=1), Changes(members=False, trains=False, because=_FOLDER)
    ] = "saved/"
    """The folder of all runs; a run lies in <save_dir>/<name>/<time>."""
    save_period: Annotated[PositiveInt, Changes(resumed=True, trains=False)] = 10
    """A checkpoint every so many epochs, and one at the end."""
    save_steps: Annotated[NonNegativeInt, Changes(resumed=True, trains=False)] = 0
    """A checkpoint also every so many steps, within epochs; 0 for none."""
    monitor: Annotated[
        str,
        Field(json_schema_extra={"pattern": MONITOR}),
        Changes(because="the best value so far is one of the value watched so far"),
    ] = "min val_loss"
    """What the best model is best at: 'min NAME', 'max NAME' or 'off'. NAME is 'loss' or a metric,
    with 'val_' in front for that of the images held out."""
    early_stop: Annotated[NonNegativeInt, Changes(resumed=True)] = 0
    """Stop after so many epochs without a better monitored value; 0 never does."""
    clip_gradient: Annotated[
        Annotated[float, Field(gt=0)] | None,
        Changes(resumed=True),
    ] = None
    """The largest norm of the gradient of all weights together, which is scaled down to it before
    an update; null leaves gradients as they are."""
    accumulate: Annotated[
        PositiveInt,
        Changes(because="other images would make an update, and all noise would be others"),
    ] = 1
    """The batches that make an update, a step: their gradients are gathered as if they were one
    batch, but for a batch norm, which sees each by itself. The last step of an epoch is of the
    batches that remain, and each image moves the weights by as much."""
    ema: Annotated[
        Annotated[float, Field(gt=0, lt=1)] | None,
        Changes(because="the checkpoint's model is an average of this decay, or none"),
    ] = None
    """The decay of an exponential moving average of the weights, as 0.999; null averages nothing.
    The averaged weights, a batch norm's statistics among them, are the model that is validated,
    saved, tested and used; training goes on with its own. After n updates the decay is at most
    (1 + n) / (10 + n), so that the first weights are soon forgotten."""
    tensorboard: Annotated[bool, Changes(resumed=True, trains=False)] = True
    """Whether to write events for TensorBoard."""
    precision: Annotated[
        Literal["auto", "fp32", "bf16"],
        Changes(
            resumed=True,
            only_to=("fp32",),
            because="the epochs before were trained in this one; where a device has no bf16, "
            "fp32 can take its place",
        ),
    ] = "auto"
    """What layers compute in; 'auto' is bf16 where the device has units for it. In 'fp32' a GPU
    multiplies in TF32."""
    compile: bool = False
    """Whether the model goes through torch.compile, which takes a while at the start; on a GPU
    its passes, loss and metrics are then replayed as CUDA graphs."""

    @field_validator("save_dir", "init")
    @classmethod
    def _is_at_home(cls, path: str | None) -> str | None:
        return path and at_home(path)

    @field_validator("monitor")
    @classmethod
    def _is_mode_and_name(cls, monitor: str) -> str:
        if not re.fullmatch(MONITOR, monitor):
            raise ValueError("must be 'min NAME', 'max NAME' or 'off', as in 'min val_loss'")
        return monitor


class GenerationSection(Section):
    """What test.py makes from the codes of existing images."""

    samples: PositiveInt = 5
    """Children of each original at each level of noise."""
    per_class: PositiveInt | None = None
    """So many children of each class in all, for a balanced set, instead of `samples`."""
    method: Literal["noise", "neighbours", "extrapolate", "gaussian"] = "noise"
    """Where a child's code begins: at its original's ("noise"), at a random place on the way from
    there to one of the five nearest codes of its class ("neighbours", as SMOTE does), half of that
    way in the other direction ("extrapolate"), or anywhere in a Gaussian of its class
    ("gaussian"). Noise is then added to it."""
    noise: Literal["auto"] | Level | Annotated[list[Level], Field(min_length=1)] = 0.1
    """Standard deviation of the Gaussian noise that is added to a code, or several of them; 0 is
    none. "auto" is the most at which the children of every class are as good as without it."""
    unit: Literal["absolute", "code", "class", "posterior"] = "absolute"
    """What `noise` is measured in: the code's own numbers ("absolute"), the standard deviation of
    each code number over the training set ("code"), the width of a smoothed bootstrap of the class
    that keeps its variance ("class"), or the deviation of the original's posterior in a VAE
    ("posterior")."""
    symmetries: bool = False
    """Whether each child is of its original turned and mirrored in a random one of the eight ways
    of a square; of the four flips where images are not square."""
    keep_outline: bool = True
    """Whether a wafer map made of another one keeps its outline: on the wafer dice are normal or
    defective, off it they stay off. No other images have outlines."""
    split: Literal["train", "validation", "all", "images"] = "train"
    """Where the originals come from; "images" are those that test.py is given with --images."""
    grid: Annotated[int, Field(ge=2, le=50)] | None = None
    """The side of the grid over a code of two numbers; null is 15 where there is such a code."""
    pictures: bool = True
    """Whether test.py draws its pictures and judges the generated images, which may take longer
    than all else, in a sweep above all; its page is made without them too."""

    @model_validator(mode="before")
    @classmethod
    def _in_unit(cls, content: Any) -> Any:
        """The unit that `relative` meant, which was here before there were several."""
        if not isinstance(content, dict) or "unit" in content:
            return content
        if not isinstance(is_relative := content.get("relative"), bool):
            return content
        unit = "code" if is_relative else "absolute"
        return {
            "unit" if key == "relative" else key: unit if key == "relative" else value
            for key, value in content.items()
        }

    def levels(self) -> list[float]:
        """Every level of noise, where they are not chosen by the images."""
        if isinstance(self.noise, str):
            raise TypeError("generation.noise is 'auto': choose_noise says the levels")
        return self.noise if isinstance(self.noise, list) else [self.noise]


class SweepSection(Section):
    """Several runs of one config, one after another: each set of overrides with each seed."""

    runs: Annotated[list[dict[str, Any]], Field(min_length=1)]
    """The sets of overrides: dotted path -> value; {} is the config as it is. With them a "label"
    may stand, which names the set in folders, tables and charts in place of its values."""
    seeds: Annotated[list[NonNegativeInt], Field(min_length=1)] | None = None
    """The seeds of each set; null is the config's own."""
    workers: Annotated[int, Field(ge=1, le=1024)] = 1
    """Runs that are trained side by side, each with its share of the cores and, where there are
    several GPUs, on one of its own."""

    @field_validator("runs")
    @classmethod
    def _has_names_as_labels(cls, runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        labels = [run[LABEL] for run in runs if LABEL in run]
        for place, label in enumerate(labels):
            if not isinstance(label, str) or not re.fullmatch(NAME, label):
                raise ValueError(
                    f"label {json.dumps(label)} must be part of a folder's name: letters, digits, "
                    "blanks and _ - + . only, not ending in a dot or blank"
                )
            # Some file systems take upper and lower case for the same.
            if label.lower() in (other.lower() for other in labels[:place]):
                raise ValueError(f'label "{label}" is given twice; which run is meant?')
        return runs


class ArmSection(Section):
    """One way to train a classifier on few images, beside the others of a study.

    An arm of nothing but a name draws images as they come. All others but "class_weights" draw
    batches in which every class is as likely as any other.
    """

    name: Annotated[str, Field(min_length=1, max_length=60)]
    """What tables and pictures call it."""
    baseline: Literal["class_weights", "copies", "smote"] | None = None
    """What is done without an autoencoder: the loss weighs rare classes more; rare images are
    copied; SMOTE draws images on straight lines between pixels of neighbours of a class."""
    augmentation: Parts | None = None
    """What every batch of the classifier goes through; one or a list."""
    generation: GenerationSection | None = None
    """Children of the training images, by an autoencoder trained on them alone."""
    share: Annotated[float, Field(gt=0, le=1)] = 0.5
    """The share of the children in each batch."""
    set: dict[str, Any] = {}
    """Overrides for the autoencoder of this arm: dotted path -> value."""


class StudySection(Section):
    """Whether generated images help a classifier: arms compared on images none of them has seen.

    The images are split into folds; each in turn is what classifiers are tested on, and all that
    learns is trained on the others.
    """

    folds: Annotated[int, Field(ge=2, le=1000)] = 5
    """Into how many parts the images are split."""
    repeats: Annotated[int, Field(ge=1, le=1000)] = 4
    """How often they are split anew."""
    seeds: Annotated[int, Field(ge=1, le=1000)] = 3
    """Classifiers of each arm in each fold, whose scores are averaged."""
    steps: PositiveInt = 700
    """Updates of each classifier."""
    arms: Annotated[list[ArmSection], Field(min_length=2)]
    """What is compared."""
    check: Literal["forest"] | None = None
    """A second classifier that the arms are compared with: "forest" is scikit-learn's, on the
    principal components of the pixels; null is none."""
    workers: Annotated[int, Field(ge=1, le=1024)] = 1
    """Processes that work side by side, each on one thread; the numbers are the same with any."""


class Config(Section):
    """A whole config."""

    schema_file: Annotated[str | None, Changes(trains=False)] = Field(None, alias="$schema")
    """The JSON Schema by which an editor completes and checks this file."""
    description: Annotated[str, Changes(trains=False)] = ""
    """For people."""
    name: Annotated[
        str,
        Field(min_length=1, max_length=100, json_schema_extra={"pattern": NAME_IN_EDITORS}),
        Changes(members=False, because=_FOLDER),
    ]
    """What the runs are called: their folder in trainer.save_dir."""
    seed: Annotated[
        int,
        Field(ge=0, lt=2**63),
        Changes(because="the order of the images and all noise would be others"),
    ] = 0
    """All that is random follows from this number."""
    dataset: Annotated[Part, Changes(because="it would be a run on other images")]
    """The images."""
    data_loader: Annotated[
        Part, Changes(because="other images would be held out, or other batches made")
    ]
    """How the images are split and batched."""
    augmentation: Annotated[
        Parts | None, Changes(because="the images of the epochs to come would be others")
    ] = None
    """What training makes of its images, to see more than there are; one or a list. Target and
    input alike, and never in evaluation."""
    corruption: Annotated[Parts | None, Changes(tested=True)] = None
    """What the model is shown instead of an image, to learn to clean it; one or a list."""
    arch: Annotated[Part, Changes(because="the weights of the checkpoint fit this network only")]
    """The model."""
    loss: Annotated[Part, Changes(because=_OTHER_NUMBERS)]
    """What training minimises."""
    metrics: Annotated[list[str], Changes(because=_OTHER_NUMBERS)] = []
    """What is measured every epoch besides the loss."""
    optimizer: Annotated[
        Part,
        Changes(
            arguments=("lr",), because="the state of the checkpoint belongs to this optimizer"
        ),
    ]
    """What changes the weights: an optimizer of torch.optim."""
    lr_scheduler: Annotated[
        PartOrPhases | None,
        Changes(because="the state of the checkpoint belongs to this scheduler"),
    ] = None
    """How the learning rate changes, epoch by epoch: a scheduler of torch.optim; a list of several
    that follow one another, each but the last with the "epochs" it lasts; or null."""
    trainer: TrainerSection
    """How long to train, what to watch and what to write."""
    generation: Annotated[
        GenerationSection | None,
        Changes(tested=True, trains=False, because="it is for test.py, which takes it with -s"),
    ] = GenerationSection()
    """What test.py makes from the codes of existing images; null makes nothing."""
    sweep: Annotated[SweepSection | None, Changes(members=False)] = None
    """Several runs of this config and a table of their scores."""
    study: Annotated[StudySection | None, Changes(members=False, trains=False)] = None
    """Whether images generated by this config's model help a classifier of the same images."""

    @field_validator("name")
    @classmethod
    def _is_folder_name(cls, name: str) -> str:
        if not re.fullmatch(NAME, name):
            raise ValueError(
                "must be the name of a folder: letters, digits, blanks and _ - + . only, "
                "opening with a letter or digit and not ending in a dot or blank"
            )
        if re.fullmatch(DEVICES, name):
            raise ValueError("must not be the name of a Windows device")
        return name

    def as_json(self) -> dict[str, Any]:
        """The config as plain values, complete: `check_config` of it gives it back.

        Only the path of the schema is left out, which is right in one folder only.
        """
        return self.model_dump(mode="json", exclude={"schema_file"})
