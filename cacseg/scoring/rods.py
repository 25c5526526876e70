"""Finding a calibration rod and its water rod in a scan."""

import math
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cacseg.scoring.components import slice_components
from cacseg.volume import Volume

ROD_MG_PER_ML: Final = 200.0
"""Hydroxyapatite in the rod of the QRM cardiac calcification phantom; the other holds water."""

ROD_RADIUS_MM: Final = 10.0
ROD_HU: Final = (200.0, 480.0)
"""200 mg HA/mL from 150 kVp to 70 kVp."""

WATER_HU: Final = (-20.0, 60.0)
COARSE_MM: Final = 2.0
"""Spacing of the pixels of the first look."""

SEARCH_MM: Final = 60.0
"""The water rod lies no further than this from the other, along rows and columns."""

EVEN_HU: Final = 20.0
"""Largest SD of a disk in the mean of a run: noise only."""

LEAST_CONTRAST_HU: Final = 20.0
"""Water is darker than the phantom's body by at least this."""

SLAB: Final = 3
"""Slices averaged, so that noise does not hide the water rod."""

SAME_HU: Final = 15.0
"""Largest range of a rod's mean over the slices of a run; at its ends it mixes with what lies beyond."""


@dataclass(frozen=True, slots=True)
class RodReading:
    """Readings of a calibration.

    Parameters
    ----------
    rod_hu, water_hu : mean HU in the middle of the rods.
    rod_mg_per_ml : hydroxyapatite in the rod.
    sd_hu : standard error of the difference of the two.
    """

    rod_hu: float
    water_hu: float
    rod_mg_per_ml: float
    sd_hu: float


def find_rods(volume: Volume) -> RodReading | None:
    """Look for a rod of 200 mg HA/mL and one of water, 20 mm across, standing along the slice axis.

    Each of three slices in a row must show one round, even disk of the rod's area and HU, and their mean, near
    it, an even disk of water that is darker than what surrounds it; both must read the same in all three.

    Returns
    -------
    The median over the runs, or ``None``: no rod, as in almost every patient.
    """

    @cache
    def disk(index: int) -> tuple[float, float] | None:
        plane = volume.voxels[index]
        return _bright_disk(plane, volume) if _worth_a_look(plane, volume) else None

    readings = []
    for first in range(volume.shape[0] - SLAB + 1):
        # One slice of every run has a number that SLAB divides; where it shows no disk, the others need no look.
        rod = None if disk(first + -first % SLAB) is None else disk(first)
        if rod is None or any(disk(index) is None for index in range(first, first + SLAB)):
            continue
        run = volume.voxels[first : first + SLAB].astype(np.float64)
        water = _water_disk(run.mean(axis=0), volume, rod)
        if water is not None:
            pair = np.array([[_disk_mean(one, volume, centre) for centre in (rod, water)] for one in run])
            if (np.ptp(pair, axis=0) < SAME_HU).all():
                readings.append(pair.mean(axis=0))
    if not readings:
        return None
    rod_hu, water_hu = np.median(np.array(readings), axis=0).tolist()
    return RodReading(rod_hu, water_hu, ROD_MG_PER_ML, SAME_HU / math.sqrt(12 * SLAB * len(readings)))


def _worth_a_look(plane: NDArray[Any], volume: Volume) -> bool:
    """Say whether something bright of about the rod's area shows in every few pixels of a slice."""
    _, row_mm, column_mm = volume.spacing_mm
    down, across = (max(1, round(COARSE_MM / each)) for each in (row_mm, column_mm))
    coarse = plane[::down, ::across]
    bright = np.flatnonzero(coarse > 0.75 * ROD_HU[0])
    component = slice_components(bright, (1, coarse.shape[0], coarse.shape[1]), np.zeros(bright.size, np.intp), 4)
    area_mm2 = np.bincount(component) * (volume.pixel_area_mm2 * down * across)
    return bool((np.abs(area_mm2 / (math.pi * ROD_RADIUS_MM**2) - 1) < 0.5).any())


def _bright_disk(plane: NDArray[Any], volume: Volume) -> tuple[float, float] | None:
    """Centre (row, column) of the one round disk of the rod's size and HU."""
    _, row_mm, column_mm = volume.spacing_mm
    bright = np.flatnonzero(plane > 0.75 * ROD_HU[0])
    component = slice_components(bright, (1, plane.shape[0], plane.shape[1]), np.zeros(bright.size, np.intp), 4)
    pixels = np.bincount(component)
    area_mm2 = math.pi * ROD_RADIUS_MM**2
    found = []
    for number in np.flatnonzero(np.abs(pixels * volume.pixel_area_mm2 / area_mm2 - 1) < 0.3):
        rows, columns = np.divmod(bright[component == number], plane.shape[1])
        centre = (float(rows.mean()), float(columns.mean()))
        distance = np.hypot((rows - centre[0]) * row_mm, (columns - centre[1]) * column_mm)
        round_enough = distance.max() < 1.25 * math.sqrt(pixels[number] * volume.pixel_area_mm2 / math.pi)
        core_pixels = distance < 0.7 * ROD_RADIUS_MM
        core = plane[rows[core_pixels], columns[core_pixels]]
        if round_enough and ROD_HU[0] < core.mean() < ROD_HU[1] and core.std() < 2 * EVEN_HU:
            found.append(centre)
    return found[0] if len(found) == 1 else None


def _water_disk(plane: NDArray[Any], volume: Volume, rod: tuple[float, float]) -> tuple[float, float] | None:
    """Centre of the disk near the rod that is darkest against its ring; ``None`` if it is not water."""
    _, row_mm, column_mm = volume.spacing_mm
    steps = np.arange(-SEARCH_MM, SEARCH_MM + 1.0, 2.0)
    down, across = (axis.reshape(-1) for axis in np.meshgrid(steps, steps, indexing="ij"))
    apart = np.hypot(down, across) > 2.2 * ROD_RADIUS_MM
    rows = np.rint(rod[0] + down[apart] / row_mm).astype(np.intp)
    columns = np.rint(rod[1] + across[apart] / column_mm).astype(np.intp)
    reach = math.ceil(1.8 * ROD_RADIUS_MM / min(row_mm, column_mm))
    inside = (np.minimum(rows, columns) >= reach) & (rows < plane.shape[0] - reach)
    inside &= columns < plane.shape[1] - reach
    if not inside.any():
        return None
    rows, columns = rows[inside], columns[inside]
    ring = np.median(_around(plane, volume, rows, columns, 1.2, 1.6), axis=1)
    core = _around(plane, volume, rows, columns, 0.0, 0.7)
    mean = core.mean(axis=1)
    water = (core.std(axis=1) < EVEN_HU) & (mean > WATER_HU[0]) & (mean < WATER_HU[1])
    contrast = np.where(water, ring - mean, -np.inf)
    best = int(contrast.argmax())
    return (float(rows[best]), float(columns[best])) if contrast[best] > LEAST_CONTRAST_HU else None


def _around(
    plane: NDArray[Any], volume: Volume, rows: NDArray[np.intp], columns: NDArray[np.intp], inner: float, outer: float
) -> NDArray[Any]:
    """Values between two radii, in units of the rod's, around each centre, (centres, pixels)."""
    _, row_mm, column_mm = volume.spacing_mm
    reach = math.ceil(outer * ROD_RADIUS_MM / min(row_mm, column_mm))
    down, across = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    radius = np.hypot(down * row_mm, across * column_mm) / ROD_RADIUS_MM
    chosen = (radius >= inner) & (radius < outer)
    return np.asarray(plane[rows[:, None] + down[chosen], columns[:, None] + across[chosen]])


def _disk_mean(plane: NDArray[Any], volume: Volume, centre: tuple[float, float]) -> float:
    rows, columns = (np.array([round(position)]) for position in centre)
    return float(_around(plane, volume, rows, columns, 0.0, 0.7).mean())
