"""Exact means: sums over images, kept on the device until somebody asks."""

from typing import Any

import torch

from utils.ranks import ALONE, Ranks


class Sums:
    """Adds up numbers of images by name; a mean is a sum divided by the number of images.

    Args:
        state: what `state()` of other sums gave, to go on from.
    """

    def __init__(self, state: dict[str, Any] | None = None) -> None:
        state = state or {"count": 0, "totals": {}}
        self.count: int = state["count"]
        self._totals: dict[str, torch.Tensor | float] = dict(state["totals"])

    def add(self, numbers: dict[str, torch.Tensor]) -> None:
        """Add a batch: one number for each image, name -> [n]."""
        for name, values in numbers.items():
            # Double precision: a sum over a million images keeps all digits of each.
            total = values.detach().double().sum() if values.device.type != "mps" else values.sum()
            self._totals[name] = self._totals[name] + total if name in self._totals else total
        self.count += len(next(iter(numbers.values())))

    def means(self, ranks: Ranks = ALONE) -> dict[str, float]:
        """The mean over all images that the ranks have added, by name."""
        state = self.state(ranks)
        return {name: total / state["count"] for name, total in state["totals"].items()}

    def state(self, ranks: Ranks = ALONE) -> dict[str, Any]:
        """The sums over all ranks as plain numbers: double precision loses nothing."""
        values = self._totals.values()
        tensors = [total for total in values if isinstance(total, torch.Tensor)]
        # One transfer from the device; what a checkpoint gave, and was not added to, is floats.
        plain = torch.stack(tensors).tolist() if tensors else list(values)
        own = torch.tensor([self.count, *plain], dtype=torch.float64)
        count, *totals = ranks.gather(own).sum(0).tolist()
        return {"count": int(count), "totals": dict(zip(self._totals, totals, strict=True))}
