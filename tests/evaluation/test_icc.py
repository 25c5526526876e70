import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacseg.errors import UsageError
from cacseg.evaluation.bootstrap import resample
from cacseg.evaluation.icc import icc_2_1, icc_2_1_resampled, icc_3_1, mean_squares

SHROUT_FLEISS = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
"""Shrout and Fleiss 1979, Table 2: six targets, four judges."""


def test_mean_squares_of_shrout_and_fleiss_table_3():
    squares = mean_squares(SHROUT_FLEISS)
    assert (round(squares.rows, 2), round(squares.columns, 2), round(squares.error, 2)) == (11.24, 32.49, 1.02)


def test_values_of_shrout_and_fleiss_table_4():
    assert round(icc_2_1(SHROUT_FLEISS).value, 2) == 0.29
    assert round(icc_3_1(SHROUT_FLEISS).value, 2) == 0.71


def test_intervals_as_printed_by_r_psych_for_the_same_table():
    agreement, consistency = icc_2_1(SHROUT_FLEISS), icc_3_1(SHROUT_FLEISS)
    assert (round(agreement.lower, 3), round(agreement.upper, 2)) == (0.019, 0.76)
    assert (round(consistency.lower, 3), round(consistency.upper, 2)) == (0.342, 0.95)


def test_interval_covers_the_true_value_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    hits_2, hits_3 = 0, 0
    for _ in range(400):
        subjects = rng.normal(0, 2, (20, 1))
        ratings = subjects + rng.normal(0, 1, (20, 3))
        hits_3 += icc_3_1(ratings).lower <= 0.8 <= icc_3_1(ratings).upper
        hits_2 += icc_2_1(ratings).lower <= 0.8 <= icc_2_1(ratings).upper
    assert 0.92 <= hits_3 / 400 <= 0.98
    assert 0.92 <= hits_2 / 400 <= 0.99


def test_a_constant_shift_hurts_agreement_and_not_consistency():
    truth = np.array([0.0, 10, 50, 200, 800])
    shifted = np.stack([truth, truth + 100], axis=1)
    assert icc_3_1(shifted).value == 1.0
    assert icc_2_1(shifted).value < 0.98


def test_perfect_agreement_and_no_variation():
    same = np.array([[0.0, 0], [3.3, 3.3], [400.7, 400.7]])
    assert icc_2_1(same).value == icc_2_1(same).lower == icc_3_1(same).upper == 1.0
    assert math.isnan(icc_2_1(np.zeros((4, 2))).value)
    assert math.isnan(icc_3_1(np.zeros((4, 2))).value)


@given(st.integers(0, 10**6), st.integers(4, 30))
def test_resampled_value_is_that_of_the_drawn_cases(seed, cases):
    rng = np.random.default_rng(seed)
    pairs = rng.gamma(0.5, 300, (cases, 1)) + rng.normal(3, 20, (cases, 2))
    weights = resample(cases, samples=5, seed=seed)
    values = icc_2_1_resampled(pairs, weights)
    for drawn, value in zip(weights, values, strict=True):
        if np.count_nonzero(drawn) == 1:
            assert np.isnan(value)
            continue
        repeated = np.repeat(pairs, drawn.astype(int), axis=0)
        assert value == pytest.approx(icc_2_1(repeated).value, abs=1e-9)


@pytest.mark.parametrize("ratings", [[[1, 2]], [[1], [2]], [[1, math.nan], [2, 3]], [1, 2, 3]])
def test_refuses_what_is_no_table(ratings):
    with pytest.raises(UsageError, match="finite ratings"):
        icc_2_1(ratings)
