"""Bright spots where the heart meets the lung, as ``cacseg.train.rims`` has them, drawn into a scan voxel by voxel.

On a real scan with a sharp kernel they are what is most often taken for calcium that is none.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, gaussian_filter
from scipy.spatial import KDTree

from cacseg.volume import Volume

LUNG_HU: Final = -500.0
SOFT_HU: Final = (0.0, 100.0)
RIM_MM: Final = 2.5
"""How deep in soft tissue beside the lung a spot may have its middle."""

FROM_ARTERY_MM: Final = (5.0, 18.0)
"""How far from the nearest artery: a spot upon one could be plaque, and one far from all is not of the heart."""

REACH_MM: Final = 8.0
"""Half the width of the square in which a spot is drawn."""

ADDED_HU: Final = (100.0, 330.0)
ALONG_MM: Final = (0.8, 3.0)
ACROSS_MM: Final = (0.5, 1.5)


def with_bright_spots(view: Volume, arteries_lps_mm: NDArray[np.float64], rng: np.random.Generator) -> Volume:
    """Brighten two to six spots of the rim of the heart; none where it has no rim beside the lung.

    Parameters
    ----------
    view : scan, axial view, int16 HU.
    arteries_lps_mm : (n, 3) points along the arteries.
    rng : source of chance.

    Returns
    -------
    Volume of the same grid; the labels of calcium stay true, for what is brightened is none.
    """
    hu = view.voxels.astype(np.float32)
    arteries = KDTree(arteries_lps_mm)
    slices = np.unique(np.rint(view.to_index(arteries_lps_mm)[:, 0]).astype(np.int64))
    for z in rng.choice(slices, int(rng.integers(2, 7))):
        if 0 <= z < len(hu):
            _brighten_one(hu, view, int(z), arteries, rng)
    return view.with_voxels(np.rint(hu).astype(view.voxels.dtype))


def _brighten_one(
    hu: NDArray[np.float32],
    view: Volume,
    z: int,
    arteries: KDTree,
    rng: np.random.Generator,
) -> None:
    """Draw one spot into ``hu``, elongated along the rim, in one slice or two."""
    lung = hu[z] < LUNG_HU
    pixel_mm = view.spacing_mm[1]
    beside = binary_dilation(lung, iterations=max(round(RIM_MM / pixel_mm), 1))
    rim = np.argwhere(beside & (hu[z] > SOFT_HU[0]) & (hu[z] < SOFT_HU[1]))
    places = view.to_world(np.concatenate([np.full((len(rim), 1), z), rim], axis=1))
    away = arteries.query(places)[0]
    near = (away >= FROM_ARTERY_MM[0]) & (away <= FROM_ARTERY_MM[1])
    if not near.any():
        return
    row, column = rim[near][int(rng.integers(near.sum()))]
    reach = int(REACH_MM / pixel_mm)
    rows, columns = (
        slice(max(at - reach, 0), min(at + reach + 1, size)) for at, size in zip((row, column), lung.shape, strict=True)
    )
    slope = np.gradient(gaussian_filter(lung[rows, columns].astype(np.float32), 2.0 / pixel_mm))
    inward = np.array([each[row - rows.start, column - columns.start] for each in slope])
    inward /= max(float(np.linalg.norm(inward)), 1e-6)
    y, x = np.meshgrid(
        np.arange(rows.start, rows.stop) - row, np.arange(columns.start, columns.stop) - column, indexing="ij"
    )
    across, along = (y * inward[0] + x * inward[1]) * pixel_mm, (x * inward[0] - y * inward[1]) * pixel_mm
    plane = np.exp(-0.5 * ((along / rng.uniform(*ALONG_MM)) ** 2 + (across / rng.uniform(*ACROSS_MM)) ** 2))
    added = rng.uniform(*ADDED_HU) * plane
    for other, share in ((z - 1, rng.choice((0.0, 0.0, 0.6))), (z, 1.0), (z + 1, rng.choice((0.0, 0.0, 0.6)))):
        if share and 0 <= other < len(hu):
            under = hu[other, rows, columns]
            under += (share * added * np.clip((under + 250.0) / 250.0, 0.0, 1.0)).astype(np.float32)
