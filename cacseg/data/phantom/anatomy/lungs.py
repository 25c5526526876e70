"""Lungs: parenchyma with a gradient, and trees of vessels and bronchi."""

from typing import Final

import numpy as np

from cacseg.data.phantom.anatomy.canvas import Canvas, Window
from cacseg.data.phantom.anatomy.geometry import Geometry
from cacseg.data.phantom.anatomy.shapes import Array, unit
from cacseg.data.phantom.tissue import Tissue

STEPS: Final = np.arange(400.0)
"""Numbers of the points of a vessel."""


def paint_lungs(canvas: Canvas, window: Window, distance: Array, geometry: Geometry) -> None:
    """Paint parenchyma; the back, which lies below, is denser, in who lies prone the front."""
    facts, chest = geometry.facts, geometry.chest
    y = canvas.axes_mm[1][window[1]]
    dependent = np.clip((y - chest.front_mm) / (chest.back_mm + 46.0 - chest.front_mm), 0.0, 1.0)
    if facts.prone:
        dependent = 1.0 - dependent
    gradient = (-18.0 + (45.0 + 30.0 * (1.0 - facts.respiration)) * dependent**1.5).astype(np.float32)
    canvas.paint(window, distance, facts.lung_hu + gradient[None, :, None], Tissue.LUNG)


def grow_tree(
    start: Array, heading: Array, radius_mm: float, rng: np.random.Generator, least_mm: float
) -> list[tuple[Array, Array]]:
    """Branch a vessel until its radius falls below ``least_mm``.

    Returns
    -------
    Pieces: points (n, 3) about 1.3 mm apart and radii (n,).
    """
    pieces: list[tuple[Array, Array]] = []
    waiting = [(np.asarray(start, np.float64), unit(heading), radius_mm)]
    while waiting and len(pieces) < 100:
        origin, way, radius = waiting.pop(0)
        length = radius * rng.uniform(4.5, 8.5) + 5.0
        count = int(length / 1.3) + 2
        bend = np.cumsum(rng.normal(0.0, 0.035, (count, 3)), axis=0)
        steps = way + bend
        steps /= np.sqrt(np.einsum("ij,ij->i", steps, steps))[:, None]
        points = origin + np.cumsum(steps, axis=0) * (length / count)
        pieces.append((points, radius + STEPS[:count] * ((0.86 * radius - radius) / (count - 1))))
        any_way = rng.standard_normal(3)
        side = any_way - (any_way @ steps[-1]) * steps[-1]
        side /= np.sqrt(side @ side)
        share = rng.uniform(0.62, 0.84)
        for angle, part in ((rng.uniform(0.2, 0.5), share), (-rng.uniform(0.5, 1.0), (1.0 - share**2.7) ** (1 / 2.7))):
            if radius * part > least_mm:
                ahead = np.cos(angle) * steps[-1] + np.sin(angle) * side
                waiting.append((points[-1], ahead, 0.86 * radius * part))
    return pieces


def paint_lung_trees(canvas: Canvas, geometry: Geometry, rng: np.random.Generator) -> None:
    """Paint pulmonary arteries, veins and bronchi inside the lungs only."""
    lines, facts = geometry.lines, geometry.facts
    roots: list[tuple[Array, Array, float, bool]] = []
    for name in (
        *(f"{side}_{kind}" for side in ("right", "left") for kind in ("pulmonary_artery", "lower_artery", "bronchus")),
    ):
        line, thick = lines[name].points, lines[name].radius_mm
        outward = np.array([-1.0 if name.startswith("right") else 1.0, 0.0, 0.0])
        air = "bronchus" in name
        for share in (1.0, 0.95, 0.85, 0.72, 0.65, 0.58, 0.45):
            spot = int(share * (len(line) - 1))
            lift = 1.6 * (0.72 - share) if "lower" not in name else -0.3
            way = outward + np.array([0.0, rng.normal(0.15, 0.7), lift + rng.normal(0.0, 0.35)])
            if share > 0.9:
                way = unit(line[spot] - line[spot - 3]) + rng.normal(0.0, 0.35, 3)
            size = min(float(thick[spot]), 5.4) * rng.uniform(0.55, 0.85)
            roots.append((line[spot], way, size, air))
    for number in range(1, 5):
        vein = lines[f"pulmonary_vein_{number}"]
        for spot in (-1, -1, -3):
            way = vein.points[-1] - vein.points[-3]
            roots.append((vein.points[spot], unit(way) + rng.normal(0.0, 0.5, 3), 2.8, False))
    bronchi = [grow_tree(*root[:3], rng, 0.85) for root in roots if root[3]]
    blood = [grow_tree(*root[:3], rng, 0.5) for root in roots if not root[3]]
    _stamp(canvas, *_shown(canvas, geometry, blood), facts.blood_hu - 5.0)
    points, radius = _shown(canvas, geometry, bronchi)
    wall_mm, wall_hu = rng.uniform(0.9, 1.4), rng.uniform(-10.0, 40.0)
    _stamp(canvas, points, radius + wall_mm, wall_hu)
    _stamp(canvas, points, radius, -960.0)


def _shown(canvas: Canvas, geometry: Geometry, trees: list[list[tuple[Array, Array]]]) -> tuple[Array, Array]:
    """Points (n, 3) and radii (n,) of trees on the canvas, in the patient."""
    if not any(trees):
        return np.zeros((0, 3)), np.zeros(0)
    points = np.concatenate([piece for tree in trees for piece, _ in tree])
    radius = np.concatenate([thick for tree in trees for _, thick in tree])
    low = np.array([axis[0] for axis in canvas.axes_mm[::-1]]) - 5.0
    high = np.array([axis[-1] for axis in canvas.axes_mm[::-1]]) + 5.0
    shown = np.all((points > low) & (points < high), axis=1)
    return points[shown] - geometry.deformation.at(points[shown]), radius[shown]


def _stamp(canvas: Canvas, points: Array, radius: Array, hu: float) -> None:
    flat_hu, flat_tissue = canvas.hu.reshape(-1), canvas.tissue.reshape(-1)
    for lowest, highest in ((0.0, 1.2), (1.2, 2.6), (2.6, 9.0)):
        some = (radius >= lowest) & (radius < highest)
        if not some.any():
            continue
        flat, distance = canvas.tubes(points[some], radius[some])
        inside = (flat_tissue[flat] == Tissue.LUNG) | (flat_tissue[flat] == Tissue.AIRWAY)
        flat, distance = flat[inside], distance[inside]
        share = np.clip(0.5 - distance / canvas.voxel_mm, 0.0, 1.0)
        flat_hu[flat] += share * (hu - flat_hu[flat])
