"""Connected components of sparse voxels, without touching the rest of the array."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

FACES: Final = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
"""Half of the 6-neighbourhood."""

IN_SLICE: Final = ((0, 1, 0), (0, 0, 1))
"""Half of the 4-neighbourhood within a slice."""

FACES_AND_EDGES: Final = (*FACES, (1, 1, 0), (1, -1, 0), (1, 0, 1), (1, 0, -1), (0, 1, 1), (0, 1, -1))
"""Half of the 18-neighbourhood."""


def connected(
    voxels: NDArray[np.int64], shape: tuple[int, int, int], offsets: tuple[tuple[int, int, int], ...] = FACES
) -> NDArray[np.int64]:
    """Number the connected components of a list of voxels.

    Parameters
    ----------
    voxels : (n,) flat indices into an array of ``shape``, ascending, without repeats.
    shape : of the array.
    offsets : half of the neighbourhood.

    Returns
    -------
    (n,) component of each voxel, numbered from 0 in the order of their first voxels.

    Examples
    --------
    >>> connected(np.array([0, 1, 3, 4]), (1, 1, 8))
    array([0, 0, 1, 1])
    """
    if voxels.size == 0:
        return np.zeros(0, np.int64)
    first, second = _edges(voxels, shape, offsets)
    parent = np.arange(voxels.size)
    while True:
        low = np.minimum(parent[first], parent[second])
        before = parent.copy()
        np.minimum.at(parent, parent[first], low)
        np.minimum.at(parent, parent[second], low)
        parent = _compressed(parent)
        if np.array_equal(parent, before):
            break
    return np.unique(parent, return_inverse=True)[1].reshape(-1)


def _edges(
    voxels: NDArray[np.int64], shape: tuple[int, int, int], offsets: tuple[tuple[int, int, int], ...]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    slices, rows, columns = np.unravel_index(voxels, shape)
    here = np.arange(voxels.size)
    firsts, seconds = [], []
    for ds, dr, dc in offsets:
        target = voxels + (ds * shape[1] + dr) * shape[2] + dc
        inside = (slices + ds < shape[0]) & (rows + dr >= 0) & (rows + dr < shape[1])
        inside &= (columns + dc >= 0) & (columns + dc < shape[2])
        at = np.minimum(np.searchsorted(voxels, target), voxels.size - 1)
        found = inside & (voxels[at] == target)
        firsts.append(here[found])
        seconds.append(at[found])
    return np.concatenate(firsts), np.concatenate(seconds)


def _compressed(parent: NDArray[np.int64]) -> NDArray[np.int64]:
    while True:
        up = parent[parent]
        if np.array_equal(up, parent):
            return parent
        parent = up
