"""Risk of atherosclerotic cardiovascular disease from risk factors alone (PREVENT, base model)."""

import math
from collections.abc import Mapping
from typing import Any, Final, Literal

from cacseg.risk.tables import document

SOURCE: Final = "Khan et al. Circulation 2024;149:430-449, doi:10.1161/CIRCULATIONAHA.123.067626, table S12"
NEEDED: Final = (
    "total_cholesterol_mg_dl",
    "hdl_mg_dl",
    "systolic_mmhg",
    "egfr_ml_min",
    "bp_medication",
    "statin",
    "diabetes",
    "smoker",
)
AGES: Final[Mapping[int, tuple[int, int]]] = {10: (30, 79), 30: (30, 59)}
"""Years of age for which each horizon was derived (Khan 2024)."""

RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "total_cholesterol_mg_dl": (130, 320),
    "hdl_mg_dl": (20, 100),
    "systolic_mmhg": (90, 200),
    "egfr_ml_min": (15, 140),
}
"""Values for which the equations hold (Khan 2024)."""

MG_DL_PER_MMOL_L: Final = 38.67
"""Cholesterol, as in the equations' own transforms."""


def ascvd_risk(age_years: float, sex: str, factors: Mapping[str, Any], horizon_years: Literal[10, 30]) -> float:
    """Give the probability of atherosclerotic cardiovascular disease within a horizon.

    Parameters
    ----------
    age_years : 30 to 79 (10 years) or 30 to 59 (30 years).
    sex : ``"M"`` or ``"F"``.
    factors : every key of ``NEEDED``; cholesterol in mg/dL, pressure in mmHg, eGFR in mL/min/1.73 m2.
    horizon_years : 10 or 30.

    Returns
    -------
    Probability, 0 to 1.
    """
    age = (age_years - 55) / 10
    non_hdl = (factors["total_cholesterol_mg_dl"] - factors["hdl_mg_dl"]) / MG_DL_PER_MMOL_L - 3.5
    hdl = (factors["hdl_mg_dl"] / MG_DL_PER_MMOL_L - 1.3) / 0.3
    low_pressure = (min(factors["systolic_mmhg"], 110) - 110) / 20
    high_pressure = (max(factors["systolic_mmhg"], 110) - 130) / 20
    low_filtration = (min(factors["egfr_ml_min"], 60) - 60) / -15
    high_filtration = (max(factors["egfr_ml_min"], 60) - 90) / -15
    treated, statin = float(factors["bp_medication"]), float(factors["statin"])
    diabetes, smoker = float(factors["diabetes"]), float(factors["smoker"])
    terms = (
        *(1.0, age, age**2, non_hdl, hdl, low_pressure, high_pressure, diabetes, smoker),
        *(low_filtration, high_filtration, treated, statin, treated * high_pressure, statin * non_hdl),
        *(age * non_hdl, age * hdl, age * high_pressure, age * diabetes, age * smoker, age * low_filtration),
    )
    model = document("prevent_ascvd.json")["coefficients"]["male" if sex == "M" else "female"]
    predictor = sum(c * term for c, term in zip(model[str(horizon_years)], terms, strict=True))
    return 1.0 / (1.0 + math.exp(-predictor))
