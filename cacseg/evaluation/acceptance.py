"""What a release must reach on each test family, and whether it did."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal


@dataclass(frozen=True, slots=True)
class Criterion:
    """One requirement on an aggregate.

    Parameters
    ----------
    text : as printed.
    path : keys into the summary, e.g. ``("agatston", "icc_2_1", "value")``.
    limit : the value to reach.
    sense : ``"least"``: at least the limit; ``"below"``: less than it.
    """

    text: str
    path: tuple[str, ...]
    limit: float
    sense: Literal["least", "below"] = "least"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One requirement with what was found; ``passed`` is ``None`` where the cases cannot tell."""

    text: str
    limit: float
    sense: str
    value: float | None
    passed: bool | None


SCORED: Final = Criterion("scans scored, neither refused nor failed", ("scored_share",), 0.99)
"""Nothing may be gained by refusing the difficult scans; in the shifted family some hearts are cut off."""

_ICC: Final = ("agatston", "icc_2_1", "value")
_KAPPA: Final = ("categories", "kappa_linear", "value")


def _volume_f1(vessel: str, limit: float) -> Criterion:
    return Criterion(f"volume F1 {vessel}", ("vessels", vessel, "volume", "f1", "value"), limit)


CRITERIA: Final[Mapping[str, tuple[Criterion, ...]]] = {
    "gated": (
        Criterion("Agatston ICC(2,1)", _ICC, 0.99),
        Criterion("category kappa, linear weights", _KAPPA, 0.95),
        _volume_f1("LM", 0.85),
        _volume_f1("LAD", 0.95),
        _volume_f1("LCX", 0.92),
        _volume_f1("RCA", 0.97),
        Criterion("scores of 1-10 found", ("low_scores", "share"), 0.95),
        SCORED,
    ),
    "shifted": (
        Criterion("Agatston ICC(2,1)", _ICC, 0.97),
        Criterion("category kappa, linear weights", _KAPPA, 0.90),
        Criterion("scores of 1-10 found", ("low_scores", "share"), 0.95),
    ),
    "chest": (
        Criterion("Agatston ICC(2,1)", _ICC, 0.97),
        Criterion("category kappa, linear weights", _KAPPA, 0.90),
        Criterion("scores of 1-10 found", ("low_scores", "share"), 0.95),
        SCORED,
    ),
    "zeros": (
        Criterion("true zeros scored exactly 0", ("zeros", "share"), 0.97),
        Criterion("mean false score", ("zeros", "mean_false_score"), 1.0, "below"),
        SCORED,
    ),
}
"""By family; other sets of cases are reported without a verdict."""


def judge(summary: Mapping[str, Any], criteria: Sequence[Criterion]) -> tuple[Verdict, ...]:
    """Hold a summary against requirements.

    Examples
    --------
    >>> verdict, = judge({"zeros": {"share": 0.98}}, CRITERIA["zeros"][:1])
    >>> verdict.passed
    True
    """
    verdicts = []
    for criterion in criteria:
        value: Any = summary
        for key in criterion.path:
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is None:
            passed = None
        elif criterion.sense == "least":
            passed = value >= criterion.limit
        else:
            passed = value < criterion.limit
        verdicts.append(Verdict(criterion.text, criterion.limit, criterion.sense, value, passed))
    return tuple(verdicts)
