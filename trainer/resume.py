"""Opening a run that was interrupted or is finished: which checkpoint, and does it belong here."""

from pathlib import Path
from typing import Any

from utils.checkpoint import find_run, load_checkpoint, newest_checkpoint
from utils.config import Catalogue, Config, apply_overrides, check_config
from utils.errors import CheckpointError, ConfigError
from utils.explain import shown
from utils.jsonfile import read_json
from utils.lock import hold
from utils.output import check_writable

# What may change between a run's beginning and its end; all else would make it another run. The
# files of the data may move: their fingerprint is compared.
CHANGEABLE = (
    "trainer.epochs",
    "trainer.save_period",
    "trainer.save_steps",
    "trainer.early_stop",
    "trainer.tensorboard",
    "trainer.save_dir",
    "data_loader.args.memory",
    "optimizer.args.lr",
    "data_loader.args.num_workers",
    "dataset.args.",
    "generation.",
    "description",
    "$schema",
)
# What does not touch the model: where the data lie, how they are read, what the model is shown
# to clean, what to generate.
TESTABLE = (
    "dataset.args.",
    "data_loader.args.batch_size",
    "data_loader.args.num_workers",
    "data_loader.args.memory",
    "corruption",
    "generation.",
)


def reopen(
    path: Path, overrides: list[str], catalogue: Catalogue
) -> tuple[Config, dict[str, Any] | None, Path]:
    """The config and the checkpoint of a run, and its folder, which is then held.

    Args:
        path: a run folder, for its newest checkpoint that verifies; or one checkpoint.
        overrides: KEY=VALUE of the command line; only `CHANGEABLE` keys may change.

    Returns:
        No checkpoint where the run was stopped before its first: it begins again.

    Raises:
        CheckpointError, ConfigError: nothing to go on from, an override that cannot be, or
            another process that trains in the folder.
    """
    for override in overrides:
        key = override.partition("=")[0]
        if not _may_change(key):
            raise ConfigError(
                f"-s {override}: '{key}' cannot change in a resumed run, only "
                f"{', '.join(CHANGEABLE)} can; begin a new run with -c"
            )
    folder = path.parent if path.is_file() else _run_folder(path)
    check_writable(folder)
    hold(folder)
    checkpoint = _pick_checkpoint(path, folder)
    content = _run_config(folder, checkpoint, catalogue)
    return (
        check_config(apply_overrides(content, overrides), catalogue, str(path)),
        checkpoint,
        folder,
    )


def _run_folder(path: Path) -> Path:
    return path if (path / "config.json").is_file() else find_run(path)


def _may_change(key: str) -> bool:
    return any(key.startswith(name) if name[-1] == "." else key == name for name in CHANGEABLE)


def _pick_checkpoint(path: Path, folder: Path) -> dict[str, Any] | None:
    if path.is_file():
        return load_checkpoint(path)
    if not any(folder.glob("*.pth")):
        print(f"{folder}: no checkpoint yet, so it begins again")
        return None
    _, checkpoint, skipped = newest_checkpoint(folder)
    for reason in skipped:
        print(f"skipped: {reason}")
    return checkpoint


def _run_config(
    folder: Path, checkpoint: dict[str, Any] | None, catalogue: Catalogue
) -> dict[str, Any]:
    """The config of a run folder, compared key by key with the checkpoint's.

    Raises:
        CheckpointError: they differ in what cannot change.
    """
    path = folder / "config.json"
    if not path.exists() and checkpoint:
        return checkpoint["config"]
    ours = check_config(read_json(path), catalogue, str(path)).as_json()
    if not checkpoint:
        return ours
    theirs = check_config(checkpoint["config"], catalogue, "the checkpoint's config").as_json()
    ours_flat, theirs_flat = _flat(ours), _flat(theirs)
    differing = [
        f"{key} is {shown(ours_flat.get(key))} and {shown(theirs_flat.get(key))}"
        for key in sorted(ours_flat.keys() | theirs_flat.keys())
        if ours_flat.get(key) != theirs_flat.get(key) and not _may_change(key)
    ]
    if differing:
        raise CheckpointError(
            f"{path} and the checkpoint differ: {'; '.join(differing)}; put the first back to "
            "the second, or begin a new run with -c"
        )
    return ours


def _flat(content: Any, at: str = "") -> dict[str, Any]:
    """Nested JSON as dotted path -> value."""
    if not isinstance(content, dict | list) or not content:
        return {at: content}
    pairs = content.items() if isinstance(content, dict) else enumerate(content)
    flat: dict[str, Any] = {}
    for key, value in pairs:
        flat |= _flat(value, f"{at}.{key}" if at else str(key))
    return flat


def open_trained(
    path: Path, overrides: list[str], catalogue: Catalogue
) -> tuple[Config, dict[str, Any], Path]:
    """The config, the checkpoint and its path for testing.

    Args:
        path: a checkpoint; a run folder, for its best model or else its newest checkpoint; or a
            folder of runs, for the newest run.
        overrides: KEY=VALUE of the command line; only `TESTABLE` keys may change.

    Raises:
        CheckpointError, ConfigError: nothing to test, or an override that cannot be.
    """
    for override in overrides:
        if not override.startswith(TESTABLE):
            raise ConfigError(
                f"-s {override}: the model is trained; only keys that begin with "
                f"{', '.join(TESTABLE)} can change here"
            )
    if path.is_dir():
        run = find_run(path)
        best = run / "model_best.pth"
        path = best if best.exists() else newest_checkpoint(run)[0]
    checkpoint = load_checkpoint(path)
    content = apply_overrides(checkpoint["config"], overrides)
    return check_config(content, catalogue, str(path)), checkpoint, path


def check_data(checkpoint: dict[str, Any], data: dict[str, Any]) -> None:
    """Raise a CheckpointError where the data are not those the checkpoint was trained on."""
    if checkpoint["data"] != data:
        raise CheckpointError(
            f"the data set has changed: {data} now, {checkpoint['data']} when the run began; "
            "restore the files or begin a new run with -c"
        )
