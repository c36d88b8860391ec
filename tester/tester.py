"""What test.py leaves: scores beside their baselines, generated arrays, pictures."""

import json
import math
from pathlib import Path
from typing import Any

import torch

from base.base_data_loader import BaseDataLoader
from logger.lettering import undrawable
from logger.tables import columns
from tester.baselines import baselines, score_baseline
from tester.code_pictures import (
    LARGEST_PRINTED,
    draw_cloud,
    draw_code_grid,
    draw_noise_levels,
    draw_posterior,
    draw_prior,
    draw_random_codes,
)
from tester.generate import code_spread, originals, plan_children
from tester.generated_files import write_generated
from tester.pictures import (
    draw_denoised,
    draw_generated,
    draw_interpolation,
    draw_reconstructions,
)
from trainer.evaluator import Evaluator, code_use
from utils.config.sections import Config
from utils.output import say

MOST_LISTED = 256  # numbers of a code whose KL is listed one by one
# Every file that a test may leave: those of an earlier test do not stay beside this one's.
FILES = (
    "metrics.json", "gen_data.npy", "gen_label.npy", "generated.json", "generated.png",
    "reconstructions.png", "interpolation.png", "denoised.png", "noise.png", "latent.png",
    "prior.png", "posterior.png", "random_codes.png", "latent_grid.png",
)  # fmt: skip


def write_report(
    evaluator: Evaluator,
    loader: BaseDataLoader,
    config: Config,
    made_with: dict[str, Any],
    folder: Path,
) -> None:
    """Score, generate and draw into `folder`.

    Args:
        loader: the training images.
        made_with: which trained model this is, "checkpoint" and "epoch", and what of its config
            was "changed" for this test; it goes into metrics.json.
    """
    validation, loader = loader.split_validation(), loader.in_order()
    splits = {"train": loader, "validation": validation}
    splits = {name: split for name, split in splits.items() if split}
    test = loader.split_test()
    scores = _scores(evaluator, splits | ({"test": test} if test else {}))
    say(_score_table(scores))
    facts = {
        "parameters": evaluator.model.parameter_count,
        "code_size": evaluator.model.code_size,
        "compression_ratio": evaluator.model.compression_ratio,
        "data_range": list(evaluator.dataset.value_range),
    } | made_with
    if "logvar" in evaluator.model.gives:
        facts |= _code_use(evaluator, splits.get("validation", loader))
    _write_json(folder / "metrics.json", scores | facts)
    scale = code_spread(evaluator, loader) if config.generation.relative else None
    if note := undrawable(evaluator.dataset.labels.names):
        say(note)
    _make_images(evaluator, loader, config, scale, made_with["checkpoint"], folder)
    draw_reconstructions(evaluator, loader, folder / "reconstructions.png")
    draw_interpolation(evaluator, loader, folder / "interpolation.png")
    _draw_codes(evaluator, loader, config, scale, folder)
    if evaluator.corrupter:
        draw_denoised(evaluator, validation or loader, folder / "denoised.png")


def _code_use(evaluator: Evaluator, loader: BaseDataLoader) -> dict[str, Any]:
    """How much a VAE tells in its code; the KL of each number where they are few."""
    active, kl = code_use(evaluator, loader)
    facts: dict[str, Any] = {"active_units": active, "kl": float(kl.sum())}
    return facts | ({"kl_per_unit": kl.tolist()} if len(kl) <= MOST_LISTED else {})


def _draw_codes(
    evaluator: Evaluator,
    loader: BaseDataLoader,
    config: Config,
    scale: torch.Tensor | None,
    folder: Path,
) -> None:
    """Every picture of the code that this model allows."""
    size, settings, seed = evaluator.model.code_size, config.generation, config.seed
    levels = settings.levels()
    levels = levels if len(levels) > 1 else [times * levels[0] for times in (1, 2, 4, 8)]
    draw_noise_levels(evaluator, loader, levels, scale, folder / "noise.png")
    draw_cloud(evaluator, loader, folder / "latent.png")
    if "logvar" in evaluator.model.gives:
        draw_prior(evaluator, seed, folder / "prior.png")
        draw_posterior(evaluator, loader, seed, folder / "posterior.png")
    if size <= LARGEST_PRINTED:
        codes = evaluator.encode(loader).flatten(1)
        draw_random_codes(evaluator, codes, seed, folder / "random_codes.png")
        if size == 2:
            draw_code_grid(evaluator, codes, settings.grid or 15, folder / "latent_grid.png")


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
        names = list(scores["baselines"]["mean_image"][split])
        rows = rows or [("images of", "made by", *names)]
        rows += [
            (split, maker, *(f"{numbers[name]:.4f}" for name in names))
            for maker, numbers in makers.items()
        ]
    return columns(rows)


def _make_images(
    evaluator: Evaluator,
    loader: BaseDataLoader,
    config: Config,
    scale: torch.Tensor | None,
    checkpoint: str,
    folder: Path,
) -> None:
    """The generated arrays, what each image was made from, and a picture for each class."""
    settings = config.generation
    labels = evaluator.dataset.labels.indices
    sources = originals(loader, settings.split)
    missing = sorted(set(labels.tolist()) - set(labels[sources].tolist()))
    if missing:
        names = ", ".join(evaluator.dataset.labels.names[label] for label in missing)
        say(f"note: split '{settings.split}' has no image of {names}, so none is made")
    children = plan_children(sources, labels, settings, config.seed)
    facts = {"checkpoint": checkpoint, "split": settings.split, "relative": settings.relative}
    write_generated(evaluator, loader, children, scale, facts, folder)
    draw_generated(evaluator, loader, children, scale, folder / "generated.png")
    say(f"{children.count} generated images from {len(sources)} of split '{settings.split}'")


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(_without_nan(content), indent=1) + "\n", encoding="utf-8")


def _without_nan(content: Any) -> Any:
    """`content` with null for what is no number: JSON has no NaN."""
    if isinstance(content, dict):
        return {key: _without_nan(value) for key, value in content.items()}
    return None if isinstance(content, float) and not math.isfinite(content) else content
