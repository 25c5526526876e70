"""Right, false and missed: what sensitivity, precision and F1 are made of."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Counts:
    """Amounts found rightly, found falsely and missed; in voxels, mm3 or lesions."""

    right: float
    false: float
    missed: float

    def __add__(self, other: "Counts") -> "Counts":
        """Pool two sets of counts."""
        return Counts(self.right + other.right, self.false + other.false, self.missed + other.missed)

    @property
    def sensitivity(self) -> float:
        """Part of the truth that was found; NaN where there was nothing to find.

        Examples
        --------
        >>> Counts(right=8, false=2, missed=0).sensitivity
        1.0
        """
        return ratio(self.right, self.right + self.missed)

    @property
    def precision(self) -> float:
        """Part of what was found that is true; NaN where nothing was found.

        Examples
        --------
        >>> Counts(right=8, false=2, missed=0).precision
        0.8
        """
        return ratio(self.right, self.right + self.false)

    @property
    def f1(self) -> float:
        """Harmonic mean of sensitivity and precision (the Dice coefficient); NaN where both maps are empty.

        Examples
        --------
        >>> Counts(right=1, false=1, missed=1).f1
        0.5
        """
        return ratio(2 * self.right, 2 * self.right + self.false + self.missed)


def ratio(part: float, whole: float) -> float:
    """Divide, giving NaN for nothing in nothing."""
    return part / whole if whole else math.nan


def overlap(truth: NDArray[Any], predicted: NDArray[Any], unit: float = 1.0) -> Counts:
    """Count voxels of two bool masks of the same shape, each worth ``unit``.

    Examples
    --------
    >>> overlap(np.array([1, 1, 0], bool), np.array([0, 1, 1], bool), unit=0.5)
    Counts(right=0.5, false=0.5, missed=0.5)
    """
    right = int(np.count_nonzero(truth & predicted))
    return Counts(
        right=right * unit,
        false=(int(np.count_nonzero(predicted)) - right) * unit,
        missed=(int(np.count_nonzero(truth)) - right) * unit,
    )


def f1_resampled(counts: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give F1 of the pooled counts for every bootstrap sample.

    Parameters
    ----------
    counts : (n, 3) float64: right, false, missed of each case.
    weights : (b, n) float64: how often each case was drawn in each sample.

    Returns
    -------
    (b,) float64; NaN where a sample holds nothing to find and nothing found.
    """
    right, false, missed = (weights @ counts).T
    with np.errstate(invalid="ignore"):
        return np.asarray(2 * right / (2 * right + false + missed), np.float64)
