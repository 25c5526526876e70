"""Image noise: the SD of a homogeneous soft-tissue region, found in the pixels."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cacseg.volume import Volume

BLOCK_MM: Final = 7.0
"""Side of the square regions: they fit into aorta and heart chambers, and hold enough pixels for an SD."""

TISSUE_HU: Final = (15.0, 75.0)
"""Mean of muscle and unenhanced blood."""

MAX_SD_HU: Final = 150.0
"""Blocks noisier than this straddle an edge."""

MIN_BLOCKS: Final = 12
MAX_SLICES: Final = 24


def noise_sd_hu(volume: Volume) -> float | None:
    """Measure the noise of soft tissue.

    Every slice (at most 24, evenly chosen) is cut into 7 mm blocks; of those with the mean of muscle or blood, the
    most frequent SD is the noise: blocks inside one tissue agree, those over an edge are scattered above.

    Returns
    -------
    float or None
        SD in HU; ``None`` where fewer than 12 blocks of soft tissue are seen.
    """
    _, row_mm, column_mm = volume.spacing_mm
    side = (max(4, round(BLOCK_MM / row_mm)), max(4, round(BLOCK_MM / column_mm)))
    chosen = np.unique(np.linspace(0, volume.shape[0] - 1, min(MAX_SLICES, volume.shape[0])).round().astype(int))
    deviations = [_deviations(volume.voxels[index], side) for index in chosen]
    pooled = np.concatenate(deviations)
    return half_sample_mode(np.sort(pooled)) if pooled.size >= MIN_BLOCKS else None


def half_sample_mode(ordered: NDArray[np.float64]) -> float:
    """Most frequent of sorted values: narrow down to the densest half until few are left (Bickel 2006).

    Source: Bickel and Fruehwirth, Comput Stat Data Anal 50:3500 (2006). Stops at 1/8 of the values and gives
    their median, which is steadier than the last pair.

    Examples
    --------
    >>> half_sample_mode(np.array([1.0, 5.0, 5.1, 5.2, 5.3, 9.0, 20.0, 40.0]))
    5.05
    """
    least = max(2, ordered.size // 8)
    while ordered.size > least:
        half = max(least, (ordered.size + 1) // 2)
        widths = ordered[half - 1 :] - ordered[: ordered.size - half + 1]
        start = int(np.argmin(widths))
        ordered = ordered[start : start + half]
    return round(float(np.median(ordered)), 6)


def _deviations(plane: NDArray[Any], side: tuple[int, int]) -> NDArray[np.float64]:
    """SD of every soft-tissue block of one slice."""
    rows, columns = plane.shape[0] // side[0], plane.shape[1] // side[1]
    if rows == 0 or columns == 0:
        return np.empty(0)
    blocks = plane[: rows * side[0], : columns * side[1]].reshape(rows, side[0], columns, side[1]).swapaxes(1, 2)
    centres = blocks[:, :, side[0] // 2, side[1] // 2]
    likely = (centres > -150) & (centres < 250)
    picked = blocks[likely].astype(np.float32)
    mean = picked.mean(axis=(1, 2))
    picked = picked[(mean > TISSUE_HU[0]) & (mean < TISSUE_HU[1])]
    deviation = picked.std(axis=(1, 2), ddof=0).astype(np.float64)
    return np.asarray(deviation[(deviation > 0) & (deviation < MAX_SD_HU)])
