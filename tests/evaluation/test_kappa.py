import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacseg.errors import UsageError
from cacseg.evaluation.bootstrap import resample
from cacseg.evaluation.kappa import confusion_table, kappa_resampled, weighted_kappa


@pytest.mark.parametrize("weighting", ["linear", "quadratic"])
@given(seed=st.integers(0, 10**6), cases=st.integers(12, 60))
def test_agrees_with_scikit_learn(weighting, seed, cases):
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 5, cases)
    predicted = np.clip(truth + rng.integers(-1, 2, cases), 0, 4)
    expected = metrics.cohen_kappa_score(truth, predicted, labels=list(range(5)), weights=weighting)
    assert weighted_kappa(confusion_table(truth, predicted, 5), weighting) == pytest.approx(expected, abs=1e-12)


def test_a_worked_example_with_quadratic_weights():
    # Cohen 1968 gives weighted kappa as 1 - sum(v p_o) / sum(v p_e); here every product is spelt out.
    table = np.array([[44, 5, 1], [7, 20, 3], [9, 5, 6]])
    rows, columns, n = table.sum(1), table.sum(0), table.sum()
    off = sum((i - j) ** 2 * table[i, j] for i in range(3) for j in range(3))
    chance = sum((i - j) ** 2 * rows[i] * columns[j] / n for i in range(3) for j in range(3))
    assert weighted_kappa(table, "quadratic") == pytest.approx(1 - off / chance)
    assert (off, round(chance, 2)) == (60, 110.0)


def test_undefined_where_chance_alone_agrees():
    assert math.isnan(weighted_kappa([[7, 0], [0, 0]]))
    assert math.isnan(weighted_kappa([[0, 0], [0, 0]]))


@pytest.mark.parametrize("weighting", ["linear", "quadratic"])
def test_resampled_value_is_that_of_the_drawn_cases(weighting):
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 5, 40)
    predicted = np.clip(truth + rng.integers(-1, 2, 40), 0, 4)
    weights = resample(40, samples=20, seed=4)
    values = kappa_resampled(truth, predicted, 5, weights, weighting)
    for drawn, value in zip(weights.astype(int), values, strict=True):
        table = confusion_table(np.repeat(truth, drawn), np.repeat(predicted, drawn), 5)
        assert value == pytest.approx(weighted_kappa(table, weighting))


def test_resampling_one_category_is_undefined():
    zeros = np.zeros(4, np.int64)
    assert np.isnan(kappa_resampled(zeros, zeros, 5, resample(4, 3))).all()


def test_refuses_ranks_out_of_range_and_uneven_lists():
    with pytest.raises(UsageError, match=r"0 \.\.\. 4"):
        confusion_table([5], [0], 5)
    with pytest.raises(UsageError, match="equally long"):
        confusion_table([1, 2], [0], 5)
