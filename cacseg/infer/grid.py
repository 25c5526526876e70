"""The network's grid: a block of equal cells around the heart, and what of a scan is put into them.

Training and inference both call ``model_input``, so the network meets the same numbers in both. The grid
follows the scan's own axes after they are permuted and flipped to the nearest axial orientation; a scan a
few degrees oblique reaches the network a few degrees rotated, which training covers, and no voxel is ever
interpolated along an axis that is not its own.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cacseg.volume import Volume

AIR_HU: Final = -1024.0
"""What the network is shown outside the scan, and the lowest HU it is shown anywhere (padding is below)."""

HIGHEST_HU: Final = 3071.0
"""Top of the 12-bit HU scale; metal beyond it is clipped for the network only."""

CANDIDATE_HU: Final = 130
"""Fixed threshold of the two candidate channels (Agatston 1990), whatever threshold the score uses."""

CHANNELS: Final = ("mean_hu", "candidate_fraction", "candidate_excess_hu")
"""What a cell holds: area-averaged HU; share of its native pixels >= 130 HU; mean HU above 130 over the cell."""

SNAP_RANGE_MM: Final = (2.0, 4.0)
"""Slice increments near the cell height: the grid is moved so that cells lie on slices, not between them."""


@dataclass(frozen=True, slots=True)
class GridSpec:
    """Number of cells and cell size along slice, row and column."""

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]

    @property
    def extent_mm(self) -> tuple[float, float, float]:
        """Size of the whole block."""
        slices, rows, columns = (n * mm for n, mm in zip(self.shape, self.spacing_mm, strict=True))
        return slices, rows, columns


HEART_GRID: Final = GridSpec((48, 144, 144), (3.0, 1.5, 1.5))
"""144 x 216 x 216 mm: a large heart with its great vessels, at the resolution that fits the time budget."""

WIDTH_STEP: Final = 16
"""Rows and columns come in multiples of this: the network halves them four times."""


def heart_grid(width: int) -> GridSpec:
    """``HEART_GRID`` with so many rows and columns."""
    return GridSpec((HEART_GRID.shape[0], width, width), HEART_GRID.spacing_mm)


NARROW_GRIDS: Final = (heart_grid(112), heart_grid(128))
"""168 and 192 mm wide, for the hearts they hold: what lies far from the heart costs time and is mistaken for calcium
of the heart."""

SCOUT_GRID: Final = GridSpec((64, 64, 64), (6.0, 6.0, 6.0))
"""384 mm cube: a whole chest, coarse, in which the heart is looked for."""


@dataclass(frozen=True, slots=True, eq=False)
class GridInput:
    """What the network sees, and where it lies.

    Parameters
    ----------
    cells : (3, slice, row, column) float32, ``CHANNELS``.
    affine : (4, 4) cell indices to LPS mm.
    to_cell : (3, 2) float64; cell index along an axis = ``to_cell[axis, 0] * view index + to_cell[axis, 1]``,
        where the view index counts voxels of the axial view of the scan.
    """

    cells: NDArray[np.float32]
    affine: NDArray[np.float64]
    to_cell: NDArray[np.float64]


def axial_view(volume: Volume) -> Volume:
    """Permute and flip the axes to slices towards the head, rows towards the back, columns towards the left.

    The voxels are a view of the given array: writing into it writes there.

    Examples
    --------
    >>> upward = Volume.axial(np.arange(2).reshape(2, 1, 1), (3.0, 1.0, 1.0))
    >>> downward = Volume(upward.voxels, upward.affine @ np.diag([-1.0, 1, 1, 1]))
    >>> axial_view(downward).voxels.ravel().tolist()
    [1, 0]
    """
    order, signs = _axial_axes(volume.affine)
    affine = np.eye(4)
    affine[:3, :3] = volume.affine[:3, list(order)] * np.array(signs)
    first = [0.0, 0.0, 0.0]
    for axis, sign in zip(order, signs, strict=True):
        first[axis] = 0.0 if sign > 0 else volume.voxels.shape[axis] - 1.0
    affine[:3, 3] = volume.to_world([first])[0]
    return Volume(view_like(volume.voxels, order, signs), affine)


def axial_array(array: NDArray[Any], affine: NDArray[np.float64]) -> NDArray[Any]:
    """View another array of a scan's grid the way ``axial_view`` views its voxels."""
    return view_like(array, *_axial_axes(affine))


def view_like(array: NDArray[Any], order: tuple[int, int, int], signs: tuple[int, int, int]) -> NDArray[Any]:
    """Transpose, then flip the axes whose sign is negative; no copy."""
    steps = tuple(slice(None, None, sign) for sign in signs)
    return array.transpose(order)[steps]


def _axial_axes(affine: NDArray[np.float64]) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    order: list[int] = []
    for world in (2, 1, 0):
        strength = np.abs(directions[world])
        strength[order] = -1.0
        order.append(int(strength.argmax()))
    signs = [1 if directions[world, axis] >= 0 else -1 for world, axis in zip((2, 1, 0), order, strict=True)]
    return (order[0], order[1], order[2]), (signs[0], signs[1], signs[2])


def obliqueness_degrees(affine: NDArray[np.float64]) -> float:
    """Largest angle between an axis of the scan and the patient axis it is taken for."""
    order, _ = _axial_axes(affine)
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    cosines = [abs(directions[world, axis]) for world, axis in zip((2, 1, 0), order, strict=True)]
    return float(np.degrees(np.arccos(np.clip(min(cosines), 0.0, 1.0))))


def averaging_matrix(n_in: int, step_cells: float, offset_cells: float, n_out: int) -> NDArray[np.float32]:
    """Make the matrix that averages pixels into cells by the length they share.

    Parameters
    ----------
    n_in, n_out : number of pixels and of cells.
    step_cells : pixel spacing over cell size; where it exceeds 1 the averaging width grows with it, which
        interpolates between pixels.
    offset_cells : position of the centre of pixel 0 in cells (cell 0 is centred at 0).

    Returns
    -------
    (n_out, n_in) float32; rows sum to 1, or to 0 for cells that no pixel reaches.

    Examples
    --------
    >>> averaging_matrix(4, 0.5, -0.25, 2)
    array([[0.5, 0.5, 0. , 0. ],
           [0. , 0. , 0.5, 0.5]], dtype=float32)
    """
    half_cell = max(1.0, step_cells) / 2
    cells = np.arange(n_out, dtype=np.float64)[:, None]
    pixels = (offset_cells + step_cells * np.arange(n_in, dtype=np.float64))[None, :]
    low = np.maximum(cells - half_cell, pixels - step_cells / 2)
    high = np.minimum(cells + half_cell, pixels + step_cells / 2)
    overlap = np.maximum(high - low, 0.0)
    total = overlap.sum(axis=1, keepdims=True)
    covered = total > 0.25 * 2 * half_cell
    weights = np.divide(overlap, total, out=np.zeros_like(overlap), where=covered)
    return weights.astype(np.float32)


def model_input(view: Volume, centre_lps_mm: NDArray[np.float64], grid: GridSpec = HEART_GRID) -> GridInput:
    """Average a scan into the cells of a grid around a point.

    Parameters
    ----------
    view : the scan, as ``axial_view`` gives it; HU, any spacing, any size.
    centre_lps_mm : (3,) where the middle of the grid goes; moved by less than half a cell along the slices
        so that cells lie on slices.
    grid : number and size of the cells.

    Returns
    -------
    GridInput
    """
    to_cell = cell_mapping(view, centre_lps_mm, grid)
    hu, step, offset = _touched(view, to_cell, grid)
    matrices = [averaging_matrix(hu.shape[a], step[a], offset[a], grid.shape[a]) for a in range(3)]
    cells = np.empty((3, *grid.shape), np.float32)
    cells[0] = _mean_hu(hu, matrices)
    cells[1], cells[2] = _candidate_channels(hu, matrices[0], step, offset, grid)
    return GridInput(cells, grid_affine(view.affine, to_cell), to_cell)


def scout_input(view: Volume, centre_lps_mm: NDArray[np.float64], grid: GridSpec = SCOUT_GRID) -> GridInput:
    """Average a scan into a coarse grid, HU only; reads every n-th voxel where the cells are much larger.

    Returns
    -------
    GridInput with cells of shape (1, slice, row, column).
    """
    thin = [max(1, int(cell / mm / 2.5)) for cell, mm in zip(grid.spacing_mm, view.spacing_mm, strict=True)]
    affine = view.affine @ np.diag([*thin, 1.0])
    thinned = Volume(view.voxels[:: thin[0], :: thin[1], :: thin[2]], affine)
    to_cell = cell_mapping(thinned, centre_lps_mm, grid)
    hu, step, offset = _touched(thinned, to_cell, grid)
    matrices = [averaging_matrix(hu.shape[a], step[a], offset[a], grid.shape[a]) for a in range(3)]
    return GridInput(_mean_hu(hu, matrices)[None], grid_affine(affine, to_cell), to_cell)


def cell_mapping(view: Volume, centre_lps_mm: NDArray[np.float64], grid: GridSpec) -> NDArray[np.float64]:
    """Give per axis the scale and shift from view indices to cell indices (``GridInput.to_cell``)."""
    spacing = np.array(view.spacing_mm)
    scale = spacing / np.array(grid.spacing_mm)
    centre = view.to_index([centre_lps_mm])[0]
    middle = (np.array(grid.shape) - 1) / 2
    shift = middle - scale * centre
    if all(SNAP_RANGE_MM[0] <= mm <= SNAP_RANGE_MM[1] for mm in (spacing[0], grid.spacing_mm[0])):
        nearest = np.rint(centre[0])
        shift[0] = np.rint(middle[0]) - scale[0] * nearest
    return np.stack([scale, shift], axis=1)


def grid_affine(view_affine: NDArray[np.float64], to_cell: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the affine of the cells from the affine of the view and ``to_cell``."""
    cell_to_view = np.eye(4)
    cell_to_view[:3, :3] = np.diag(1.0 / to_cell[:, 0])
    cell_to_view[:3, 3] = -to_cell[:, 1] / to_cell[:, 0]
    return view_affine @ cell_to_view


def touched_range(n: int, scale: float, shift: float, cells: int) -> tuple[int, int]:
    """First and one past the last index along an axis that any cell of the grid averages over."""
    reach = max(1.0, scale)
    first = int(np.floor((-reach - shift) / scale))
    last = int(np.ceil((cells - 1 + reach - shift) / scale)) + 1
    start = min(max(first, 0), n - 1)
    return start, max(min(last, n), start + 1)


def _touched(
    view: Volume, to_cell: NDArray[np.float64], grid: GridSpec
) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[np.float64]]:
    ranges = [touched_range(view.shape[a], float(to_cell[a, 0]), float(to_cell[a, 1]), grid.shape[a]) for a in range(3)]
    hu = view.voxels[tuple(slice(*both) for both in ranges)]
    step = to_cell[:, 0]
    return hu, step, to_cell[:, 1] + step * np.array([first for first, _ in ranges])


def at_least(voxels: NDArray[Any], threshold: float) -> tuple[NDArray[np.int64], ...]:
    """Indices of the voxels that reach a threshold, as ``np.nonzero`` gives them, in a quarter of its time.

    Examples
    --------
    >>> [axis.tolist() for axis in at_least(np.array([[129, 130], [200, 0]]), 130)]
    [[0, 1], [1, 0]]
    """
    flat = np.flatnonzero(np.greater_equal(voxels, threshold, order="C"))
    return np.unravel_index(flat, voxels.shape)


def _mean_hu(hu: NDArray[Any], matrices: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    along_slice, along_row, along_column = matrices
    columns_t = np.ascontiguousarray(along_column.T)
    planes = np.empty((hu.shape[0], along_row.shape[0], along_column.shape[0]), np.float32)
    for index in range(hu.shape[0]):
        plane = np.clip(hu[index], AIR_HU, HIGHEST_HU).astype(np.float32)
        plane -= AIR_HU
        planes[index] = along_row @ (plane @ columns_t)
    flat = along_slice @ planes.reshape(planes.shape[0], -1)
    return flat.reshape(-1, *planes.shape[1:]) + np.float32(AIR_HU)


def _candidate_channels(
    hu: NDArray[Any],
    along_slice: NDArray[np.float32],
    step: NDArray[np.float64],
    offset: NDArray[np.float64],
    grid: GridSpec,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    row_of, column_of = (np.rint(offset[a] + step[a] * np.arange(hu.shape[a])).astype(np.int64) for a in (1, 2))
    rows, columns = grid.shape[1:]
    plane, row, column = at_least(hu, CANDIDATE_HU)
    excess = np.minimum(hu[plane, row, column], HIGHEST_HU) - CANDIDATE_HU
    row, column = row_of[row], column_of[column]
    inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    index = (plane[inside] * rows + row[inside]) * columns + column[inside]
    size = hu.shape[0] * rows * columns
    count = np.bincount(index, minlength=size)
    total = np.bincount(index, weights=excess[inside], minlength=size)
    per_pixel = np.float32(min(step[1], 1.0) * min(step[2], 1.0))
    shape = (hu.shape[0], rows * columns)
    fraction = along_slice @ (count.astype(np.float32).reshape(shape) * per_pixel)
    mean_excess = along_slice @ (total.astype(np.float32).reshape(shape) * per_pixel)
    return np.minimum(fraction, 1.0).reshape(grid.shape), mean_excess.reshape(grid.shape)
