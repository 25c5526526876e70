"""How coronary calcium is distributed by age, sex and race: a fit to the MESA reference values, for drawing only.

P(score > 0) is piecewise linear over age; ln(score) given score > 0 is normal with a mean linear in age.
Fitted to outputs of the official MESA reference-value calculator (McClelland et al. 2006,
doi:10.1161/CIRCULATIONAHA.105.580696); mean absolute percentile error 1.66, largest 7.98. Reported
percentiles never come from this fit.
"""

from dataclasses import dataclass
from typing import Final

AGE_KNOTS_YEARS: Final = (45, 50, 55, 60, 65, 70, 75, 80, 84)
"""Ages at which ``positive_percent`` is given."""


@dataclass(frozen=True, slots=True)
class ScoreFit:
    """Distribution of the Agatston score in one sex and race.

    Parameters
    ----------
    intercept, per_year : mean of ln(score) given score > 0 is ``intercept + per_year * age``.
    sigma : SD of ln(score) given score > 0.
    positive_percent : P(score > 0) in percent at ``AGE_KNOTS_YEARS``.
    """

    intercept: float
    per_year: float
    sigma: float
    positive_percent: tuple[int, ...]


MESA_FIT: Final = {
    ("M", "white"): ScoreFit(0.153612, 0.072702, 1.713372, (25, 41, 56, 68, 77, 83, 90, 96, 99)),
    ("M", "black"): ScoreFit(0.711416, 0.056457, 1.761864, (19, 28, 37, 46, 56, 66, 75, 84, 92)),
    ("M", "hispanic"): ScoreFit(2.088603, 0.037324, 1.69424, (23, 31, 38, 51, 64, 75, 84, 92, 99)),
    ("M", "chinese"): ScoreFit(2.183177, 0.032389, 1.699974, (28, 36, 45, 54, 64, 71, 77, 82, 86)),
    ("F", "white"): ScoreFit(1.297325, 0.043854, 1.814196, (7, 16, 26, 36, 47, 59, 73, 87, 98)),
    ("F", "black"): ScoreFit(2.197295, 0.029107, 1.832686, (8, 15, 21, 28, 37, 49, 62, 74, 85)),
    ("F", "hispanic"): ScoreFit(2.686838, 0.021101, 1.815742, (4, 11, 19, 27, 38, 50, 62, 74, 83)),
    ("F", "chinese"): ScoreFit(3.238874, 0.011694, 1.788064, (4, 16, 27, 37, 46, 55, 64, 74, 81)),
}
"""By sex ("M", "F") and race as MESA names them."""
