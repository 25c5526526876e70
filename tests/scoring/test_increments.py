"""Increment correction: what the same calcium scores when it is cut differently."""

import numpy as np
import pytest

from cacseg.scoring import score
from cacseg.volume import Volume

PIXEL_MM = 0.5


def rod(length_mm, increment_mm, thickness_mm, start_mm, hu=350.0):
    """A rod of 4 x 4 mm along z, cut into slices of a box profile, on a background of 0 HU."""
    centres = start_mm + increment_mm * np.arange(round(90 / increment_mm))
    low, high = 45 - length_mm / 2, 45 + length_mm / 2
    top, bottom = np.minimum(centres + thickness_mm / 2, high), np.maximum(centres - thickness_mm / 2, low)
    voxels = np.zeros((centres.size, 16, 16), np.float32)
    voxels[:, 4:12, 4:12] = (np.clip(top - bottom, 0, None) / thickness_mm * hu)[:, None, None]
    volume = Volume.axial(voxels, (increment_mm, PIXEL_MM, PIXEL_MM))
    return volume, volume.with_voxels((voxels > 0).astype(np.uint8))


GEOMETRIES = [(t, t) for t in (0.5, 1.0, 1.5, 2.5, 3.0, 5.0)] + [(1.5, 3.0), (2.5, 5.0), (0.75, 1.5)]


@pytest.mark.parametrize(("increment_mm", "thickness_mm"), GEOMETRIES)
def test_a_long_rod_scores_alike_at_every_increment(increment_mm, thickness_mm):
    """Expectation: area x weight x length / 3, up to the partial slices at its two ends."""
    expected = 16.0 * 3 * 60.0 / 3
    scores = [
        score(*rod(60.0, increment_mm, thickness_mm, start)).total.agatston
        for start in np.linspace(0, increment_mm, 13)[:-1]
    ]
    assert np.mean(scores) == pytest.approx(expected, rel=0.06 * max(thickness_mm, 1.0) / 3 + 0.02)


@pytest.mark.parametrize(("increment_mm", "thickness_mm"), GEOMETRIES)
def test_what_remains_at_the_ends_is_that_of_partial_volume(increment_mm, thickness_mm):
    """Residual bias in closed form: a cut of share s of a slice reads 350 s; its weight follows from that.

    Averaged over the start, each end adds thickness x (1/3 of the integral of weight(350 s) over s) minus the
    half slice that lies outside the rod.
    """
    share = (np.arange(200_000) + 0.5) / 200_000
    weight = np.searchsorted([130, 200, 300, 400], 350 * share, side="right")
    end = thickness_mm * (weight.mean() - 3 * 0.5)
    expected = 16.0 * (3 * 60.0 + 2 * end) / 3
    scores = [
        score(*rod(60.0, increment_mm, thickness_mm, start)).total.agatston
        for start in np.linspace(0, increment_mm, 61)[:-1]
    ]
    assert np.mean(scores) == pytest.approx(expected, rel=0.005)


def test_half_overlap_neither_doubles_nor_halves():
    apart = np.mean([score(*rod(30.0, 3.0, 3.0, s)).total.agatston for s in np.linspace(0, 3, 31)[:-1]])
    overlapping = np.mean([score(*rod(30.0, 1.5, 3.0, s)).total.agatston for s in np.linspace(0, 1.5, 31)[:-1]])
    assert overlapping == pytest.approx(apart, rel=0.01)


def test_a_gap_is_counted_as_if_filled():
    gapped = np.mean([score(*rod(30.0, 5.0, 3.0, s)).total.volume_mm3 for s in np.linspace(0, 5, 51)[:-1]])
    closed = np.mean([score(*rod(30.0, 3.0, 3.0, s)).total.volume_mm3 for s in np.linspace(0, 3, 31)[:-1]])
    assert gapped == pytest.approx(closed, rel=0.01)
