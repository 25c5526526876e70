import json
import math

import pytest

from cacseg.acquisition import Patient
from cacseg.errors import UsageError
from cacseg.risk import assess, cac_drs, cac_drs_visual
from cacseg.scoring.rules import RULES
from cacseg.scoring.score import Score, Scoring
from cacseg.vessels import CORONARY, EXTRACORONARY

FACTORS = {
    "total_cholesterol_mg_dl": 210,
    "hdl_mg_dl": 45,
    "systolic_mmhg": 140,
    "egfr_ml_min": 85,
    "bp_medication": False,
    "lipid_medication": False,
    "statin": False,
    "diabetes": False,
    "smoker": False,
    "family_history": False,
}


def scoring(*vessel_scores, volume_mm3=None):
    parts = [Score(a, a if volume_mm3 is None else volume_mm3 / 4, None, int(a > 0)) for a in vessel_scores]
    total = Score(
        math.fsum(vessel_scores), math.fsum(part.volume_mm3 for part in parts), None, sum(p.lesions for p in parts)
    )
    nothing = dict.fromkeys(EXTRACORONARY, Score(0.0, 0.0, None, 0))
    return Scoring(RULES["literature"], total, dict(zip(CORONARY, parts, strict=True)), nothing, (), ())


def test_contract_keys():
    risk = assess(scoring(0.0, 300.0, 0.0, 72.1), Patient(58, "M", "white"))
    assert risk["agatston_category"] == "101-400"
    assert risk["cac_drs"] == "A3/N2"
    assert risk["percentile"]["source"] == "MESA"
    assert risk["percentile"]["value"] == 90
    assert risk["arterial_age_years"] == pytest.approx(39.1 + 7.25 * math.log(373.1))


@pytest.mark.parametrize(
    ("patient", "word"),
    [
        (Patient(), "age, sex, race"),
        (Patient(58, "M", None), "race"),
        (Patient(58, None, "white"), "sex"),
        (Patient(40, "M", "white"), "45 to 84"),
        (Patient(58, "M", "asian"), "MESA enrolled"),
    ],
)
def test_missing_percentile_says_why(patient, word):
    percentile = assess(scoring(0.0, 5.0, 0.0, 0.0), patient)["percentile"]
    assert percentile["value"] is None
    assert percentile["reference"] is None
    assert word in percentile["absent_because"]


def test_a_given_percentile_has_no_reason_for_absence():
    percentile = assess(scoring(0.0, 5.0, 0.0, 0.0), Patient(58, "F", "Black"))["percentile"]
    assert percentile["absent_because"] is None
    assert percentile["value"] > 0
    assert set(percentile["reference"]) == {"25", "50", "75", "90"}


def test_hoff_stands_in_without_race():
    risk = assess(scoring(0.0, 120.0, 0.0, 0.0), Patient(52, "M"))
    assert risk["percentile"]["value"] is None
    assert risk["percentile_hoff"]["range"] == [75, 90]


def test_risk_models_with_all_inputs():
    risk = assess(scoring(0.0, 400.0, 0.0, 0.0), Patient(65, "M", "white"), FACTORS)
    assert risk["chd_10y_mesa"]["with_calcium_percent"] == pytest.approx(13.76, abs=0.005)
    assert risk["chd_10y_mesa"]["without_calcium_percent"] == pytest.approx(7.72, abs=0.005)
    assert 0 < risk["ascvd_prevent"]["ten_year_percent"] < 100
    assert risk["ascvd_prevent"]["thirty_year_percent"] is None
    assert risk["chd_10y_mesa"]["inputs"]["hdl_mg_dl"] == 45


def test_thirty_years_only_to_age_59():
    assert assess(scoring(0, 0, 0, 0), Patient(59, "F"), FACTORS)["ascvd_prevent"]["thirty_year_percent"] > 0


def test_models_name_what_they_lack():
    risk = assess(scoring(0.0, 0.0, 0.0, 0.0), Patient(65, "M", "white"), {"smoker": True})
    assert "total cholesterol" in risk["chd_10y_mesa"]["absent_because"]
    assert "smoking" not in risk["chd_10y_mesa"]["absent_because"]
    assert "estimated glomerular" in risk["ascvd_prevent"]["absent_because"]


def test_prevent_is_not_used_outside_its_ranges():
    risk = assess(scoring(0.0, 0.0, 0.0, 0.0), Patient(65, "M"), {**FACTORS, "total_cholesterol_mg_dl": 400})
    assert risk["ascvd_prevent"]["ten_year_percent"] is None
    assert "total cholesterol" in risk["ascvd_prevent"]["absent_because"]


@pytest.mark.parametrize(
    "factors",
    [{"colesterol": 200}, {"smoker": "yes"}, {"hdl_mg_dl": 1.2}, {"hdl_mg_dl": "45"}, {"systolic_mmhg": True}],
)
def test_implausible_factors_are_wrong_usage(factors):
    with pytest.raises(UsageError):
        assess(scoring(0.0, 0.0, 0.0, 0.0), Patient(), factors)


def test_density_and_diffusivity():
    burden = assess(scoring(0.0, 300.0, 0.0, 100.0, volume_mm3=400.0), Patient())["burden"]
    assert burden["density"] == pytest.approx(3.0)
    assert burden["diffusivity"] == pytest.approx(0.25)
    assert burden["vessels"] == 2


def test_no_calcium_has_neither():
    burden = assess(scoring(0.0, 0.0, 0.0, 0.0), Patient())["burden"]
    assert burden["density"] is None
    assert burden["diffusivity"] is None
    assert burden["vessels"] == 0


def test_density_outside_its_scale_is_left_out():
    assert assess(scoring(0.0, 300.0, 0.0, 0.0, volume_mm3=100.0), Patient())["burden"]["density"] is None


@pytest.mark.parametrize(
    ("agatston", "vessels", "expected"),
    [(0, 0, "A0/N0"), (0.3, 1, "A1/N1"), (99.9, 2, "A1/N2"), (100, 2, "A2/N2"), (299, 3, "A2/N3"), (300, 4, "A3/N4")],
)
def test_cac_drs(agatston, vessels, expected):
    assert cac_drs(agatston, vessels) == expected


def test_visual_grade():
    risk = assess(scoring(0.0, 0.0, 0.0, 0.0), Patient(), {"visual_grade": 2, "visual_vessels": 3})
    assert risk["cac_drs_visual"] == "V2/N3"
    with pytest.raises(UsageError):
        cac_drs_visual(4, 1)
    with pytest.raises(UsageError):
        cac_drs(10, 5)


def test_it_is_json():
    risk = assess(scoring(0.0, 400.0, 3.0, 0.0), Patient(65, "M", "white"), FACTORS)
    assert json.loads(json.dumps(risk, allow_nan=False)) == risk
