import math

import numpy as np
import pytest

from cacseg.errors import UsageError
from cacseg.evaluation.calibration import (
    calibration,
    expected_calibration_error,
    reader_curve,
    reliability,
    score_after_reader,
)
from cacseg.evaluation.case import measure
from cacseg.scoring import RULES
from cacseg.vessels import Label


def test_a_calibrated_confidence_has_almost_no_error():
    rng = np.random.default_rng(0)
    sure = rng.random(40_000)
    bins = reliability(sure, rng.random(40_000) < sure)
    assert sum(entry.lesions for entry in bins) == 40_000
    assert expected_calibration_error(bins) < 0.01


def test_an_overconfident_one_shows_by_how_much():
    rng = np.random.default_rng(0)
    bins = reliability(np.full(10_000, 0.97), rng.random(10_000) < 0.77)
    assert expected_calibration_error(bins) == pytest.approx(0.2, abs=0.01)
    assert (bins[0].lower, bins[0].upper) == (0.9, 1.0)


def test_no_lesions_and_wrong_numbers():
    assert math.isnan(expected_calibration_error(reliability([], [])))
    with pytest.raises(UsageError, match=r"0 \.\.\. 1"):
        reliability([1.5], [True])
    with pytest.raises(UsageError, match="as many"):
        reliability([0.5, 0.6], [True])


@pytest.fixture
def cases(studies, fake_assignment):
    """The valve is called LAD without much confidence, the LCX aorta; everything else is right."""
    measured = []
    for study in studies:
        called = study.labels.copy()
        called[study.labels == Label.AORTIC_VALVE] = Label.LAD
        called[study.labels == Label.LCX] = Label.AORTA
        wrong = called != study.labels
        confidence = np.where(wrong, 0.55, 0.97).astype(np.float32)
        measured.append(measure(study, fake_assignment(called, confidence), RULES["literature"]))
    return measured


def test_a_reader_who_sees_the_doubtful_lesions_restores_the_score(cases):
    assert any(case.predicted["total"] != case.truth["total"] for case in cases)
    for case in cases:
        assert score_after_reader(case, 0.5) == (case.predicted["total"], 0)
        assert score_after_reader(case, 0.6)[0] == pytest.approx(case.truth["total"], abs=1e-6)


def test_the_curve_falls_to_nothing_once_the_wrong_ones_are_seen(cases):
    curve = {entry["below"]: entry for entry in reader_curve(cases)}
    assert curve[0.5]["mean_absolute_error"] > 0
    assert curve[0.6]["mean_absolute_error"] == pytest.approx(0, abs=1e-6)
    assert 0 < curve[0.6]["share_sent"] < 0.5
    assert curve[1.01]["share_sent"] == 1


def test_everything_together_is_ready_for_json(cases):
    whole = calibration(cases)
    assert whole["lesions"] == sum(len(case.lesions) for case in cases)
    assert [entry["accuracy"] for entry in whole["bins"]] == [0.0, 1.0]
    assert calibration([])["expected_calibration_error"] is None
