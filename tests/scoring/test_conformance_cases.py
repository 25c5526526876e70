import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest

from cacseg.scoring import RULES, score
from cacseg.scoring.conformance import Answer, cases, check_answers
from cacseg.scoring.conformance.case import interpolated_slices

CASES = {case.name: case for case in cases()}


@pytest.fixture(scope="module")
def peers():
    path = Path(__file__).parents[2] / "benchmarks" / "conformance_peers.py"
    spec = importlib.util.spec_from_file_location("conformance_peers", path)
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["conformance_peers"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", CASES)
def test_the_scorer_conforms_under_every_rule(name):
    case = CASES[name]
    assert set(case.expected) == set(RULES)
    for rule, expected in case.expected.items():
        total = score(case.volume, case.labels, RULES[rule]).total
        assert total.agatston == pytest.approx(expected.agatston, rel=1e-12, abs=1e-12), rule
        assert total.volume_mm3 == pytest.approx(expected.volume_mm3, rel=1e-12, abs=1e-12), rule
        assert total.lesions == expected.lesions, rule


@pytest.mark.parametrize("name", CASES)
def test_the_obvious_scorer_conforms_too(name, reference_lesions):
    case = CASES[name]
    used = np.argwhere(case.labels.voxels)
    box = (0, *used[:, 1:].min(axis=0).tolist()), (case.volume.shape[0], *(used[:, 1:].max(axis=0) + 1).tolist())
    volume, labels = case.volume.crop(*box), case.labels.crop(*box)
    for rule, expected in case.expected.items():
        found = [one for one in reference_lesions(volume, labels, RULES[rule], 0.8) if one.label <= 4]
        assert math.fsum(one.agatston for one in found) == pytest.approx(expected.agatston, rel=1e-12, abs=1e-12)
        assert math.fsum(one.volume_mm3 for one in found) == pytest.approx(expected.volume_mm3, rel=1e-12, abs=1e-12)
        assert len(found) == expected.lesions


def test_the_suite_is_the_same_every_time():
    for one, other in zip(cases(), cases(), strict=True):
        assert one.name == other.name
        assert (one.volume.voxels == other.volume.voxels).all()
        assert one.expected == other.expected


def test_an_independent_scorer_conforms(peers):
    _, differ, names = peers.differing([peers.ndimage_score(case, peers.LITERATURE) for case in CASES.values()])
    assert (differ, names) == (0, [])


def test_every_careless_scorer_is_caught(peers):
    for name, habits in peers.SCORERS.items():
        if habits == peers.LITERATURE:
            continue
        _, differ, _ = peers.differing([peers.ndimage_score(case, habits) for case in CASES.values()])
        assert differ > 0, name


@pytest.mark.parametrize("hu", [130, 150, 199, 200, 250, 450, 1499])
@pytest.mark.parametrize("per_increment", [1, 3, 5, 6, 10])
def test_the_closed_form_of_interpolated_slices(hu, per_increment):
    steps = np.arange(-per_increment, per_increment + 1) / per_increment
    assert interpolated_slices(hu, per_increment) == int((hu * (1 - np.abs(steps)) >= 130 - 1e-9).sum())


@pytest.mark.parametrize(
    ("given", "agrees"),
    [
        ("2.25", True),
        ("2.3", True),
        ("2.2", True),
        ("2.24", False),
        ("2", False),
        ("2.250000", True),
        ("2.25e0", True),
        ("two", False),
        ("nan", False),
        ("", None),
    ],
)
def test_answers_agree_to_the_digits_given(given, agrees):
    verdicts = check_answers([Answer("weight-130", "ge", given)], tuple(CASES.values()))
    verdict = next(v for v in verdicts if v.case == "weight-130" and v.quantity == "agatston")
    assert verdict.agrees is agrees


def test_answers_to_what_was_not_asked_disagree():
    verdicts = check_answers(
        [Answer("weight-130", "nobody", "1.0"), Answer("what", "ge", "1.0")], tuple(CASES.values())
    )
    assert [v.isolates for v in verdicts if v.agrees is False] == ["no such case or rule"] * 2
