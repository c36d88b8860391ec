"""Exact means: sums over images, kept on the device until somebody asks."""

import torch


class Sums:
    """Adds up numbers of images by name; a mean is a sum divided by the number of images."""

    def __init__(self) -> None:
        self._totals: dict[str, torch.Tensor] = {}
        self.count = 0

    def add(self, numbers: dict[str, torch.Tensor]) -> None:
        """Add a batch: one number for each image, name -> [n]."""
        for name, values in numbers.items():
            # Double precision: a sum over a million images keeps all digits of each.
            total = values.detach().double().sum() if values.device.type != "mps" else values.sum()
            self._totals[name] = self._totals[name] + total if name in self._totals else total
        self.count += len(next(iter(numbers.values())))

    def means(self) -> dict[str, float]:
        """The mean over all images added, by name."""
        if not self._totals:
            return {}
        totals = torch.stack(list(self._totals.values())).tolist()
        return {name: total / self.count for name, total in zip(self._totals, totals, strict=True)}
