from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import cacseg.data.phantom as phantom
import cacseg.evaluation.scan_facts as scan_facts
from cacseg.train.bifurcation_sample import bifurcation_patient
from cacseg.train.closeup_sample import patient
from cacseg.train.unusual import BRANCH_SPREAD_MM, DEFORMATION_MM, LEAN_SHARE, ROLL_SD_DEG, unusual_facts


def test_unusual_hearts_roll_both_ways_and_are_lean_as_often_as_told() -> None:
    drawn = [unusual_facts(seed) for seed in range(400)]
    assert drawn[7] == unusual_facts(7)
    roll = np.array([each["ventricle_roll_deg"] for each in drawn])
    assert abs(roll.mean()) < 2.0
    assert roll.std() == pytest.approx(ROLL_SD_DEG, rel=0.15)
    for name, (low, high) in (("branch_spread_mm", BRANCH_SPREAD_MM), ("deformation_mm", DEFORMATION_MM)):
        values = np.array([each[name] for each in drawn])
        assert low <= values.min() < values.max() <= high
    assert np.mean(["groove_fat" in each for each in drawn]) == pytest.approx(LEAN_SHARE, abs=0.08)


def test_two_of_three_patients_of_the_second_and_third_network_are_unusual(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def told(seed: int, **settings: Any) -> SimpleNamespace:
        asked.append({"seed": seed, **settings})
        return SimpleNamespace(branches=())

    monkeypatch.setattr(phantom, "digital_patient", told)
    monkeypatch.setattr(scan_facts, "study_of_scan", lambda scan, name: name)
    for number in range(1, 13):
        patient(number, "heavy")
        patient(number, "plated")
        bifurcation_patient(number)
    for settings in asked:
        number = settings["seed"] % 1000
        wanted = unusual_facts(settings["seed"]) if number % 3 else {}
        assert {name: settings[name] for name in wanted} == wanted
        assert ("ventricle_roll_deg" in settings) == (number % 3 != 0)
