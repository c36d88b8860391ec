"""Which images are odd: p-values counted from the errors of images that were held out.

Of images like the held-out ones at most a share `alpha` is flagged, in expectation over both,
whatever the model and the images are: only that they could be exchanged for one another.

Source: Bates et al. 2023, "Testing for outliers with conformal p-values", equation 1.
"""

import math

import numpy as np

# By so small a share of itself the error of the same image differs by rounding, with the images
# that go through the model beside it.
ROUNDING = 1e-5


def images_needed(alpha: float) -> int:
    """How many images must be held out so that the smallest p-value is not above `alpha`."""
    fewest = math.ceil(1 / alpha) - 1
    if fewest > 1 and 1 / fewest <= alpha:  # rounding led one too far
        fewest -= 1
    return max(fewest, 1)


class Conformal:
    """P-values of errors, and which of them are flagged.

    Args:
        held_out: the errors of images held out from training, [n].
        alpha: the share of images like these that may be flagged, above 0 and below 1.
    """

    def __init__(self, held_out: np.ndarray, alpha: float) -> None:
        self.held_out, self.alpha = np.sort(held_out), alpha

    def p_values(self, errors: np.ndarray) -> np.ndarray:
        """(1 + held-out images with at least an image's error) / (1 + held-out images), [m].

        An error that is one of a held-out image but for rounding counts as the same.
        """
        count = len(self.held_out)
        least = errors * (1 - ROUNDING)
        at_least = count - np.searchsorted(self.held_out, least, side="left")
        return (1 + at_least) / (1 + count)

    def is_flagged(self, p_values: np.ndarray) -> np.ndarray:
        """Which images are flagged, bool [m]."""
        return p_values <= self.alpha

    @property
    def threshold(self) -> float | None:
        """The error above which an image is flagged; None where no error is large enough."""
        count = len(self.held_out)
        possible = (1 + np.arange(count + 1)) / (1 + count)
        flagged = int(self.is_flagged(possible).sum())
        return float(self.held_out[count - flagged]) if flagged else None

    @property
    def note(self) -> str:
        """What is to be said where too few images are held out; "" where there are enough."""
        count, needed = len(self.held_out), images_needed(self.alpha)
        if count >= needed:
            return ""
        return (
            f"nothing can be flagged at --alpha {self.alpha:g}: that takes {needed:,} "
            f"held-out images, and there are {count:,}, whose smallest p-value is "
            f"{1 / (1 + count):.3g}"
        )
