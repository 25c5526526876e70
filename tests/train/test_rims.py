from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cacseg.train.augment import Augmentation, Example, example
from cacseg.train.rims import LUNG_CLASS, SOFT_CLASSES, add_bright_rims
from cacseg.train.sample import UNKNOWN, Sample, load

SPOTS = replace(Augmentation(), rim_probability=1.0)


@pytest.fixture(scope="module")
def whole(cache_dir: Path) -> Example:
    return example(load(cache_dir / "crude-3.npz"), None, np.random.default_rng(0))


def brightened(whole: Example, seed: int, **targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    cells, calcium = whole.cells.copy(), whole.calcium.copy()
    dense = {"territory": whole.territory, "tissue": whole.tissue, **targets}
    add_bright_rims(cells, calcium, dense["territory"], dense["tissue"], np.random.default_rng(seed))
    return cells, calcium


@pytest.mark.parametrize("seed", range(6))
def test_spots_lie_on_soft_tissue_beside_the_lung_away_from_arteries(whole: Example, seed: int) -> None:
    cells, _ = brightened(whole, seed)
    z, y, x = np.unravel_index((cells[0] - whole.cells[0]).argmax(), cells.shape[1:])
    middle = z, y // 2, x // 2
    around = whole.tissue[z, y // 2 - 3 : y // 2 + 4, x // 2 - 3 : x // 2 + 4]
    assert whole.tissue[middle] in SOFT_CLASSES
    assert (around == LUNG_CLASS).any()
    assert whole.territory[middle] == 0


def test_new_candidates_are_background_and_calcium_keeps_its_label(whole: Example) -> None:
    new = 0
    for seed in range(12):
        cells, calcium = brightened(whole, seed)
        fresh = (cells[1] > 0) & (whole.cells[1] == 0)
        new += int(fresh.sum())
        assert (calcium[fresh] == 0).all()
        assert np.array_equal(
            calcium[~fresh & (whole.calcium != UNKNOWN)], whole.calcium[~fresh & (whole.calcium != UNKNOWN)]
        )
        assert (cells[1] <= 1).all()
        assert (cells[2][fresh] > 0).all()
    assert new > 20


def test_candidates_follow_the_scatter_of_voxels(whole: Example) -> None:
    cells, _ = brightened(whole, 1)
    fresh = (cells[1] > 0) & (whole.cells[1] == 0)
    bright, dim = cells[0][fresh] > 160, cells[0][fresh] < 100
    assert (cells[1][fresh][bright] > 0.7).all()
    assert (cells[1][fresh][dim] < 0.3).all()


def test_a_patient_with_unknown_tissue_stays_as_it_is(whole: Example) -> None:
    cells, calcium = brightened(whole, 0, tissue=np.full_like(whole.tissue, UNKNOWN))
    assert np.array_equal(cells, whole.cells)
    assert np.array_equal(calcium, whole.calcium)


def test_training_draws_them(cache_dir: Path) -> None:
    sample: Sample = load(cache_dir / "crude-3.npz")
    with_spots = example(sample, SPOTS, np.random.default_rng(4))
    without = example(sample, replace(SPOTS, rim_probability=0.0), np.random.default_rng(4))
    assert (with_spots.calcium == 0).sum() > (without.calcium == 0).sum()
