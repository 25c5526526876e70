"""Cases in, the numbers of a paper's table out: JSON-ready, every estimate with its interval."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cacseg.evaluation.bland_altman import bland_altman
from cacseg.evaluation.bootstrap import SAMPLES, SEED, interval, resample
from cacseg.evaluation.calibration import calibration
from cacseg.evaluation.case import ANY_CORONARY, GROUP_NAMES, UNITS, VESSEL_NAMES, CaseMeasures, Unit
from cacseg.evaluation.counts import Counts, f1_resampled, ratio
from cacseg.evaluation.estimate import Estimate, estimate, known
from cacseg.evaluation.icc import Icc, icc_2_1, icc_2_1_resampled, icc_3_1
from cacseg.evaluation.kappa import Weighting, confusion_table, kappa_resampled, weighted_kappa
from cacseg.evaluation.strata import stratify
from cacseg.scoring import category_of
from cacseg.scoring.category import AGATSTON_CATEGORIES

CATEGORY_NAMES: Final = tuple(category.name for category in AGATSTON_CATEGORIES)
LOW_SCORE: Final = 10.0
"""Upper limit of the scores that are easily missed: 0 < A <= 10."""


def summarise(cases: Sequence[CaseMeasures], samples: int = SAMPLES, seed: int = SEED) -> dict[str, Any]:
    """Give every aggregate of a set of cases.

    Parameters
    ----------
    cases : all of them; refused and failed ones are counted and left out of the agreement.
    samples, seed : of the bootstrap.
    """
    scored = [case for case in cases if case.status == "scored"]
    summary: dict[str, Any] = {
        "cases": len(cases),
        "scored": len(scored),
        "scored_share": known(ratio(len(scored), len(cases))),
        "refused": sum(case.status == "refused" for case in cases),
        "failed": sum(case.status == "failed" for case in cases),
    }
    if not scored:
        return summary
    weights = resample(len(scored), samples, seed)
    return {
        **summary,
        "agatston": _agreement(scored, "total", weights),
        "categories": _categories(scored, weights),
        "vessels": {name: _group(scored, name, weights) for name in VESSEL_NAMES},
        ANY_CORONARY: _overlaps(scored, ANY_CORONARY, weights),
        "false_score": _distribution([case.false_agatston for case in scored], weights),
        "missed_score": _distribution([case.missed_agatston for case in scored], weights),
        "zeros": _zeros(scored),
        "low_scores": _low_scores(scored),
        "calibration": calibration(scored),
        "seconds": _distribution([case.seconds for case in scored], weights),
    }


def by_stratum(cases: Sequence[CaseMeasures], samples: int = 400, seed: int = SEED) -> dict[str, Any]:
    """Give a short summary for every band of every fact."""
    return {
        fact: {name: _short(members, samples, seed) for name, members in bands.items()}
        for fact, bands in stratify(cases).items()
    }


def pairs(cases: Sequence[CaseMeasures], name: str) -> NDArray[np.float64]:
    """Give (n, 2) float64 Agatston of truth and prediction for an artery or ``"total"``."""
    return np.array([[case.truth[name], case.predicted[name]] for case in cases], np.float64)


def category_ranks(cases: Sequence[CaseMeasures]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give the ranks of the Agatston categories of truth and prediction."""
    ranks = [
        [CATEGORY_NAMES.index(category_of(side["total"]).name) for side in (case.truth, case.predicted)]
        for case in cases
    ]
    table = np.array(ranks, np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def count_table(cases: Sequence[CaseMeasures], unit: Unit, name: str) -> NDArray[np.float64]:
    """Give (n, 3) float64: right, false and missed of each case."""
    entries = [case.counts[unit][name] for case in cases]
    return np.array([[entry.right, entry.false, entry.missed] for entry in entries], np.float64).reshape(-1, 3)


def agree(found: ArrayLike, truth: ArrayLike) -> NDArray[np.bool_]:
    """Tell which scores are within 10 units or 10 % of the true ones, elementwise."""
    truth = np.asarray(truth, np.float64)
    return np.abs(found - truth) <= np.maximum(10.0, 0.1 * truth)


def _agreement(cases: Sequence[CaseMeasures], name: str, weights: NDArray[np.float64]) -> dict[str, Any]:
    table = pairs(cases, name)
    difference = table[:, 1] - table[:, 0]
    result: dict[str, Any] = {
        "mean_truth": float(table[:, 0].mean()),
        "mean_predicted": float(table[:, 1].mean()),
        "mean_absolute_error": estimate(
            float(np.abs(difference).mean()),
            interval(lambda drawn: drawn @ np.abs(difference) / len(cases), weights),
        ),
        "median_absolute_error": float(np.median(np.abs(difference))),
        "within_10_units_or_10_percent": float(agree(table[:, 1], table[:, 0]).mean()),
    }
    if len(cases) < 2:
        return result
    return {
        **result,
        "icc_2_1": {
            **_icc(icc_2_1(table)),
            "bootstrap": interval(lambda drawn: icc_2_1_resampled(table, drawn), weights),
        },
        "icc_3_1": _icc(icc_3_1(table)),
        "icc_2_1_log": _icc(icc_2_1(np.log1p(table))),
        "bland_altman": asdict(bland_altman(table[:, 0], table[:, 1])),
    }


def _categories(cases: Sequence[CaseMeasures], weights: NDArray[np.float64]) -> dict[str, Any]:
    truth, predicted = category_ranks(cases)
    table = confusion_table(truth, predicted, len(CATEGORY_NAMES))

    def kappa(weighting: Weighting) -> Estimate:
        def statistic(drawn: NDArray[np.float64]) -> NDArray[Any]:
            return kappa_resampled(truth, predicted, len(CATEGORY_NAMES), drawn, weighting)

        return estimate(weighted_kappa(table, weighting), interval(statistic, weights))

    same = (truth == predicted).astype(np.float64)
    return {
        "names": list(CATEGORY_NAMES),
        "table": table.tolist(),
        "accuracy": estimate(float(same.mean()), interval(lambda drawn: drawn @ same / len(cases), weights)),
        "kappa_linear": kappa("linear"),
        "kappa_quadratic": kappa("quadratic"),
    }


def _group(cases: Sequence[CaseMeasures], name: str, weights: NDArray[np.float64]) -> dict[str, Any]:
    return {"agatston": _agreement(cases, name, weights), **_overlaps(cases, name, weights)}


def _overlaps(cases: Sequence[CaseMeasures], name: str, weights: NDArray[np.float64]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for unit in UNITS:
        table = count_table(cases, unit, name)
        right, false, missed = table.sum(axis=0).tolist()
        pooled = Counts(right, false, missed)
        result[unit] = {
            "right": right,
            "false": false,
            "missed": missed,
            "sensitivity": known(pooled.sensitivity),
            "precision": known(pooled.precision),
            "f1": estimate(pooled.f1, interval(lambda drawn, table=table: f1_resampled(table, drawn), weights)),  # type: ignore[misc]
        }
    return result


def _zeros(cases: Sequence[CaseMeasures]) -> dict[str, Any]:
    zeros = [case for case in cases if case.truth["total"] == 0]
    if not zeros:
        return {"cases": 0, "scored_zero": 0, "share": None, "mean_false_score": None}
    exact = sum(case.predicted["total"] == 0 for case in zeros)
    return {
        "cases": len(zeros),
        "scored_zero": exact,
        "share": exact / len(zeros),
        "mean_false_score": float(np.mean([case.predicted["total"] for case in zeros])),
    }


def _low_scores(cases: Sequence[CaseMeasures]) -> dict[str, Any]:
    """Scores of 1 to 10: found where true coronary voxels were called coronary and the score is not 0."""
    low = [case for case in cases if 0 < case.truth["total"] <= LOW_SCORE]
    found = sum(case.predicted["total"] > 0 and case.counts["volume"][ANY_CORONARY].right > 0 for case in low)
    return {"cases": len(low), "found": found, "share": found / len(low) if low else None}


def _short(cases: Sequence[CaseMeasures], samples: int, seed: int) -> dict[str, Any]:
    scored = [case for case in cases if case.status == "scored"]
    short: dict[str, Any] = {"cases": len(cases), "scored": len(scored)}
    if not scored:
        return short
    weights = resample(len(scored), samples, seed)
    truth, predicted = category_ranks(scored)
    table = confusion_table(truth, predicted, len(CATEGORY_NAMES))
    volume = count_table(scored, "volume", ANY_CORONARY)
    icc = icc_2_1(pairs(scored, "total")) if len(scored) > 1 else Icc(math.nan, math.nan, math.nan)
    difference = np.diff(pairs(scored, "total"), axis=1)[:, 0]
    pooled = Counts(*volume.sum(axis=0).tolist())
    return {
        **short,
        "icc_2_1": _icc(icc),
        "kappa_linear": known(weighted_kappa(table)),
        "category_accuracy": float((truth == predicted).mean()),
        "bias": float(difference.mean()),
        "mean_absolute_error": float(np.abs(difference).mean()),
        "false_score": float(np.mean([case.false_agatston for case in scored])),
        "volume_f1": estimate(pooled.f1, interval(lambda drawn: f1_resampled(volume, drawn), weights)),
        "vessel_volume_f1": {
            name: known(Counts(*count_table(scored, "volume", name).sum(axis=0).tolist()).f1) for name in GROUP_NAMES
        },
    }


def _distribution(values: Sequence[float], weights: NDArray[np.float64]) -> dict[str, Any]:
    array = np.array(values, np.float64)
    mean = interval(lambda drawn: drawn @ array / array.size, weights)
    return {
        "mean": estimate(float(array.mean()), mean),
        "median": float(np.median(array)),
        "percentile_95": float(np.quantile(array, 0.95)),
        "highest": float(array.max()),
        "scans_above_zero": int(np.count_nonzero(array > 0)),
    }


def _icc(icc: Icc) -> Estimate:
    return estimate(icc.value, (icc.lower, icc.upper))
