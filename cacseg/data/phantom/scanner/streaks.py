"""Beam hardening: dark bands beside dense calcium, fans of streaks around metal."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from cacseg.data.phantom.scanner.deposits import BLOCK, FINE_MM, FineLattice
from cacseg.data.phantom.scanner.grid import Axes
from cacseg.data.phantom.scanner.operator import in_plane_profile, sampling_operator
from cacseg.data.phantom.scanner.protocol import Protocol

COARSE_MM: Final = 3.0
"""Grid on which streaks are worked out: four of its cells span a block of the fine lattice."""

DENSE_HU: Final = 500.0
"""Bodies that add more than this harden the beam."""

CALCIUM_FAN: Final = (25.0, 2)
METAL_FAN: Final = (90.0, 12)
"""Strength in HU 10 mm from 1000 HU in one coarse cell, and how finely the streaks fan out; set by eye."""

DARKENING: Final = (0.6, 0.25)
"""Mean depth of the bands of calcium and metal as a share of their streaks' SD; more would black out the heart
around a pacing lead that lies in the slice."""

MOST_HU: Final = 150.0
"""Streaks of many bodies add up to no more than this, softly."""

LEAST_SOURCE_HU: Final = 20.0
"""Slices whose coarse cells hold less than this stay as they are."""

CELLS: Final = round(BLOCK * FINE_MM / COARSE_MM)


def add_streaks(
    image: NDArray[np.float32],
    lattices: list[tuple[float, FineLattice]],
    metal: NDArray[np.bool_],
    axes: Axes,
    protocol: Protocol,
    rng: np.random.Generator,
) -> None:
    """Add the streaks of all bodies to the scan, in place.

    Parameters
    ----------
    lattices : bodies on their lattices, each lattice with its weight.
    metal : of each body, whether it is metal.
    """
    block_mm = BLOCK * FINE_MM
    corner = tuple(float(np.floor(axis[0] / block_mm) * block_mm) for axis in (axes.y_mm, axes.x_mm))
    shape = tuple(
        int(np.ceil((axis[-1] - low) / COARSE_MM)) + 1 for axis, low in zip((axes.y_mm, axes.x_mm), corner, strict=True)
    )
    sources = np.zeros((2, len(axes.z_mm), *shape), np.float32)
    for weight, lattice in lattices:
        for (bz, by, bx), block in lattice.blocks.items():
            strong = np.where(block.added_hu > DENSE_HU, block.added_hu, np.float32(0)) * np.float32(weight)
            if not strong.any():
                continue
            row, column = (
                round((place * block_mm - low) / COARSE_MM) for place, low in zip((by, bx), corner, strict=True)
            )
            if not (0 <= row <= shape[0] - CELLS and 0 <= column <= shape[1] - CELLS):
                continue
            window = (slice(row, row + CELLS), slice(column, column + CELLS))
            is_metal = metal[block.owner]
            for kind, mine in enumerate((~is_metal, is_metal)):
                part = np.where(mine, strong, np.float32(0))
                if part.any():
                    _gather(sources[kind], part, bz, window, axes.z_mm, protocol.slice_thickness_mm / 2)
    middle = (corner[0] + COARSE_MM / 2, corner[1] + COARSE_MM / 2)
    for kind, (strength, orders) in enumerate((CALCIUM_FAN, METAL_FAN)):
        if sources[kind].any():
            planes = streak_planes(sources[kind], strength * protocol.hardening, orders, rng, DARKENING[kind])
            planes = np.float32(MOST_HU) * np.tanh(planes / np.float32(MOST_HU))
            _add_coarse(image, planes, middle, axes)


def _gather(
    sources: NDArray[np.float32],
    part: NDArray[np.float32],
    block_z: int,
    window: tuple[slice, slice],
    slices_mm: NDArray[np.float64],
    half_mm: float,
) -> None:
    """Add a block, averaged over coarse cells and each slice's thickness, to the sources in place."""
    z_mm = (block_z * BLOCK + np.arange(BLOCK)) * FINE_MM
    cells = part.reshape(BLOCK, CELLS, BLOCK // CELLS, CELLS, BLOCK // CELLS).mean(axis=(2, 4))
    for index in np.flatnonzero((slices_mm > z_mm[0] - half_mm) & (slices_mm < z_mm[-1] + half_mm)):
        near = np.abs(z_mm - slices_mm[index]) <= half_mm
        if near.any():
            sources[index][window] += cells[near].sum(axis=0) * np.float32(FINE_MM / (2 * half_mm))


def streak_planes(
    sources: NDArray[np.float32],
    strength: float,
    orders: int,
    rng: np.random.Generator,
    darkening: float = DARKENING[0],
) -> NDArray[np.float32]:
    """Streaks around dense sources, on the coarse grid.

    Parameters
    ----------
    sources : (slice, row, column) excess HU of the sources on the coarse grid.
    strength : HU of a streak 10 mm from a source of 1000 HU in one cell.
    orders : how finely the streaks fan out: 2 for dense calcium, about 12 for metal.
    rng : source of chance.
    darkening : mean depth around a source, as a share of the streaks' SD.

    Returns
    -------
    (slice, row, column) float32 HU to add.
    """
    from scipy import fft

    planes = np.zeros_like(sources)
    size = 2 * max(sources.shape[1:])
    y, x = (fft.fftfreq(size, 1 / size).astype(np.float32).reshape(shape) for shape in ((-1, 1), (1, -1)))
    radius, angle = np.hypot(y, x) * np.float32(COARSE_MM), np.arctan2(y, x)
    for index in np.flatnonzero(sources.max(axis=(1, 2)) > LEAST_SOURCE_HU):
        fan = np.zeros((size, size), np.float32)
        for order in range(1, orders + 1):
            fan += np.float32(rng.normal(0, 1)) * np.cos(2 * order * angle + np.float32(rng.uniform(0, 2 * np.pi)))
        fan *= np.float32(1 / np.sqrt(orders))
        fan -= np.float32(darkening)
        kernel = np.float32(strength / 1000.0) * fan * np.float32(10.0) / (radius + 4.0) * np.exp(-radius / 60.0)
        kernel[radius < 4.0] = 0
        spread = fft.irfft2(fft.rfft2(sources[index], (size, size)) * fft.rfft2(kernel), (size, size))
        planes[index] = spread[: sources.shape[1], : sources.shape[2]]
    return planes


def _add_coarse(
    image: NDArray[np.float32], planes: NDArray[np.float32], corner_mm: tuple[float, float], axes: Axes
) -> None:
    """Add coarse planes to the scan in place; ``corner_mm`` is the (y, x) of their first cell."""
    profile = in_plane_profile(1.5, 0.0, COARSE_MM)
    rows = sampling_operator(axes.y_mm, corner_mm[0], COARSE_MM, planes.shape[1], profile)
    columns = sampling_operator(axes.x_mm, corner_mm[1], COARSE_MM, planes.shape[2], profile)
    for index in np.flatnonzero(np.abs(planes).max(axis=(1, 2)) > 0.25):
        half = rows @ planes[index]
        image[index] += (columns @ np.ascontiguousarray(half.T)).T
