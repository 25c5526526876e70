"""What calcium would score on a standard gated scan, found without a scanner.

The capsules are drawn on a local 0.5 mm grid, blurred as a soft kernel does, averaged over 3 mm slices and
counted by the Agatston rule. The scan may start anywhere, so the mean over slice positions is taken.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from cacseg.data.phantom.disease.pieces import Pieces
from cacseg.volume import Volume

GRID_MM: Final = 0.5
"""Spacing of the local grid, small beside the blur."""

BLUR_SIGMA_MM: Final = 0.63
"""In-plane Gaussian: the 0.64 mm of a usual calcium-scoring kernel, less the 0.14 mm of the grid itself."""

SLICE_MM: Final = 3.0
"""Slice thickness and increment of calcium scoring (Agatston et al. 1990)."""

HU_PER_MG_CM3: Final = 1.25
"""Slope of HU over hydroxyapatite density at 120 kVp (1.1-1.4 over scanners; 1.227 computed for 32 cm)."""

BASE_HU: Final = 45.0
"""HU of the medium that calcium lies in: non-contrast blood."""

EDGES_HU: Final = (130.0, 200.0, 300.0, 400.0)
"""Lowest peak of Agatston weights 1-4."""

MARGIN_MM: Final = 2.5

PLANES_PER_STEP: Final = 2
"""Slices are taken at every second plane of the grid, 1 mm apart."""

STARTS: Final = round(SLICE_MM / (GRID_MM * PLANES_PER_STEP))
"""Positions of the first slice that are averaged."""


def agatston(pieces: Pieces, tissue_hu: Volume) -> float:
    """Estimate the Agatston score of some capsules at 120 kVp and 3 mm, averaged over slice positions.

    Parameters
    ----------
    pieces : capsules close to each other (the local grid spans them all).
    tissue_hu : HU of the patient without them, which sets the partial-volume background.

    Returns
    -------
    Agatston units; 0 for no pieces. Pixels that exceed 130 HU without the capsules do not count.

    Examples
    --------
    >>> fat = Volume.axial(np.full((20, 20, 20), -90.0, np.float32), (1.0, 1.0, 1.0))
    >>> spot = Pieces.spots([[10.0, 10, 10]], 1.2, 900.0)
    >>> 2 < agatston(spot, fat) < 20
    True
    """
    return float(agatston_by_start(pieces, tissue_hu).mean())


def agatston_by_start(pieces: Pieces, tissue_hu: Volume) -> NDArray[np.float64]:
    """Agatston score for each of ``STARTS`` positions of the first slice, 1 mm apart; see ``agatston``."""
    if len(pieces) == 0:
        return np.zeros(STARTS)
    image, without = slab(pieces, tissue_hu)
    calcium = (image >= EDGES_HU[0]) & (without < EDGES_HU[0])
    if not calcium.any():
        return np.zeros(STARTS)
    by_slice = _count(image, calcium)
    return np.bincount(np.arange(len(by_slice)) % STARTS, by_slice, STARTS).astype(np.float64)


def slab(pieces: Pieces, tissue_hu: Volume) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Draw and blur capsules on a local grid.

    Returns
    -------
    image : (k, rows, columns) float32 HU with the capsules, as 3 mm slices 1 mm apart.
    without : the same of the tissue alone.
    """
    from scipy.ndimage import gaussian_filter1d, uniform_filter1d

    reach = pieces.radius_mm[:, None]
    low = np.minimum(pieces.start_lps_mm, pieces.end_lps_mm) - reach
    high = np.maximum(pieces.start_lps_mm, pieces.end_lps_mm) + reach
    margin = np.array([MARGIN_MM, MARGIN_MM, MARGIN_MM + 0.5])
    origin = low.min(axis=0) - margin
    shape = tuple(np.ceil((high.max(axis=0) + margin - origin) / GRID_MM).astype(int)[::-1] + 1)
    tissue = _sample(tissue_hu, origin, shape)
    sharp = tissue + _draw(pieces, tissue, origin)
    out = []
    for image in (sharp, tissue):
        thick = uniform_filter1d(image, round(SLICE_MM / GRID_MM), axis=0, mode="nearest")[::PLANES_PER_STEP]
        smooth = gaussian_filter1d(thick, BLUR_SIGMA_MM / GRID_MM, axis=1, mode="nearest", truncate=3)
        out.append(gaussian_filter1d(smooth, BLUR_SIGMA_MM / GRID_MM, axis=2, mode="nearest", truncate=3))
    return out[0], out[1]


def _count(image: NDArray[np.float32], calcium: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Sum of area x weight over the 4-connected components of each slice (at least 1 mm2), (slices,)."""
    from scipy.ndimage import label

    in_plane = np.zeros((3, 3, 3), bool)
    in_plane[1, 1, :] = in_plane[1, :, 1] = True
    components, count = label(calcium, in_plane)
    index = components[calcium]
    area = np.bincount(index, minlength=count + 1)[1:] * GRID_MM**2
    peak = np.zeros(count + 1)
    np.maximum.at(peak, index, image[calcium])
    weight = np.searchsorted(EDGES_HU, peak[1:], side="right")
    where = np.zeros(count + 1, np.intp)
    where[index] = np.nonzero(calcium)[0]
    return np.bincount(where[1:], np.where(area >= 1.0, area * weight, 0.0), len(image)).astype(np.float64)


def _sample(volume: Volume, origin: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Nearest HU of an axial volume at the points of a local grid, float32 (slices, rows, columns)."""
    ends = origin + GRID_MM * (np.array(shape[::-1]) - 1)
    first, last = volume.to_index(np.stack([origin, ends]))
    axes = [
        np.rint(np.linspace(a, b, n)).astype(np.intp).clip(0, size - 1)
        for a, b, n, size in zip(first, last, shape, volume.shape, strict=True)
    ]
    return np.asarray(volume.voxels[np.ix_(*axes)], np.float32)


def _draw(pieces: Pieces, tissue: NDArray[np.float32], origin: NDArray[np.float64]) -> NDArray[np.float32]:
    """HU that the capsules add to each point of the grid, the densest winning, edges by coverage."""
    added = np.zeros(tissue.size, np.float32)
    span = np.abs(pieces.end_lps_mm - pieces.start_lps_mm) / 2 + pieces.radius_mm[:, None] + GRID_MM
    half = np.ceil(span / GRID_MM).astype(np.intp)
    size = half.max(axis=1)
    for extent in np.unique(size):
        chosen = pieces.take(size == extent)
        reach = half[size == extent].max(axis=0)
        index, hu = _draw_alike(chosen, reach, tissue, origin)
        np.maximum.at(added, index, hu)
    return added.reshape(tissue.shape)


def _draw_alike(
    pieces: Pieces,
    reach: NDArray[np.intp],
    tissue: NDArray[np.float32],
    origin: NDArray[np.float64],
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Flat grid indices inside capsules of similar size, and the HU each adds there.

    The edge is a ramp one step wide; a disc of radius r then has the area of one of r**2 + step**2 / 12.
    """
    centre = np.rint((pieces.middle_lps_mm - origin) / GRID_MM)
    x, y, z = np.meshgrid(*(np.arange(-n, n + 1) for n in reach), indexing="ij")
    offset = np.stack([x.ravel(), y.ravel(), z.ravel()], axis=1)
    at = centre[:, None, :] + offset[None]
    rows, columns = tissue.shape[1:]
    shift = offset[:, 0] + columns * (offset[:, 1] + rows * offset[:, 2])
    flat = (centre @ np.array([1, columns, rows * columns])).astype(np.intp)[:, None] + shift.astype(np.intp)
    relative = (at * GRID_MM + origin - pieces.start_lps_mm[:, None]).astype(np.float32)
    axis = (pieces.end_lps_mm - pieces.start_lps_mm).astype(np.float32)
    length2 = np.maximum((axis**2).sum(axis=1), 1e-9)
    along = (np.einsum("nki,ni->nk", relative, axis) / length2[:, None]).clip(0, 1)
    gap = relative - along[..., None] * axis[:, None]
    distance = np.sqrt(np.einsum("nki,nki->nk", gap, gap))
    radius = np.sqrt((pieces.radius_mm**2 - GRID_MM**2 / 12).clip(0.01))
    cover = ((radius[:, None] - distance) / GRID_MM + 0.5).clip(0, 1).astype(np.float32)
    inside = (cover > 0) & (at >= 0).all(axis=2) & (at < np.array(tissue.shape[::-1])).all(axis=2)
    index = flat[inside]
    dense = np.broadcast_to((BASE_HU + HU_PER_MG_CM3 * pieces.density_mg_cm3)[:, None], cover.shape)[inside]
    return index, cover[inside] * (dense - tissue.ravel()[index]).astype(np.float32)
