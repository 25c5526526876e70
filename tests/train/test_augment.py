from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cacseg.infer.grid import AIR_HU, HEART_GRID, NARROW_GRIDS
from cacseg.train.augment import Augmentation, Example, example
from cacseg.train.sample import UNKNOWN, Sample, load
from cacseg.train.warp import WarpRange, draw_field, warp_linear, warp_nearest

NONE = Augmentation((0, 0, 0), 0.0, WarpRange(0, 0, 0, 0), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


@pytest.fixture(scope="module")
def sample(cache_dir: Path) -> Sample:
    return load(cache_dir / "crude-3.npz")


def test_shapes_and_types(sample: Sample) -> None:
    made = example(sample, Augmentation(), np.random.default_rng(0))
    assert made.cells.shape == (3, *HEART_GRID.shape)
    assert made.cells.dtype == np.float32
    assert made.calcium.shape == HEART_GRID.shape
    assert made.territory.shape == made.tissue.shape == (48, 72, 72)
    assert made.scout.shape == (1, 64, 64, 64)
    assert made.heart.shape == (64, 64, 64)


def test_a_narrow_grid_is_the_middle_of_the_wide_one(sample: Sample) -> None:
    wide, narrow = (example(sample, None, np.random.default_rng(0), grid) for grid in (HEART_GRID, NARROW_GRIDS[0]))
    assert narrow.cells.shape == (3, 48, 112, 112)
    assert np.array_equal(narrow.cells, wide.cells[:, :, 16:-16, 16:-16])
    assert np.array_equal(narrow.calcium, wide.calcium[:, 16:-16, 16:-16])
    assert np.array_equal(narrow.territory, wide.territory[:, 8:-8, 8:-8])
    varied = Augmentation(warp_probability=1, cut_probability=1, rim_probability=1)
    for seed in range(4):
        made = example(sample, varied, np.random.default_rng(seed), NARROW_GRIDS[1])
        assert made.cells.shape == (3, 48, 128, 128)
        assert made.tissue.shape == (48, 64, 64)


def test_the_same_seed_gives_the_same_example_and_leaves_the_sample_alone(sample: Sample) -> None:
    before = {name: np.copy(getattr(sample, name)) for name in Sample.__slots__ if name != "facts"}
    always = Augmentation(warp_probability=1, noise_probability=1, blur_probability=1, cut_probability=1)
    first, second = (example(sample, always, np.random.default_rng(5)) for _ in range(2))
    for name in Example.__slots__:
        assert np.array_equal(getattr(first, name), getattr(second, name))
    for name, value in before.items():
        assert np.array_equal(getattr(sample, name), value)


def test_shifts_move_every_target_together(sample: Sample) -> None:
    still = example(sample, None, np.random.default_rng(0))
    moved = example(sample, replace(NONE, shift_sd_cells=(0, 6, 6)), np.random.default_rng(2))
    known = np.argwhere((still.calcium > 0) & (still.calcium != UNKNOWN))
    other = np.argwhere((moved.calcium > 0) & (moved.calcium != UNKNOWN))
    shift = other.mean(axis=0) - known.mean(axis=0)
    assert np.abs(shift[1:]).max() >= 2
    assert np.allclose(shift % 2, 0)
    rolled = np.roll(still.territory, (shift[1:] / 2).astype(int), (1, 2))
    assert np.array_equal(rolled[:, 15:-15, 15:-15], moved.territory[:, 15:-15, 15:-15])


def test_left_stays_left(sample: Sample) -> None:
    for seed in range(6):
        made = example(sample, Augmentation(warp_probability=1), np.random.default_rng(seed))
        right = np.argwhere(made.territory == 4)[:, 2].mean()
        left = np.argwhere(made.territory == 3)[:, 2].mean()
        assert right < left


def test_lost_parts_are_air_without_targets(sample: Sample) -> None:
    for seed in range(6):
        made = example(sample, replace(NONE, cut_probability=1.0), np.random.default_rng(seed))
        whole = example(sample, None, np.random.default_rng(0))
        lost = (made.cells[0] == AIR_HU) & (whole.cells[0] > AIR_HU + 1)
        assert lost.any()
        assert (made.cells[1:, lost] == 0).all()
        assert (made.calcium[lost] == UNKNOWN).all()
        assert (made.tissue[lost[:, ::2, ::2]] == UNKNOWN).all()


def test_a_warp_of_nothing_changes_nothing(sample: Sample) -> None:
    field = draw_field(HEART_GRID.shape, HEART_GRID.spacing_mm, WarpRange(0, 0, 0, 0), np.random.default_rng(0))
    whole = example(sample, None, np.random.default_rng(0))
    assert np.abs(warp_linear(whole.cells, field) - whole.cells).max() < 1.0
    assert (warp_nearest(whole.calcium, field, UNKNOWN) == whole.calcium).mean() > 0.9999


def test_a_quarter_turn_turns_the_slices() -> None:
    cells = np.zeros((1, 4, 16, 16), np.float32)
    cells[0] = AIR_HU
    cells[0, :, 2:4, 7:9] = 100
    limits = WarpRange(90.0, 0, 0, 0)

    class Full:
        def uniform(self, *_: object) -> np.ndarray:
            return np.array([1.0, 0.0, 0.0]) if _[-1] == 3 else np.array(0.0)

        def normal(self, mean: float, sd: float, size: tuple[int, ...]) -> np.ndarray:
            return np.zeros(size)

    turned = warp_linear(cells, draw_field((4, 16, 16), (3.0, 1.5, 1.5), limits, Full()))[0]
    rows, columns = (axis.mean() for axis in np.nonzero(turned[1] > 50))
    assert rows == pytest.approx(7.5, abs=0.6)
    assert min(columns, 15 - columns) == pytest.approx(2.5, abs=0.6)
