"""Scores and their division over the arteries against MESA."""

import json

import numpy as np
import pytest

from cacseg.data.phantom.disease.burden import MOST_PER_LM_MM, burden_of, draw_burden, split_by_artery
from cacseg.vessels import CORONARY, Label


def _scores(age, sex, race, mode, count=4000, seed=5):
    rng = np.random.default_rng(seed)
    return np.array([draw_burden(age, sex, race, rng, mode).agatston for _ in range(count)])


@pytest.mark.parametrize(
    ("age", "sex", "race"),
    [(55, "M", "white"), (65, "F", "white"), (60, "M", "black"), (70, "F", "hispanic"), (75, "M", "chinese")],
)
def test_scores_follow_the_mesa_percentiles(shared_dir, age, sex, race):
    table = json.loads((shared_dir / "facts" / "mesa_percentiles_full.json").read_text())["table"]
    group = table[f"{race}:{'male' if sex == 'M' else 'female'}:{age}"]
    scores = _scores(age, sex, race, "mesa")
    assert (scores > 0).mean() == pytest.approx(group["p"] / 100, abs=0.04)
    for percentile, reference in zip((25, 50, 75, 90), group["r"], strict=True):
        below = (scores < max(reference, 0.5)).mean()
        if reference > 0:
            assert below == pytest.approx(percentile / 100, abs=0.05)
        else:
            assert below >= percentile / 100 - 0.05


def test_scores_rise_with_age_and_are_higher_in_men():
    medians = [np.median(_scores(age, "M", "white", "mesa", 1500)) for age in (55, 65, 75)]
    assert medians == sorted(medians)
    assert medians[0] < medians[2]
    assert np.median(_scores(65, "F", "white", "mesa", 1500)) < medians[1]


def test_no_positive_score_is_below_one():
    scores = np.concatenate([_scores(60, "F", None, mode, 1500) for mode in ("mesa", "training")])
    assert scores[scores > 0].min() >= 1


def test_training_has_every_category_in_good_number():
    scores = _scores(60, "M", None, "training")
    shares = np.histogram(scores, [0, 0.5, 10, 100, 400, 1000, 10000])[0] / len(scores)
    assert shares.min() > 0.05
    assert shares[0] == pytest.approx(0.20, abs=0.03)
    assert shares[1] == pytest.approx(0.18, abs=0.03)


def test_propensity_is_the_rank_of_the_score():
    rng = np.random.default_rng(2)
    drawn = [draw_burden(65, "M", "white", rng, "mesa") for _ in range(800)]
    positive = [burden for burden in drawn if burden.agatston > 1]
    order = np.argsort([burden.agatston for burden in positive])
    assert (np.diff(np.array([burden.propensity for burden in positive])[order]) >= 0).all()
    assert abs(np.mean([burden.propensity for burden in drawn])) < 0.12
    assert burden_of(0).propensity < burden_of(5).propensity < burden_of(3000).propensity


@pytest.mark.parametrize(("mode", "rarest"), [("mesa", 0.15), ("training", 0.3)])
def test_prevalence_by_artery_has_the_known_order(mode, rarest):
    rng = np.random.default_rng(3)
    held = dict.fromkeys(CORONARY, 0)
    for score in np.exp(rng.normal(4, 1.7, 1500)):
        for label, part in split_by_artery(max(score, 1.0), 10, rng, mode).items():
            held[label] += part > 0
    assert held[Label.LAD] > held[Label.RCA] > held[Label.LM] > rarest * 1500
    assert held[Label.LAD] > held[Label.LCX] > held[Label.LM]
    assert held[Label.RCA] > held[Label.LCX] or mode == "training"


def test_new_calcium_lies_in_one_artery_as_in_mesa():
    rng = np.random.default_rng(4)
    alone = dict.fromkeys(CORONARY, 0)
    for _ in range(3000):
        split = split_by_artery(7.1, 10, rng, "mesa")
        held = [label for label in CORONARY if split[label] > 0]
        if len(held) == 1:
            alone[held[0]] += 1
    share = {label: count / 3000 for label, count in alone.items()}
    assert sum(share.values()) == pytest.approx(0.72, abs=0.06)
    assert share[Label.LAD] == pytest.approx(0.44, abs=0.08)
    assert share[Label.RCA] == pytest.approx(0.12, abs=0.04)
    assert share[Label.LCX] == pytest.approx(0.10, abs=0.04)
    assert share[Label.LM] == pytest.approx(0.06, abs=0.03)


def test_a_split_keeps_the_total_and_the_left_main_within_its_length():
    rng = np.random.default_rng(6)
    for score in (0.0, 1.0, 8.0, 300.0, 3000.0):
        for _ in range(40):
            split = split_by_artery(score, 4.0, rng)
            assert tuple(split) == CORONARY
            assert sum(split.values()) == pytest.approx(score)
            assert split[Label.LM] <= MOST_PER_LM_MM * 4.0 + 1e-9
            assert min(split.values()) >= 0
