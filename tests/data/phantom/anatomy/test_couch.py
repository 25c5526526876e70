"""The couch lies under the body, is no part of it, and is on top of who lies prone."""

from typing import Any

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from cacseg.data.phantom.anatomy import build_anatomy
from cacseg.data.phantom.population import draw_patient
from cacseg.data.phantom.scene import Scene
from cacseg.data.phantom.tissue import Tissue

COARSE = (4.0, 2.0, 2.0)


def chest(seed: int, **facts: Any) -> Scene:
    return build_anatomy(draw_patient(seed, **facts), np.random.default_rng(seed), extent="chest", spacing_mm=COARSE)


def couch_of(made: Scene) -> np.ndarray:
    """Voxels away from the body that are more than air."""
    body = binary_dilation(made.tissue.voxels != Tissue.OUTSIDE, iterations=2)
    return ~body & (made.hu.voxels > -950.0)


@pytest.mark.parametrize("seed", [2, 3])
def test_a_thin_curved_shell_lies_beneath_the_back(seed: int) -> None:
    made = chest(seed, couch=True, prone=False)
    couch = couch_of(made)
    assert couch.any(axis=(1, 2)).all()
    plane = couch[len(couch) // 2]
    rows, columns = np.nonzero(plane)
    body = np.nonzero((made.tissue.voxels != Tissue.OUTSIDE).any(axis=(0, 2)))[0]
    assert np.median(rows) > 0.8 * body[-1]
    assert np.ptp(columns) * COARSE[2] > 250.0
    middle = np.abs(columns - np.median(columns)) < 10
    assert rows[~middle].min() < rows[middle].min() - 3
    thick = plane.sum(axis=0)[plane.any(axis=0)] * COARSE[1]
    assert 3.0 < np.median(thick) < 40.0
    values = made.hu.voxels[couch]
    assert -780.0 < np.median(values) < 0.0
    assert made.hu.voxels[:, -1].max() < -900.0


def test_prone_patients_lie_on_their_front_and_their_lungs_are_denser_there() -> None:
    upright, turned = chest(4, couch=True, prone=False), chest(4, couch=True, prone=True)
    for made, front in ((upright, False), (turned, True)):
        rows = np.nonzero(couch_of(made))[1]
        assert (np.median(rows) < made.hu.shape[1] / 2) == front
        lung = made.tissue.voxels == Tissue.LUNG
        row = np.broadcast_to(np.arange(made.hu.shape[1])[None, :, None], lung.shape)[lung]
        low, high = np.quantile(row, (0.15, 0.85))
        values = made.hu.voxels[lung]
        assert (np.median(values[row < low]) > np.median(values[row > high])) == front


def test_without_a_couch_there_is_only_air_around_the_body() -> None:
    made = chest(2, couch=False)
    assert couch_of(made).sum() < 40
    assert couch_of(chest(2, couch=True)).sum() > 20_000


def test_the_couch_changes_nothing_in_the_patient_and_nothing_in_a_heart_sized_scene() -> None:
    with_it, without = (chest(3, couch=couch) for couch in (True, False))
    rows = without.hu.shape[1]
    body = without.tissue.voxels != Tissue.OUTSIDE
    assert (with_it.tissue.voxels[:, :rows] == without.tissue.voxels)[body].mean() > 0.985
    assert np.quantile(np.abs(with_it.hu.voxels[:, :rows][body] - without.hu.voxels[body]), 0.9) < 5.0
    heart = [
        build_anatomy(draw_patient(3, couch=couch), np.random.default_rng(3), spacing_mm=(4.0, 3.0, 3.0))
        for couch in (True, False)
    ]
    assert np.array_equal(heart[0].hu.voxels, heart[1].hu.voxels)
