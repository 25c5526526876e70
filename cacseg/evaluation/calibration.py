"""Whether a confidence means what it says, and what a reader of doubtful lesions would save.

Reliability and expected calibration error: Guo et al. 2017 (arXiv:1706.04599), equal-width bins.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from cacseg.errors import UsageError
from cacseg.evaluation.case import CaseMeasures
from cacseg.evaluation.estimate import known
from cacseg.evaluation.icc import icc_2_1

BINS: Final = 10
READER_LEVELS: Final = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.01)
"""Lesions below each of these confidences go to a reader; 1.01 sends all."""


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Lesions of similar confidence: how sure the model was, how often it was right."""

    lower: float
    upper: float
    lesions: int
    mean_confidence: float
    accuracy: float


def reliability(confidence: ArrayLike, right: ArrayLike, bins: int = BINS) -> tuple[ReliabilityBin, ...]:
    """Sort lesions into bins of confidence; empty bins are left out.

    Parameters
    ----------
    confidence : (n,) in 0 ... 1.
    right : (n,) bool.

    Raises
    ------
    UsageError : a confidence outside 0 ... 1, or lists of different length.

    Examples
    --------
    >>> [(entry.lesions, entry.accuracy) for entry in reliability([0.92, 0.94, 0.15], [True, False, False])]
    [(1, 0.0), (2, 0.5)]
    """
    sure, correct = np.asarray(confidence, np.float64), np.asarray(right, np.bool_)
    if sure.shape != correct.shape or sure.ndim != 1:
        raise UsageError(f"Expected as many outcomes as confidences; got {sure.shape} and {correct.shape}.")
    if sure.size and not (sure.min() >= 0 and sure.max() <= 1 + 1e-6):
        raise UsageError(f"A confidence lies in 0 ... 1; got {sure.min()} ... {sure.max()}.")
    place = np.minimum((sure * bins).astype(np.int64), bins - 1)
    return tuple(
        ReliabilityBin(
            lower=number / bins,
            upper=(number + 1) / bins,
            lesions=int(np.count_nonzero(place == number)),
            mean_confidence=float(sure[place == number].mean()),
            accuracy=float(correct[place == number].mean()),
        )
        for number in np.unique(place).tolist()
    )


def expected_calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    """Give the mean distance between confidence and accuracy, weighted by lesions; NaN without lesions.

    Examples
    --------
    >>> expected_calibration_error(reliability([1.0, 1.0], [True, False]))
    0.5
    """
    total = sum(entry.lesions for entry in bins)
    if not total:
        return math.nan
    return sum(entry.lesions * abs(entry.mean_confidence - entry.accuracy) for entry in bins) / total


def score_after_reader(case: CaseMeasures, level: float) -> tuple[float, int]:
    """Give a case's score when a reader relabels every reported lesion below a confidence, and their number.

    The lesions' own voxels get their true labels; voxels that were not reported at all stay missed.
    """
    sent = [lesion for lesion in case.lesions if lesion.confidence is not None and lesion.confidence < level]
    change = sum(lesion.true_agatston - lesion.agatston for lesion in sent)
    return max(case.predicted["total"] + change, 0.0), len(sent)


def reader_curve(cases: Sequence[CaseMeasures]) -> list[dict[str, Any]]:
    """Give, for each level, how many lesions a reader sees and how well the score then agrees."""
    if len(cases) < 2:
        return []
    truth = np.array([case.truth["total"] for case in cases])
    lesions = sum(len(case.lesions) for case in cases)
    curve = []
    for level in READER_LEVELS:
        pairs = [score_after_reader(case, level) for case in cases]
        scores = np.array([pair[0] for pair in pairs])
        sent = sum(pair[1] for pair in pairs)
        curve.append(
            {
                "below": level,
                "lesions_sent": sent,
                "share_sent": sent / lesions if lesions else 0.0,
                "scans_touched": sum(pair[1] > 0 for pair in pairs) / len(cases),
                "mean_absolute_error": float(np.abs(scores - truth).mean()),
                "icc_2_1": known(icc_2_1(np.stack([truth, scores], axis=1)).value),
            }
        )
    return curve


def calibration(cases: Sequence[CaseMeasures]) -> dict[str, Any]:
    """Give reliability, calibration error and the reader's curve over all lesions with a confidence."""
    lesions = [
        (lesion.confidence, lesion.right) for case in cases for lesion in case.lesions if lesion.confidence is not None
    ]
    bins = reliability([sure for sure, _ in lesions], [right for _, right in lesions])
    return {
        "lesions": len(lesions),
        "expected_calibration_error": known(expected_calibration_error(bins)),
        "bins": [
            {
                "lower": entry.lower,
                "upper": entry.upper,
                "lesions": entry.lesions,
                "mean_confidence": entry.mean_confidence,
                "accuracy": entry.accuracy,
            }
            for entry in bins
        ],
        "reader": reader_curve(cases) if lesions else [],
    }
