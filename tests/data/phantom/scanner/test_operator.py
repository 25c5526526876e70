import numpy as np
import pytest

from cacseg.data.phantom.scanner.operator import in_plane_profile, sampling_operator, slice_profile


@pytest.mark.parametrize("step", [0.3, 1.0])
@pytest.mark.parametrize("sharp", [0.0, 0.5])
def test_a_flat_lattice_stays_flat(step, sharp):
    operator = sampling_operator(
        np.linspace(-20, 20, 97), -40.0, step, round(80 / step), in_plane_profile(0.7, sharp, step)
    )
    assert np.allclose(operator @ np.ones(round(80 / step), np.float32), 1.0, atol=1e-5)


def test_beyond_the_lattice_lies_nothing():
    operator = sampling_operator(np.array([-30.0, 0.0, 30.0]), -10.0, 1.0, 21, in_plane_profile(0.7, 0.0, 1.0))
    assert (operator @ np.ones(21, np.float32)).tolist() == pytest.approx([0.0, 1.0, 0.0], abs=1e-6)


@pytest.mark.parametrize(("sigma", "step"), [(0.67, 0.3), (0.67, 1.0), (1.0, 1.0), (0.5, 0.3)])
def test_the_blur_of_an_antialiased_edge_is_the_kernels(sigma, step):
    lattice = -15 + step * np.arange(round(30 / step) + 1)
    at = np.linspace(-6, 6, 601)
    operator = sampling_operator(at, -15.0, step, len(lattice), in_plane_profile(sigma, 0.0, step))
    variance = []
    for place in step * np.arange(10) / 10:
        edge = np.clip(0.5 + (lattice - place) / step, 0, 1).astype(np.float32)
        line = np.gradient(operator @ edge, at)
        mean = (line * at).sum() / line.sum()
        assert mean == pytest.approx(place, abs=0.02)
        variance.append((line * (at - mean) ** 2).sum() / line.sum())
    assert np.sqrt(np.mean(variance)) == pytest.approx(sigma, rel=0.03)


def test_a_sharp_kernel_overshoots():
    lattice = -15 + 0.3 * np.arange(101)
    edge = (lattice > 0).astype(np.float32)
    at = np.linspace(-5, 5, 201)
    response = sampling_operator(at, -15.0, 0.3, 101, in_plane_profile(0.5, 0.6, 0.3)) @ edge
    assert response.max() > 1.03
    assert response.min() < -0.03


@pytest.mark.parametrize("thickness", [1.5, 2.5, 3.0, 5.0])
def test_the_slice_profile_is_as_wide_as_the_slice_is_thick(thickness):
    profile, reach = slice_profile(thickness, 0.3)
    at = np.linspace(-reach, reach, 4001)
    weight = profile(at)
    above = at[weight > weight.max() / 2]
    assert above[-1] - above[0] == pytest.approx(thickness, rel=0.03)
    assert profile(np.array([reach + 0.1]))[0] < 0.01 * weight.max()
