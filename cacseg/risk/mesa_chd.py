"""Ten-year risk of coronary heart disease with and without the calcium score (MESA)."""

import math
from collections.abc import Mapping
from typing import Any, Final

from cacseg.risk.tables import document

SOURCE: Final = "McClelland et al. J Am Coll Cardiol 2015;66:1643-53, doi:10.1016/j.jacc.2015.08.035, Table 2"
ENDPOINT: Final = (
    "10-year coronary heart disease: myocardial infarction, resuscitated cardiac arrest, coronary death, "
    "revascularisation with angina"
)
NEEDED: Final = (
    "total_cholesterol_mg_dl",
    "hdl_mg_dl",
    "systolic_mmhg",
    "bp_medication",
    "lipid_medication",
    "diabetes",
    "smoker",
    "family_history",
)


def chd_risk(age_years: float, sex: str, race: str, factors: Mapping[str, Any], agatston: float | None) -> float:
    """Give the 10-year probability of coronary heart disease.

    Parameters
    ----------
    age_years : 45 to 84.
    sex : ``"M"`` or ``"F"``.
    race : black, chinese, hispanic or white (the model's reference).
    factors : every key of ``NEEDED``; cholesterol in mg/dL, pressure in mmHg, the others true or false.
    agatston : total score, or ``None`` for the model without calcium.

    Returns
    -------
    Probability, 0 to 1.
    """
    model = document("mesa_chd.json")["coefficients"]["without" if agatston is None else "with"]
    terms = {
        "age": age_years,
        "male": float(sex == "M"),
        "tc": factors["total_cholesterol_mg_dl"],
        "hdl": factors["hdl_mg_dl"],
        "sbp": factors["systolic_mmhg"],
        "htn_med": float(factors["bp_medication"]),
        "lipid_med": float(factors["lipid_medication"]),
        "diabetes": float(factors["diabetes"]),
        "smoker": float(factors["smoker"]),
        "fhx": float(factors["family_history"]),
    }
    if agatston is not None:
        terms["ln_cac1"] = math.log(agatston + 1.0)
    predictor: float = sum(model[name] * value for name, value in terms.items()) + model.get(race, 0.0)
    baseline = float(model["S0"])
    return 1.0 - math.pow(baseline, math.exp(predictor))
