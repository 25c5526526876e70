import numpy as np
import pytest
from scipy import ndimage

from cacseg.infer.components import FACES, FACES_AND_EDGES, IN_SLICE, connected, cut

STRUCTURE = {
    FACES: ndimage.generate_binary_structure(3, 1),
    FACES_AND_EDGES: ndimage.generate_binary_structure(3, 2),
    IN_SLICE: np.stack([np.zeros((3, 3), bool), ndimage.generate_binary_structure(2, 1), np.zeros((3, 3), bool)]),
}


@pytest.mark.parametrize("offsets", list(STRUCTURE))
@pytest.mark.parametrize("density", [0.02, 0.2, 0.45])
def test_same_components_as_scipy(offsets: tuple, density: float) -> None:
    mask = np.random.default_rng(3).random((7, 23, 19)) < density
    expected = ndimage.label(mask, STRUCTURE[offsets])[0][mask]
    found = connected(np.flatnonzero(mask), mask.shape, offsets)
    pairs = set(zip(expected.tolist(), found.tolist(), strict=True))
    assert len(pairs) == len(set(expected.tolist())) == len(set(found.tolist()))


def test_a_long_winding_component_is_one() -> None:
    mask = np.zeros((1, 41, 41), bool)
    mask[0, ::2] = True
    mask[0, 1::4, -1] = True
    mask[0, 3::4, 0] = True
    assert set(connected(np.flatnonzero(mask), mask.shape).tolist()) == {0}


def test_rows_do_not_wrap_around() -> None:
    voxels = np.array([4, 5])
    assert connected(voxels, (1, 2, 5)).tolist() == [0, 1]


def test_nothing_has_no_components() -> None:
    assert connected(np.zeros(0, np.int64), (2, 2, 2)).size == 0


@pytest.mark.parametrize("length_mm", [3.0, 11.0, 14.0, 25.0, 60.0])
def test_a_long_component_is_cut_into_like_pieces(length_mm: float) -> None:
    along = np.arange(0.0, length_mm, 0.5)
    points = np.stack([0.3 * along, along * 0.9, np.sin(along / 9)], axis=1)
    piece = cut(points, np.zeros(along.size, np.int64), 12.0)
    sizes = np.bincount(piece)
    assert (sizes > 0).all()
    assert len(sizes) == 1 if length_mm < 12 else len(sizes) >= length_mm / 14
    assert sizes.max() <= 2 * sizes.min() + 1
    assert all(np.ptp(points[piece == number], axis=0).max() <= 15 for number in range(len(sizes)))
    assert (np.abs(np.diff(piece)) > 0).sum() == len(sizes) - 1


def test_no_piece_holds_two_components() -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 50, (400, 3))
    component = np.unique(rng.integers(0, 9, 400), return_inverse=True)[1]
    piece = cut(points, component, 12.0)
    assert np.array_equal(np.unique(piece), np.arange(piece.max() + 1))
    assert all(len(np.unique(component[piece == number])) == 1 for number in np.unique(piece))
    assert piece.max() > 8
    assert np.array_equal(piece, cut(points, component, 12.0))
    assert cut(np.zeros((0, 3)), np.zeros(0, np.int64), 12.0).size == 0
