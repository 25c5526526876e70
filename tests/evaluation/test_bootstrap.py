import numpy as np
import pytest

from cacseg.errors import UsageError
from cacseg.evaluation.bootstrap import interval, resample


def test_every_sample_draws_as_many_cases_as_there_are():
    weights = resample(37, samples=50)
    assert weights.shape == (50, 37)
    assert (weights.sum(axis=1) == 37).all()


def test_a_seed_gives_the_same_samples_and_another_gives_others():
    assert np.array_equal(resample(9, 4, seed=1), resample(9, 4, seed=1))
    assert not np.array_equal(resample(9, 4, seed=1), resample(9, 4, seed=2))


def test_interval_of_a_mean_is_close_to_the_normal_one():
    values = np.random.default_rng(0).normal(5, 2, 400)
    low, high = interval(lambda drawn: drawn @ values / 400, resample(400, 4000))
    half = 1.96 * values.std(ddof=1) / 20
    assert low == pytest.approx(values.mean() - half, abs=0.03)
    assert high == pytest.approx(values.mean() + half, abs=0.03)


def test_no_interval_where_the_statistic_is_mostly_undefined():
    assert interval(lambda drawn: np.full(len(drawn), np.nan), resample(5, 10)) is None


def test_needs_a_case():
    with pytest.raises(UsageError, match="at least one"):
        resample(0)
