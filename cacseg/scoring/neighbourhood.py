"""What lies around a few voxels: their values spread to the voxels near them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cacseg.scoring.components import IndexArray, nonzero_flat
from cacseg.volume import Volume


def spread(flat: IndexArray, value: NDArray[Any], volume: Volume, margin_mm: float) -> tuple[IndexArray, NDArray[Any]]:
    """Spread values to all voxels within a margin in the slice, and in the slices beside.

    Parameters
    ----------
    flat : (n,) flat indices into ``volume``.
    value : (n,) positive integers, in the type that they are to be returned in.
    margin_mm : in-plane distance.

    Returns
    -------
    region : (m,) ascending flat indices.
    near : (m,) value of the nearest given voxel: the voxel's own, else of its slice, else of a slice beside.
    """
    painted = np.zeros(volume.shape, value.dtype).reshape(-1)
    for step in _steps_outside_in(volume.spacing_mm, margin_mm):
        target, kept = _moved(flat, volume.shape, step)
        painted[target] = value[kept]
    painted[flat] = value
    region = nonzero_flat(painted)
    return region, painted[region]


def _steps_outside_in(spacing_mm: tuple[float, float, float], margin_mm: float) -> list[tuple[int, int, int]]:
    _, row_mm, column_mm = spacing_mm
    rows, columns = int(margin_mm / row_mm), int(margin_mm / column_mm)
    disk = [
        ((row * row_mm) ** 2 + (column * column_mm) ** 2, row, column)
        for row in range(-rows, rows + 1)
        for column in range(-columns, columns + 1)
    ]
    inside = sorted((step for step in disk if step[0] <= margin_mm**2), reverse=True)
    beside = [(up, row, column) for _, row, column in inside for up in (-1, 1)]
    return [*beside, *((0, row, column) for _, row, column in inside)]


def _moved(
    flat: IndexArray, shape: tuple[int, int, int], step: tuple[int, int, int]
) -> tuple[IndexArray, NDArray[np.bool_]]:
    slices, rows, columns = shape
    index, rest = np.divmod(flat, rows * columns)
    row, column = np.divmod(rest, columns)
    index, row, column = index + step[0], row + step[1], column + step[2]
    kept = (index >= 0) & (index < slices) & (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    return (flat + (step[0] * rows + step[1]) * columns + step[2])[kept], kept
