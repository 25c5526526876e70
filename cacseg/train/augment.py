"""Cut the network's input out of a cached sample and vary it: position, deformation, intensity, noise, truncation.

Left and right are never exchanged: a mirrored chest is another anatomy (situs inversus), and the arteries are
told apart by the side they lie on.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from cacseg.infer.grid import AIR_HU, HEART_GRID, SCOUT_GRID, GridSpec
from cacseg.train.rims import add_bright_rims
from cacseg.train.sample import CACHED_GRID, MARGIN_CELLS, UNKNOWN, Sample
from cacseg.train.warp import WarpRange, coarser, draw_field, smooth_between, warp_linear, warp_nearest

UNEVEN_KNOTS: Final = (3, 4, 4)
"""Along slice, row and column, between which HU drift."""


@dataclass(frozen=True)
class Augmentation:
    """How much is varied; probabilities in 0 to 1, SDs in the unit named.

    Parameters
    ----------
    shift_sd_cells : SD of the shift of the grid along slice, row and column (limited by the cached margin).
    warp_probability, warp : rotation, scaling and elastic deformation.
    hu_offset_sd, hu_scale_sd : of all tissue, as between scanners and tube voltages.
    fat_offset_sd : of fat against the rest.
    noise_probability, noise_hu : extra correlated noise, up to this SD.
    blur_probability, blur_cells : extra blur in the plane, up to this SD.
    sharpen_probability, sharpen : overshooting edges in the plane, as of sharper kernels: up to this share of what a
        blur of one cell takes away is added again. Not where it is blurred. Probability 0 draws nothing, here and of
        what drifts, so that runs of before there were these repeat.
    uneven_probability, uneven_hu : HU that drift over some 70 mm, as by scatter and hardening, up to this SD.
    cut_probability : that slices at one end, or the edge of the field of view, are missing.
    excess_scale_sd : of the density of calcium.
    rim_probability : bright spots where the heart meets the lung (``cacseg.train.rims``).
    """

    shift_sd_cells: tuple[float, float, float] = (1.7, 4.0, 4.0)
    warp_probability: float = 0.25
    warp: WarpRange = field(default_factory=WarpRange)
    hu_offset_sd: float = 6.0
    hu_scale_sd: float = 0.03
    fat_offset_sd: float = 8.0
    noise_probability: float = 0.3
    noise_hu: float = 20.0
    blur_probability: float = 0.2
    blur_cells: float = 0.8
    cut_probability: float = 0.2
    excess_scale_sd: float = 0.1
    rim_probability: float = 0.15
    sharpen_probability: float = 0.0
    sharpen: float = 0.8
    uneven_probability: float = 0.0
    uneven_hu: float = 15.0


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """What one training step sees of one patient; ``Sample`` describes the fields."""

    cells: NDArray[np.float32]
    calcium: NDArray[np.uint8]
    territory: NDArray[np.uint8]
    tissue: NDArray[np.uint8]
    scout: NDArray[np.float32]
    heart: NDArray[np.uint8]


def example(
    sample: Sample, augmentation: Augmentation | None, rng: np.random.Generator, grid: GridSpec = HEART_GRID
) -> Example:
    """Cut an example out of a sample; centred and unvaried without an augmentation.

    Parameters
    ----------
    grid : what the network will see, ``HEART_GRID`` or a narrower one with the same cells.
    """
    offset = _offset(augmentation, rng)
    cells, calcium, territory, tissue = _cropped(sample, offset, grid)
    scout, heart = sample.scout.astype(np.float32), sample.heart
    if augmentation is not None:
        if rng.random() < augmentation.warp_probability:
            warp_field = draw_field(grid.shape, grid.spacing_mm, augmentation.warp, rng)
            cells = warp_linear(cells, warp_field)
            calcium = warp_nearest(calcium, warp_field, UNKNOWN)
            territory, tissue = (warp_nearest(a, coarser(warp_field), UNKNOWN) for a in (territory, tissue))
        cells[0] = _vary_hu(cells[0], augmentation, rng)
        cells[2] *= np.float32(np.exp(rng.normal(0, augmentation.excess_scale_sd)))
        if rng.random() < augmentation.rim_probability:
            add_bright_rims(cells, calcium, territory, tissue, rng)
        if rng.random() < augmentation.cut_probability:
            _cut(cells, (calcium, territory, tissue), rng)
        scout, heart = _vary_scout(scout, heart, augmentation, rng)
    return Example(cells, calcium, territory, tissue, scout[None], heart)


def _offset(augmentation: Augmentation | None, rng: np.random.Generator) -> tuple[int, int, int]:
    margin = np.array(MARGIN_CELLS)
    shift = np.zeros(3) if augmentation is None else rng.normal(0, augmentation.shift_sd_cells)
    shift[1:] = np.rint(shift[1:] / 2) * 2
    slices, rows, columns = (margin + np.clip(np.rint(shift), -margin, margin)).astype(int).tolist()
    return slices, rows, columns


def _cropped(
    sample: Sample, offset: tuple[int, int, int], grid: GridSpec
) -> tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
    first = np.array(offset) + (np.array(HEART_GRID.shape) - np.array(grid.shape)) // 2
    window = tuple(slice(o, o + n) for o, n in zip(first.tolist(), grid.shape, strict=True))
    half = (window[0], *(slice(w.start // 2, w.stop // 2) for w in window[1:]))
    cells = np.zeros((3, *grid.shape), np.float32)
    cells[0] = sample.hu[window]
    index = np.stack(np.unravel_index(sample.at, CACHED_GRID.shape)) - first[:, None]
    inside = ((index >= 0) & (index < np.array(grid.shape)[:, None])).all(axis=0)
    at = tuple(index[:, inside])
    cells[1][at] = sample.fraction[inside]
    cells[2][at] = sample.excess[inside]
    calcium = np.full(grid.shape, UNKNOWN, np.uint8)
    calcium[at] = sample.calcium[inside]
    return cells, calcium, sample.territory[half].copy(), sample.tissue[half].copy()


def _vary_hu(hu: NDArray[np.float32], by: Augmentation, rng: np.random.Generator) -> NDArray[np.float32]:
    outside = hu <= AIR_HU + 1
    varied = hu * np.float32(1 + rng.normal(0, by.hu_scale_sd)) + np.float32(rng.normal(0, by.hu_offset_sd))
    fat = np.clip((-30.0 - hu) / 50.0, 0, 1) * np.clip((hu + 300.0) / 100.0, 0, 1)
    varied += fat.astype(np.float32) * np.float32(rng.normal(0, by.fat_offset_sd))
    if rng.random() < by.blur_probability:
        sigma = rng.uniform(0.2, by.blur_cells)
        varied = gaussian_filter(varied, (0, sigma, sigma), truncate=2.5)
    elif by.sharpen_probability and rng.random() < by.sharpen_probability:
        lost = varied - gaussian_filter(varied, (0, 1.0, 1.0), truncate=2.5)
        varied += np.float32(rng.uniform(0, by.sharpen)) * lost
    if by.uneven_probability and rng.random() < by.uneven_probability:
        knots = rng.normal(0, rng.uniform(0, by.uneven_hu), (1, 1, *UNEVEN_KNOTS))
        varied += smooth_between(knots, hu.shape)[0, 0].numpy()
    if rng.random() < by.noise_probability:
        noise = rng.standard_normal(hu.shape, np.float32)
        if rng.random() < 0.5:
            noise = noise + np.roll(noise, 1, axis=1) + np.roll(noise, 1, axis=2)
            noise /= np.float32(np.sqrt(3))
        varied += noise * np.float32(rng.uniform(0, by.noise_hu))
    varied[outside] = AIR_HU
    return np.maximum(varied, np.float32(AIR_HU))


def _cut(cells: NDArray[np.float32], labels: tuple[NDArray[np.uint8], ...], rng: np.random.Generator) -> None:
    """Blank slices at one end, or everything outside a circle; ``cells`` and ``labels`` are this example's own."""
    shape = cells.shape[1:]
    slices, rows, columns = shape
    if rng.random() < 0.6:
        count = int(rng.integers(1, slices // 4))
        lost = np.zeros(shape, bool)
        lost[: count if rng.random() < 0.5 else 0] = True
        if not lost.any():
            lost[-count:] = True
    else:
        middle = np.array([rows, columns]) / 2 + rng.normal(0, 8, 2)
        radius = rng.uniform(0.40, 0.55) * rows
        y, x = np.ogrid[:rows, :columns]
        lost = np.broadcast_to((y - middle[0]) ** 2 + (x - middle[1]) ** 2 > radius**2, shape)
    cells[0][lost] = AIR_HU
    cells[1:, lost] = 0
    for array in labels:
        array[lost if array.shape == lost.shape else lost[:, ::2, ::2]] = UNKNOWN


def _vary_scout(
    scout: NDArray[np.float32], heart: NDArray[np.uint8], by: Augmentation, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Shift, rescale and cut the coarse view; now and then replace the heart by a solid block, which is none."""
    outside = scout <= AIR_HU + 1
    varied = scout * np.float32(1 + rng.normal(0, by.hu_scale_sd)) + np.float32(rng.normal(0, by.hu_offset_sd))
    varied += rng.standard_normal(scout.shape, np.float32) * np.float32(rng.uniform(0, 20))
    heart = heart.copy()
    if rng.random() < 0.08 and (heart == 1).any():
        y, x = np.ogrid[: SCOUT_GRID.shape[1], : SCOUT_GRID.shape[2]]
        z, r, c = (axis.mean() for axis in np.nonzero(heart == 1))
        block = (heart == 1) | ((y - r) ** 2 + (x - c) ** 2 < rng.uniform(7, 11) ** 2)[None]
        varied[block] = rng.uniform(-20, 60) + rng.normal(0, 8, int(block.sum()))
        heart[heart == 1] = 0
        del z
    varied[outside] = AIR_HU
    for axis in range(3):
        if rng.random() < 0.3:
            shift = int(rng.integers(-8, 9))
            varied, heart = np.roll(varied, shift, axis), np.roll(heart, shift, axis)
    if rng.random() < 0.3:
        keep = rng.integers(8, 30)
        low = rng.integers(0, SCOUT_GRID.shape[0] - keep)
        lost = np.ones(SCOUT_GRID.shape[0], bool)
        lost[low : low + keep] = False
        if (heart[~lost] == 1).sum() > 0.5 * (heart == 1).sum():
            varied[lost] = AIR_HU
            heart[lost] = 0
    return np.maximum(varied, np.float32(AIR_HU)), heart
