"""How a beating heart looks: every direction of the image was measured at another moment of the exposure.

By the projection-slice theorem a projection is one line of the image's Fourier transform. While the gantry turns half
around, the heart moves; so each direction of the transform is that of the heart where it was at that moment. What
comes of it is not only blur: walls against the lung and air in the oesophagus get bright and dark edges, which on
real scans without gating are often taken for calcium.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.ndimage import map_coordinates

from cacseg.data.phantom.scanner.grid import heart_extent, lattice_axes
from cacseg.data.phantom.scanner.protocol import Protocol
from cacseg.data.phantom.scene import Scene
from cacseg.volume import Volume

MOMENTS: Final = (-1.0, -0.5, 0.5, 1.0)
"""Of the exposure, from its start to its end; in the middle the heart is where the scene has it."""

SEAM: Final = 0.12
"""Share of the half turn at either end over which first and last rays fade into each other."""

WALL: Final = (0.8, 2.0)
"""Displacement of the wall of the heart, relative to that of the LAD."""

AROUND_MM: Final = 8.0
"""What lies this far from the heart in the plane moves with it, ever less."""

REACH: Final = 1.5
"""Beyond this many times its half width nothing is looked at."""

BEAT_MM: Final = (35.0, 90.0)
"""How far an ungated table travels in a heart beat."""

Array = NDArray[np.float32]


def beat(slab: Volume, scene: Scene, protocol: Protocol, rng: np.random.Generator) -> Volume:
    """Let the heart move during the exposure, the rest of the body at rest.

    Parameters
    ----------
    slab : float32 volume of slice averages, on an upright axial grid.
    scene : the patient, whose classes tell where the heart is.
    protocol : ``motion_mm`` is half the path of the LAD; slices of one gated slab are exposed at once, without gating
        each at another moment of the beat.
    rng : draws the path of the heart and where the gantry starts.

    Returns
    -------
    Volume of the same grid; ``slab`` itself where nothing moves.
    """
    box = heart_extent(scene)
    if protocol.motion_mm <= 0 or box is None:
        return slab
    axes = lattice_axes(slab)
    (top, down), (left, across) = (
        _from_heart(positions, *box[:, column]) for column, positions in ((1, axes.y_mm), (0, axes.x_mm))
    )
    if down.size == 0 or across.size == 0:
        return slab
    down = down[:, None]
    square = down**2 + across**2
    share = np.clip((1.35 - square) / 0.6, 0.0, 1.0).astype(np.float32)
    angle, inward = rng.uniform(0.0, 2 * np.pi), rng.uniform(-1.0, 1.0)
    path_mm = protocol.motion_mm * rng.uniform(*WALL) * share
    field = (path_mm * (np.sin(angle) + inward * down), path_mm * (np.cos(angle) + inward * across))
    field = tuple(each / mm for each, mm in zip(field, slab.spacing_mm[1:], strict=True))
    starts, strengths = _exposures(protocol, slab.shape[0], rng)
    size = tuple(fft.next_fast_len(n, real=True) for n in share.shape)
    direction = _directions(size)
    rest = np.meshgrid(np.arange(share.shape[0]), np.arange(share.shape[1]), indexing="ij", copy=False)
    voxels = slab.voxels.copy()
    for index, (start, strength) in enumerate(zip(starts, strengths, strict=True)):
        plane = slab.voxels[index, top : top + share.shape[0], left : left + share.shape[1]]
        seen = np.zeros((size[0], size[1] // 2 + 1), np.complex64)
        for moment, weight in zip(MOMENTS, _weights(direction, start), strict=True):
            place = [at + moment * strength * each for at, each in zip(rest, field, strict=True)]
            moved = map_coordinates(plane, place, order=1, mode="nearest")
            seen += weight * fft.rfft2(moved - plane, size)
        change = fft.irfft2(seen, size)[: share.shape[0], : share.shape[1]]
        voxels[index, top : top + share.shape[0], left : left + share.shape[1]] += change
    return slab.with_voxels(voxels)


def _from_heart(positions_mm: NDArray[np.float64], low_mm: float, high_mm: float) -> tuple[int, NDArray[np.float64]]:
    """First position near the heart along an axis, and how far those near lie from its middle, 1 at its border."""
    half = (high_mm - low_mm) / 2 + AROUND_MM
    away = (positions_mm - (low_mm + high_mm) / 2) / half
    near = np.flatnonzero(np.abs(away) <= REACH)
    return int(near[0]) if near.size else 0, away[near]


def _exposures(protocol: Protocol, slices: int, rng: np.random.Generator) -> tuple[NDArray[Any], NDArray[Any]]:
    """Where the half turn of each slice starts, in half turns, and how fast the heart moves then, -1 to 1."""
    if protocol.gated:
        slab = (np.arange(slices) + int(rng.integers(0, protocol.slab_slices))) // protocol.slab_slices
        return rng.uniform(0.0, 1.0, slab[-1] + 1)[slab], rng.uniform(0.5, 1.0, slab[-1] + 1)[slab]
    z_mm = np.arange(slices) * protocol.increment_mm
    turn_mm = rng.uniform(15.0, 40.0)
    speed = np.sin(2 * np.pi * (z_mm / rng.uniform(*BEAT_MM) + rng.uniform()))
    return np.asarray(rng.uniform() + 2 * z_mm / turn_mm), np.asarray(speed)


def _directions(size: tuple[int, ...]) -> Array:
    """Direction of each place of a real image's transform, in half turns, 0 to 1."""
    rows, columns = fft.fftfreq(size[0]), fft.rfftfreq(size[1])
    return np.asarray(np.arctan2(rows[:, None], columns[None]) / np.pi % 1.0, np.float32)


def _weights(direction: Array, start: float) -> list[Array]:
    """Share of each moment but the middle one in each direction: linear between moments, faded at the seam."""
    passed = (direction - np.float32(start)) % np.float32(1.0)
    time = 2 * passed - 1
    faded = np.clip(0.5 - 0.5 * np.minimum(passed, 1 - passed) / np.float32(SEAM), 0.0, 0.5)
    weights = []
    for moment in MOMENTS:
        near, far = (np.clip(1 - 2 * np.abs(each - np.float32(moment)), 0, 1) for each in (time, -time))
        weight = (1 - faded) * near + faded * far
        weight[0, 0] = 0.125 if abs(moment) == 1 else 0.25
        weights.append(weight)
    return weights
