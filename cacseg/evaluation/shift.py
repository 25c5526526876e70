"""Anatomy and coverage beyond what training draws, for the shifted test family.

``cacseg.data.phantom.population.draw_patient`` clips every fact to a range. Here some of them are set
outside that range; the protocol of the family does the same for noise, kernel, voltage and thickness.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

BEYOND: Final[Mapping[str, tuple[tuple[float, float], ...]]] = {
    "heart_rotation_deg": ((-24.0, -17.0), (30.0, 37.0)),
    "heart_tilt_deg": ((-27.0, -20.0), (22.0, 29.0)),
    "heart_pitch_deg": ((-17.0, -12.0), (12.0, 17.0)),
    "heart_roll_deg": ((-21.0, -15.0), (15.0, 21.0)),
    "heart_shift_left_mm": ((-24.0, -16.0), (16.0, 24.0)),
    "heart_scale": ((0.72, 0.78), (1.20, 1.28)),
    "epicardial_fat_mm": ((0.3, 0.6), (13.0, 17.0)),
    "groove_fat": ((0.0, 0.05),),
    "root_tilt_deg": ((-20.0, -15.0), (15.0, 20.0)),
    "root_turn_deg": ((-28.0, -20.0), (20.0, 28.0)),
    "left_ostium_turn_deg": ((-32.0, -25.0), (25.0, 32.0)),
    "left_main_mm": ((1.5, 3.0), (16.0, 20.0)),
    "tortuosity_mm": ((3.2, 4.5),),
    "deformation_mm": ((3.6, 4.6),),
    "kyphosis_mm": ((44.0, 56.0),),
}
"""Ranges of each fact outside those of training; one of the ranges is drawn, then a value in it."""

FACTS_MOVED: Final = (2, 6)
"""Least and greatest number of facts moved in one patient."""

TRUNCATED_SHARE: Final = 0.25
"""Share of scans that cut off part of the heart below or above."""

TRUNCATION_MM: Final = ((-12.0, 0.0), (-3.0, 8.0))
"""Margins below and above the heart of a truncated scan; negative ones cut into it."""


def shift_overrides(seed: int) -> dict[str, Any]:
    """Draw what is unusual about a patient of the shifted family.

    Parameters
    ----------
    seed : of the patient; the same seed gives the same shift.

    Returns
    -------
    dict : overrides of ``cacseg.data.phantom.digital_patient``.

    Examples
    --------
    >>> shift_overrides(10_100_000) == shift_overrides(10_100_000)
    True
    """
    rng = np.random.default_rng([seed, 911])
    least, greatest = FACTS_MOVED
    names = rng.choice(tuple(BEYOND), size=int(rng.integers(least, greatest + 1)), replace=False)
    overrides: dict[str, Any] = {}
    for name in names.tolist():
        ranges = BEYOND[name]
        low, high = ranges[int(rng.integers(len(ranges)))]
        overrides[name] = float(rng.uniform(low, high))
    if rng.random() < TRUNCATED_SHARE:
        below, above = (float(rng.uniform(*limits)) for limits in TRUNCATION_MM)
        overrides["margin_mm"] = (below, above)
    return overrides
