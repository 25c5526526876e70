"""The volume score on slices interpolated to the in-plane spacing (Callister et al. 1998)."""

import math

import numpy as np
from numpy.typing import NDArray

from cacseg.scoring.components import IndexArray, slice_components
from cacseg.scoring.rule import Rule
from cacseg.volume import Volume


def isotropic_volumes_mm3(
    volume: Volume, flat: IndexArray, lesion: NDArray[np.intp], lesions: int, rule: Rule
) -> NDArray[np.float64]:
    """Volume of each lesion on slices interpolated linearly to the in-plane spacing.

    Interpolated slices lie at whole multiples of the in-plane spacing (the geometric mean of row and column
    spacing) from the first slice. A voxel of them belongs to the lesion that holds its pixel in the nearer
    original slice (of two equally near, the lower), or else in the other one. It counts at or above the volume
    threshold, in components of the rule's connectivity and minimum area. Nothing is extrapolated beyond the
    first and last slice.

    Parameters
    ----------
    volume : HU.
    flat : (n,) ascending flat indices of the lesions' voxels.
    lesion : (n,) number of the lesion of each, 0 to ``lesions`` - 1.

    Returns
    -------
    (lesions,) mm3.
    """
    slices, rows, columns = volume.shape
    slice_mm, _, _ = volume.spacing_mm
    step_mm = math.sqrt(volume.pixel_area_mm2)
    last = math.floor((slices - 1) * slice_mm / step_mm)
    reach = math.ceil(slice_mm / step_mm)
    index = flat // (rows * columns)
    around = np.floor(index * slice_mm / step_mm).astype(np.intp)[:, None] + np.arange(-reach, reach + 2)
    distance = np.abs(around * step_mm / slice_mm - index[:, None])
    kept = (distance < 1.0) & (around >= 0) & (around <= last)
    voxel = np.broadcast_to(np.arange(flat.size)[:, None], kept.shape)[kept]
    target = around[kept] * (rows * columns) + (flat % (rows * columns))[voxel]
    order = np.lexsort((index[voxel], distance[kept], target))
    target, first = np.unique(target[order], return_index=True)
    owner = lesion[voxel[order][first]]

    position = target // (rows * columns) * step_mm / slice_mm
    below = np.minimum(np.floor(position).astype(np.intp), slices - 1)
    above = np.minimum(below + 1, slices - 1)
    pixel = target % (rows * columns)
    row, column = pixel // columns, pixel % columns
    low = volume.voxels[below, row, column].astype(np.float64)
    high = volume.voxels[above, row, column].astype(np.float64)
    counted = low + (position - below) * (high - low) >= rule.counted_volume_hu
    target, owner = target[counted], owner[counted]

    component = slice_components(target, (last + 1, rows, columns), owner, rule.connectivity)
    pixels = np.bincount(component)
    large = pixels[component] >= rule.pixels_needed(volume.pixel_area_mm2)
    voxel_mm3 = volume.voxel_volume_mm3 / slice_mm * step_mm
    return np.asarray(np.bincount(owner[large], minlength=lesions) * voxel_mm3, np.float64)
