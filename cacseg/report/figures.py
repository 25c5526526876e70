"""How numbers are printed; the same in every form for people."""

from collections.abc import Mapping
from typing import Any, Final

from cacseg.scoring.category import format_agatston

ARTERY_NAMES: Final = {"LM": "Left main", "LAD": "Left anterior descending", "LCX": "Left circumflex", "RCA": "Right"}


def score_text(agatston: float) -> str:
    """Print an Agatston score: one digit after the point, 0 only for 0.

    Examples
    --------
    >>> score_text(0.0), score_text(0.04), score_text(372.14)
    ('0', '<0.1', '372.1')
    """
    return format_agatston(agatston, 1)


def number(value: float | None, decimals: int = 1) -> str | None:
    """Print a measured value, ``None`` where it is unknown.

    Examples
    --------
    >>> number(61.249, 1), number(None)
    ('61.2', None)
    """
    return None if value is None else f"{value:.{decimals}f}"


def percent(value: float | None, decimals: int = 1) -> str | None:
    """Print a value that is already in percent."""
    return None if value is None else f"{value:.{decimals}f} %"


def ordinal(value: int) -> str:
    """Print an English ordinal.

    Examples
    --------
    >>> ordinal(1), ordinal(12), ordinal(84), ordinal(93)
    ('1st', '12th', '84th', '93rd')
    """
    if value % 100 in (11, 12, 13):
        return f"{value}th"
    return f"{value}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(value % 10, 'th') }"


def percentile_text(risk: Mapping[str, Any]) -> str | None:
    """Print the MESA percentile, or ``None`` where there is none; that of a score of 0 is 0."""
    value = (risk.get("percentile") or {}).get("value")
    return None if value is None else ordinal(int(value)) if value else "0"
