"""Weighted kappa of ordered categories (Cohen 1968, doi:10.1037/h0026256) and the confusion table."""

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cacseg.errors import UsageError

Weighting = Literal["linear", "quadratic"]


def confusion_table(truth: ArrayLike, predicted: ArrayLike, categories: int) -> NDArray[np.int64]:
    """Count how often each category was called which: rows truth, columns prediction.

    Parameters
    ----------
    truth, predicted : (n,) integer ranks 0 ... ``categories`` - 1.

    Raises
    ------
    UsageError : lengths differ or a rank is out of range.

    Examples
    --------
    >>> confusion_table([0, 1, 1], [0, 1, 0], 2)
    array([[1, 0],
           [1, 1]])
    """
    rows, columns = np.asarray(truth, np.int64), np.asarray(predicted, np.int64)
    if rows.shape != columns.shape or rows.ndim != 1:
        raise UsageError(f"Expected two equally long lists of categories; got {rows.shape} and {columns.shape}.")
    both = np.concatenate([rows, columns])
    if both.size and (both.min() < 0 or both.max() >= categories):
        raise UsageError(f"Category ranks lie in 0 ... {categories - 1}; got {both.min()} ... {both.max()}.")
    table = np.zeros((categories, categories), np.int64)
    np.add.at(table, (rows, columns), 1)
    return table


def disagreement_weights(categories: int, weighting: Weighting) -> NDArray[np.float64]:
    """Give the (k, k) weights of disagreement: distance between ranks, or its square."""
    ranks = np.arange(categories, dtype=np.float64)
    distance = np.abs(ranks[:, None] - ranks[None, :])
    return np.asarray(distance if weighting == "linear" else distance**2, np.float64)


def weighted_kappa(table: ArrayLike, weighting: Weighting = "linear") -> float:
    """Give weighted kappa of a confusion table; NaN where chance alone would agree fully.

    Parameters
    ----------
    table : (k, k) counts, rows truth, columns prediction.

    Examples
    --------
    >>> weighted_kappa([[10, 0, 0], [0, 10, 0], [0, 0, 10]])
    1.0
    >>> round(weighted_kappa([[8, 2, 0], [1, 7, 2], [0, 1, 9]]), 3)
    0.775
    """
    observed = np.asarray(table, np.float64)
    weights = disagreement_weights(observed.shape[0], weighting)
    total = observed.sum()
    if total == 0:
        return math.nan
    expected = np.outer(observed.sum(axis=1), observed.sum(axis=0)) / total
    by_chance = float((weights * expected).sum())
    return math.nan if by_chance == 0 else 1.0 - float((weights * observed).sum()) / by_chance


def kappa_resampled(
    truth: NDArray[np.int64],
    predicted: NDArray[np.int64],
    categories: int,
    weights: NDArray[np.float64],
    weighting: Weighting = "linear",
) -> NDArray[Any]:
    """Give weighted kappa for every bootstrap sample.

    Parameters
    ----------
    truth, predicted : (n,) int64 ranks.
    weights : (b, n) float64: how often each case was drawn in each sample.

    Returns
    -------
    (b,) float64; NaN where a sample leaves kappa undefined.
    """
    cost = disagreement_weights(categories, weighting)
    observed = weights @ cost[truth, predicted]
    rows = weights @ np.eye(categories)[truth]
    columns = weights @ np.eye(categories)[predicted]
    by_chance = np.einsum("bi,ij,bj->b", rows, cost, columns) / weights.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(by_chance > 0, 1.0 - observed / by_chance, np.nan)
