"""Serial change: whether two scores of one patient differ by more than two scans of the same day would."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cacseg.errors import UsageError
from cacseg.vessels import CORONARY

DEFAULT_BMI: Final = 28.0
"""Body-mass index (kg/m2) assumed where it is not known: about the mean of the MESA cohort (28.3, SD 5.5)."""

_SCORES: Final = ("total", *(vessel.name for vessel in CORONARY))


def repeatability_limit(agatston: float, bmi: float = DEFAULT_BMI) -> float:
    """Give the 95 % repeatability limit of an Agatston score between two scans.

    Chung et al., AJR 2008 (PMID 18212206): ``0.17 A + 4.89 sqrt(A) + 0.44 BMI - 10.84``, A the mean of the
    two scores. The formula was fitted to whole-heart scores above 0; it never goes below 0 here.

    Parameters
    ----------
    agatston : mean of the two scores, >= 0.
    bmi : body-mass index in kg/m2.

    Raises
    ------
    UsageError : a negative score, or a BMI outside 10 to 80 kg/m2.

    Examples
    --------
    >>> round(repeatability_limit(100.0, 25.0), 2)
    66.06
    """
    if not agatston >= 0:
        raise UsageError(f"An Agatston score is a number >= 0; got {agatston!r}.")
    if not 10 <= bmi <= 80:
        raise UsageError(f"The body-mass index is {bmi!r} kg/m2; expected 10 to 80. Leave it out if unknown.")
    return max(0.17 * agatston + 4.89 * math.sqrt(agatston) + 0.44 * bmi - 10.84, 0.0)


def volume_repeatability_limit_mm3(volume_mm3: float, bmi: float = DEFAULT_BMI) -> float:
    """Give the 95 % repeatability limit of a volume score: ``0.16 V + 4.30 sqrt(V) + 0.23 BMI - 5.00`` (Chung 2008).

    Examples
    --------
    >>> round(volume_repeatability_limit_mm3(100.0, 25.0), 2)
    59.75
    """
    if not volume_mm3 >= 0:
        raise UsageError(f"A volume score is a number >= 0; got {volume_mm3!r}.")
    if not 10 <= bmi <= 80:
        raise UsageError(f"The body-mass index is {bmi!r} kg/m2; expected 10 to 80. Leave it out if unknown.")
    return max(0.16 * volume_mm3 + 4.30 * math.sqrt(volume_mm3) + 0.23 * bmi - 5.00, 0.0)


@dataclass(frozen=True, slots=True)
class Change:
    """Change of one score from the first to the second result.

    Parameters
    ----------
    name : ``"total"`` or an artery.
    first, second : Agatston scores.
    limit : 95 % repeatability limit at their mean.
    real : whether the change exceeds the limit, so that repeating the scan alone does not explain it.
    """

    name: str
    first: float
    second: float
    limit: float
    real: bool

    @property
    def difference(self) -> float:
        """Second minus first."""
        return self.second - self.first

    @property
    def percent(self) -> float | None:
        """Relative change in percent of the first; ``None`` where the first is 0."""
        return 100 * self.difference / self.first if self.first > 0 else None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Serial change of two results.

    Parameters
    ----------
    total : change of the coronary total.
    vessels : change per artery, in their order. The limit was published for totals; its square-root term
        makes it wider, not narrower, for parts.
    bmi : body-mass index used; ``bmi_assumed``: not given.
    verdict : one sentence.
    caveats : what makes the two results hard to compare (other rule, voltage, increment).
    """

    total: Change
    vessels: tuple[Change, ...]
    bmi: float
    bmi_assumed: bool
    verdict: str
    caveats: tuple[str, ...]


def compare(first: Mapping[str, Any], second: Mapping[str, Any], *, bmi: float | None = None) -> Comparison:
    """Compare two results of one patient, the earlier first.

    Parameters
    ----------
    first, second : the form of ``result.json``, both with status ``"scored"``.
    bmi : body-mass index in kg/m2; :data:`DEFAULT_BMI` where not known.

    Raises
    ------
    UsageError : one of them holds no score.

    Examples
    --------
    >>> def result(lad):
    ...     zero = {"agatston": 0.0}
    ...     vessels = {"LM": zero, "LAD": {"agatston": lad}, "LCX": zero, "RCA": zero}
    ...     return {"scores": {"total": {"agatston": lad}, "vessels": vessels}, "rule": {"name": "literature"}}
    >>> comparison = compare(result(100.0), result(250.0), bmi=25.0)
    >>> comparison.total.real, round(comparison.total.limit, 1)
    (True, 94.6)
    """
    body = DEFAULT_BMI if bmi is None else bmi
    changes = [_change(name, _agatston(first, name), _agatston(second, name), body) for name in _SCORES]
    total = changes[0]
    return Comparison(total, tuple(changes[1:]), body, bmi is None, _verdict(total), _caveats(first, second))


def _agatston(result: Mapping[str, Any], name: str) -> float:
    scores = result.get("scores")
    if scores is None:
        raise UsageError("One of the two results holds no score (refused or not a result.json); nothing to compare.")
    part = scores["total"] if name == "total" else scores["vessels"][name]
    return float(part["agatston"])


def _change(name: str, first: float, second: float, bmi: float) -> Change:
    limit = repeatability_limit((first + second) / 2, bmi)
    return Change(name, first, second, limit, abs(second - first) > limit)


def _verdict(total: Change) -> str:
    moved = f"{total.first:.1f} to {total.second:.1f} ({total.difference:+.1f})"
    if total.real:
        return f"The score changed from {moved}: more than the 95 % repeatability limit of {total.limit:.1f}; real."
    return (
        f"The score went from {moved}: within the 95 % repeatability limit of {total.limit:.1f}; "
        "repeating the scan could explain it."
    )


def _caveats(first: Mapping[str, Any], second: Mapping[str, Any]) -> tuple[str, ...]:
    found = []
    one, other = first.get("rule") or {}, second.get("rule") or {}
    for key in sorted((set(one) | set(other)) - {"source"}):
        if one.get(key) != other.get(key):
            found.append(f"The rules differ: {key} is {one.get(key)} in the first, {other.get(key)} in the second.")
    one, other = first.get("series") or {}, second.get("series") or {}
    for key in ("kvp", "kernel", "slice_thickness_mm", "gated", "contrast"):
        if one.get(key) != other.get(key):
            found.append(f"The series differ: {key} is {one.get(key)} in the first, {other.get(key)} in the second.")
    if (one.get("spacing_mm") or [None])[0] != (other.get("spacing_mm") or [None])[0]:
        found.append("The slice increments differ.")
    return tuple(found)
