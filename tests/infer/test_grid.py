from itertools import permutations, product

import numpy as np
import pytest

from cacseg.infer.grid import (
    AIR_HU,
    HEART_GRID,
    SCOUT_GRID,
    GridSpec,
    averaging_matrix,
    axial_array,
    axial_view,
    model_input,
    obliqueness_degrees,
    scout_input,
)
from cacseg.volume import Volume

SMALL = GridSpec((6, 8, 8), (3.0, 1.5, 1.5))


def volume(rng: np.random.Generator) -> Volume:
    return Volume.axial(rng.integers(-200, 500, (9, 30, 26)).astype(np.int16), (3.0, 0.5, 0.6), (-7.0, -8.0, -12.0))


def reoriented(axial: Volume, order: tuple[int, ...], signs: tuple[int, ...]) -> Volume:
    voxels = axial.voxels.transpose(order)[tuple(slice(None, None, s) for s in signs)]
    affine = np.eye(4)
    affine[:3, :3] = axial.affine[:3, list(order)] * np.array(signs)
    first = np.zeros(3)
    for axis, sign in zip(order, signs, strict=True):
        first[axis] = 0 if sign > 0 else axial.shape[axis] - 1
    affine[:3, 3] = axial.to_world([first])[0]
    return Volume(voxels, affine)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_every_orientation_reaches_the_network_alike(order: tuple[int, ...]) -> None:
    axial = volume(np.random.default_rng(0))
    expected = model_input(axial_view(axial), np.zeros(3), SMALL)
    for signs in product((1, -1), repeat=3):
        view = axial_view(reoriented(axial, order, signs))
        assert np.array_equal(view.voxels, axial.voxels)
        assert np.allclose(view.affine, axial.affine)
        assert np.array_equal(model_input(view, np.zeros(3), SMALL).cells, expected.cells)


def test_writing_into_the_axial_array_writes_into_the_original() -> None:
    axial = volume(np.random.default_rng(0))
    turned = reoriented(axial, (2, 0, 1), (-1, 1, -1))
    labels = np.zeros(turned.shape, np.uint8)
    axial_array(labels, turned.affine)[2, 3, 4] = 7
    assert (labels > 0).sum() == 1
    at = np.argwhere(labels == 7)
    assert np.allclose(turned.to_world(at), axial.to_world([[2, 3, 4]]))


@pytest.mark.parametrize(
    ("n_in", "step", "offset", "n_out"), [(50, 0.3, -2.0, 9), (20, 1.0, 0.4, 12), (8, 1.7, -1.0, 10)]
)
def test_averaging_keeps_a_ramp(n_in: int, step: float, offset: float, n_out: int) -> None:
    matrix = averaging_matrix(n_in, step, offset, n_out)
    sums = matrix.sum(axis=1)
    assert np.all((np.abs(sums - 1) < 1e-5) | (sums == 0))
    positions = offset + step * np.arange(n_in)
    inner = (np.arange(n_out) > positions[0] + 1) & (np.arange(n_out) < positions[-1] - 1)
    assert inner.sum() >= 4
    assert np.allclose((matrix @ positions.astype(np.float32))[inner], np.arange(n_out)[inner], atol=0.2)


def test_a_uniform_scan_gives_uniform_cells_inside_and_air_outside() -> None:
    scan = Volume.axial(np.full((6, 20, 20), 37, np.int16), (3.0, 0.5, 0.5))
    grid = model_input(scan, scan.to_world([[2.5, 9.5, 9.5]])[0], GridSpec((12, 20, 20), (3.0, 1.5, 1.5)))
    values = np.unique(np.round(grid.cells[0], 2))
    assert values.tolist() == [AIR_HU, 37.0]
    assert (grid.cells[0] == AIR_HU).sum() > 12 * 20 * 20 / 2


def test_padding_below_air_is_shown_as_air() -> None:
    scan = Volume.axial(np.full((4, 8, 8), -3024, np.int16), (3.0, 1.5, 1.5))
    grid = model_input(scan, np.zeros(3), SMALL)
    assert grid.cells[0].min() == grid.cells[0].max() == AIR_HU


def test_candidates_are_counted_with_their_excess_at_the_right_cell() -> None:
    voxels = np.full((5, 30, 30), 20, np.int16)
    scan = Volume.axial(voxels, (3.0, 0.5, 0.5))
    centre = scan.to_world([[2, 15, 15]])[0]
    affine = model_input(scan, centre, SMALL).affine
    cell = np.array([3, 5, 2])
    world = (affine @ np.append(cell, 1))[:3]
    slice_, row, column = np.rint(scan.to_index([world])[0]).astype(int)
    voxels[slice_, row, column] = 430
    grid = model_input(scan, centre, SMALL)
    assert np.argwhere(grid.cells[1] > 0).tolist() == [cell.tolist()]
    assert grid.cells[1].max() == pytest.approx(1 / 9, rel=1e-5)
    assert grid.cells[2].max() == pytest.approx(300 / 9, rel=1e-5)


def test_threshold_of_the_candidate_channel_is_inclusive() -> None:
    voxels = np.full((3, 9, 9), 129, np.int16)
    scan = Volume.axial(voxels, (3.0, 1.5, 1.5))
    centre = scan.to_world([[1, 4, 4]])[0]
    assert model_input(scan, centre, SMALL).cells[1].max() == 0
    voxels[1, 4, 4] = 130
    assert model_input(scan, centre, SMALL).cells[1].sum() == pytest.approx(1.0)


@pytest.mark.parametrize("offset_mm", [0.0, 0.7, 1.4, -1.1])
def test_cells_lie_on_slices_of_about_their_height(offset_mm: float) -> None:
    scan = Volume.axial(np.zeros((20, 8, 8), np.int16), (3.0, 1.5, 1.5))
    grid = model_input(scan, np.array([5.0, 5.0, 30.0 + offset_mm]), SMALL)
    slices = scan.to_index((grid.affine @ np.array([[k, 0, 0, 1] for k in range(6)], float).T).T[:, :3])[:, 0]
    assert np.allclose(slices, np.rint(slices), atol=1e-9)
    middle = (grid.affine @ np.append((np.array(SMALL.shape) - 1) / 2, 1))[:3]
    assert abs(middle[2] - 30.0 - offset_mm) <= 3.0


@pytest.mark.parametrize("slice_mm", [0.5, 1.0, 1.5, 2.5, 5.0])
def test_thin_and_thick_slices_show_the_same_smooth_object(slice_mm: float) -> None:
    def scan(mm: float) -> Volume:
        n = int(120 / mm)
        z = (np.arange(n) - (n - 1) / 2) * mm
        profile = (100 * np.cos(z / 20))[:, None, None]
        return Volume.axial(
            np.rint(np.broadcast_to(profile, (n, 16, 16))).astype(np.int16), (mm, 1.5, 1.5), (0, 0, z[0])
        )

    grid = GridSpec((20, 8, 8), (3.0, 1.5, 1.5))
    shown = model_input(scan(slice_mm), np.array([12.0, 12.0, 0.0]), grid)
    z_mm = (shown.affine @ np.array([[k, 0, 0, 1] for k in range(20)], float).T)[2]
    assert np.abs(shown.cells[0][:, 4, 4] - 100 * np.cos(z_mm / 20)).max() < 6


def test_scout_covers_a_chest_and_reads_few_voxels() -> None:
    scan = Volume.axial(np.full((300, 64, 64), -20, np.int16), (1.0, 5.0, 5.0))
    scout = scout_input(scan, scan.to_world([[149.5, 31.5, 31.5]])[0])
    assert scout.cells.shape == (1, *SCOUT_GRID.shape)
    inside = scout.cells[0] > AIR_HU
    assert inside.sum(axis=0).max() == pytest.approx(50, abs=1)


def test_obliqueness() -> None:
    angle = np.radians(12)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    scan = Volume.axial(np.zeros((3, 3, 3), np.int16), (3.0, 0.5, 0.5))
    assert obliqueness_degrees(scan.affine) == pytest.approx(0.0, abs=1e-5)
    assert obliqueness_degrees(turn @ scan.affine) == pytest.approx(12.0, abs=1e-6)


def test_the_grid_holds_a_heart() -> None:
    assert HEART_GRID.extent_mm == (144.0, 216.0, 216.0)
