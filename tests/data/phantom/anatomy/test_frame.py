"""The quick interpolations give what plain ones give."""

import numpy as np
import pytest

from cacseg.data.phantom.anatomy.canvas import Canvas, catmull_rom
from cacseg.data.phantom.anatomy.frame import BLOCK, Deformation, _bands, basis, spread
from cacseg.data.phantom.tissue import Tissue


@pytest.mark.parametrize(("fine", "coarse"), [(9, 5), (77, 30), (130, 47)])
def test_interpolation_in_blocks_equals_the_whole_product(fine: int, coarse: int) -> None:
    matrix = catmull_rom(np.linspace(0.0, 1.0, fine), np.linspace(-0.1, 1.1, coarse))
    field = np.random.default_rng(1).normal(0.0, 30.0, (coarse, coarse, coarse)).astype(np.float32)
    plain = np.einsum("abc,ia,jb,kc->ijk", *(each.astype(np.float64) for each in (field, *[matrix] * 3)), optimize=True)
    np.testing.assert_allclose(spread(field, matrix, matrix, matrix), plain, atol=2e-4)


def test_blocks_leave_out_most_of_what_is_zero() -> None:
    matrix = catmull_rom(np.linspace(0.0, 1.0, 220), np.linspace(-0.02, 1.02, 80))
    bands = _bands(matrix)
    assert sum(matrix[here, used].size for here, used in bands) < 0.25 * matrix.size
    assert sum(np.abs(matrix[here, used]).sum() for here, used in bands) == pytest.approx(np.abs(matrix).sum())
    assert len(_bands(matrix[:, :BLOCK])) == 1


def test_displacement_of_points_is_that_of_the_grid_and_none_far_away() -> None:
    deformation = Deformation.draw(2.0, np.random.default_rng(3))
    axes = [np.linspace(low, high, 7) for low, high in ((-250.0, 240.0), (-270.0, 260.0), (-281.0, 290.0))]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    points = np.stack([x, y, z], axis=-1).reshape(-1, 3)
    np.testing.assert_allclose(deformation.at(points), deformation.on_grid(*axes).reshape(-1, 3), atol=1e-5)
    assert np.abs(deformation.at(points)).max() > 1.0
    assert not deformation.at(np.full((1, 3), 900.0)).any()
    assert basis(np.array([0.0]), 14).sum() == pytest.approx(1.0)


def test_painting_only_what_a_body_reaches_equals_painting_everything() -> None:
    axes = tuple(np.arange(size, dtype=float) for size in (6, 20, 24))
    still = Deformation(np.zeros((3, 14, 16, 16), np.float32))
    rng = np.random.default_rng(5)
    for strength, hu in ((1.0, 50.0), (0.7, rng.normal(0.0, 50.0, (6, 20, 24)).astype(np.float32))):
        canvas = Canvas((axes[0], axes[1], axes[2]), still)
        canvas.hu[:] = rng.normal(0.0, 100.0, canvas.hu.shape)
        distance = rng.normal(3.0, 3.0, canvas.hu.shape).astype(np.float32)
        distance[2], distance[3, :9], distance[4, :, 5:] = 9.0, 9.0, 9.0
        share = np.clip(0.5 - distance, 0.0, strength)
        expected = canvas.hu + share * (hu - canvas.hu)
        canvas.paint((slice(0, 6), slice(0, 20), slice(0, 24)), distance, hu, Tissue.SOFT, strength=strength)
        np.testing.assert_allclose(canvas.hu, expected, atol=1e-4)
        assert np.array_equal(canvas.tissue == Tissue.SOFT, distance < 0.0)
