"""What test.py leaves: scores beside their baselines, generated arrays, pictures."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from base.base_data_loader import BaseDataLoader
from logger.report import columns
from trainer.baselines import baselines, score_baseline
from trainer.evaluate import Evaluator
from trainer.generate import code_spread, generate, plan_children
from trainer.pictures import (
    draw_denoised,
    draw_generated,
    draw_interpolation,
    draw_reconstructions,
)
from utils.config import Config
from utils.errors import ConfigError


def write_report(
    evaluator: Evaluator,
    loader: BaseDataLoader,
    config: Config,
    epoch: int,
    checkpoint: Path,
    folder: Path,
) -> None:
    """Score, generate and draw into `folder`.

    Args:
        loader: the training images.
        epoch, checkpoint: which trained model this is.
    """
    validation = loader.split_validation()
    splits = {"train": loader.in_order(), "validation": validation}
    splits = {name: split for name, split in splits.items() if split}
    test = loader.split_test()
    scores = _scores(evaluator, splits | ({"test": test} if test else {}))
    print(_score_table(scores))
    facts = {
        "code_size": evaluator.model.code_size,
        "compression_ratio": evaluator.model.compression_ratio,
        "data_range": list(evaluator.dataset.value_range),
        "checkpoint": str(checkpoint),
        "epoch": epoch,
    }
    _write_json(folder / "metrics.json", scores | facts)
    _write_generated(evaluator, loader, splits, config, str(checkpoint), folder)
    draw_reconstructions(evaluator, loader, folder / "reconstructions.png")
    draw_interpolation(evaluator, loader, folder / "interpolation.png")
    if evaluator.corrupter:
        draw_denoised(evaluator, validation or loader, folder / "denoised.png")


def _scores(evaluator: Evaluator, splits: dict[str, BaseDataLoader]) -> dict[str, Any]:
    """The scores of each split, and those of the baselines on it.

    Where images are corrupted, a split's scores are those of the cleaned images; `corrupted` are
    the scores without cleaning, and `psnr_gain` is what the model adds to their PSNR in dB.
    """
    found: dict[str, Any] = {"splits": {}, "baselines": {}}
    for name, split in splits.items():
        found["splits"][name] = {"count": split.count} | evaluator.score(split)
        if evaluator.corrupter:
            corrupted = score_baseline(lambda seen: seen, evaluator, split)
            gain = found["splits"][name]["psnr"] - corrupted["psnr"]
            found["splits"][name] |= {"corrupted": corrupted, "psnr_gain": gain}
    for name, reconstruct in baselines(splits["train"], evaluator.model.code_size).items():
        found["baselines"][name] = {
            split: score_baseline(reconstruct, evaluator, images)
            for split, images in splits.items()
        }
    return found


def _score_table(scores: dict[str, Any]) -> str:
    """Scores as text: what made the images, of which split, each score."""
    rows: list[tuple[str, ...]] = []
    for split, own in scores["splits"].items():
        makers = {"model": own} | {name: of[split] for name, of in scores["baselines"].items()}
        if "corrupted" in own:
            makers["no cleaning"] = own["corrupted"]
        names = list(next(iter(scores["baselines"].values()))[split])
        rows = rows or [("images of", "made by", *names)]
        rows += [
            (split, maker, *(f"{numbers[name]:.4f}" for name in names))
            for maker, numbers in makers.items()
        ]
    return columns(rows)


def _write_generated(
    evaluator: Evaluator,
    loader: BaseDataLoader,
    splits: dict[str, BaseDataLoader],
    config: Config,
    checkpoint: str,
    folder: Path,
) -> None:
    """The generated arrays, what each image was made from, and a picture for each class."""
    settings = config.generation
    if settings.split not in (*splits, "all"):
        raise ConfigError('generation.split: "validation": this model was trained without one')
    labels = evaluator.dataset.labels.indices
    chosen = [split.indices for name, split in splits.items() if settings.split in (name, "all")]
    sources = torch.cat(chosen).sort().values
    children = plan_children(sources, labels, settings, config.seed)
    scale = code_spread(evaluator, loader) if settings.relative else None
    made = generate(evaluator, loader, children, scale)
    np.save(folder / "gen_data.npy", made.data)
    np.save(folder / "gen_label.npy", made.labels)
    record = {
        "checkpoint": checkpoint,
        "split": settings.split,
        "relative": settings.relative,
        "images": [child._asdict() for child in children],
    }
    _write_json(folder / "generated.json", record)
    draw_generated(evaluator, loader, children, scale, folder / "generated.png")
    print(f"{len(children)} generated images from {len(sources)} of split '{settings.split}'")


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(_without_nan(content), indent=1) + "\n", encoding="utf-8")


def _without_nan(content: Any) -> Any:
    """`content` with null for what is no number: JSON has no NaN."""
    if isinstance(content, dict):
        return {key: _without_nan(value) for key, value in content.items()}
    return None if isinstance(content, float) and not math.isfinite(content) else content
