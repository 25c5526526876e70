"""Dense bodies on a fine lattice: what they add to the tissue, and how much hydroxyapatite they hold.

The lattice is cut into blocks, and only blocks that a body touches exist, so that a spot of calcium costs
as little as it is small, and a pacemaker lead does not fill the chest with zeros.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cacseg.data.phantom.scanner.grid import lattice_axes
from cacseg.data.phantom.scene import Deposit
from cacseg.volume import Volume

FINE_MM: Final = 0.3
"""Step of the fine lattice; edges between its points are antialiased."""

BLOCK: Final = 40
"""Lattice points along each side of a block (12 mm)."""

BLOOD_HU: Final = 40.0
"""HU of what carries the hydroxyapatite."""

Index = tuple[int, int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Rod(Deposit):
    """A deposit whose pieces end flat instead of round, as the inserts of a manufactured phantom do.

    ``matrix_hu`` is the HU of the plastic that carries the hydroxyapatite.
    """

    matrix_hu: float = BLOOD_HU


@dataclass(slots=True, eq=False)
class Block:
    """One cube of the fine lattice, (z, y, x).

    ``added_hu`` is what the bodies add to the tissue, ``owner`` the number of the body that does it.
    """

    added_hu: NDArray[np.float32]
    owner: NDArray[np.int16]
    ha_mg_cm3: NDArray[np.float32]


class FineLattice:
    """The blocks that a set of bodies touches.

    Parameters
    ----------
    tissue_hu : the patient without the bodies; they replace it.
    ha_slope_hu : HU per mg/cm3 of hydroxyapatite.
    """

    def __init__(self, tissue_hu: Volume, ha_slope_hu: float) -> None:
        self.blocks: dict[Index, Block] = {}
        self._hu = tissue_hu.voxels
        self._axes = lattice_axes(tissue_hu)
        self._slope = ha_slope_hu

    def add(self, number: int, body: Deposit, shift_mm: Sequence[float] = (0.0, 0.0, 0.0)) -> None:
        """Rasterise one body, displaced by ``shift_mm`` (x, y, z); where bodies overlap the denser one wins."""
        starts = np.asarray(body.start_lps_mm, np.float64) + np.asarray(shift_mm)
        ends = np.asarray(body.end_lps_mm, np.float64) + np.asarray(shift_mm)
        for start, end, radius, density in zip(starts, ends, body.radius_mm, body.density_mg_cm3, strict=True):
            metal = body.material == "metal"
            carrier = body.matrix_hu if isinstance(body, Rod) else BLOOD_HU
            target = float(body.metal_hu) if metal else carrier + self._slope * float(density)
            piece = _Piece(number, start[::-1], end[::-1], float(radius), target, 0.0 if metal else float(density))
            self._add_piece(piece, _cylinder if isinstance(body, Rod) else _capsule)

    def ha_mass_mg(self, bodies: int) -> NDArray[np.float64]:
        """Hydroxyapatite of each body, (bodies,) in mg."""
        mass = np.zeros(bodies)
        for block in self.blocks.values():
            held = block.ha_mg_cm3 > 0
            mass += np.bincount(block.owner[held], block.ha_mg_cm3[held], bodies)
        return mass * FINE_MM**3 / 1000.0

    def _add_piece(self, piece: "_Piece", shape: "Shape") -> None:
        margin = piece.radius + FINE_MM
        first = np.floor((np.minimum(piece.start, piece.end) - margin) / FINE_MM).astype(int) + 1
        last = np.floor((np.maximum(piece.start, piece.end) + margin) / FINE_MM).astype(int)
        low, high = (first // BLOCK).tolist(), (last // BLOCK).tolist()
        for where in product(*(range(a, b + 1) for a, b in zip(low, high, strict=True))):
            corner = np.array(where) * BLOCK
            begin = np.maximum(first, corner)
            stop = np.minimum(last + 1, corner + BLOCK)
            axes = [np.arange(b, s) * FINE_MM for b, s in zip(begin, stop, strict=True)]
            occupied = shape(axes, piece.start, piece.end, piece.radius)
            if occupied.max() > 0:
                self._merge((where[0], where[1], where[2]), begin - corner, axes, occupied, piece)

    def _merge(
        self,
        where: Index,
        begin: NDArray[np.int64],
        axes: list[NDArray[np.float64]],
        occupied: NDArray[np.float32],
        piece: "_Piece",
    ) -> None:
        block = self.blocks.get(where)
        if block is None:
            size = (BLOCK, BLOCK, BLOCK)
            block = Block(np.zeros(size, np.float32), np.zeros(size, np.int16), np.zeros(size, np.float32))
            self.blocks[where] = block
        window = tuple(slice(int(b), int(b) + len(axis)) for b, axis in zip(begin, axes, strict=True))
        added = occupied * np.maximum(np.float32(piece.target_hu) - self._tissue_at(axes), 0)
        stronger = added > block.added_hu[window]
        block.added_hu[window][stronger] = added[stronger]
        block.owner[window][stronger] = piece.number
        block.ha_mg_cm3[window][stronger] = occupied[stronger] * np.float32(piece.ha_mg_cm3)

    def _tissue_at(self, axes: list[NDArray[np.float64]]) -> NDArray[np.float32]:
        nearest = []
        for axis, lattice in zip(axes, (self._axes.z_mm, self._axes.y_mm, self._axes.x_mm), strict=True):
            step = lattice[1] - lattice[0]
            nearest.append(np.clip(np.rint((axis - lattice[0]) / step).astype(int), 0, len(lattice) - 1))
        found: NDArray[np.float32] = self._hu[np.ix_(*nearest)]
        return found


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """One capsule or cylinder; ``start`` and ``end`` are (z, y, x) in mm."""

    number: int
    start: NDArray[np.float64]
    end: NDArray[np.float64]
    radius: float
    target_hu: float
    ha_mg_cm3: float


Shape = Callable[[list[NDArray[np.float64]], NDArray[np.float64], NDArray[np.float64], float], NDArray[np.float32]]


def _capsule(
    axes: list[NDArray[np.float64]], start: NDArray[np.float64], end: NDArray[np.float64], radius: float
) -> NDArray[np.float32]:
    """Part of each lattice cell that lies in a capsule, (z, y, x); the sum is the capsule's true volume."""
    z, y, x = (
        (axis - origin).astype(np.float32).reshape(shape)
        for axis, origin, shape in zip(axes, start, ((-1, 1, 1), (1, -1, 1), (1, 1, -1)), strict=True)
    )
    along = (end - start).astype(np.float32)
    length2 = float(along @ along)
    if length2 > 1e-8:
        part = np.clip((z * along[0] + y * along[1] + x * along[2]) / np.float32(length2), 0, 1)
        distance = np.sqrt((z - part * along[0]) ** 2 + (y - part * along[1]) ** 2 + (x - part * along[2]) ** 2)
    else:
        distance = np.sqrt(z**2 + y**2 + x**2)
    inside = np.clip(np.float32(0.5 + radius / FINE_MM) - distance * np.float32(1 / FINE_MM), 0, 1)
    return np.asarray(inside * np.float32(_volume_correction(radius, float(np.sqrt(length2)))), np.float32)


def _cylinder(
    axes: list[NDArray[np.float64]], start: NDArray[np.float64], end: NDArray[np.float64], radius: float
) -> NDArray[np.float32]:
    """Part of each lattice cell that lies in a cylinder with flat ends, (z, y, x)."""
    length = float(np.linalg.norm(end - start))
    unit = (end - start) / length
    middle = (start + end) / 2
    z, y, x = (
        (axis - origin).reshape(shape)
        for axis, origin, shape in zip(axes, middle, ((-1, 1, 1), (1, -1, 1), (1, 1, -1)), strict=True)
    )
    along = z * unit[0] + y * unit[1] + x * unit[2]
    across = np.sqrt(np.maximum(z**2 + y**2 + x**2 - along**2, 0))
    inside = np.clip(0.5 + (radius - across) / FINE_MM, 0, 1)
    between = np.clip(0.5 + (length / 2 - np.abs(along)) / FINE_MM, 0, 1)
    outer, inner = radius + FINE_MM / 2, max(radius - FINE_MM / 2, 0.0)
    correction = radius**2 * 3 * FINE_MM / (outer**3 - inner**3)
    return np.asarray(inside * between * correction, np.float32)


def _volume_correction(radius: float, length: float) -> float:
    """Ratio of a capsule's volume to that of its antialiased image, whose edge is a ramp one step wide."""
    outer, inner = radius + FINE_MM / 2, max(radius - FINE_MM / 2, 0.0)
    disc = (outer**3 - inner**3) / (3 * FINE_MM)
    ball = (outer**4 - inner**4) / (4 * FINE_MM)
    return (radius**2 * length + 4 / 3 * radius**3) / (disc * length + 4 / 3 * ball)
