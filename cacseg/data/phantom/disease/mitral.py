"""Calcium of the mitral annulus: spots, bars and horseshoes, mostly along its posterior arc."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cacseg.data.phantom.disease.grow import grow_to
from cacseg.data.phantom.disease.landmarks import plane_of, points
from cacseg.data.phantom.disease.pieces import Pieces
from cacseg.data.phantom.scene import Deposit, Scene
from cacseg.vessels import Label

MEDIAN_AGATSTON: Final = 71.1
"""Median of non-zero mitral-annulus scores in MESA."""

SIGMA: Final = 1.6

ANTERIOR_SHARE: Final = 0.07
"""Share of patients in whom the calcium sits on the anterior arc (fibrous trigones) instead."""

POSTERIOR_ARC: Final = 0.5
"""Share of the ring, from its first point on, that is posterior."""

CASEOUS_SHARE: Final = 0.04


def mitral_annulus(scene: Scene, severity: float, rng: np.random.Generator) -> list[Deposit]:
    """Calcify the annulus up to a score drawn for this severity (standard normal)."""
    ring = points(scene, "mitral_annulus", least=12)
    if ring is None:
        return []
    if rng.uniform() < CASEOUS_SHARE:
        return [_caseous(ring, rng).deposit(Label.MITRAL_ANNULUS, "mitral_caseous")]
    wanted = float(np.clip(MEDIAN_AGATSTON * math.exp(SIGMA * severity), 2.0, 6000.0))
    heap = _along_ring(ring, wanted, rng)
    return [grow_to(heap, wanted, scene.hu).deposit(Label.MITRAL_ANNULUS, "mitral_annulus")]


def _along_ring(ring: NDArray[np.float64], wanted: float, rng: np.random.Generator) -> Pieces:
    """Capsules along the ring in order of growth, from one to three seeds outwards."""
    posterior = rng.uniform() >= ANTERIOR_SHARE
    middle = POSTERIOR_ARC / 2 + rng.normal(0, 0.11) if posterior else (1 + POSTERIOR_ARC) / 2 + rng.normal(0, 0.08)
    seeds = middle + np.concatenate([[0.0], rng.normal(0, 0.13, int(rng.integers(0, 3)))])
    bulk = 0.25 + 0.16 * math.log(wanted)
    around = 2 * math.pi * plane_of(ring)[2]
    count = 420
    steps = np.abs(rng.normal(0, 1, count)) * 0.16
    patchy = float(rng.uniform(0.02, 0.25))
    side = rng.choice([-1.0, 1.0], count)
    at = seeds[rng.integers(len(seeds), size=count)] + side * steps
    lowest, highest = (-0.12, POSTERIOR_ARC + 0.12) if posterior else (POSTERIOR_ARC - 0.05, 1.05)
    keep = (at > lowest) & (at < highest)
    at, steps = at[keep], steps[keep]
    order = np.argsort(steps + patchy * rng.uniform(size=len(at)), kind="stable")
    at = at[order]
    reach = rng.uniform(1.0, 3.5, len(at)) / around
    start = _on_ring(ring, at, rng.normal(0, 0.6 * bulk, (len(at), 2)))
    end = _on_ring(ring, at + reach, rng.normal(0, 0.6 * bulk, (len(at), 2)))
    radius = rng.uniform(0.4, 0.4 + 0.5 * bulk, len(at))
    density = (rng.normal(650, 120) * np.exp(0.35 * rng.standard_normal(len(at)))).clip(40, 1400)
    return Pieces.of(start, end, radius, density)


def _on_ring(ring: NDArray[np.float64], share: NDArray[np.float64], off_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 3) points at shares of the way round, off the ring outwards and along its normal."""
    centre, normal, _ = plane_of(ring)
    closed = np.concatenate([ring, ring[:1]])
    at = np.mod(share, 1.0)
    grid = np.linspace(0, 1, len(closed))
    on = np.stack([np.interp(at, grid, closed[:, axis]) for axis in range(3)], axis=1)
    outward = on - centre
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    placed: NDArray[np.float64] = on + outward * (off_mm[:, :1] + 0.5) + normal * off_mm[:, 1:]
    return placed


def _caseous(ring: NDArray[np.float64], rng: np.random.Generator) -> Pieces:
    """A soft, dense mass with a harder shell in the posterior annulus, 12-25 mm along it."""
    length = rng.uniform(12, 25) / (2 * math.pi * plane_of(ring)[2])
    middle = POSTERIOR_ARC / 2 + rng.normal(0, 0.06)
    at = np.linspace(middle - length / 2, middle + length / 2, 7)
    core = Pieces.polyline(_on_ring(ring, at, np.zeros((7, 2))), rng.uniform(3.0, 5.5), rng.uniform(250, 400))
    shell_at = rng.uniform(middle - length / 2, middle + length / 2, 50)
    turn = rng.uniform(0, 2 * math.pi, 50)
    off = core.radius_mm[0] * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    shell = Pieces.spots(_on_ring(ring, shell_at, off), rng.uniform(0.5, 1.0, 50), rng.uniform(500, 1100))
    return Pieces.join([core, shell])
