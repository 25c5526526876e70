"""The fast scorer against the obvious one: equal to the last bit."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cacseg.scoring import RULES, score
from cacseg.volume import Volume

SPACINGS_MM = ((3.0, 0.5, 0.5), (1.5, 0.4, 0.4), (2.5, 0.39, 0.41), (0.5, 0.488, 0.488), (3.0, 1.2, 0.7))


def random_case(seed, shape, density, spacing, real):
    """Clustered HU around all the edges, with labels over most of what is bright."""
    rng = np.random.default_rng(seed)
    hu = rng.choice([-2048, 40, 112, 113, 129, 130, 199, 200, 299, 300, 399, 400, 1200], shape)
    hu = np.where(rng.random(shape) < density, hu, 0)
    if real:
        hu = hu + rng.choice([-0.5, 0.0, 0.25, 1e-3], shape)
    labels = np.repeat(np.repeat(rng.integers(0, 9, (shape[0], -(-shape[1] // 3), -(-shape[2] // 3))), 3, 1), 3, 2)
    labels = labels[:, : shape[1], : shape[2]].astype(np.uint8)
    labels[rng.random(shape) < 0.1] = 0
    volume = Volume.axial(hu.astype(np.float32 if real else np.int16), spacing, (-10.0, 20.0, 300.0))
    return volume, volume.with_voxels(labels)


def assert_equal(scoring, lesions):
    assert (*scoring.lesions, *scoring.extracoronary) == tuple(lesions)
    assert scoring.total.lesions == len(scoring.lesions)


@pytest.mark.slow
@settings(max_examples=10_000, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(1, 4), st.integers(1, 7), st.integers(1, 7)),
    density=st.sampled_from((0.15, 0.4, 0.7, 1.0)),
    spacing=st.sampled_from(SPACINGS_MM),
    real=st.booleans(),
    rule=st.sampled_from(sorted(RULES)),
)
def test_10000_random_volumes(reference_lesions, seed, shape, density, spacing, real, rule):
    volume, labels = random_case(seed, shape, density, spacing, real)
    scoring = score(volume, labels, RULES[rule], mass_factor=0.8)
    assert_equal(scoring, reference_lesions(volume, labels, RULES[rule], 0.8))


@pytest.mark.parametrize("rule", sorted(RULES))
def test_every_insert_of_the_real_phantom(qrm, qrm_inserts, insert_labels, reference_lesions, rule):
    for insert in qrm_inserts:
        labels = insert_labels(insert)
        box = (int(insert["slice_min"]) - 1, int(insert["row"]) - 14, int(insert["col"]) - 14)
        end = (int(insert["slice_max"]) + 2, int(insert["row"]) + 15, int(insert["col"]) + 15)
        volume, labels = qrm.crop(box, end), labels.crop(box, end)
        scoring = score(volume, labels, RULES[rule], mass_factor=0.7222)
        assert scoring.total.agatston > 0
        assert_equal(scoring, reference_lesions(volume, labels, RULES[rule], 0.7222))
