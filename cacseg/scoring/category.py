"""Categories of an Agatston score, without holes, and how a score is printed.

Every real number >= 0 falls in exactly one bin. A bin's upper limit belongs to it and the next begins just
above, so that 0.4, 10.5, 100.3 and 400.01 have a place; a score above 0 is never category 0 and never
prints as 0.
"""

import math
from dataclasses import dataclass
from typing import Final, Literal

from cacseg.errors import UsageError

CategoryScheme = Literal["agatston", "cac_drs"]


@dataclass(frozen=True, slots=True)
class Category:
    """One bin of scores.

    Parameters
    ----------
    name : as printed, e.g. ``"101-400"``.
    lower, upper : Agatston limits; ``closed`` tells to which side they belong.
    closed : ``"upper"``: lower < A <= upper; ``"lower"``: lower <= A < upper; ``"both"``: A = lower = upper.
    """

    name: str
    lower: float
    upper: float
    closed: Literal["lower", "upper", "both", "neither"]

    def holds(self, agatston: float) -> bool:
        """Say whether a score falls in this bin.

        Examples
        --------
        >>> Category("11-100", 10.0, 100.0, "upper").holds(10.5)
        True
        """
        above = agatston >= self.lower if self.closed in ("lower", "both") else agatston > self.lower
        below = agatston <= self.upper if self.closed in ("upper", "both") else agatston < self.upper
        return above and below


AGATSTON_CATEGORIES: Final = (
    Category("0", 0.0, 0.0, "both"),
    Category("1-10", 0.0, 10.0, "upper"),
    Category("11-100", 10.0, 100.0, "upper"),
    Category("101-400", 100.0, 400.0, "upper"),
    Category(">400", 400.0, math.inf, "upper"),
)
"""Rumberger et al. 1999 (doi:10.4065/74.3.243): none, minimal, mild, moderate, extensive."""

CAC_DRS_CATEGORIES: Final = (
    Category("0", 0.0, 0.0, "both"),
    Category("1-99", 0.0, 100.0, "neither"),
    Category("100-299", 100.0, 300.0, "lower"),
    Category(">=300", 300.0, math.inf, "both"),
)
"""CAC-DRS A0 to A3 (Hecht et al. 2018, doi:10.1016/j.jcct.2018.03.008)."""

SCHEMES: Final[dict[CategoryScheme, tuple[Category, ...]]] = {
    "agatston": AGATSTON_CATEGORIES,
    "cac_drs": CAC_DRS_CATEGORIES,
}


def category_of(agatston: float, scheme: CategoryScheme = "agatston") -> Category:
    """Give the one category in which a score falls.

    Parameters
    ----------
    agatston : unrounded Agatston score, >= 0.
    scheme : ``"agatston"`` (0, 1-10, 11-100, 101-400, >400) or ``"cac_drs"`` (0, 1-99, 100-299, >=300).

    Raises
    ------
    UsageError : the score is negative or not a number, or the scheme is unknown.

    Examples
    --------
    >>> category_of(0.4).name, category_of(10.5).name, category_of(100.0).name
    ('1-10', '11-100', '11-100')
    >>> category_of(299.9, "cac_drs").name
    '100-299'
    """
    if scheme not in SCHEMES:
        raise UsageError(f"Unknown category scheme {scheme!r}; expected one of {', '.join(SCHEMES)}.")
    if math.isnan(agatston) or agatston < 0:
        raise UsageError(f"An Agatston score is a number >= 0; got {agatston!r}. Check the scoring that gave it.")
    return next(category for category in SCHEMES[scheme] if category.holds(agatston))


def format_agatston(agatston: float, decimals: int = 0) -> str:
    """Print a score; one above 0 never prints as 0.

    Parameters
    ----------
    agatston : unrounded Agatston score, >= 0.
    decimals : digits after the point.

    Raises
    ------
    UsageError : the score is negative or not a number.

    Examples
    --------
    >>> format_agatston(0.0), format_agatston(0.4), format_agatston(0.96, 1), format_agatston(372.14, 1)
    ('0', '<1', '1.0', '372.1')
    """
    if math.isnan(agatston) or agatston < 0:
        raise UsageError(f"An Agatston score is a number >= 0; got {agatston!r}. Check the scoring that gave it.")
    if agatston == 0:
        return "0"
    least = 10.0**-decimals
    return f"<{least:.{decimals}f}" if agatston < least else f"{agatston:.{decimals}f}"
