import json

import pytest

from cacseg.errors import UsageError
from cacseg.scoring import compare, repeatability_limit
from cacseg.scoring.compare import DEFAULT_BMI, volume_repeatability_limit_mm3


def result(rule="literature", series=None, **vessels):
    scores = {name: {"agatston": vessels.get(name, 0.0)} for name in ("LM", "LAD", "LCX", "RCA")}
    total = {"agatston": sum(part["agatston"] for part in scores.values())}
    return {"scores": {"total": total, "vessels": scores}, "rule": {"name": rule, "source": rule}, "series": series}


def test_the_published_formula(shared_dir):
    facts = json.loads((shared_dir / "facts" / "mesa_chd.json").read_text())["repeatability_limit_95"]
    assert facts["agatston"] == "0.17*A + 4.89*sqrt(A) + 0.44*BMI - 10.84"
    assert repeatability_limit(400.0, 30.0) == pytest.approx(0.17 * 400 + 4.89 * 20 + 0.44 * 30 - 10.84)
    assert facts["volume"] == "0.16*V + 4.30*sqrt(V) + 0.23*BMI - 5.00"
    assert volume_repeatability_limit_mm3(400.0, 30.0) == pytest.approx(0.16 * 400 + 4.30 * 20 + 0.23 * 30 - 5)


def test_a_limit_is_never_negative():
    assert repeatability_limit(0.0, 20.0) == 0.0
    assert volume_repeatability_limit_mm3(0.0, 15.0) == 0.0


def test_a_change_within_the_limit_is_not_real():
    comparison = compare(result(LAD=100.0), result(LAD=150.0), bmi=28.0)
    assert comparison.total.limit == pytest.approx(repeatability_limit(125.0, 28.0))
    assert not comparison.total.real
    assert "could explain" in comparison.verdict


def test_a_change_beyond_the_limit_is_real_in_its_artery_only():
    comparison = compare(result(LAD=100.0, RCA=50.0), result(LAD=300.0, RCA=52.0), bmi=28.0)
    assert [change.name for change in comparison.vessels] == ["LM", "LAD", "LCX", "RCA"]
    assert [change.real for change in comparison.vessels] == [False, True, False, False]
    assert comparison.total.real
    assert comparison.total.difference == 202.0
    assert comparison.vessels[1].percent == 200.0
    assert comparison.vessels[0].percent is None
    assert "real" in comparison.verdict


def test_a_fall_is_measured_like_a_rise():
    up = compare(result(LAD=100.0), result(LAD=300.0)).total
    down = compare(result(LAD=300.0), result(LAD=100.0)).total
    assert (up.limit, up.real) == (down.limit, down.real)
    assert up.difference == -down.difference


def test_an_unknown_body_mass_index_is_assumed_and_said():
    comparison = compare(result(LAD=1.0), result(LAD=2.0))
    assert (comparison.bmi, comparison.bmi_assumed) == (DEFAULT_BMI, True)
    assert not compare(result(), result(), bmi=25.0).bmi_assumed


def test_what_makes_results_hard_to_compare_is_said():
    before = {"kvp": 120, "kernel": "FC12", "spacing_mm": [3.0, 0.4, 0.4]}
    after = {"kvp": 100, "kernel": "FC12", "spacing_mm": [2.5, 0.4, 0.4]}
    caveats = compare(result("ge", before), result("philips", after)).caveats
    assert len(caveats) == 3
    assert any("name is ge in the first, philips" in caveat for caveat in caveats)
    assert any("kvp is 120 in the first, 100" in caveat for caveat in caveats)
    assert compare(result("ge", before), result("ge", before)).caveats == ()


def test_a_refused_study_cannot_be_compared():
    with pytest.raises(UsageError, match="no score"):
        compare({"scores": None}, result(LAD=1.0))


@pytest.mark.parametrize("bmi", [5.0, 200.0])
@pytest.mark.parametrize("limit", [repeatability_limit, volume_repeatability_limit_mm3])
def test_an_impossible_body_mass_index_is_refused(limit, bmi):
    with pytest.raises(UsageError, match="10 to 80"):
        limit(100.0, bmi)


@pytest.mark.parametrize("limit", [repeatability_limit, volume_repeatability_limit_mm3])
def test_a_negative_score_is_refused(limit):
    with pytest.raises(UsageError, match=">= 0"):
        limit(-1.0)
