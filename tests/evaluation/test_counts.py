import math

import numpy as np
import pytest

from cacseg.evaluation.bootstrap import resample
from cacseg.evaluation.counts import Counts, f1_resampled, overlap


def test_f1_is_the_harmonic_mean():
    counts = Counts(right=30, false=10, missed=20)
    assert counts.f1 == pytest.approx(2 / (1 / counts.sensitivity + 1 / counts.precision))


def test_agrees_with_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    rng = np.random.default_rng(2)
    truth, called = rng.random(500) < 0.3, rng.random(500) < 0.4
    counts = overlap(truth, called)
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(truth, called, average="binary")
    assert (counts.precision, counts.sensitivity, counts.f1) == pytest.approx((precision, recall, f1))


def test_nothing_in_nothing_is_not_a_number():
    empty = Counts(0, 0, 0)
    assert all(math.isnan(value) for value in (empty.f1, empty.precision, empty.sensitivity))
    assert Counts(0, 3, 0).f1 == 0


def test_pooling_adds_and_resampling_pools():
    table = np.array([[3.0, 1, 0], [0, 0, 2], [5, 2, 2]])
    weights = resample(3, samples=30, seed=8)
    values = f1_resampled(table, weights)
    for drawn, value in zip(weights, values, strict=True):
        pooled = Counts(0, 0, 0)
        for row, times in zip(table, drawn.astype(int), strict=True):
            for _ in range(times):
                pooled = pooled + Counts(*row)
        assert value == pytest.approx(pooled.f1)
