"""The number that decides which model is the best, and when a run ends early."""

import math
import operator


class Monitor:
    """The best value so far of the number that is watched, and how long ago it was.

    Args:
        rule: "min NAME", "max NAME" or "off".
    """

    def __init__(self, rule: str) -> None:
        mode, _, self.name = rule.partition(" ")
        self.is_off = mode == "off"
        self._is_better = operator.lt if mode == "min" else operator.gt
        self.best: float | None = None
        self.epochs_without = 0

    def update(self, numbers: dict[str, float]) -> bool:
        """Take in an epoch's numbers; True where the watched one improved.

        A tie does not improve, and what is not finite is never the best.
        """
        if self.is_off:
            return False
        value = numbers[self.name]
        if math.isfinite(value) and (self.best is None or self._is_better(value, self.best)):
            self.best, self.epochs_without = value, 0
            return True
        self.epochs_without += 1
        return False
