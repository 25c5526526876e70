"""Calcium of the aortic valve: nodules on three cusps, along their hinges and at the commissures."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cacseg.data.phantom.disease.grow import grow_to
from cacseg.data.phantom.disease.landmarks import plane_of, points
from cacseg.data.phantom.disease.pieces import Pieces
from cacseg.data.phantom.scene import Deposit, Scene
from cacseg.vessels import Label

MEDIAN_AGATSTON: Final = 55.9
"""Median of non-zero aortic-valve scores in MESA."""

SIGMA: Final = 1.5
"""SD of ln(score): the 95th percentile is then about 660; severe stenosis begins at 1300-2000."""

CUSP_HEIGHT: Final = 0.95
"""Height of the commissures above the hinge plane, as a share of the annulus radius, where no more is known."""

WITHIN_WALL: Final = 0.93
"""The hinge of a cusp lies inside the outline of the annulus by this factor."""

COMMISSURE_SHARE: Final = 0.75
"""Height of the commissures as a share of the way to the sinotubular junction."""

NODULES: Final = 420


def aortic_valve(scene: Scene, severity: float, rng: np.random.Generator) -> list[Deposit]:
    """Calcify the cusps up to a score drawn for this severity (standard normal)."""
    ring = points(scene, "aortic_valve", least=6)
    if ring is None:
        return []
    wanted = float(np.clip(MEDIAN_AGATSTON * math.exp(SIGMA * severity), 2.0, 4500.0))
    heap = _nodules(_Cusps.of(ring, points(scene, "sinotubular_junction", least=6)), wanted, rng)
    return [grow_to(heap, wanted, scene.hu).deposit(Label.AORTIC_VALVE, "aortic_valve")]


def _nodules(cusps_at: "_Cusps", wanted: float, rng: np.random.Generator) -> Pieces:
    """Capsules on the cusps in order of growth: around a few seeds first, then further from them."""
    cusps = rng.permutation(3)[: 1 + int(rng.integers(0, 3))] if wanted < 150 else np.arange(3)
    count = 1 + int(rng.poisson(1 + 0.4 * math.log(wanted)))
    seeds = np.array([_seed(int(rng.choice(cusps)), rng) for _ in range(count)])
    which = rng.integers(count, size=NODULES)
    distance = np.abs(rng.standard_normal(NODULES)) * 0.2
    heading = rng.uniform(0, 2 * math.pi, NODULES)
    cusp = seeds[which, 0]
    depth = (seeds[which, 1] + distance * np.sin(heading)).clip(0, 1)
    across = (seeds[which, 2] + 1.3 * distance * np.cos(heading)).clip(-1, 1)
    order = np.argsort(distance + 0.12 * rng.uniform(size=NODULES), kind="stable")
    step = rng.uniform(0.0, 0.12, (2, NODULES))
    start = cusps_at.place(cusp, depth, across)
    end = cusps_at.place(cusp, (depth + step[0]).clip(0, 1), (across + step[1]).clip(-1, 1))
    radius = rng.uniform(0.4, 0.65 + 0.08 * math.log(wanted), NODULES)
    density = (rng.normal(620, 60) * np.exp(0.3 * rng.standard_normal(NODULES))).clip(150, 1400)
    return Pieces.of(start, end, radius, density).take(order)


def _seed(cusp: int, rng: np.random.Generator) -> tuple[float, float, float]:
    """Cusp, depth and place across of where calcium begins: hinge, commissure, belly or free edge."""
    site = float(rng.uniform())
    if site < 0.40:
        return cusp, float(rng.uniform(0, 0.15)), float(rng.uniform(-0.8, 0.8))
    if site < 0.65:
        return cusp, float(rng.uniform(0, 0.3)), float(rng.choice([-0.97, 0.97]))
    if site < 0.85:
        return cusp, float(rng.uniform(0.2, 0.7)), float(rng.uniform(-0.5, 0.5))
    return cusp, 0.95, float(rng.uniform(-0.9, 0.9))


@dataclass(frozen=True, slots=True, eq=False)
class _Cusps:
    """Where the closed cusps are.

    Parameters
    ----------
    centre, up : of the annulus, towards the sinotubular junction.
    first, second : unit vectors across; ``first`` points to the middle of the left sinus, where the ring starts.
    radius_mm : of the annulus.
    widening : relative growth of the radius from the annulus to the commissures.
    height_mm : of the commissures above the annulus.
    """

    centre: NDArray[np.float64]
    up: NDArray[np.float64]
    first: NDArray[np.float64]
    second: NDArray[np.float64]
    radius_mm: float
    widening: float
    height_mm: float

    @classmethod
    def of(cls, ring: NDArray[np.float64], junction: NDArray[np.float64] | None) -> "_Cusps":
        """Take the frame from the annulus and, where known, the sinotubular junction."""
        centre, up, radius = plane_of(ring)
        radius *= WITHIN_WALL
        widening, height = 0.1, CUSP_HEIGHT * radius
        if junction is not None:
            top, _, wide = plane_of(junction)
            height = COMMISSURE_SHARE * float(np.linalg.norm(top - centre))
            widening = COMMISSURE_SHARE * (WITHIN_WALL * wide / radius - 1)
        first = ring[0] - centre
        first = first - (first @ up) * up
        first /= np.linalg.norm(first)
        return cls(centre, up, first, np.cross(up, first), radius, widening, height)

    def place(
        self, cusp: NDArray[np.float64], depth: NDArray[np.float64], across: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """(n, 3) points on cusps 0, 1, 2: the left, the non-coronary and the right.

        ``depth`` runs from the hinge (0) to where the cusps meet (1), ``across`` from one commissure (-1) to
        the other (1). The hinge is crown-shaped: lowest in the middle of a cusp, at the commissures highest.
        """
        wide = (self.radius_mm * (1 + self.widening * across**2))[:, None]
        rise = (self.height_mm * across**2)[:, None]
        hinge = wide * self._outward((cusp + across / 2) * 2 * math.pi / 3) + rise * self.up
        commissure = self._outward((cusp + np.sign(across) / 2) * 2 * math.pi / 3)
        top = (self.height_mm * (0.75 + 0.25 * across**2))[:, None]
        meeting = wide * np.abs(across)[:, None] * commissure + top * self.up
        belly = (-0.18 * self.radius_mm * np.sin(np.pi * depth) * (1 - across**2))[:, None]
        share = depth[:, None]
        placed: NDArray[np.float64] = self.centre + hinge * (1 - share) + meeting * share + belly * self.up
        return placed

    def _outward(self, angle: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, 3) unit vectors across at angles from the left sinus."""
        return np.asarray(np.cos(angle)[:, None] * self.first + np.sin(angle)[:, None] * self.second)
