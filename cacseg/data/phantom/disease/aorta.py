"""Calcium in the wall of the aorta: root and sinuses, sinotubular junction, ascending, arch, descending."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cacseg.data.phantom.disease.curve import Curve
from cacseg.data.phantom.disease.landmarks import points, tube
from cacseg.data.phantom.disease.pieces import Pieces
from cacseg.data.phantom.disease.wall import wall_plaque
from cacseg.data.phantom.scene import Deposit, Scene
from cacseg.vessels import Label

OSTIUM_FREE_MM: Final = 4.0
"""Calcium nearer than this to a coronary ostium would be the artery's own."""

SINUS_RINGS: Final = 6
"""Rings of the landmark "aortic_sinuses", from the annulus to the sinotubular junction."""

ROOT_MM: Final = 22.0
"""Length of the root where a patient has no landmark for its wall."""


def root(scene: Scene, severity: float, rng: np.random.Generator) -> list[Deposit]:
    """Lay plates in the sinuses and at the sinotubular junction: the nearest neighbours of LM and RCA."""
    wall = points(scene, "aortic_sinuses", least=SINUS_RINGS * 8)
    if wall is None or len(wall) % SINUS_RINGS:
        return _plates(scene, "ascending_aorta", (0.0, ROOT_MM), severity, rng, "aortic_root")
    rings = wall.reshape(SINUS_RINGS, -1, 3)
    made = []
    for _ in range(_how_many(1.1, severity, rng)):
        pieces = _clear_of_ostia(scene, _sinus_plate(rings, severity, rng))
        if len(pieces):
            made.append(pieces.deposit(Label.AORTA, "aortic_root"))
    return made


def ascending(scene: Scene, severity: float, rng: np.random.Generator) -> list[Deposit]:
    """Lay plates in the tubular ascending aorta."""
    low = 2.0 if "aortic_sinuses" in scene.landmarks_lps_mm else ROOT_MM
    return _plates(scene, "ascending_aorta", (low, 120.0), severity, rng, "aortic_wall")


def arch(scene: Scene, severity: float, rng: np.random.Generator) -> list[Deposit]:
    """Lay plates in the arch, where aortic calcium is commonest."""
    return _plates(scene, "aortic_arch", (0.0, 200.0), severity + 0.5, rng, "aortic_wall")


def descending(scene: Scene, severity: float, rng: np.random.Generator) -> list[Deposit]:
    """Lay plates in the descending aorta."""
    return _plates(scene, "descending_aorta", (0.0, 400.0), severity + 0.3, rng, "aortic_wall")


def _plates(
    scene: Scene,
    name: str,
    reach_mm: tuple[float, float],
    severity: float,
    rng: np.random.Generator,
    kind: str,
) -> list[Deposit]:
    """Plates of one part of the aorta."""
    vessel = tube(scene, name)
    if vessel is None:
        return []
    low, high = min(reach_mm[0], vessel.length_mm), min(reach_mm[1], vessel.length_mm)
    if high - low < 2:
        return []
    made = []
    for _ in range(_how_many(1.6, severity, rng)):
        pieces = _clear_of_ostia(scene, _plate(vessel, low, high, severity, rng))
        if len(pieces):
            made.append(pieces.deposit(Label.AORTA, kind))
    return made


def _how_many(mean: float, severity: float, rng: np.random.Generator) -> int:
    """Number of plates, 1-10."""
    return 1 + min(9, int(rng.poisson(mean * math.exp(0.6 * severity))))


def _clear_of_ostia(scene: Scene, pieces: Pieces) -> Pieces:
    """Leave out what lies at a coronary ostium."""
    for key in ("left_ostium", "right_ostium"):
        ostium = points(scene, key)
        if ostium is not None:
            pieces = pieces.take(np.linalg.norm(pieces.middle_lps_mm - ostium[0], axis=1) > OSTIUM_FREE_MM)
    return pieces


def _plate(vessel: Curve, low: float, high: float, severity: float, rng: np.random.Generator) -> Pieces:
    """One speck or plaque of a tubular part."""
    size = math.exp(0.35 * severity)
    length = float(np.clip(3.5 * size * math.exp(0.6 * rng.standard_normal()), 1.2, 30))
    width = float(np.clip(3.0 * size * math.exp(0.6 * rng.standard_normal()), 1.2, 22))
    return wall_plaque(
        vessel,
        float(rng.uniform(low, high)),
        float(rng.uniform(0, 2 * math.pi)),
        length,
        width,
        float(rng.uniform(0.9, 2.0)),
        _density(rng),
        rng,
        gaps=float(rng.choice([0.0, 0.3])),
    )


def _sinus_plate(rings: NDArray[np.float64], severity: float, rng: np.random.Generator) -> Pieces:
    """One plate on the wall of the root: a strip around the sinotubular junction or a patch of a sinus."""
    around = float(np.linalg.norm(np.diff(rings[-1], axis=0), axis=1).sum())
    rise = float(np.linalg.norm(rings[-1] - rings[0], axis=1).mean())
    size = math.exp(0.3 * severity)
    strip = rng.uniform() < 0.45
    width = float(np.clip((6.0 if strip else 3.0) * size * math.exp(0.6 * rng.standard_normal()), 1.5, 30))
    height = float(rng.uniform(0.8, 2.0)) if strip else float(np.clip(3 * size * rng.uniform(0.4, 1.8), 1.0, rise))
    level = rng.normal(0.97, 0.05) if strip else rng.uniform(0.0, 0.95)
    turn = float(rng.uniform(0, 1))
    radius = float(rng.uniform(0.45, 1.0))
    parts = []
    core = _density(rng)
    for off in np.arange(-height / 2, height / 2 + 0.1, 1.4 * radius):
        reach = (
            width / around * float(rng.uniform(0.5, 1.0)) * math.sqrt(max(0.15, 1 - (2 * off / (height + 0.1)) ** 2))
        )
        nodes = max(2, int(reach * around / 1.6) + 1)
        at = turn + np.linspace(-reach / 2, reach / 2, nodes)
        line = _on_wall(rings, np.full(nodes, level + off / rise), at)
        density = core * np.exp(0.25 * rng.standard_normal(nodes - 1))
        parts.append(Pieces.polyline(line, radius * rng.uniform(0.75, 1.0, nodes - 1), density.clip(100, 1400)))
    return Pieces.join(parts)


def _on_wall(rings: NDArray[np.float64], height: NDArray[np.float64], turn: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 3) points of a wall at shares of its height and of the way round."""
    levels, columns = rings.shape[:2]
    row = height.clip(0, 1) * (levels - 1)
    column = np.mod(turn, 1.0) * columns
    low, left = row.astype(np.intp).clip(0, levels - 2), column.astype(np.intp) % columns
    up, right = (row - low)[:, None], (column - left)[:, None]
    beside = (left + 1) % columns
    lower = rings[low, left] * (1 - right) + rings[low, beside] * right
    upper = rings[low + 1, left] * (1 - right) + rings[low + 1, beside] * right
    on: NDArray[np.float64] = lower * (1 - up) + upper * up
    return on


def _density(rng: np.random.Generator) -> float:
    """Hydroxyapatite density of an aortic plate in mg/cm3."""
    return float(np.clip(520 * math.exp(0.4 * rng.standard_normal()), 150, 1300))
