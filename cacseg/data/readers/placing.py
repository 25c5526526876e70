"""Bring labels onto the image's grid without interpolation, and keep only what can be calcium."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from cacseg.errors import UsageError
from cacseg.vessels import Label
from cacseg.volume import Volume

CALCIUM_HU: Final = 130
"""Least HU of a labelled voxel (Agatston et al. 1990)."""

OFF_GRID: Final = 0.1
"""Voxels by which a label map's corners may lie off the image's grid: rounding of stored positions, no more."""


def only_calcium(volume: Volume, labels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Clear labels of voxels below 130 HU; say how many there were."""
    below = (labels > 0) & (volume.voxels < CALCIUM_HU)
    count = int(np.count_nonzero(below))
    if not count:
        return labels, ()
    kept = np.where(below, np.uint8(Label.BACKGROUND), labels)
    return kept, (f"{count} labelled voxels below {CALCIUM_HU} HU cleared",)


def placed_on(image: Volume, part: Volume) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Put a label map that may cover only part of the image, in any axis order, on the image's grid.

    Parameters
    ----------
    image : the grid to reach.
    part : uint8 labels; its voxels must coincide with voxels of the image.

    Returns
    -------
    labels : uint8 on the image's grid.
    repairs : reordering, missing slices and labels outside the image, in words.

    Raises
    ------
    UsageError : spacing or direction differ, or voxels lie between those of the image.
    """
    transform = np.linalg.inv(image.affine) @ part.affine
    steps = np.rint(transform[:3, :3])
    order = np.abs(steps).argmax(axis=1)
    whole = np.abs(steps).sum() == 3 and sorted(order.tolist()) == [0, 1, 2]
    corners = np.array(np.meshgrid(*[(0.0, n - 1.0) for n in part.shape], indexing="ij")).reshape(3, -1).T
    reached = corners @ transform[:3, :3].T + transform[:3, 3]
    if not whole or np.abs(reached - np.rint(reached)).max() > OFF_GRID:
        raise UsageError(
            f"The labels do not lie on the image's voxels: image spacing {image.spacing_mm} mm, first voxel at "
            f"{image.affine[:3, 3].tolist()}; labels {part.spacing_mm} mm, first voxel at "
            f"{part.affine[:3, 3].tolist()} (LPS mm). Resample the labels onto the image first."
        )
    marked = np.argwhere(part.voxels)
    target = np.rint(marked @ transform[:3, :3].T + transform[:3, 3]).astype(int)
    inside = ((target >= 0) & (target < image.shape)).all(axis=1)
    labels = np.zeros(image.shape, np.uint8)
    labels[tuple(target[inside].T)] = part.voxels[tuple(marked[inside].T)]
    repairs = []
    if not np.array_equal(steps, np.eye(3)):
        repairs.append(f"label axes reordered or flipped ({order.tolist()}) to those of the image")
    if part.shape != image.shape:
        repairs.append(f"labels cover {part.shape} voxels of the image's {image.shape}; the rest is background")
    if not inside.all():
        repairs.append(f"{int((~inside).sum())} labelled voxels outside the image dropped")
    return labels, tuple(repairs)
