"""A result keeps everything through its JSON form."""

import json

import pytest

from cacseg.acquisition import Patient
from cacseg.findings import Finding, Severity
from cacseg.result import Interval, LedgerEntry, Result, Series
from cacseg.scoring.rule import Rule
from cacseg.scoring.score import Lesion, Score, Scoring
from cacseg.vessels import CORONARY, EXTRACORONARY, Label

RULE = Rule("literature", 130.0, 4, 1.0, (130.0, 200.0, 300.0, 400.0), 3.0)


@pytest.fixture
def scored():
    lesion = Lesion(1, Label.LAD, 31.2, 24.0, 5.0, 8.0, 455.0, (38, 39), (-12.1, 33.0, 101.5), 0.97)
    valve = Lesion(2, Label.AORTIC_VALVE, 12.0, 9.9, 2.0, 4.0, 300.0, (40,), (1.0, 2.0, 3.0), None)
    empty = Score(0.0, 0.0, 0.0, 0)
    structures = {**dict.fromkeys(EXTRACORONARY, empty), Label.AORTIC_VALVE: Score(12.0, 9.9, 2.0, 1)}
    vessels = {**dict.fromkeys(CORONARY, empty), Label.LAD: Score(31.2, 24.0, 5.0, 1)}
    scoring = Scoring(RULE, Score(31.2, 24.0, 5.0, 1), vessels, structures, (lesion,), (valve,))
    return Result(
        status="scored",
        study_instance_uid="1.2.3",
        patient=Patient(58.0, "M", None),
        series=Series("1.2.3.4", "CaSc", 57, (3.0, 0.39, 0.39), 3.0, 120.0, "I30f/3", "yes", "no"),
        ledger=(LedgerEntry("1.2.3.4", "CaSc", chosen=True, reasons=("axial",), facts={"slices": 57}),),
        findings=(Finding("kvp-not-120", Severity.WARNING, "100 kVp", "mind the threshold"),),
        scoring=scoring,
        interval=Interval(0.95, (20.0, 41.0), "rescan", category_stable=True, category_probability={"11-100": 1.0}),
        risk={"agatston_category": "11-100"},
        provenance={"cacseg": "0.1.0"},
        other_rules=(scoring,),
    )


def test_json_round_trip_keeps_every_value(scored):
    once = scored.to_dict()
    again = Result.from_dict(json.loads(json.dumps(once))).to_dict()
    assert again == once


def test_contract_keys(scored):
    data = scored.to_dict()
    assert list(data["scores"]["vessels"]) == ["LM", "LAD", "LCX", "RCA"]
    assert data["lesions"][0]["vessel"] == "LAD"
    assert data["extracoronary"] == [
        {"structure": "aortic_valve", "agatston": 12.0, "volume_mm3": 9.9, "mass_mg": 2.0, "lesions": 1}
    ]
    assert data["study"]["patient"] == {"age_years": 58.0, "sex": "M", "race": None}
    assert data["ledger"][0]["chosen"] is True


def test_refused_result_carries_no_score(scored):
    data = Result(
        status="refused",
        study_instance_uid=None,
        patient=Patient(),
        series=None,
        ledger=(),
        findings=(Finding("contrast", Severity.REFUSAL, "blood at 320 HU", "send the native series"),),
        scoring=None,
        interval=None,
        risk=None,
        provenance={},
    ).to_dict()
    assert data["scores"] is None
    assert data["rule"] is None
    assert data["lesions"] == []
    assert Result.from_dict(data).to_dict() == data
