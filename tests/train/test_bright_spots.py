import numpy as np
import pytest

from cacseg.train.bright_spots import FROM_ARTERY_MM, with_bright_spots
from cacseg.volume import Volume

ARTERY = np.stack([np.zeros(9), np.zeros(9), np.linspace(-8, 8, 9)], axis=1)


def heart_beside_lung(edge_mm: float) -> Volume:
    """Soft tissue to the left of a plane, lung to the right of it; the artery runs up through the middle."""
    x = (np.arange(160) - 80) * 0.5
    plane = np.where(x < edge_mm, 40, -850).astype(np.int16)
    return Volume.axial(np.broadcast_to(plane, (9, 160, 160)).copy(), (3.0, 0.5, 0.5), (-40.0, -40.0, -12.0))


@pytest.mark.parametrize("seed", range(5))
def test_spots_lie_on_the_rim_and_away_from_the_artery(seed: int) -> None:
    view = heart_beside_lung(8.0)
    bright = with_bright_spots(view, ARTERY, np.random.default_rng(seed))
    assert bright.voxels.dtype == np.int16
    added = bright.voxels.astype(int) - view.voxels
    assert added.min() >= 0
    assert added.max() > 90
    peaks = view.to_world(np.argwhere(added > 90))
    assert (np.abs(peaks[:, 0] - 8.0) < 5).all()
    assert (np.linalg.norm(peaks[:, :2], axis=1) > FROM_ARTERY_MM[0] - 3).all()
    assert (np.linalg.norm(peaks[:, :2], axis=1) < FROM_ARTERY_MM[1] + 6).all()
    assert (added[view.voxels < -500] == 0).all()


def test_spots_run_along_the_rim() -> None:
    view = heart_beside_lung(8.0)
    along, across = [], []
    for seed in range(20):
        added = with_bright_spots(view, ARTERY, np.random.default_rng(seed)).voxels.astype(int) - view.voxels
        where = np.argwhere(added > 30)
        for z in np.unique(where[:, 0]):
            spot = where[where[:, 0] == z]
            along.append(np.ptp(spot[:, 1]))
            across.append(np.ptp(spot[:, 2]))
    assert np.mean(along) > 1.5 * np.mean(across)


def test_where_no_lung_is_near_nothing_is_drawn() -> None:
    view = heart_beside_lung(35.0)
    assert np.array_equal(with_bright_spots(view, ARTERY, np.random.default_rng(1)).voxels, view.voxels)


def test_the_same_chance_gives_the_same_spots() -> None:
    view = heart_beside_lung(8.0)
    first, second = (with_bright_spots(view, ARTERY, np.random.default_rng(7)).voxels for _ in range(2))
    assert np.array_equal(first, second)
