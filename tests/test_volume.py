"""Array, affine and world stay together through every operation."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacseg.errors import UsageError
from cacseg.volume import Volume

SPACING = (3.0, 0.4, 0.5)
DIRECTIONS = [
    np.array(signs)[:, None] * np.eye(3)[list(order)]
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1.0, -1.0), repeat=3)
]


def volume_along(direction, shape=(3, 4, 5)):
    affine = np.eye(4)
    affine[:3, :3] = direction.T * np.array(SPACING)
    affine[:3, 3] = (-20.0, 11.0, 300.0)
    return Volume(np.arange(np.prod(shape), dtype=np.int16).reshape(shape), affine)


def test_axial_spacing_area_and_volume():
    volume = Volume.axial(np.zeros((2, 3, 4), np.int16), SPACING)
    assert volume.spacing_mm == pytest.approx(SPACING)
    assert volume.pixel_area_mm2 == pytest.approx(0.2)
    assert volume.voxel_volume_mm3 == pytest.approx(0.6)


@given(st.lists(st.tuples(*[st.floats(-50, 50)] * 3), min_size=1, max_size=5))
def test_world_and_index_are_inverse(points):
    volume = volume_along(DIRECTIONS[7])
    np.testing.assert_allclose(volume.to_world(volume.to_index(points)), points, atol=1e-9)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("flips", list(itertools.product((1, -1), repeat=3)))
def test_matched_to_brings_every_axis_order_back(order, flips):
    target = volume_along(DIRECTIONS[3])
    voxels = target.voxels.transpose(order)
    affine = target.affine.copy()
    affine[:3, :3] = target.affine[:3, list(order)] * np.array(flips)
    first = np.zeros(3)
    for new_axis, old_axis in enumerate(order):
        first[old_axis] = 0 if flips[new_axis] > 0 else target.shape[old_axis] - 1
    affine[:3, 3] = target.to_world([first])[0]
    turned = Volume(voxels[tuple(slice(None, None, flip) for flip in flips)], affine)
    matched = turned.matched_to(target)
    assert matched.same_grid(target)
    np.testing.assert_array_equal(matched.voxels, target.voxels)


def test_matched_to_refuses_a_shifted_grid_and_says_both():
    volume = volume_along(DIRECTIONS[0])
    affine = volume.affine.copy()
    affine[0, 3] += 0.2
    with pytest.raises(UsageError, match=r"-19\.8.*Resample the labels"):
        Volume(volume.voxels, affine).matched_to(volume)


def test_ras_round_trip_keeps_world_positions():
    volume = volume_along(DIRECTIONS[11])
    back = Volume.from_ras(volume.voxels.T, volume.ras_affine())
    assert back.same_grid(volume)
    np.testing.assert_array_equal(back.voxels, volume.voxels)
    ras = volume.ras_affine() @ [2, 1, 0, 1]
    np.testing.assert_allclose(ras[:3] * [-1, -1, 1], volume.to_world([[0, 1, 2]])[0])


def test_crop_keeps_world_positions():
    volume = volume_along(DIRECTIONS[5])
    cut = volume.crop((1, 2, 0), (3, 4, 2))
    assert cut.shape == (2, 2, 2)
    np.testing.assert_allclose(cut.to_world([[0, 0, 0]]), volume.to_world([[1, 2, 0]]))
    assert cut.voxels[0, 0, 0] == volume.voxels[1, 2, 0]


def test_bad_shapes_are_refused():
    with pytest.raises(UsageError, match="3 axes"):
        Volume(np.zeros((2, 2)), np.eye(4))
    with pytest.raises(UsageError, match="invertible"):
        Volume(np.zeros((2, 2, 2)), np.zeros((4, 4)))
    with pytest.raises(UsageError, match="Expected an array"):
        volume_along(DIRECTIONS[0]).with_voxels(np.zeros((1, 1, 1)))


@pytest.mark.parametrize(
    "spacing_mm", [(3.0, 1.0, 1.0), (3.0, 0.5, 0.5), (3.0, 0.7, 0.7), (0.625, 0.9765625, 0.9765625)]
)
def test_volume_of_a_voxel_is_exact_on_an_axial_grid(spacing_mm: tuple[float, float, float]) -> None:
    slices, rows, columns = spacing_mm
    assert Volume.axial(np.zeros((2, 2, 2), np.int16), spacing_mm).voxel_volume_mm3 == slices * (rows * columns)
