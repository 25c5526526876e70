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

SETTLING: Final = 5
"""Times that the middles move to the mean of their voxels."""


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
    return numbered(parent)


def numbered(group: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number groups from 0 without gaps, in their order.

    Examples
    --------
    >>> numbered(np.array([7, 2, 7]))
    array([1, 0, 1])
    """
    return np.unique(group, return_inverse=True)[1].reshape(-1)


def cut(points_mm: NDArray[np.float64], component: NDArray[np.int64], longest_mm: float) -> NDArray[np.int64]:
    """Cut long components into pieces of about the same size.

    Parameters
    ----------
    points_mm : (n, 3) middles of voxels.
    component : (n,) of each, from 0 without gaps.
    longest_mm : a component whose bounding box is no longer across is one piece; other pieces are about as long.

    Returns
    -------
    (n,) piece of each, numbered from 0; no piece holds voxels of two components.

    Examples
    --------
    >>> line = np.arange(8.0)[:, None] * [0, 0, 3.0]
    >>> cut(line, np.array([0, 0, 0, 0, 0, 0, 0, 1]), 12.0)
    array([0, 0, 0, 0, 1, 1, 1, 2])
    """
    piece = np.empty(component.size, np.int64)
    order = np.argsort(component, kind="stable")
    pieces = 0
    for own in np.split(order, np.cumsum(np.bincount(component))[:-1]) if component.size else []:
        part = _nearest_of_spread(points_mm[own], longest_mm)
        piece[own] = pieces + part
        pieces += int(part.max()) + 1
    return piece


def _nearest_of_spread(points_mm: NDArray[np.float64], longest_mm: float) -> NDArray[np.int64]:
    """Which of few middles, spread over the points, is nearest to each."""
    if np.linalg.norm(np.ptp(points_mm, axis=0)) <= longest_mm:
        return np.zeros(len(points_mm), np.int64)
    middles = [points_mm[_far(points_mm, points_mm.mean(axis=0)).argmax()]]
    nearest = _far(points_mm, middles[0])
    while nearest.max() > longest_mm**2:
        middles.append(points_mm[nearest.argmax()])
        nearest = np.minimum(nearest, _far(points_mm, middles[-1]))
    part = np.zeros(len(points_mm), np.int64)
    for _ in range(SETTLING):
        part = np.stack([_far(points_mm, middle) for middle in middles]).argmin(axis=0)
        part = numbered(part)
        middles = [points_mm[part == number].mean(axis=0) for number in range(int(part.max()) + 1)]
    return part


def _far(points_mm: NDArray[np.float64], middle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Square of the distance."""
    squares: NDArray[np.float64] = np.square(points_mm - middle).sum(axis=1)
    return squares


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
