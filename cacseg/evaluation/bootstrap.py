"""Percentile bootstrap over cases, vectorised (Efron and Tibshirani 1993, chapter 13)."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cacseg.errors import UsageError

SAMPLES: Final = 2000
SEED: Final = 20240229

Statistic = Callable[[NDArray[np.float64]], NDArray[Any]]
"""Takes (b, n) weights, how often each case was drawn, and gives (b,) values."""


def resample(cases: int, samples: int = SAMPLES, seed: int = SEED) -> NDArray[np.float64]:
    """Draw cases with replacement: (samples, cases) float64 counts, each row summing to ``cases``.

    Examples
    --------
    >>> resample(5, samples=2, seed=1).sum(axis=1)
    array([5., 5.])
    """
    if cases < 1:
        raise UsageError(f"A bootstrap needs at least one case; got {cases}.")
    rng = np.random.default_rng(seed)
    return rng.multinomial(cases, np.full(cases, 1.0 / cases), size=samples).astype(np.float64)


def interval(statistic: Statistic, weights: NDArray[np.float64], level: float = 0.95) -> tuple[float, float] | None:
    """Give the percentile interval of a statistic; ``None`` where fewer than half the samples define it.

    Parameters
    ----------
    statistic : vectorised over samples.
    weights : from ``resample``; the same weights keep several statistics paired.

    Examples
    --------
    >>> values = np.arange(100.0)
    >>> low, high = interval(lambda w: w @ values / 100, resample(100))
    >>> low < 49.5 < high
    True
    """
    values = np.asarray(statistic(weights), np.float64)
    defined = values[np.isfinite(values)]
    if defined.size * 2 < values.size:
        return None
    tail = (1.0 - level) / 2
    low, high = np.quantile(defined, [tail, 1.0 - tail])
    return float(low), float(high)
