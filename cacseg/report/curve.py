"""The percentile curve: reference scores over age for the patient's own group, and the patient's point."""

import math
from typing import Final

from cacseg.report.blocks import Curve
from cacseg.report.figures import ordinal, score_text
from cacseg.report.wording import Wording
from cacseg.result import Result
from cacseg.risk.percentile import MESA_AGES, mesa_group
from cacseg.risk.tables import rows

PERCENTILES: Final = (25, 50, 75, 90)
TICKS: Final = (0, 10, 100, 400, 1000, 4000)
"""Scores marked on the axis; the axis is logarithmic in score + 1, so that 0 has a place."""


def height(agatston: float, top: float) -> float:
    """Place a score on the axis, 0 at the bottom, 1 at ``top``.

    Examples
    --------
    >>> height(0, 1000), height(1000, 1000)
    (0.0, 1.0)
    """
    return math.log1p(agatston) / math.log1p(top)


def top_of(curve: Curve) -> float:
    """Give the score at the top of the axis."""
    highest = max(curve.agatston, *(score for _, line in curve.lines for _, score in line))
    return next((float(tick) for tick in (1000, 4000) if tick >= highest), highest * 1.2)


def reference_curve(result: Result, say: Wording) -> Curve | None:
    """Make the curve of MESA where age, sex and race allow it, else of Hoff, else none."""
    patient = result.patient
    if result.scoring is None or patient.age_years is None or patient.sex is None:
        return None
    if patient.race is not None and mesa_group(patient.age_years, patient.sex, patient.race.lower()):
        lines = _mesa_lines(patient.sex, patient.race.lower())
        group = f"MESA, {say({'M': 'men', 'F': 'women'}[patient.sex])}, {patient.race}"
    else:
        lines = _hoff_lines(patient.sex)
        group = f"Hoff, {say({'M': 'men', 'F': 'women'}[patient.sex])}"
        if not lines[0][1][0][0] <= patient.age_years <= lines[0][1][-1][0]:
            return None
    agatston = result.scoring.total.agatston
    alt = (
        f"{say('Reference percentiles of the Agatston score over age')} ({group}); "
        f"{say('this patient')}: {patient.age_years:.0f} {say('years')}, {score_text(agatston)}."
    )
    return Curve(lines, patient.age_years, agatston, f"{say('Agatston score over age')} – {group}", alt)


def _mesa_lines(sex: str, race: str) -> tuple[tuple[str, tuple[tuple[float, float], ...]], ...]:
    youngest, oldest = MESA_AGES
    groups = [(age, mesa_group(age, sex, race)) for age in range(youngest, oldest + 1)]
    return tuple(
        (ordinal(p), tuple((float(age), float(group.reference[p])) for age, group in groups if group is not None))
        for p in PERCENTILES
    )


def _hoff_lines(sex: str) -> tuple[tuple[str, tuple[tuple[float, float], ...]], ...]:
    """Join the nomogram's bands at their middle ages, level before the first and after the last."""
    bands = [row for row in rows("hoff_percentiles.csv") if row["sex"] == {"M": "male", "F": "female"}[sex]]
    lines = []
    for p in PERCENTILES:
        points = [((int(band["age_min"]) + int(band["age_max"]) + 1) / 2, float(band[f"p{p}"])) for band in bands]
        ends = ((float(bands[0]["age_min"]), points[0][1]), (float(bands[-1]["age_max"]), points[-1][1]))
        lines.append((ordinal(p), (ends[0], *points, ends[1])))
    return tuple(lines)
