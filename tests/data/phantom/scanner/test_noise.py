import itertools
from dataclasses import replace

import numpy as np
import pytest

from cacseg.data.phantom.scanner.noise import (
    MEASURED_SLICE_CORRELATION,
    noise_planes,
    relative_power,
    slice_correlation,
)


def planes(protocol, count=12, seed=0):
    return np.array(list(noise_planes(protocol, count, np.random.default_rng(seed))))


def radial_power(noise, pixel_mm, edges):
    size = noise.shape[-1]
    power = (np.abs(np.fft.fft2(noise)) ** 2).mean(axis=0) * pixel_mm**2 / size**2
    frequency = np.hypot(*np.meshgrid(*(np.fft.fftfreq(size, pixel_mm),) * 2))
    return np.array([power[(frequency >= a) & (frequency < b)].mean() for a, b in itertools.pairwise(edges)])


@pytest.fixture
def canon(protocol):
    return replace(protocol, matrix=512, field_of_view_mm=0.488 * 512, noise_cutoff_lpmm=0.42)


def test_noise_has_unit_sd_and_no_mean(canon):
    noise = planes(canon)
    assert noise.std() == pytest.approx(1.0, abs=0.01)
    assert abs(noise.mean()) < 0.01


def test_the_power_spectrum_is_the_one_measured_on_a_real_scan(canon, shared_dir):
    import json

    table = json.loads((shared_dir / "facts" / "qrm_canon_measured.json").read_text())
    measured = np.array(table["nps_radial_lpmm_HU2mm2"])
    edges = np.concatenate([measured[2:24:2, 0] - 0.015])
    expected = np.array(
        [measured[(measured[:, 0] >= a) & (measured[:, 0] < b), 1].mean() for a, b in itertools.pairwise(edges)]
    )
    found = radial_power(21.0 * planes(canon, 16), 0.488, edges)
    assert np.allclose(found, expected, rtol=0.15, atol=20.0)


def test_neighbouring_slices_correlate_as_measured(canon):
    noise = planes(canon, 40)
    neighbours = np.mean([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in itertools.pairwise(noise)])
    assert neighbours == pytest.approx(MEASURED_SLICE_CORRELATION, abs=0.02)


def test_overlapping_slices_correlate_more_and_gaps_less(canon):
    half = slice_correlation(replace(canon, increment_mm=1.5))
    assert 0.4 < half < 0.6
    assert slice_correlation(replace(canon, increment_mm=6.0)) < 1e-4
    noise = planes(replace(canon, increment_mm=1.5), 30)
    assert np.corrcoef(noise[10].ravel(), noise[11].ravel())[0, 1] == pytest.approx(half, abs=0.05)


@pytest.mark.parametrize("matrix", [256, 512, 768])
def test_every_matrix_gets_noise_that_depends_on_the_generator_alone(canon, matrix):
    chosen = replace(canon, matrix=matrix)
    assert np.array_equal(planes(chosen, 3, 5), planes(chosen, 3, 5))
    assert abs(np.corrcoef(planes(chosen, 1, 5).ravel(), planes(chosen, 1, 6).ravel())[0, 1]) < 0.02


def test_textures_differ_as_their_names_say():
    frequency = np.linspace(0.02, 2.0, 400)
    power = {texture: relative_power(frequency, texture) for texture in ("fbp", "sharp", "iterative")}
    mean = {texture: (frequency * each).sum() / each.sum() for texture, each in power.items()}
    assert mean["sharp"] > 1.1 * mean["fbp"]
    share = {texture: each[frequency < 0.5].sum() / each.sum() for texture, each in power.items()}
    assert share["sharp"] < share["fbp"] < share["iterative"]
