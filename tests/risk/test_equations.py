import json

import pytest

from cacseg.risk.arterial_age import arterial_age_years
from cacseg.risk.mesa_chd import chd_risk
from cacseg.risk.prevent import ascvd_risk


@pytest.mark.parametrize(
    ("agatston", "age"),
    [(0, 39.1), (1, 44.13), (10, 56.48), (50, 67.61), (100, 72.56), (300, 80.48), (400, 82.56), (1000, 89.19)],
)
def test_arterial_age(agatston, age):
    assert arterial_age_years(agatston) == pytest.approx(age, abs=0.005)


def _mesa(tc, hdl, sbp, **others):
    switches = dict.fromkeys(("bp_medication", "lipid_medication", "diabetes", "smoker", "family_history"), False)
    return {"total_cholesterol_mg_dl": tc, "hdl_mg_dl": hdl, "systolic_mmhg": sbp, **switches, **others}


def test_chd_risk_of_the_first_example():
    factors = _mesa(190, 50, 130, bp_medication=True)
    assert 100 * chd_risk(70, "M", "hispanic", factors, 0) == pytest.approx(3.06, abs=0.005)
    assert 100 * chd_risk(70, "M", "hispanic", factors, None) == pytest.approx(8.61, abs=0.005)


def test_chd_risk_of_the_second_example():
    factors = _mesa(210, 45, 140)
    assert 100 * chd_risk(65, "M", "white", factors, 400) == pytest.approx(13.76, abs=0.005)
    assert 100 * chd_risk(65, "M", "white", factors, None) == pytest.approx(7.72, abs=0.005)


def test_every_stored_chd_example(shared_dir):
    examples = json.loads((shared_dir / "facts" / "mesa_chd.json").read_text())["examples"]
    assert len(examples) == 10
    for example in examples:
        given = example["inputs"]
        factors = _mesa(
            given["tc"],
            given["hdl"],
            given["sbp"],
            bp_medication=bool(given["htn"]),
            lipid_medication=bool(given["lip"]),
            diabetes=bool(given["dm"]),
            smoker=bool(given["smk"]),
            family_history=bool(given["fh"]),
        )
        sex = "M" if given["male"] else "F"
        risk = chd_risk(given["age"], sex, given["race"], factors, given.get("cac"))
        assert 100 * risk == pytest.approx(example["risk_pct"], abs=0.001)


@pytest.mark.parametrize(
    ("sex", "years", "percent"), [("F", 10, 9.195), ("F", 30, 35.426), ("M", 10, 10.194), ("M", 30, 34.859)]
)
def test_prevent_examples(sex, years, percent):
    factors = {
        "total_cholesterol_mg_dl": 200,
        "hdl_mg_dl": 45,
        "systolic_mmhg": 160,
        "egfr_ml_min": 90,
        "bp_medication": True,
        "statin": False,
        "diabetes": True,
        "smoker": False,
    }
    assert 100 * ascvd_risk(50, sex, factors, years) == pytest.approx(percent, abs=0.001)
