"""Growing a new lesion from one point: the calcium around it that nobody has claimed."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cacseg.errors import UsageError
from cacseg.scoring import Rule
from cacseg.scoring.components import IndexArray
from cacseg.volume import Volume

SNAP_MM: Final = 2.0
"""A click this close to calcium means that calcium."""

REACH_MM: Final = 30.0
"""A region that runs further from the point is no lesion but bone, a device or contrast medium."""

LARGEST_MM3: Final = 3000.0
"""Larger regions are not taken for one lesion; the largest single ones of a severe score have about 1500 mm3."""

LARGEST_MM2: Final = 300.0
"""Larger regions of one slice, cut out of something that goes on beyond it, are bone: a vertebra has 800 or more."""

Index = tuple[int, int, int]


def grow(
    volume: Volume, free: NDArray[np.bool_] | None, labels: NDArray[np.uint8], rule: Rule, at: Index
) -> IndexArray:
    """Find the unlabelled voxels at or above the rule's threshold that hang together with a point.

    First in three dimensions; where that runs into bone, in the slice alone.

    Parameters
    ----------
    volume : HU.
    free : where growing is allowed at all; everywhere where ``None``.
    labels : uint8 map on the grid of ``volume``; labelled voxels stop the growing.
    rule : its threshold and connectivity are used.
    at : (slice, row, column) of the point.

    Returns
    -------
    (n,) ascending flat indices.

    Raises
    ------
    UsageError : no calcium there, it is labelled already, or it does not end within reach.
    """
    low, high = _box(volume, at)
    box = tuple(slice(first, last) for first, last in zip(low, high, strict=True))
    bright = np.asarray(volume.voxels[box] >= rule.counted_volume_hu)
    open_ = bright & (labels[box] == 0)
    if free is not None:
        open_ &= free[box]
    seed = _seed(volume, bright, open_, (at[0] - low[0], at[1] - low[1], at[2] - low[2]), rule, at)
    for one_slice in (False, True):
        region = _region(open_, seed, rule, one_slice=one_slice)
        if _plausible(region, volume, low, one_slice=one_slice):
            where = np.argwhere(region) + low
            return np.ravel_multi_index((where[:, 0], where[:, 1], where[:, 2]), volume.shape).astype(np.intp)
    raise UsageError(
        f"The bright region at voxel {list(at)} does not end within {REACH_MM:g} mm: bone, a device or contrast "
        "medium rather than a lesion. Click on calcium that stands apart."
    )


def _box(volume: Volume, at: Index) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    reach = np.ceil(REACH_MM / np.array(volume.spacing_mm)).astype(np.intp)
    middle = np.array(at, np.intp)
    return np.maximum(middle - reach, 0), np.minimum(middle + reach + 1, volume.shape)


def _seed(
    volume: Volume, bright: NDArray[np.bool_], open_: NDArray[np.bool_], local: Index, rule: Rule, at: Index
) -> Index:
    """Take the point itself, or the nearest free calcium in its slice."""
    if open_[local]:
        return local
    if bright[local]:
        raise UsageError(f"The calcium at voxel {list(at)} belongs to a lesion already. Select that one instead.")
    where = np.argwhere(open_[local[0]])
    _, row_mm, column_mm = volume.spacing_mm
    if where.size:
        distance = np.hypot((where[:, 0] - local[1]) * row_mm, (where[:, 1] - local[2]) * column_mm)
        nearest = int(distance.argmin())
        if distance[nearest] <= SNAP_MM:
            return local[0], int(where[nearest, 0]), int(where[nearest, 1])
    hu = float(volume.voxels[at])
    raise UsageError(
        f"There is no calcium within {SNAP_MM:g} mm of voxel {list(at)}: it has {hu:g} HU, the rule "
        f"{rule.name!r} counts from {rule.counted_volume_hu:g} HU. Click on a brighter spot."
    )


def _region(open_: NDArray[np.bool_], seed: Index, rule: Rule, *, one_slice: bool) -> NDArray[np.bool_]:
    neighbours = ndimage.generate_binary_structure(3, 1 if rule.connectivity == 4 else 3)
    if one_slice:
        neighbours[[0, 2]] = False
    numbered, _ = ndimage.label(open_, neighbours)
    return np.asarray(numbered == numbered[seed])


def _plausible(region: NDArray[np.bool_], volume: Volume, low: NDArray[np.intp], *, one_slice: bool) -> bool:
    """Say whether a region is as large as a lesion can be and does not reach the border of the box."""
    voxels = int(np.count_nonzero(region))
    if one_slice and voxels * volume.pixel_area_mm2 > LARGEST_MM2:
        return False
    if voxels * volume.voxel_volume_mm3 > LARGEST_MM3:
        return False
    for axis in (1, 2) if one_slice else (0, 1, 2):
        ends = np.moveaxis(region, axis, 0)
        last = low[axis] + region.shape[axis] == volume.shape[axis]
        if (low[axis] > 0 and ends[0].any()) or (not last and ends[-1].any()):
            return False
    return True
