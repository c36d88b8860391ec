"""The members of a sweep: who they are, and whether each of them can be run."""

import glob
import json
import zlib
from pathlib import Path
from typing import Any, NamedTuple

from trainer.fit import check_later
from utils.config.build import build
from utils.config.changes import changes_of
from utils.config.check import Catalogue, check_config
from utils.config.overrides import apply_overrides
from utils.config.sections import LABEL, Config, GenerationSection
from utils.errors import ConfigError

# What configs did not have from the beginning: at these values the runs before are the same.
LATER: dict[str, Any] = {
    "augmentation": None,
    "study": None,
    "trainer.type": "Trainer",
    "trainer.args": {},
    "trainer.init": None,
    "trainer.clip_gradient": None,
    "trainer.accumulate": 1,
    "trainer.ema": None,
    "arch.args.conditional": False,
}

MADE_BEFORE = ("samples", "per_class", "noise", "relative", "split", "grid")


class Member(NamedTuple):
    """One run of a sweep."""

    place: int
    """Of its setting in sweep.runs."""
    overrides: dict[str, Any]
    """Its setting: dotted keys and their values."""
    seed: int
    config: dict[str, Any]
    """Complete and checked."""
    folder: Path
    """Of its runs."""
    label: str = ""
    """What its setting is called, if anything."""
    mark: int = 0
    """Of what it trains, its images included."""
    number: int = 1
    """Among all members, counted from 1."""

    @property
    def setting(self) -> str:
        """What its setting is called, or else the overrides as text."""
        if self.label:
            return self.label
        words = (f"{key} {json.dumps(value)}" for key, value in self.overrides.items())
        return ", ".join(words) or "as it is"


def plan_sweep(config: Config, classes: Catalogue) -> list[Member]:
    """The members of a sweep, every one of them checked.

    Raises:
        ConfigError: one cannot be run, or trains what another one does.
    """
    content = config.as_json() | {"sweep": None}
    members: list[Member] = []
    data, sweep = _Data(classes), config.sweep
    for place, run in enumerate(sweep.runs if sweep else ()):
        overrides = {key: value for key, value in run.items() if key != LABEL}
        label = run.get(LABEL, "")
        own = [f"{key}={json.dumps(value)}" for key, value in overrides.items()]
        seeds = (sweep and sweep.seeds) or [config.seed]
        for seed in seeds:
            try:
                changed = apply_overrides(content, [*own, f"seed={seed}"])
            except ConfigError as error:
                raise ConfigError(f"sweep.runs.{place}: {error}") from None
            checked = check_config(changed, classes, f"sweep.runs.{place}")
            if seed == seeds[0]:
                data.check(checked, place)
            member = checked.as_json()
            mark = _mark(checked, member, data.marks[place], classes)
            called = f"{label}-seed{seed}" if label else _numbered(config, place, seed, mark)
            member["name"] = f"{config.name}-{called}"
            check_config(member, classes, f"sweep.runs.{place}")  # the longer name too
            folder = Path(config.trainer.save_dir) / member["name"]
            _refuse_twin(mark, members, place)
            number = len(members) + 1
            members.append(Member(place, overrides, seed, member, folder, label, mark, number))
    return members


class _Data:
    """The images of one member after another, which seldom differ.

    Attributes:
        marks: what tells those of each member, in order, from others.
    """

    def __init__(self, classes: Catalogue) -> None:
        self._classes = classes
        self._section: Any = None
        self._dataset: Any = None
        self.marks: list[dict[str, Any]] = []

    def check(self, config: Config, place: int) -> None:
        """Open the images of the member at `place` and check that the rest fits them."""
        if config.dataset != self._section:
            self._section = config.dataset
            self._dataset = build(config, self._classes, "dataset")
        self.marks.append(self._dataset.fingerprint())
        try:
            check_later(config, self._classes, self._dataset)
        except ConfigError as error:
            raise ConfigError(f"sweep.runs.{place}: {error}") from None


def _mark(config: Config, member: dict[str, Any], data: dict[str, Any], classes: Catalogue) -> int:
    """A number for what a member trains, so that its folder is found however often it starts."""
    trainer = {
        key: value
        for key, value in member["trainer"].items()
        if changes_of(f"trainer.{key}", config, classes.parts).trains
    }
    made = config.generation and _made_before(config.generation)
    trained = _as_before(member | {"trainer": trainer, "generation": made})
    return zlib.crc32(json.dumps([trained, data]).encode())


def _numbered(config: Config, place: int, seed: int, mark: int) -> str:
    """What a member without a label is called: by its place in sweep.runs, or by that which it had
    when its folder was made."""
    ending = f"-seed{seed}-{mark:08x}"
    own, saved = f"{place}{ending}", Path(config.trainer.save_dir)
    found = saved.glob(f"{glob.escape(config.name)}-*{ending}")
    names = [path.name.removeprefix(f"{config.name}-") for path in sorted(found)]
    earlier = [name for name in names if name.removesuffix(ending).isdecimal()]
    return own if own in names or not earlier else earlier[0]


def _made_before(settings: GenerationSection) -> dict[str, Any]:
    """The section as it was when marks had it first; what came later trains nothing."""
    content = settings.model_dump(mode="json")
    content["relative"] = settings.unit == "code"
    return {key: content[key] for key in MADE_BEFORE}


def _as_before(content: dict[str, Any], at: str = "") -> dict[str, Any]:
    """`content` without the keys that came later, where they are at those values."""
    return {
        key: _as_before(value, f"{at}{key}.") if isinstance(value, dict) else value
        for key, value in content.items()
        if f"{at}{key}" not in LATER or value != LATER[f"{at}{key}"]
    }


def _refuse_twin(mark: int, members: list[Member], place: int) -> None:
    """Raise a ConfigError where an earlier member trains the very same."""
    for other in members:
        if other.mark == mark:
            raise ConfigError(
                f"sweep.runs.{place}: trains what sweep.runs.{other.place} trains; leave one out"
            )
