"""Image noise with a measured power spectrum, cut from a bank of periodic noise.

The bank is made once per process from a fixed seed; a patient's noise is cut from it at random positions,
mirrored and transposed at random, so that the noise of one scan costs milliseconds.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cacseg.data.phantom.scanner.protocol import Protocol, Texture

BANK_SLICES: Final = 8
BANK_SIZE: Final = 512
BANK_SEED: Final = 20240607
BANK_UNIT: Final = 4096.0
"""Bank values are int16 in units of 1 / BANK_UNIT of the SD."""

CUTOFF_STEP: Final = 0.08
"""Banks exist for cut-offs this far apart in natural logarithm."""

STREAK_STEPS: Final = 3
"""Banks of streaky noise exist for every third of those cut-offs; their grain hides the difference."""

STREAK_SPREAD_RAD: Final = 0.4
"""SD of the directions (power) of streaky noise about its own, by eye."""

MEASURED_NPS: Final = (
    (0.000, 0.0),
    (0.045, 0.49),
    (0.075, 1.0),
    (0.135, 1.0),
    (0.255, 0.97),
    (0.285, 0.80),
    (0.345, 0.67),
    (0.405, 0.53),
    (0.465, 0.44),
    (0.525, 0.29),
    (0.585, 0.165),
    (0.645, 0.077),
    (0.705, 0.029),
    (0.765, 0.014),
    (0.855, 0.007),
    (1.005, 0.0),
)
"""Radial noise power (lp/mm, relative) of a Canon Aquilion ONE, kernel FC12, 120 kVp, 3 mm, measured on a scan
of the QRM phantom (MolloiLab/CAC-stanford-data); smoothed, without the white floor of rounding."""

MEASURED_HALF_LPMM: Final = 0.42
"""Frequency at which that spectrum has fallen to half its plateau."""

MEASURED_SLICE_CORRELATION: Final = 0.061
"""Correlation of the noise of adjoining slices of that scan (3 mm slices every 3 mm)."""


def relative_power(frequency: NDArray[np.floating], texture: Texture) -> NDArray[np.float64]:
    """Noise power against frequency in units of the cut-off (power falls to about half at 1).

    "fbp" is the measured spectrum; "sharp" rises like the ramp filter before it falls; "iterative" holds
    more of its power at low frequencies and falls softly.
    """
    f = np.asarray(frequency, np.float64)
    if texture == "sharp":
        return np.asarray((f + 0.08) * np.exp(-((f / 1.15) ** 3.2)))
    if texture == "iterative":
        return np.asarray(np.exp(-np.log(2) * (f / 0.75) ** 1.6) * (1 - np.exp(-((f / 0.12) ** 2))))
    table = np.array(MEASURED_NPS)
    return np.asarray(np.interp(f * MEASURED_HALF_LPMM, table[:, 0], table[:, 1]), np.float64)


@lru_cache(maxsize=32)
def _bank(texture: Texture, cutoff_step: int, streaky: bool = False) -> NDArray[np.int16]:
    """Periodic noise of unit SD, (BANK_SLICES, BANK_SIZE, BANK_SIZE) int16 in units of 1 / BANK_UNIT."""
    from scipy import fft

    cutoff_per_pixel = np.exp(cutoff_step * CUTOFF_STEP)
    rows = fft.fftfreq(BANK_SIZE).astype(np.float32)[:, None]
    columns = fft.rfftfreq(BANK_SIZE).astype(np.float32)[None]
    amplitude = np.sqrt(relative_power(np.hypot(rows, columns) / cutoff_per_pixel, texture)).astype(np.float32)
    if streaky:
        amplitude *= np.exp(-0.25 * (np.arctan2(columns, np.abs(rows)) / np.float32(STREAK_SPREAD_RAD)) ** 2)
    amplitude[0, 0] = 0
    name = [BANK_SEED, ("fbp", "sharp", "iterative").index(texture), cutoff_step + 1000]
    rng = np.random.default_rng([*name, 1] if streaky else name)
    white = rng.standard_normal((BANK_SLICES, BANK_SIZE, BANK_SIZE), dtype=np.float32)
    noise = fft.irfft2(fft.rfft2(white) * amplitude, s=(BANK_SIZE, BANK_SIZE))
    noise /= noise.std()
    bank: NDArray[np.int16] = np.clip(np.rint(noise * BANK_UNIT), -32000, 32000).astype(np.int16)
    bank.setflags(write=False)
    return bank


def slice_correlation(protocol: Protocol) -> float:
    """Correlation of the noise of neighbouring slices: the overlap of their profiles."""
    overlap = protocol.increment_mm / protocol.slice_thickness_mm
    return float(MEASURED_SLICE_CORRELATION ** (overlap**2))


def noise_planes(
    protocol: Protocol, count: int, rng: np.random.Generator, *, streaky: bool = False
) -> Iterator[NDArray[np.float32]]:
    """Yield planes of unit noise, correlated from slice to slice.

    Parameters
    ----------
    protocol : whose matrix, texture and cut-off the noise has.
    count : number of planes.
    rng : source of chance.
    streaky : grain drawn out along the rows, instead of the protocol's texture.

    Yields
    ------
    (matrix, matrix) float32.
    """
    cutoff_step = round(np.log(protocol.noise_cutoff_lpmm * protocol.pixel_mm) / CUTOFF_STEP)
    if streaky:
        bank = _bank("fbp", STREAK_STEPS * round(cutoff_step / STREAK_STEPS), streaky=True)
    else:
        bank = _bank(protocol.texture, cutoff_step)
    correlation = slice_correlation(protocol)
    fresh = np.float32(np.sqrt(1 - correlation**2) / BANK_UNIT)
    previous: NDArray[np.float32] | None = None
    size = protocol.matrix
    for _ in range(count):
        which, top, left, symmetry = rng.integers(0, (BANK_SLICES, BANK_SIZE, BANK_SIZE, 8)).tolist()
        plane = _cut(bank[which], top, left, size)
        plane = plane[:: 1 - 2 * (symmetry & 1), :: 1 - (symmetry & 2)]
        if symmetry & 4 and not streaky:
            plane = plane.T
        current = plane * (np.float32(1 / BANK_UNIT) if previous is None else fresh)
        if previous is not None:
            current += np.float32(correlation) * previous
        previous = current
        yield current


def _cut(plane: NDArray[np.int16], top: int, left: int, size: int) -> NDArray[np.int16]:
    rows = np.arange(top, top + size) % BANK_SIZE
    columns = np.arange(left, left + size) % BANK_SIZE
    return plane[rows][:, columns]
