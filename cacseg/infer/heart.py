"""Find the heart in a scan of any field of view.

A small network marks heart cells on a coarse grid over the whole scan. The box of the marked cells says where
the fine grid goes; its size, its contents and how it meets the edges of the scan say whether there is a whole
heart to score at all.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cacseg.infer.grid import SCOUT_GRID, GridInput, GridSpec, scout_input
from cacseg.volume import Volume

SCOUT_STEP_MM: Final = 240.0
"""Longer scans are searched in overlapping windows this far apart."""

SMALLEST_HEART_ML: Final = 120.0
"""Less marked volume than this is no heart (an adult heart with its blood measures about 500-900 mL; a scan
that shows a part of it is met by ``HeartBox.cut_above`` and ``cut_below``)."""

DENSEST_HU: Final = 90.0
"""Blood and muscle without contrast measure 35 to 60 HU; the middle of a test object or an enhanced heart more."""


@dataclass(frozen=True, slots=True, eq=False)
class HeartBox:
    """Where the heart lies, in the axial view's own axes.

    Parameters
    ----------
    centre_lps_mm : (3,) middle of the box.
    size_mm : extent along slice, row and column.
    volume_ml : volume of the marked cells.
    middle_hu : median HU of the marked cells at least 12 mm inside.
    cut_above, cut_below : area of the heart in the scan's last and first slices over its largest area; 0 when
        the heart ends inside the scan.
    """

    centre_lps_mm: NDArray[np.float64]
    size_mm: tuple[float, float, float]
    volume_ml: float
    middle_hu: float
    cut_above: float
    cut_below: float

    @property
    def plausible(self) -> bool:
        """Say whether this can be a heart."""
        return self.volume_ml >= SMALLEST_HEART_ML and self.middle_hu <= DENSEST_HU


def find_heart(
    view: Volume, predict: Callable[[NDArray[np.float32]], NDArray[np.float32]], grid: GridSpec = SCOUT_GRID
) -> HeartBox | None:
    """Mark the heart on the coarse grid and box it.

    Parameters
    ----------
    view : the scan, as ``axial_view`` gives it.
    predict : (1, 1, slice, row, column) float32 HU to the probability of heart, same shape.
    grid : the coarse grid.

    Returns
    -------
    HeartBox, or None when no cell is marked.
    """
    best: tuple[float, GridInput, NDArray[np.float32]] | None = None
    for centre in _window_centres(view, grid):
        scout = scout_input(view, centre, grid)
        probability = predict(scout.cells[None])[0, 0]
        probability = np.where(scout.cells[0] > -1000.0, probability, 0.0)
        score = float(probability[probability > 0.5].sum())
        if score > 0 and (best is None or score > best[0]):
            best = score, scout, probability
    return None if best is None else _box(view, best[1], best[2] > 0.5, grid)


def _window_centres(view: Volume, grid: GridSpec) -> list[NDArray[np.float64]]:
    slices, rows, columns = view.shape
    length_mm = slices * view.spacing_mm[0]
    extra_mm = max(0.0, length_mm - grid.extent_mm[0])
    count = 1 + int(np.ceil(extra_mm / SCOUT_STEP_MM))
    middles = (slices - 1) / 2 + (np.arange(count) - (count - 1) / 2) * extra_mm / max(count - 1, 1) / view.spacing_mm[
        0
    ]
    return [view.to_world([[z, (rows - 1) / 2, (columns - 1) / 2]])[0] for z in middles]


def _box(view: Volume, scout: GridInput, marked: NDArray[np.bool_], grid: GridSpec) -> HeartBox:
    low, high = np.array([marked_range(marked, axis) for axis in range(3)]).T
    cell_mm = np.array(grid.spacing_mm)
    area = marked.sum(axis=(1, 2)).astype(np.float64)
    largest = area.max()
    ends = np.array([0, view.shape[0] - 1]) * view.spacing_mm[0] / cell_mm[0]
    first_cell = scout.to_cell[0, 1]
    bottom, top = (int(np.clip(np.rint(first_cell + end), 0, grid.shape[0] - 1)) for end in ends)
    size_mm = (high - low + 1) * cell_mm
    centre_cell = np.append((low + high) / 2, 1.0)
    return HeartBox(
        centre_lps_mm=(scout.affine @ centre_cell)[:3],
        size_mm=(float(size_mm[0]), float(size_mm[1]), float(size_mm[2])),
        volume_ml=float(marked.sum() * cell_mm.prod() / 1000.0),
        middle_hu=float(np.median(scout.cells[0][_eroded(marked)])),
        cut_above=float(area[max(top - 1, 0) : top + 1].min() / largest),
        cut_below=float(area[bottom : bottom + 2].min() / largest),
    )


def marked_range(marked: NDArray[np.bool_], axis: int) -> tuple[float, float]:
    """First and last cell along an axis, leaving out half a per cent of the marked cells at either end."""
    others = tuple(a for a in range(3) if a != axis)
    share = np.cumsum(marked.sum(axis=others)) / marked.sum()
    return float(np.searchsorted(share, 0.005)), float(np.searchsorted(share, 0.995))


def _eroded(marked: NDArray[np.bool_], times: int = 2) -> NDArray[np.bool_]:
    """Leave out the outer layers; everything where nothing would be left."""
    inner = marked
    for _ in range(times):
        padded = np.pad(inner, 1)
        inner = padded[1:-1, 1:-1, 1:-1].copy()
        for axis in range(3):
            for start in (0, 2):
                window = [slice(1, -1)] * 3
                window[axis] = slice(start, start + marked.shape[axis])
                inner &= padded[tuple(window)]
    return inner if inner.any() else marked
