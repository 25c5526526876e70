"""Intraclass correlation of single ratings, with intervals.

Two-way models of Shrout and Fleiss 1979 (doi:10.1037/0033-2909.86.2.420), intervals of McGraw and Wong 1996
(doi:10.1037/1082-989X.1.1.30), Table 7.
"""

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cacseg.errors import UsageError

ROUNDING: Final = 1e-14
"""Error variance below this share of the variance between subjects is rounding: agreement is perfect."""


@dataclass(frozen=True, slots=True)
class Icc:
    """A coefficient and its interval; NaN where the ratings do not vary at all."""

    value: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class MeanSquares:
    """Mean squares of a two-way table of n subjects and k raters: between rows, between columns, error."""

    rows: float
    columns: float
    error: float
    subjects: int
    raters: int


def mean_squares(ratings: ArrayLike) -> MeanSquares:
    """Take a table of ratings apart.

    Parameters
    ----------
    ratings : (n, k): n >= 2 subjects in rows, k >= 2 raters in columns.

    Raises
    ------
    UsageError : fewer than two subjects or raters, or a rating that is not finite.
    """
    table = np.asarray(ratings, np.float64)
    if table.ndim != 2 or min(table.shape) < 2 or not np.isfinite(table).all():
        raise UsageError(f"An ICC needs finite ratings of >= 2 subjects by >= 2 raters; got shape {table.shape}.")
    subjects, raters = table.shape
    grand = table.mean()
    row_means, column_means = table.mean(axis=1), table.mean(axis=0)
    error = table - row_means[:, None] - column_means[None, :] + grand
    return MeanSquares(
        rows=float(raters * ((row_means - grand) ** 2).sum() / (subjects - 1)),
        columns=float(subjects * ((column_means - grand) ** 2).sum() / (raters - 1)),
        error=float((error**2).sum() / ((subjects - 1) * (raters - 1))),
        subjects=subjects,
        raters=raters,
    )


def icc_2_1(ratings: ArrayLike, level: float = 0.95) -> Icc:
    """Absolute agreement of single ratings, raters random: ICC(2,1), McGraw and Wong's ICC(A,1).

    Parameters
    ----------
    ratings : (n, k) ratings, subjects in rows.
    level : confidence level of the interval.

    Examples
    --------
    >>> agreement = icc_2_1([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]])
    >>> round(agreement.value, 2), round(agreement.lower, 3), round(agreement.upper, 2)
    (0.29, 0.019, 0.76)
    """
    from scipy.stats import f as f_distribution

    squares = mean_squares(ratings)
    n, k, error = squares.subjects, squares.raters, squares.error
    whole = squares.rows + (k - 1) * error + k * (squares.columns - error) / n
    if squares.rows == 0 or whole == 0:
        return Icc(math.nan, math.nan, math.nan)
    value = (squares.rows - error) / whole
    if error + squares.columns <= ROUNDING * squares.rows:
        return Icc(1.0, 1.0, 1.0)
    # Satterthwaite's degrees of freedom of the columns-and-error term, with rho at its estimate.
    a = k * value / (n * (1 - value))
    b = 1 + k * value * (n - 1) / (n * (1 - value))
    mixed = a * squares.columns + b * error
    freedom = mixed**2 / ((a * squares.columns) ** 2 / (k - 1) + (b * error) ** 2 / ((n - 1) * (k - 1)))
    tail = 1 - (1 - level) / 2
    down = float(f_distribution.ppf(tail, n - 1, freedom))
    up = float(f_distribution.ppf(tail, freedom, n - 1))
    rest = k * squares.columns + (k * n - k - n) * error
    lower = n * (squares.rows - down * error) / (down * rest + n * squares.rows)
    upper = n * (up * squares.rows - error) / (rest + n * up * squares.rows)
    return Icc(value, lower, upper)


def icc_3_1(ratings: ArrayLike, level: float = 0.95) -> Icc:
    """Consistency of single ratings, raters fixed: ICC(3,1), McGraw and Wong's ICC(C,1).

    Parameters
    ----------
    ratings : (n, k) ratings, subjects in rows.
    level : confidence level of the interval.

    Examples
    --------
    >>> agreement = icc_3_1([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]])
    >>> round(agreement.value, 2), round(agreement.lower, 3), round(agreement.upper, 2)
    (0.71, 0.342, 0.95)
    """
    from scipy.stats import f as f_distribution

    squares = mean_squares(ratings)
    n, k = squares.subjects, squares.raters
    if squares.rows == 0:
        return Icc(math.nan, math.nan, math.nan)
    if squares.error <= ROUNDING * squares.rows:
        return Icc(1.0, 1.0, 1.0)
    value = (squares.rows - squares.error) / (squares.rows + (k - 1) * squares.error)
    observed = squares.rows / squares.error
    tail = 1 - (1 - level) / 2
    error_freedom = (n - 1) * (k - 1)
    low = observed / float(f_distribution.ppf(tail, n - 1, error_freedom))
    high = observed * float(f_distribution.ppf(tail, error_freedom, n - 1))
    return Icc(value, (low - 1) / (low + k - 1), (high - 1) / (high + k - 1))


def icc_2_1_resampled(pairs: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[Any]:
    """Give ICC(2,1) of two raters for every bootstrap sample.

    Parameters
    ----------
    pairs : (n, 2) float64 ratings.
    weights : (b, n) float64: how often each subject was drawn; each row sums to n.

    Returns
    -------
    (b,) float64; NaN where a sample does not vary.
    """
    centred = pairs - pairs.mean(axis=0).mean()
    n = pairs.shape[0]
    means = centred.mean(axis=1)
    half_difference = (centred[:, 0] - centred[:, 1]) / 2
    grand = weights @ means / n
    between = 2 * (weights @ means**2 - n * grand**2) / (n - 1)
    shift = weights @ half_difference / n
    columns = 2 * n * shift**2
    error = 2 * (weights @ half_difference**2 - n * shift**2) / (n - 1)
    varies = between > ROUNDING * np.square(centred).max(initial=0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = (between - error) / (between + error + 2 * (columns - error) / n)
    return np.where(varies, value, np.nan)
