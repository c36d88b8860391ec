"""Checkpoints: written so that a crash cannot spoil them, verified before anything is believed.

A checkpoint is one file of tensors and plain values that `torch.load(path, weights_only=True)`
opens on any device.
"""

import io
import os
import re
import zipfile
from pathlib import Path
from typing import Any

import torch

from utils.errors import CheckpointError

FORMAT = 1
CONTENT = {
    "format": int,
    "arch": str,
    "config": dict,
    "epoch": int,
    "step": int,
    "state_dict": dict,
    "optimizer": dict,
    "lr_scheduler": dict | None,
    "monitor_best": float | None,
    "early_stop_count": int,
    "data": dict,
    "versions": dict,
}


def save_checkpoint(content: dict[str, Any], path: Path) -> None:
    """Write `content` to `path`; a crash at any instant leaves the old file or the new one.

    Raises:
        OSError: the disk is full or the folder cannot be written; `path` is as it was.
    """
    buffer = io.BytesIO()  # in memory first, so that a full disk is a plain OSError
    torch.save({"format": FORMAT, **content}, buffer)
    partial = path.with_name(f"{path.name}.partial")  # a rename is atomic within one folder
    try:
        with partial.open("wb") as file:
            file.write(buffer.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        _sync_folder(path.parent)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, where the system has a way to."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """The verified content of a checkpoint, its tensors on the CPU.

    Raises:
        CheckpointError: no such file, not a checkpoint, damaged, or of another format.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    try:
        _verify_archive(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except Exception as error:  # a damaged file makes torch raise nearly anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path}: damaged or no checkpoint: {reason}") from None
    _check_content(content, path)
    return content


def _verify_archive(path: Path) -> None:
    """Compare every byte with its checksum: torch itself ignores them."""
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if entry.compress_type != zipfile.ZIP_STORED:  # a few bytes could become gigabytes
                raise CheckpointError(f"{path}: holds compressed data; this is no checkpoint")
        damaged = archive.testzip()
    if damaged is not None:
        raise CheckpointError(f"{path}: damaged: the checksum of '{damaged}' does not match")


def _check_content(content: Any, path: Path) -> None:
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: holds a {type(content).__name__}; this is no checkpoint")
    for key, kind in CONTENT.items():
        if key not in content:
            raise CheckpointError(f"{path}: has no '{key}'; this program did not write it")
        if not isinstance(content[key], kind):
            raise CheckpointError(f"{path}: '{key}' is a {type(content[key]).__name__}")
    if content["format"] != FORMAT:
        raise CheckpointError(f"{path}: format {content['format']}; this version reads {FORMAT}")


def checkpoints_in(folder: Path) -> list[Path]:
    """The checkpoints of a run's epochs, the newest first."""
    numbered = []
    for path in folder.glob("checkpoint-epoch*.pth"):
        if match := re.fullmatch(r"checkpoint-epoch(\d+)\.pth", path.name):
            numbered.append((int(match[1]), path))
    return [path for _, path in sorted(numbered, reverse=True)]


def find_run(path: Path) -> Path:
    """The run folder that `path` is, or the newest run in it.

    Raises:
        CheckpointError: there is no checkpoint at `path` or below.
    """
    runs = {file.parent for file in path.glob("**/*.pth")}
    if not runs:
        raise CheckpointError(f"{path}: no checkpoint in this folder; train first")
    return path if path in runs else max(runs, key=lambda run: (run.stat().st_mtime, run.name))


def newest_checkpoint(run: Path) -> tuple[Path, dict[str, Any], list[str]]:
    """The newest checkpoint of a run that verifies, and what was wrong with newer ones.

    Raises:
        CheckpointError: none verifies.
    """
    skipped = []
    for path in checkpoints_in(run):
        try:
            return path, load_checkpoint(path), skipped
        except CheckpointError as error:
            skipped.append(str(error))
    raise CheckpointError("; ".join(skipped) or f"{run}: holds no checkpoint-epoch<N>.pth")
