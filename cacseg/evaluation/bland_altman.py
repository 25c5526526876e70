"""Differences between two measurements of the same thing (Bland and Altman 1986, doi:10.1016/S0140-6736(86)90837-8)."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from cacseg.errors import UsageError

NORMAL_97_5: Final = 1.959963984540054
"""97.5 % quantile of the standard normal distribution: half-width of 95 % limits in SD."""


@dataclass(frozen=True, slots=True)
class BlandAltman:
    """Bias (second minus first), SD of the differences, 95 % limits of agreement, and standard errors.

    ``bias_se`` and ``limit_se`` are the approximate standard errors of the bias (SD / sqrt n) and of each
    limit (SD * sqrt(3 / n)) of the 1986 paper. All in the unit of the measurements.
    """

    bias: float
    sd: float
    lower: float
    upper: float
    bias_se: float
    limit_se: float


def bland_altman(first: ArrayLike, second: ArrayLike) -> BlandAltman:
    """Compare two (n,) lists of measurements, n >= 2.

    Raises
    ------
    UsageError : the lists differ in length or hold fewer than two pairs.

    Examples
    --------
    >>> agreement = bland_altman([10, 20, 30], [11, 20, 32])
    >>> agreement.bias, agreement.sd
    (1.0, 1.0)
    """
    before, after = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if before.shape != after.shape or before.size < 2:
        raise UsageError(f"Expected >= 2 pairs of measurements; got {before.shape} and {after.shape}.")
    difference = after - before
    bias, sd = float(difference.mean()), float(difference.std(ddof=1))
    root_n = math.sqrt(before.size)
    return BlandAltman(
        bias=bias,
        sd=sd,
        lower=bias - NORMAL_97_5 * sd,
        upper=bias + NORMAL_97_5 * sd,
        bias_se=sd / root_n,
        limit_se=sd * math.sqrt(3) / root_n,
    )
