"""One calcified plaque: a shell in the wall of a vessel, built of streaks that run along it."""

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cacseg.data.phantom.disease.curve import Curve
from cacseg.data.phantom.disease.pieces import Pieces

DENSITY_MG_CM3: Final = (100.0, 1400.0)
"""Range of hydroxyapatite density of coronary plaque."""

THICKNESS_MM: Final = (0.6, 2.4)
LENGTH_MM: Final = (1.0, 40.0)
NARROWEST_ARC_RAD: Final = math.radians(15)
WIDEST_ARC_RAD: Final = math.radians(330)


@dataclass(frozen=True, slots=True)
class PlaqueShape:
    """What a plaque looks like, before it is put on a curve.

    Parameters
    ----------
    start_mm, length_mm : where it lies along its curve.
    angle_rad, arc_rad : middle and full width of the part of the circumference that it takes.
    thickness_mm : across the wall.
    density_mg_cm3 : of its core; edges are less dense.
    twist_rad_per_mm : how the middle turns around the vessel along the way.
    gradient : relative change of density from one end to the other, -0.8 to 0.8.
    grain : SD of the logarithm of density from piece to piece.
    gaps : share of pieces left out: 0 solid, 0.5 a row of crumbs.
    encroach : share of the lumen radius that the plaque has grown inwards.
    seed : of the noise, so that a resized plaque keeps its looks.
    densest_mg_cm3 : what its core may be resized to at most: a lightly mineralised plaque stays one.
    """

    start_mm: float
    length_mm: float
    angle_rad: float
    arc_rad: float
    thickness_mm: float
    density_mg_cm3: float
    twist_rad_per_mm: float = 0.0
    gradient: float = 0.0
    grain: float = 0.15
    gaps: float = 0.0
    encroach: float = 0.1
    seed: int = 0
    densest_mg_cm3: float = DENSITY_MG_CM3[1]

    def resized(self, factor: float) -> "PlaqueShape":
        """Make more or less of it: longer first, then wider, thicker and denser; within what is real."""
        length = min(max(self.length_mm * factor**0.55, LENGTH_MM[0]), LENGTH_MM[1])
        left = factor / (length / self.length_mm)
        return replace(
            self,
            length_mm=length,
            arc_rad=min(max(self.arc_rad * left**0.5, NARROWEST_ARC_RAD), WIDEST_ARC_RAD),
            thickness_mm=min(max(self.thickness_mm * left**0.3, THICKNESS_MM[0]), THICKNESS_MM[1]),
            density_mg_cm3=min(max(self.density_mg_cm3 * left**0.3, DENSITY_MG_CM3[0]), self.densest_mg_cm3),
        )


@dataclass(frozen=True, slots=True, eq=False)
class PlacedPlaque:
    """Capsules of a plaque and, for each, its length along the curve (to tell the branches apart)."""

    pieces: Pieces
    along_mm: NDArray[np.float64]


def place(shape: PlaqueShape, curve: Curve) -> PlacedPlaque:
    """Put a plaque in the wall of a vessel.

    Parameters
    ----------
    shape : the plaque; what lies beyond the end of the curve is cut off.
    curve : the vessel.

    Returns
    -------
    Capsules whose axes lie between lumen radius and lumen radius + thickness from the centre line (less
    what it encroaches on the lumen), following the curve.
    """
    noise = np.random.default_rng(shape.seed)
    radius = shape.thickness_mm / 2
    stop = min(shape.start_mm + shape.length_mm, curve.length_mm)
    start = min(max(shape.start_mm, 0.0), stop - 0.2)
    nodes = max(2, math.ceil((stop - start) / max(0.9, 1.5 * radius)) + 1)
    along = np.linspace(start, stop, nodes)
    lumen = curve.radius_at(along)
    offset = lumen * (1 - shape.encroach) + radius
    rows = max(1, math.ceil(shape.arc_rad * float(offset.mean()) / (1.35 * radius)))
    part = (np.arange(rows) - (rows - 1) / 2) / max(rows, 2) * 2
    wobble = np.interp(along, np.linspace(start, stop, 2 + nodes // 3), noise.normal(0, 0.25, 2 + nodes // 3))
    centre = shape.angle_rad + shape.twist_rad_per_mm * (along - start) + wobble
    width = _profile(along, start, stop) * (1 + noise.uniform(-0.35, 0.25, nodes))
    angle = centre[:, None] + part[None] * shape.arc_rad / 2
    depth = offset[:, None] + radius * noise.uniform(-0.25, 0.0, (nodes, rows))
    grid = curve.wall(np.repeat(along, rows), angle.ravel(), depth.reshape(-1, 1)).reshape(nodes, rows, 3)
    inside = np.abs(part)[None] <= np.maximum((width[:-1] + width[1:])[:, None] / 2, np.abs(part).min() + 1e-9)
    inside &= (noise.uniform(size=inside.shape) >= shape.gaps) | (np.abs(part) == np.abs(part).min())
    density = _density(shape, along, part, noise)
    size = radius * noise.uniform(0.8, 1.0, inside.shape)
    pieces = Pieces.of(grid[:-1][inside], grid[1:][inside], size[inside], density[inside])
    middle = np.broadcast_to(((along[:-1] + along[1:]) / 2)[:, None], inside.shape)[inside]
    return PlacedPlaque(pieces, middle)


def _profile(along: NDArray[np.float64], start: float, stop: float) -> NDArray[np.float64]:
    """Share of the full arc along the plaque: narrow at its ends."""
    part = (along - start) / max(stop - start, 1e-6)
    return np.asarray(np.sin(np.pi * (0.1 + 0.8 * part)) ** 0.7)


def _density(
    shape: PlaqueShape, along: NDArray[np.float64], part: NDArray[np.float64], noise: np.random.Generator
) -> NDArray[np.float64]:
    """(nodes - 1, rows) density: gradient along, less at the sides, grain from piece to piece."""
    share = np.linspace(-0.5, 0.5, len(along) - 1) if len(along) > 2 else np.zeros(1)
    level = (1 + shape.gradient * share)[:, None] * (1 - 0.3 * part**2)[None]
    grain = np.exp(shape.grain * noise.standard_normal((len(along) - 1, len(part))))
    return np.asarray((shape.density_mg_cm3 * level * grain).clip(*DENSITY_MG_CM3))
