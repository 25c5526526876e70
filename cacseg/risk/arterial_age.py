"""The age at which a person's score would be average risk."""

import math
from typing import Final

SOURCE: Final = "McClelland et al. Am J Cardiol 2009;103:59-63"
INTERCEPT_YEARS: Final = 39.1
SLOPE_YEARS: Final = 7.25
"""39.1 + 7.25 ln(A + 1), McClelland 2009."""


def arterial_age_years(agatston: float) -> float:
    """Give the arterial age of a total Agatston score (MESA; both sexes, all groups).

    Examples
    --------
    >>> round(arterial_age_years(400), 2)
    82.56
    """
    return INTERCEPT_YEARS + SLOPE_YEARS * math.log(agatston + 1.0)
