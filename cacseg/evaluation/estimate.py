"""A number as it stands in a table: with its interval, and ``None`` where it is not defined."""

import math
from typing import Any

Estimate = dict[str, Any]


def known(value: float) -> float | None:
    """Give a finite number as it is, anything else as ``None`` (JSON has no NaN).

    Examples
    --------
    >>> known(0.5), known(float("nan"))
    (0.5, None)
    """
    return float(value) if math.isfinite(value) else None


def estimate(value: float, bounds: tuple[float, float] | None = None) -> Estimate:
    """Give a value with its interval.

    Examples
    --------
    >>> estimate(0.5, (0.4, 0.6))
    {'value': 0.5, 'lower': 0.4, 'upper': 0.6}
    """
    low, high = bounds if bounds is not None else (math.nan, math.nan)
    return {"value": known(value), "lower": known(low), "upper": known(high)}
