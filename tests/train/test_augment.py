from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cacseg.infer.grid import AIR_HU, HEART_GRID, NARROW_GRIDS
from cacseg.train.augment import Augmentation, Example, example
from cacseg.train.sample import UNKNOWN, Sample, load
from cacseg.train.warp import WarpRange, coarser, draw_field, warp_linear, warp_nearest

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


class Told:
    """Chance that draws what it is told: angles, change of size, stretch along each axis; nothing elastic."""

    def __init__(self, *drawn: object) -> None:
        self.drawn = iter(drawn)

    def uniform(self, *_: object) -> np.ndarray:
        return np.array(next(self.drawn))

    def normal(self, mean: float, sd: float, size: tuple[int, ...]) -> np.ndarray:
        return np.zeros(size)


def test_a_quarter_turn_turns_the_slices() -> None:
    cells = np.zeros((1, 4, 16, 16), np.float32)
    cells[0] = AIR_HU
    cells[0, :, 2:4, 7:9] = 100
    limits = WarpRange(90.0, 0, 0, 0)

    turned = warp_linear(cells, draw_field((4, 16, 16), (3.0, 1.5, 1.5), limits, Told([1.0, 0.0, 0.0], 0.0)))[0]
    rows, columns = (axis.mean() for axis in np.nonzero(turned[1] > 50))
    assert rows == pytest.approx(7.5, abs=0.6)
    assert min(columns, 15 - columns) == pytest.approx(2.5, abs=0.6)


def test_a_stretch_changes_one_axis_alone() -> None:
    cells = np.full((1, 12, 40, 40), AIR_HU, np.float32)
    cells[0, 3:9, 12:28, 12:28] = 100

    limits = WarpRange(0, 0, 0, 0, stretch=0.25)
    chance = Told([0.0, 0.0, 0.0], 0.0, [0.0, -0.25, 0.0])
    moved = warp_linear(cells, draw_field((12, 40, 40), (3.0, 1.5, 1.5), limits, chance))[0] > -450
    assert [int(moved.any(axis=axes).sum()) for axes in ((1, 2), (0, 2), (0, 1))] == [6, 22, 16]


def test_an_inner_turn_turns_the_middle_and_leaves_the_edge() -> None:
    cells = np.full((1, 4, 120, 120), AIR_HU, np.float32)
    cells[0, :, 40:46, 57:63] = 100  # 25 mm from the middle
    cells[0, :, :5, 57:63] = 100  # 86 mm
    limits = WarpRange(0, 0, 0, 0, inner_degrees=90.0)

    chance = Told([0.0, 0.0, 0.0], 0.0, [1 / 3, 0.0, 0.0])
    turned = warp_linear(cells, draw_field((4, 120, 120), (3.0, 1.5, 1.5), limits, chance))[0, 1] > -450
    rows, columns = (axis.mean() for axis in np.nonzero(turned[30:90]))
    away = np.hypot(rows - 29.5, columns - 59.5)
    assert away == pytest.approx(17, abs=1)
    assert abs(np.degrees(np.arcsin((columns - 59.5) / away))) == pytest.approx(30, abs=3)
    edge = np.nonzero(turned[:5])[1].mean()
    assert abs(edge - 59.5) < 8  # 86 mm off, it would be 29 cells


def test_a_bend_shifts_parts_against_each_other_and_keeps_neighbours_together() -> None:
    limits = WarpRange(0, 0, 0, 0, bend_mm=9.0)
    chance = np.random.default_rng(5)
    half_mm = torch.tensor([108.0, 108.0, 72.0])  # x, y, z
    plain = draw_field((48, 144, 144), (3.0, 1.5, 1.5), WarpRange(0, 0, 0, 0), np.random.default_rng(5))
    moves = []
    for _ in range(30):
        moved = (draw_field((48, 144, 144), (3.0, 1.5, 1.5), limits, chance) - plain) * half_mm
        moves.append(moved[0, ::6, ::18, ::18].numpy())
    moved_mm = np.stack(moves)
    assert moved_mm[:, 4, 4, 4].std() == pytest.approx(9.0, abs=1.5)
    apart = moved_mm[:, 0, 0, 0] - moved_mm[:, 4, 4, 4]
    assert apart.std() > 9.0  # half a sample away
    beside = np.linalg.norm(np.diff(moved_mm, axis=3), axis=-1)
    assert beside.max() < 0.8 * 27.0  # cells 27 mm apart never fold over


def test_an_elastic_warp_moves_image_and_labels_alike() -> None:
    z, y, x = np.ogrid[:16, :64, :64]
    hu = 500.0 * np.exp(-(((z - 8) / 5) ** 2) - ((y - 40) / 9) ** 2 - ((x - 22) / 9) ** 2)
    cells = np.stack([hu, hu, hu]).astype(np.float32)
    labels = np.where(hu > 200, np.uint8(3), np.uint8(0))
    field = draw_field((16, 64, 64), (3.0, 1.5, 1.5), WarpRange(0, 0, 0, 9.0), np.random.default_rng(4))
    inside = warp_linear(cells, field)[1] > 200

    def dice(first: np.ndarray, second: np.ndarray) -> float:
        return 2 * (first & second).sum() / (first.sum() + second.sum())

    assert dice(inside, hu > 200) < 0.85  # it moved
    assert dice(inside, warp_nearest(labels, field, UNKNOWN) == 3) > 0.93
    coarse = warp_nearest(labels[:, ::2, ::2], coarser(field), UNKNOWN) == 3
    assert dice(inside[:, ::2, ::2], coarse) > 0.85


def hu_changes(sample: Sample, **varied: float) -> tuple[np.ndarray, np.ndarray]:
    """HU of the cells as they are, and what one kind of variation adds."""
    before = example(sample, NONE, np.random.default_rng(0)).cells[0]
    return before, example(sample, replace(NONE, **varied), np.random.default_rng(5)).cells[0] - before


def test_each_variation_of_intensity_does_what_it_says(sample: Sample) -> None:
    hu, added = hu_changes(sample, hu_offset_sd=10.0)
    tissue = hu > -300  # thinner is cut off at air
    assert np.ptp(added[tissue]) < 1e-3
    assert 1 < abs(added[tissue].mean()) < 40
    assert not added[hu <= AIR_HU + 1].any()

    hu, added = hu_changes(sample, hu_scale_sd=0.1)
    dense = np.abs(hu) > 20
    assert np.ptp(added[tissue & dense] / hu[tissue & dense]) < 1e-3

    hu, added = hu_changes(sample, fat_offset_sd=20.0)
    assert abs(np.median(added[(hu < -80) & (hu > -150)])) > 1
    assert not added[hu > -30].any()

    hu, added = hu_changes(sample, noise_probability=1.0, noise_hu=20.0)
    assert 0 < added[tissue].std() < 20
    assert abs(added[tissue].mean()) < 1

    hu, added = hu_changes(sample, blur_probability=1.0, blur_cells=5.0)
    steps = [np.abs(np.diff(image[20:28], axis=2)).mean() for image in (hu, hu + added)]
    assert steps[1] < 0.95 * steps[0]

    hu, added = hu_changes(sample, sharpen_probability=1.0, sharpen=5.0)
    steps = [np.abs(np.diff(image[20:28], axis=2)).mean() for image in (hu, hu + added)]
    assert steps[1] > 1.05 * steps[0]

    hu, added = hu_changes(sample, uneven_probability=1.0, uneven_hu=30.0)
    deep = hu > AIR_HU + 100
    assert 1 < added[deep].std() < 40
    beside = deep[:, :, 1:] & deep[:, :, :-1]
    assert np.abs(np.diff(added, axis=2)[beside]).max() < 4  # it drifts, and steps nowhere


def test_density_of_calcium_varies_and_its_extent_does_not(sample: Sample) -> None:
    before = example(sample, NONE, np.random.default_rng(0)).cells
    after = example(sample, replace(NONE, excess_scale_sd=0.3), np.random.default_rng(5)).cells
    held = before[2] > 0
    ratio = after[2][held] / before[2][held]
    assert np.ptp(ratio) < 1e-5
    assert abs(ratio[0] - 1) > 0.01
    assert np.array_equal(before[1], after[1])
