"""Simulated rescans of a scan's own calcium: shifted slices, fresh noise, the same rule.

Only voxels around labelled calcium are simulated, all rescans at once, as one list of voxels: the planes of
every rescan are stacked into one tall virtual volume whose slice components are found in one go.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from cacseg.scoring.components import IndexArray, nonzero_flat, slice_components
from cacseg.scoring.neighbourhood import spread
from cacseg.scoring.noise import Noise
from cacseg.scoring.rule import Rule
from cacseg.vessels import CORONARY
from cacseg.volume import Volume

MARGIN_MM: Final = 1.0
"""How far in its slice the surroundings of a labelled voxel reach."""

POOL: Final = 256
"""Edge of the pool of correlated noise from which every plane takes a random window, in pixels."""

SLICES_USED: Final = (-1, 0, 1, 2)
"""Slices that a shifted slice is interpolated from, relative to the one before it."""


def surroundings(volume: Volume, labels: Volume, rule: Rule) -> tuple[IndexArray, NDArray[np.uint8]]:
    """Voxels that a rescan may count for a coronary artery, and the label of each.

    Those within :data:`MARGIN_MM` in the slice, and in the slices beside, of a voxel that carries a coronary
    label. A voxel at or above the threshold without a coronary label was judged not to be coronary calcium
    and stays out.

    Returns
    -------
    flat : (n,) ascending flat indices.
    label : (n,) label of the nearest labelled voxel.
    """
    flat = nonzero_flat(labels.voxels)
    value = labels.voxels.reshape(-1)[flat]
    coronary = np.isin(value, [int(label) for label in CORONARY])
    flat, value = flat[coronary], value[coronary].astype(np.uint8)
    region, near = spread(flat, value, volume, MARGIN_MM)
    other = (volume.voxels.reshape(-1)[region] >= rule.threshold_hu) & (labels.voxels.reshape(-1)[region] != near)
    return region[~other], near[~other]


def smoothed(volume: Volume, flat: IndexArray, noise: Noise) -> NDArray[np.float32]:
    """Estimate the noise-free HU of voxels and of their neighbours in the slices around.

    The mean over the 3 x 3 pixels around a voxel and the voxel itself, weighted as a local Wiener filter
    does: the voxel counts as much as the variance around it exceeds that of the noise.

    Returns
    -------
    (5, n) HU in slices -2, -1, 0, 1, 2 relative to each voxel; slices beyond the ends repeat the last.
    """
    slices, rows, columns = volume.shape
    index, rest = np.divmod(flat, rows * columns)
    row, column = np.divmod(rest, columns)
    flat_rows = [np.clip(row + step, 0, rows - 1) * columns for step in (-1, 0, 1)]
    flat_columns = [np.clip(column + step, 0, columns - 1) for step in (-1, 0, 1)]
    voxels = volume.voxels.reshape(-1)
    found = np.empty((5, flat.size), np.float32)
    for number, step in enumerate((-2, -1, 0, 1, 2)):
        plane = np.clip(index + step, 0, slices - 1) * (rows * columns)
        total = np.zeros(flat.size, np.float32)
        squares = np.zeros(flat.size, np.float32)
        for down in flat_rows:
            for across in flat_columns:
                value = voxels[plane + down + across].astype(np.float32)
                total += value
                squares += value * value
        centre = voxels[plane + rest].astype(np.float32)
        mean = total / 9
        variance = np.maximum(squares / 9 - mean * mean, 1e-3)
        trust = np.clip(1 - noise.sd_hu**2 * (1 - noise.pixel_correlation) / variance, 0, 1)
        found[number] = mean + trust * (centre - mean)
    return found


def shift_weights(shift: NDArray[np.float64]) -> NDArray[np.float32]:
    """Weights of slices -2 to 2 for a scan whose slices lie ``shift`` increments further, -0.5 to 0.5.

    Cubic convolution (Catmull-Rom; Keys 1981, doi:10.1109/TASSP.1981.1163711).

    Returns
    -------
    (shifts, 5); each row sums to 1.

    Examples
    --------
    >>> shift_weights(np.array([0.5])).tolist()
    [[0.0, -0.0625, 0.5625, 0.5625, -0.0625]]
    """
    back = shift < 0
    t = np.where(back, 1 + shift, shift)
    weights = np.stack(
        [
            ((-0.5 * t + 1.0) * t - 0.5) * t,
            (1.5 * t - 2.5) * t * t + 1.0,
            ((-1.5 * t + 2.0) * t + 0.5) * t,
            (0.5 * t - 0.5) * t * t,
        ],
        axis=1,
    )
    placed = np.zeros((shift.size, 5))
    placed[~back, 1:] = weights[~back]
    placed[back, :4] = weights[back]
    return np.asarray(placed, np.float32)


def noise_pool(noise: Noise, rng: np.random.Generator) -> NDArray[np.float32]:
    """Periodic plane of noise with the SD and pixel correlation of a scan, (POOL, POOL) HU."""
    white = rng.standard_normal((POOL, POOL), dtype=np.float32)
    if noise.pixel_correlation > 0:
        variance = -1 / (4 * np.log(noise.pixel_correlation))
        frequency = np.fft.fftfreq(POOL)
        low_pass = np.exp(-2 * np.pi**2 * variance * frequency**2)
        spectrum = np.fft.rfft2(white) * low_pass[:, None] * low_pass[: POOL // 2 + 1]
        white = np.fft.irfft2(spectrum, (POOL, POOL)).astype(np.float32)
    return np.asarray(white * np.float32(noise.sd_hu / white.std()))


def rescan_scores(
    volume: Volume, labels: Volume, rule: Rule, noise: Noise, realisations: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Coronary Agatston scores of simulated rescans.

    Parameters
    ----------
    volume, labels, rule : as scored.
    noise : of the scan.
    realisations : number of rescans; halved until the simulated voxels fit the time there is.

    Returns
    -------
    (realisations,) scores; shifts are spread evenly over one increment.
    """
    flat, label = surroundings(volume, labels, rule)
    if flat.size == 0:
        return np.zeros(realisations)
    count = realisations
    shift = (rng.permutation(count) + rng.random(count)) / count - 0.5
    hu = shift_weights(shift) @ smoothed(volume, flat, noise)
    hu += _noise_at(flat, volume.shape, noise, count, rng)
    return _agatston(hu, flat, label, volume, rule)


def _noise_at(
    flat: IndexArray, shape: tuple[int, int, int], noise: Noise, count: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Fresh noise at the voxels in every rescan, (count, n)."""
    slices, rows, columns = shape
    index, rest = np.divmod(flat, rows * columns)
    row, column = np.divmod(rest, columns)
    pool = noise_pool(noise, rng).reshape(-1)
    start = rng.integers(0, POOL * POOL, (count, slices + 1), dtype=np.int32)
    within = (row * POOL + column).astype(np.int32)
    here = np.take(pool, (start[:, index] + within) & (POOL * POOL - 1))
    rho = noise.slice_correlation
    if rho < 0.02:
        return here
    above = np.take(pool, (start[:, index + 1] + within) & (POOL * POOL - 1))
    share = _neighbour_share(rho)
    return np.asarray((here + share * above) / np.float32(np.sqrt(1 + share**2)))


def _neighbour_share(correlation: float) -> np.float32:
    """Share s of the next plane with which ``a + s b`` and ``b + s c`` correlate as wanted (at most 0.5)."""
    rho = min(correlation, 0.499)
    return np.float32((1 - np.sqrt(1 - 4 * rho * rho)) / (2 * rho))


def _agatston(
    hu: NDArray[np.float32], flat: IndexArray, label: NDArray[np.uint8], volume: Volume, rule: Rule
) -> NDArray[np.float64]:
    count = hu.shape[0]
    slices, rows, columns = volume.shape
    above = np.flatnonzero(hu.reshape(-1) >= rule.threshold_hu)
    scan, voxel = np.divmod(above, flat.size)
    stacked = flat[voxel] + scan * (slices * rows * columns)
    component = slice_components(stacked, (count * slices, rows, columns), label[voxel], rule.connectivity)
    if component.size == 0:
        return np.zeros(count)
    pixels = np.bincount(component)
    peak = np.full(pixels.size, -np.inf, np.float32)
    np.maximum.at(peak, component, hu.reshape(-1)[above])
    weight = np.searchsorted(np.array(rule.weight_edges_hu), peak, side="right")
    weight[pixels < rule.pixels_needed(volume.pixel_area_mm2)] = 0
    of_scan = np.zeros(pixels.size, np.intp)
    of_scan[component] = scan
    weighted = np.bincount(of_scan, weights=weight * pixels, minlength=count)
    unit = volume.pixel_area_mm2 * volume.spacing_mm[0] / rule.reference_increment_mm
    return np.asarray(weighted * unit, np.float64)
