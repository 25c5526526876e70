"""Two evaluations of the same cases side by side: what a change was worth, with a paired interval.

For an ablation table: the same cases are drawn for both in every bootstrap sample, so that the difference
between cases cancels and only the difference between the two paths remains.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cacseg.errors import UnreadableError, UsageError
from cacseg.evaluation.bootstrap import SAMPLES, SEED, resample
from cacseg.evaluation.case import ANY_CORONARY, VESSEL_NAMES, CaseMeasures
from cacseg.evaluation.counts import f1_resampled
from cacseg.evaluation.estimate import known
from cacseg.evaluation.icc import icc_2_1_resampled
from cacseg.evaluation.kappa import kappa_resampled
from cacseg.evaluation.summary import CATEGORY_NAMES, category_ranks, count_table, pairs

Metric = Callable[[Sequence[CaseMeasures], NDArray[np.float64]], NDArray[Any]]
"""Takes n cases and (b, n) weights, gives (b,) values."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One metric in both evaluations; ``difference`` is second minus first; ``None`` where not defined.

    ``better`` tells whether a higher value is the better one; ``clear`` whether the interval excludes 0.
    """

    metric: str
    first: float | None
    second: float | None
    difference: float | None
    lower: float | None
    upper: float | None
    better: str

    def to_dict(self) -> dict[str, Any]:
        """Give the JSON form."""
        return {**asdict(self), "clear": self.clear}

    @property
    def clear(self) -> bool:
        """Say whether the interval of the difference lies on one side of 0."""
        return self.lower is not None and self.upper is not None and (self.lower > 0 or self.upper < 0)


def _icc(cases: Sequence[CaseMeasures], weights: NDArray[np.float64]) -> NDArray[Any]:
    return icc_2_1_resampled(pairs(cases, "total"), weights)


def _kappa(cases: Sequence[CaseMeasures], weights: NDArray[np.float64]) -> NDArray[Any]:
    truth, predicted = category_ranks(cases)
    return kappa_resampled(truth, predicted, len(CATEGORY_NAMES), weights)


def _f1(name: str) -> Metric:
    def metric(cases: Sequence[CaseMeasures], weights: NDArray[np.float64]) -> NDArray[Any]:
        return f1_resampled(count_table(cases, "volume", name), weights)

    return metric


def _mean(value: Callable[[CaseMeasures], float]) -> Metric:
    def metric(cases: Sequence[CaseMeasures], weights: NDArray[np.float64]) -> NDArray[Any]:
        return np.asarray(weights @ np.array([value(case) for case in cases]) / weights.sum(axis=1), np.float64)

    return metric


METRICS: Final[Mapping[str, tuple[Metric, str]]] = {
    "Agatston ICC(2,1)": (_icc, "higher"),
    "category kappa, linear": (_kappa, "higher"),
    **{f"volume F1 {name}": (_f1(name), "higher") for name in (*VESSEL_NAMES, ANY_CORONARY)},
    "mean absolute error": (_mean(lambda case: abs(case.predicted["total"] - case.truth["total"])), "lower"),
    "false score": (_mean(lambda case: case.false_agatston), "lower"),
    "missed score": (_mean(lambda case: case.missed_agatston), "lower"),
    "category right": (
        _mean(lambda case: float(np.diff(np.concatenate(category_ranks([case])))[0] == 0)),
        "higher",
    ),
}


def compare_evaluations(first: Path, second: Path, samples: int = SAMPLES, seed: int = SEED) -> tuple[Difference, ...]:
    """Compare two ``evaluation.json`` files on the cases that both scored.

    Parameters
    ----------
    first, second : the files; the difference is second minus first.

    Raises
    ------
    UnreadableError : a file is not an evaluation.
    UsageError : they have no scored case in common, or the same case has another truth in each.
    """
    before, after = read_cases(first), read_cases(second)
    shared = sorted(before.keys() & after.keys())
    if not shared:
        raise UsageError(f"{first} and {second} have no scored case in common; evaluate both on the same family.")
    for case in shared:
        if not np.isclose(before[case].truth["total"], after[case].truth["total"]):
            raise UsageError(
                f"Case {case} has a true score of {before[case].truth['total']} in {first} and "
                f"{after[case].truth['total']} in {second}; evaluate both on the same version of the phantom."
            )
    return compare_cases([before[case] for case in shared], [after[case] for case in shared], samples, seed)


def ablation_table(baseline: Path, variants: Mapping[str, Path], samples: int = SAMPLES) -> str:
    """Print what each variant is worth against a baseline: one row a variant, paired differences.

    Parameters
    ----------
    baseline : ``evaluation.json`` of the path that everything is compared with.
    variants : name of each change and its ``evaluation.json`` on the same cases.

    Raises
    ------
    UnreadableError, UsageError : as ``compare_evaluations``.
    """
    head = ["variant", *METRICS]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for name, path in variants.items():
        rows = compare_evaluations(baseline, path, samples)
        cells = [
            f"{_text(row.difference, signed=True)} ({_text(row.lower, signed=True)} to {_text(row.upper, signed=True)})"
            + (" *" if row.clear else "")
            for row in rows
        ]
        if len(lines) == 2:
            lines.append(f"| {' | '.join([str(baseline), *(_text(row.first) for row in rows)])} |")
        lines.append(f"| {' | '.join([name, *cells])} |")
    return "\n".join(lines) + "\n"


def compare_cases(
    first: Sequence[CaseMeasures], second: Sequence[CaseMeasures], samples: int = SAMPLES, seed: int = SEED
) -> tuple[Difference, ...]:
    """Compare measures of the same cases, in the same order."""
    weights = resample(len(first), samples, seed)
    whole = np.ones((1, len(first)))
    rows = []
    for name, (metric, better) in METRICS.items():
        value_first, value_second = float(metric(first, whole)[0]), float(metric(second, whole)[0])
        drawn = metric(second, weights) - metric(first, weights)
        drawn = drawn[np.isfinite(drawn)]
        enough = drawn.size * 2 >= samples
        low, high = np.quantile(drawn, [0.025, 0.975]) if enough else (np.nan, np.nan)
        rows.append(
            Difference(
                metric=name,
                first=known(value_first),
                second=known(value_second),
                difference=known(value_second - value_first),
                lower=known(float(low)),
                upper=known(float(high)),
                better=better,
            )
        )
    return tuple(rows)


def read_cases(path: Path) -> dict[str, CaseMeasures]:
    """Read the scored cases of an ``evaluation.json``.

    Raises
    ------
    UnreadableError : the file is missing or is not an evaluation.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        cases = [CaseMeasures.from_dict({**case, "lesions": ()}) for case in data["cases"]]
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise UnreadableError(
            f"{path} is not an evaluation.json ({fault}); run cacseg evaluate to make one."
        ) from fault
    return {case.id: case for case in cases if case.status == "scored"}


def markdown_table(rows: Sequence[Difference]) -> str:
    """Print differences as a table; a clear one is marked with *."""
    lines = ["| metric | first | second | difference | 95 % interval |", "|---|---|---|---|---|"]
    for row in rows:
        mark = " *" if row.clear else ""
        lines.append(
            f"| {row.metric} ({row.better} is better) | {_text(row.first)} | {_text(row.second)} | "
            f"{_text(row.difference, signed=True)}{mark} | {_text(row.lower, signed=True)} to "
            f"{_text(row.upper, signed=True)} |"
        )
    return "\n".join(lines) + "\n"


def _text(value: float | None, *, signed: bool = False) -> str:
    if value is None:
        return "-"
    return f"{value:+.4g}" if signed else f"{value:.4g}"
