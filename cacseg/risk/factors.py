"""Risk factors that somebody typed in: which there are, and what is plausible."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from cacseg.errors import UsageError

NUMBERS: Final[Mapping[str, tuple[float, float]]] = {
    "total_cholesterol_mg_dl": (50, 600),
    "hdl_mg_dl": (5, 200),
    "systolic_mmhg": (50, 300),
    "egfr_ml_min": (2, 200),
    "bmi": (10, 80),
}
"""Plausible values; outside, a unit or a typing error is likelier than a patient."""

SWITCHES: Final = ("bp_medication", "lipid_medication", "statin", "diabetes", "smoker", "family_history")

NAMES: Final[Mapping[str, str]] = {
    "total_cholesterol_mg_dl": "total cholesterol",
    "hdl_mg_dl": "HDL cholesterol",
    "systolic_mmhg": "systolic blood pressure",
    "egfr_ml_min": "estimated glomerular filtration rate",
    "bmi": "body mass index",
    "bp_medication": "blood pressure medication",
    "lipid_medication": "lipid-lowering medication",
    "statin": "statin",
    "diabetes": "diabetes",
    "smoker": "smoking",
    "family_history": "family history of heart attack",
}
"""Names for people."""

OTHERS: Final = ("visual_grade", "visual_vessels")
"""A reader's CAC-DRS visual grade (0 to 3) and number of calcified arteries (0 to 4)."""


def checked_factors(factors: Mapping[str, Any] | None) -> dict[str, Any]:
    """Check risk factors and drop those that are ``None``.

    Raises
    ------
    UsageError : a key is unknown, a number is not one or is implausible, a switch is neither true nor false.

    Examples
    --------
    >>> checked_factors({"smoker": True, "hdl_mg_dl": None})
    {'smoker': True}
    """
    given = {key: value for key, value in (factors or {}).items() if value is not None}
    for key, value in given.items():
        if key not in (*NUMBERS, *SWITCHES, *OTHERS):
            known = ", ".join((*NUMBERS, *SWITCHES, *OTHERS))
            raise UsageError(f"Unknown risk factor {key!r}; known are: {known}.")
        if key in SWITCHES and not isinstance(value, bool):
            raise UsageError(f"Risk factor {key} is true or false; got {value!r}.")
        if key not in SWITCHES and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise UsageError(f"Risk factor {key} is a number; got {value!r}.")
        if key in NUMBERS and not NUMBERS[key][0] <= value <= NUMBERS[key][1]:
            low, high = NUMBERS[key]
            raise UsageError(f"Risk factor {key} is {value:g}; expected {low:g} to {high:g}. Check its unit.")
    return given


def missing(needed: Iterable[str], factors: Mapping[str, Any]) -> list[str]:
    """Name what a model needs and nobody gave.

    Examples
    --------
    >>> missing(("statin", "smoker"), {"smoker": False})
    ['statin']
    """
    return [NAMES[key] for key in needed if key not in factors]
