"""How noisy a scan is: SD and correlation, measured in soft tissue of the scan itself."""

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cacseg.volume import Volume

SOFT_TISSUE_HU: Final = (-20.0, 110.0)
"""Mean HU of a patch that may serve: blood, muscle and plastic of phantoms, with the noise of a patch."""

PATCH: Final = 12
"""Edge of a square patch in pixels."""

PATCHES_A_SLICE: Final = 60
"""About as many patches of a slice are looked at, evenly spread; more would take time and tell no more."""

DEFAULT_SD_HU: Final = 20.0
"""Assumed where no patch serves: the target noise of calcium scoring protocols (SCCT 2010, 20 HU)."""

DEFAULT_CORRELATION: Final = 0.5
"""Assumed correlation of neighbouring pixels: QRM scan, Canon FC12, 0.488 mm pixels."""


@dataclass(frozen=True, slots=True)
class Noise:
    """Noise of a scan.

    Parameters
    ----------
    sd_hu : standard deviation.
    pixel_correlation : correlation of neighbouring pixels in a slice, 0 to 0.95.
    slice_correlation : correlation of neighbouring slices, 0 to 0.95.
    """

    sd_hu: float
    pixel_correlation: float
    slice_correlation: float


def measure_noise(volume: Volume, sd_hu: float | None = None) -> Noise:
    """Measure the noise in the most uniform soft-tissue patches.

    About eight slices are cut into patches; of those with the mean of soft tissue, the calmer half after a
    plane is taken off gives the correlations and, where ``sd_hu`` is ``None``, the SD (their RMS).

    Parameters
    ----------
    volume : HU.
    sd_hu : SD measured elsewhere, kept as it is.
    """
    first, second = _pairs_of_patches(volume)
    if first.shape[0] < 5:
        return Noise(DEFAULT_SD_HU if sd_hu is None else sd_hu, DEFAULT_CORRELATION, 0.0)
    first, second = _without_plane(first), _without_plane(second)
    spread = np.sqrt((first**2).mean(axis=(1, 2)))
    calm = np.argsort(spread, kind="stable")[: max(5, spread.size // 2)]
    first, second = first[calm], second[calm]
    variance = float((first**2).mean())
    if variance == 0.0:
        return Noise(0.0 if sd_hu is None else sd_hu, 0.0, 0.0)
    in_slice = (first[:, :, 1:] * first[:, :, :-1]).mean() + (first[:, 1:] * first[:, :-1]).mean()
    between = float((first * second).mean()) / math.sqrt(variance * max(float((second**2).mean()), variance))
    lost, correlation = _lost_with_plane(float(in_slice) / (2 * variance))
    measured = math.sqrt(variance / (1 - lost))
    return Noise(measured if sd_hu is None else sd_hu, correlation, _bounded(between))


def _lost_with_plane(seen: float) -> tuple[float, float]:
    """Share of the variance that went with the planes, and the correlation of neighbours before they did.

    Noise with a Gaussian correlation ``rho`` between neighbours is correlated over ``-pi / ln(rho)`` pixels; a
    plane takes three such areas out of a patch, from the variance and from the covariance alike.

    Parameters
    ----------
    seen : correlation of neighbours that is left.
    """
    correlation, lost = _bounded(seen), 0.0
    for _ in range(5):
        area = -math.pi / math.log(correlation) if correlation > 0.05 else 1.0
        lost = min(3 * area / PATCH**2, 0.5)
        correlation = _bounded(seen * (1 - lost) + lost)
    return lost, correlation


def _pairs_of_patches(volume: Volume) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Soft-tissue patches and the same patches one slice further, (n, PATCH, PATCH) each."""
    slices, rows, columns = volume.shape
    down, across = rows // PATCH, columns // PATCH
    empty = np.empty((0, PATCH, PATCH))
    if slices < 2 or down == 0 or across == 0:
        return empty, empty
    found: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
    for index in range(0, slices - 1, max(1, slices // 8)):
        one = _patches(volume.voxels[index], down, across)
        centre = one[:, PATCH // 2, PATCH // 2]
        likely = np.flatnonzero((centre > SOFT_TISSUE_HU[0] - 60) & (centre < SOFT_TISSUE_HU[1] + 60))
        likely = likely[:: max(1, likely.size // PATCHES_A_SLICE)]
        one = one[likely].astype(np.float64)
        mean = one.mean(axis=(1, 2))
        kept = (mean > SOFT_TISSUE_HU[0]) & (mean < SOFT_TISSUE_HU[1])
        other = _patches(volume.voxels[index + 1], down, across)[likely][kept].astype(np.float64)
        found.append((one[kept], other))
    return np.concatenate([one for one, _ in found]), np.concatenate([other for _, other in found])


def _patches(plane: NDArray[Any], down: int, across: int) -> NDArray[Any]:
    cut = plane[: down * PATCH, : across * PATCH].reshape(down, PATCH, across, PATCH)
    return cut.swapaxes(1, 2).reshape(-1, PATCH, PATCH)


def _without_plane(patches: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take the least-squares plane off every patch."""
    ramp = (np.arange(PATCH) - (PATCH - 1) / 2) / math.sqrt(PATCH * (PATCH**2 - 1) / 12 * PATCH)
    down, across = ramp[:, None] * np.ones(PATCH), ramp * np.ones((PATCH, 1))
    flat = patches - patches.mean(axis=(1, 2), keepdims=True)
    for direction in (down, across):
        flat = flat - (flat * direction).sum(axis=(1, 2), keepdims=True) * direction
    return np.asarray(flat)


def _bounded(correlation: float) -> float:
    return min(max(correlation, 0.0), 0.95)
