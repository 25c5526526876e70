"""Where a score stands among people of the same age and sex (Hoff) and race (MESA)."""

from dataclasses import dataclass
from typing import Final

from cacseg.risk.tables import rows

MESA: Final = "McClelland et al. Circulation 2006;113:30-37, doi:10.1161/CIRCULATIONAHA.105.580696"
HOFF: Final = "Hoff et al. Am J Cardiol 2001;87:1335-39, doi:10.1016/S0002-9149(01)01548-X"

MESA_AGES: Final = (45, 84)
"""Whole years for which MESA gives reference values; nothing is extrapolated outside (McClelland 2006)."""

MESA_RACES: Final = ("black", "chinese", "hispanic", "white")
"""The four groups that MESA enrolled (McClelland 2006); anybody else has no MESA percentile."""

SEXES: Final = {"M": "male", "F": "female"}


@dataclass(frozen=True, slots=True)
class MesaGroup:
    """Reference values of one age, sex and race.

    Parameters
    ----------
    nonzero_percent : probability of a score above 0, in percent.
    reference : Agatston scores at percentiles 25, 50, 75 and 90.
    thresholds : lowest Agatston score of percentiles 1 to 99.
    """

    nonzero_percent: int
    reference: dict[int, int]
    thresholds: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class HoffBand:
    """Agatston scores at percentiles 25, 50, 75 and 90 of one sex in one band of ages (years, inclusive)."""

    age_min: int
    age_max: int
    reference: dict[int, int]


def mesa_group(age_years: float, sex: str, race: str) -> MesaGroup | None:
    """Find the MESA reference values, or ``None`` outside what MESA covers.

    Parameters
    ----------
    age_years : age; the completed years count.
    sex : ``"M"`` or ``"F"``.
    race : one of ``MESA_RACES``.

    Examples
    --------
    >>> mesa_group(55, "M", "white").reference
    {25: 0, 50: 6, 75: 68, 90: 234}
    >>> mesa_group(44.9, "M", "white") is None
    True
    """
    wanted = (race, SEXES.get(sex), str(int(age_years)))
    for row in rows("mesa_percentiles.csv"):
        if (row["race"], row["sex"], row["age"]) == wanted:
            thresholds = (1,) * int(row["ones"]) + tuple(int(value) for value in row["thresholds"].split())
            return MesaGroup(int(row["nonzero_percent"]), _reference(row), thresholds)
    return None


def mesa_percentile(agatston: float, group: MesaGroup) -> int:
    """Give the percentile of a score within its group: 0 for a score of 0, else 1 to 99.

    The reference calculator takes whole scores; a score above 0 counts as at least 1.

    Parameters
    ----------
    agatston : unrounded total score, >= 0.
    group : reference values of the same age, sex and race.

    Examples
    --------
    >>> mesa_percentile(35, mesa_group(46, "F", "chinese"))
    97
    >>> mesa_percentile(0, mesa_group(55, "M", "white"))
    0
    """
    if agatston == 0:
        return 0
    return sum(threshold <= max(agatston, 1.0) for threshold in group.thresholds)


def hoff_band(age_years: float, sex: str) -> HoffBand | None:
    """Find the nomogram's band for an age and sex, or ``None`` outside 30 to 90 years.

    Examples
    --------
    >>> hoff_band(52, "M").reference
    {25: 1, 50: 15, 75: 103, 90: 332}
    """
    for row in rows("hoff_percentiles.csv"):
        band = HoffBand(int(row["age_min"]), int(row["age_max"]), _reference(row))
        if row["sex"] == SEXES.get(sex) and band.age_min <= int(age_years) <= band.age_max:
            return band
    return None


def hoff_range(agatston: float, band: HoffBand) -> tuple[int, int]:
    """Give the two percentiles of the nomogram between which a score lies.

    A score equal to a tabulated one counts as having reached it; where several percentiles share that
    value (as 0 does in the young), the score has reached the highest of them.

    Examples
    --------
    >>> hoff_range(120, hoff_band(52, "M"))
    (75, 90)
    >>> hoff_range(400, hoff_band(52, "M"))
    (90, 100)
    """
    reached = [percentile for percentile, score in band.reference.items() if score <= agatston]
    missed = [percentile for percentile, score in band.reference.items() if score > agatston]
    if agatston == 0:
        return 0, min(missed, default=100)
    return max(reached, default=0), min(missed, default=100)


def _reference(row: dict[str, str]) -> dict[int, int]:
    return {percentile: int(row[f"p{percentile}"]) for percentile in (25, 50, 75, 90)}
