"""Exact means: sums over images, kept on the device until somebody asks."""

from typing import Any

import torch


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

    def means(self) -> dict[str, float]:
        """The mean over all images added, by name."""
        totals = self.state()["totals"]
        return {name: total / self.count for name, total in totals.items()}

    def state(self) -> dict[str, Any]:
        """All of it as plain numbers: double precision loses nothing."""
        totals = list(self._totals.values())
        if totals and isinstance(totals[0], torch.Tensor):
            totals = torch.stack(totals).tolist()  # one transfer from the device
        return {"count": self.count, "totals": dict(zip(self._totals, totals, strict=True))}
