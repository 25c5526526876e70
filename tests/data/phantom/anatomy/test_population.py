"""Drawn patients form a plausible population."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from cacseg.data.phantom.population import draw_patient
from cacseg.errors import UsageError

PATIENTS = [draw_patient(seed) for seed in range(400)]


def column(name: str) -> np.ndarray:
    return np.array([getattr(each, name) for each in PATIENTS])


def test_facts_are_json_ready() -> None:
    assert json.loads(json.dumps(asdict(PATIENTS[0])))["seed"] == 0


def test_overrides_leave_the_rest() -> None:
    first, second = draw_patient(12), draw_patient(12, left_main_mm=4.0)
    assert second.left_main_mm == 4.0
    assert asdict(first) | {"left_main_mm": 4.0} == asdict(second)


def test_unknown_fact_is_refused() -> None:
    with pytest.raises(UsageError, match="shoe_size"):
        draw_patient(1, shoe_size=44)


def test_size_follows_the_body() -> None:
    women = column("sex") == "F"
    assert column("height_cm")[women].mean() < column("height_cm")[~women].mean() - 8.0
    assert column("heart_scale")[women].mean() < column("heart_scale")[~women].mean()
    assert np.corrcoef(column("weight_kg"), column("heart_scale"))[0, 1] > 0.4
    assert np.corrcoef([each.bmi for each in PATIENTS], column("heart_tilt_deg"))[0, 1] > 0.2


def test_fat_runs_from_almost_none_to_thick() -> None:
    fat = column("epicardial_fat_mm")
    assert np.quantile(fat, 0.05) < 2.0
    assert np.quantile(fat, 0.95) > 6.5


def test_dominance_and_ramus_shares() -> None:
    assert 0.75 < (column("dominance") == "right").mean() < 0.9
    assert 0.15 < column("ramus").mean() < 0.33
    assert column("left_main_mm").min() >= 3.0
    assert 9.5 < column("left_main_mm").mean() < 11.5
    assert column("left_main_mm").std() > 3.0
    assert column("left_main_mm").max() <= 16.0


def test_few_lie_prone_and_few_images_lack_the_couch() -> None:
    assert 0.002 < column("prone").mean() < 0.05
    assert 0.85 < column("couch").mean() < 0.98
