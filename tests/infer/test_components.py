import numpy as np
import pytest
from scipy import ndimage

from cacseg.infer.components import FACES, FACES_AND_EDGES, IN_SLICE, connected

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
