"""The heart and the great vessels on the canvas: chambers, fat, pericardium, coronary tubes."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from cacseg.data.phantom.anatomy.canvas import Canvas, CoarseBox
from cacseg.data.phantom.anatomy.geometry import Geometry
from cacseg.data.phantom.anatomy.heart import muscle
from cacseg.data.phantom.anatomy.shapes import Array, half_space, smooth_union, tube
from cacseg.data.phantom.tissue import Tissue

HEART_BOX_MM: Final = (np.array([-95.0, -100.0, -100.0]), np.array([100.0, 112.0, 220.0]))
"""Corners of the box around the heart and its great vessels (clipped to the canvas)."""

LUNG_FILL_MM: Final = 26.0
"""Reach over which creases between chambers and great vessels hold fat against the lungs, in lean people too."""

STRAIGHT: Final = frozenset({"oesophagus", "azygos", "trachea", "descending_aorta", "inferior_vena_cava"})
"""Tubes so straight that every third point of their line describes them."""


@dataclass(frozen=True, slots=True, eq=False)
class HeartFields:
    """Distances on the lattice of the heart's box.

    Parameters
    ----------
    box : the lattice.
    heart : the same points in heart mm.
    parts : outer surface of each part.
    flesh : all parts together.
    sac : the pericardium.
    edge : border between mediastinum and lungs.
    vessels : distance to each mediastinal tube.
    """

    box: CoarseBox
    heart: Array
    parts: dict[str, Array]
    flesh: Array
    sac: Array
    edge: Array
    vessels: dict[str, Array]


def heart_fields(canvas: Canvas, geometry: Geometry, rng: np.random.Generator) -> HeartFields:
    """Evaluate everything that is smooth once, on a 3 mm lattice."""
    _facts, pose = geometry.facts, geometry.pose
    box = canvas.box(*HEART_BOX_MM, 3.3)
    points = box.points
    heart = pose.to_heart(points)
    parts = {str(name): field * pose.scale for name, field in geometry.model.parts(heart).items()}
    flesh = muscle(parts, 3.0)  # type: ignore[arg-type]
    vessels = {
        name: _near_tube(points, *_thinned(line.points, line.radius_mm, 3 if name in STRAIGHT else 1))
        for name, line in geometry.lines.items()
    }
    sac = _sac(geometry, parts, heart, rng)
    filled = np.minimum(sac, muscle(parts, LUNG_FILL_MM))  # type: ignore[arg-type]
    return HeartFields(box, heart, parts, flesh, sac, _edge(geometry, points, filled, vessels, rng), vessels)


def _thinned(points: Array, radius: Array, every: int) -> tuple[Array, Array]:
    """Leave out points of a line, but never its last."""
    keep = np.unique(np.append(np.arange(0, len(points), every), len(points) - 1))
    return points[keep], radius[keep]


def _near_tube(points: Array, line: Array, radius: Array) -> Array:
    """Distance to a tube, evaluated only near it; 30 mm elsewhere."""
    far = np.full(points.shape[:3], 30.0, np.float32)
    reach = float(radius.max()) + 16.0
    keep = np.ones(points.shape[:3], bool)
    for axis in range(3):
        at = points[:, :, :, axis]
        keep &= (at > line[:, axis].min() - reach) & (at < line[:, axis].max() + reach)
    spans = [np.flatnonzero(keep.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    if len(spans[0]):
        part = tuple(slice(int(span[0]), int(span[-1]) + 1) for span in spans)
        far[part] = np.where(keep[part], np.minimum(tube(points[part], line, radius), 30.0), far[part])
    return far


def _sac(geometry: Geometry, parts: dict[str, Array], heart: Array, rng: np.random.Generator) -> Array:
    """Distance to the pericardium: the chambers with their grooves filled, and fat over them."""
    facts = geometry.facts
    hull = muscle(parts, 12.0 + 11.0 * facts.groove_fat)  # type: ignore[arg-type]
    top = half_space(heart, np.array([0.0, 0.0, 48.0]), np.array([-0.1, -0.2, 1.0])).astype(np.float32)
    hull = -smooth_union(-hull, -top, 16.0)
    wave = sum(
        np.sin(heart @ rng.normal(0.0, 0.045, 3).astype(np.float32) + np.float32(rng.uniform(0.0, 6.3)))
        for _ in range(3)
    )
    front_right = np.clip((-heart[..., 1] - 0.6 * heart[..., 0] + 5.0) / 60.0, -0.3, 1.0)
    laid = facts.epicardial_fat_mm - 0.35 * max(facts.epicardial_fat_mm - 2.5, 0.0)
    thick = laid * (0.45 + 0.65 * front_right + 0.13 * wave)
    return np.asarray(hull - np.maximum(thick, 0.5), np.float32)


def _edge(
    geometry: Geometry, points: Array, filled: Array, vessels: dict[str, Array], rng: np.random.Generator
) -> Array:
    """Distance to the border of the mediastinum against the lungs; ``filled`` is the heart with its creases."""
    facts, chest = geometry.facts, geometry.chest
    x, y, z = points[..., 0], points[..., 1], points[..., 2]
    cardiac = filled - 0.8 - 0.25 * facts.paracardial_fat_mm
    low = np.clip((chest.floor_mm + 34.0 - z) / 40.0, 0.0, 1.3)
    cardiac = cardiac - low * facts.paracardial_fat_mm * 2.2
    edge = cardiac
    spare = {"oesophagus": 3.0, "trachea": 4.0, "descending_aorta": 2.0, "aortic_arch": 3.0, "azygos": 3.0}
    for name in (
        "ascending_aorta",
        "aortic_arch",
        "descending_aorta",
        "pulmonary_trunk",
        "superior_vena_cava",
        "left_brachiocephalic_vein",
        "left_subclavian_artery",
        "trachea",
        "oesophagus",
        "azygos",
    ):
        edge = smooth_union(edge, vessels[name] - spare.get(name, 3.0), 10.0)
    spare_root = 1.5 + 0.15 * facts.paracardial_fat_mm
    for name in (
        "right_pulmonary_artery",
        "left_pulmonary_artery",
        "right_bronchus",
        "left_bronchus",
        "inferior_vena_cava",
    ):
        edge = smooth_union(edge, vessels[name] - spare_root, 8.0)
    edge = smooth_union(edge, _core(geometry, points), 14.0)
    lean = chest.midline_mm + 5.0 + 0.05 * (z + 20.0)
    width = 3.0 + 0.9 * facts.paracardial_fat_mm + 0.10 * np.maximum(z - 40.0, 0.0)
    strip = np.abs(x - lean) - width
    front = np.maximum(strip, y - (chest.front_mm + 42.0 + facts.sternum_slope * np.maximum(z, 0.0)))
    edge = smooth_union(edge, np.maximum(front, -12.0), 12.0)
    behind = np.maximum(np.abs(x - chest.spine_x_mm(z) - 4.0) - 13.0, (chest.spine_front_mm(z) - 16.0) - y)
    return smooth_union(edge, np.maximum(behind, -12.0), 10.0)


def _core(geometry: Geometry, points: Array) -> Array:
    """Distance to the middle of the mediastinum above the heart: all between ascending aorta and spine."""
    z = points[..., 2]
    axis = geometry.lines["ascending_aorta"].points
    order = np.argsort(axis[:, 2])
    level = np.clip(z, axis[0, 2], axis[-1, 2])
    aorta_x = np.interp(level, axis[order, 2], axis[order, 0])
    aorta_y = np.interp(level, axis[order, 2], axis[order, 1])
    spine_x, spine_y = geometry.chest.spine_x_mm(z), geometry.chest.spine_front_mm(z)
    across = (points[..., 0] - (0.4 * aorta_x + 0.6 * spine_x + 7.0)) / 29.0
    along = (points[..., 1] - 0.5 * (aorta_y + spine_y)) / np.maximum(0.5 * (spine_y - aorta_y), 12.0)
    side = (np.sqrt(across**2 + along**2) - 1.0) * 25.0
    return np.asarray(np.maximum(side, axis[0, 2] + 14.0 - z), np.float32)


def paint_mediastinum(canvas: Canvas, fields: HeartFields, geometry: Geometry) -> None:
    """Paint fat, pericardium, vessels, chambers and airways, in that order."""
    facts, box = geometry.facts, fields.box
    blood, window = facts.blood_hu, fields.box.window
    for name in ("azygos", "superior_vena_cava", "left_brachiocephalic_vein", "inferior_vena_cava"):
        canvas.body(box, (fields.vessels[name]), blood, Tissue.VEINS)
    canvas.paint(window, box.fine(fields.vessels["oesophagus"]), 32.0, Tissue.SOFT)
    if facts.oesophageal_air:
        wall_mm = _gullet_wall_mm(box.points[..., 2], facts.seed)
        canvas.paint(window, box.fine(fields.vessels["oesophagus"] + wall_mm), -850.0, Tissue.AIRWAY)
    for name, tissue in (
        ("right_pulmonary_artery", Tissue.PULMONARY_ARTERY),
        ("left_pulmonary_artery", Tissue.PULMONARY_ARTERY),
        ("right_lower_artery", Tissue.PULMONARY_ARTERY),
        ("left_lower_artery", Tissue.PULMONARY_ARTERY),
        ("aortic_arch", Tissue.ASCENDING_AORTA),
        *((f"{name}_artery", Tissue.VEINS) for name in ("brachiocephalic", "left_carotid", "left_subclavian")),
        ("descending_aorta", Tissue.DESCENDING_AORTA),
    ):
        canvas.body(box, (fields.vessels[name]), blood, tissue)
    _paint_heart(canvas, fields, geometry)
    for name in ("trachea", "right_bronchus", "left_bronchus"):
        lumen = box.fine(fields.vessels[name])
        canvas.paint(window, lumen - 1.4, 20.0, Tissue.SOFT)
        canvas.paint(window, lumen, -985.0, Tissue.AIRWAY)


def _gullet_wall_mm(z: Array, seed: int) -> Array:
    """Wall of the oesophagus at height z, in mm: thin where air distends it, far thicker where it is empty."""
    rng = np.random.default_rng([seed, 105])
    length, phase = rng.uniform(60.0, 160.0), rng.uniform(0.0, 2 * np.pi)
    return np.asarray(np.maximum(rng.uniform(3.0, 6.5) + 2.5 * np.sin(2 * np.pi * z / length + phase), 2.0), np.float32)


def _paint_heart(canvas: Canvas, fields: HeartFields, geometry: Geometry) -> None:
    facts, box, parts = geometry.facts, fields.box, fields.parts
    window, blood = box.window, facts.blood_hu
    sac = box.fine(fields.sac)
    canvas.paint(window, sac, facts.fat_hu + 4.0, Tissue.EPICARDIAL_FAT)
    rim = np.abs(sac) - 0.75
    canvas.paint(window, rim, 25.0, None, strength=0.75)
    for number in range(1, 5):
        canvas.body(box, (fields.vessels[f"pulmonary_vein_{number}"]), blood, Tissue.VEINS)
    canvas.body(box, (fields.flesh), facts.myocardium_hu, Tissue.MYOCARDIUM)
    model, scale = geometry.model, geometry.pose.scale
    cavity = {
        Tissue.RIGHT_VENTRICLE: np.maximum(parts["rv"] + 2.5, -parts["lv"]),
        Tissue.LEFT_VENTRICLE: model.left_ventricle(fields.heart, facts.wall_mm / scale) * scale,
        Tissue.RIGHT_ATRIUM: np.minimum(parts["ra"], parts["raa"]) + 1.5,
        Tissue.LEFT_ATRIUM: np.minimum(parts["la"], parts["laa"]) + 1.5,
        Tissue.VEINS: parts["cava"] + 0.5,
        Tissue.PULMONARY_ARTERY: parts["pulmonary"] + 0.5,
        Tissue.ASCENDING_AORTA: parts["aorta"] + 0.5,
    }
    for tissue, field in cavity.items():
        canvas.body(box, (field), blood, tissue)
    for name, tissue in (("aorta", Tissue.ASCENDING_AORTA), ("pulmonary", Tissue.PULMONARY_ARTERY)):
        wall = np.abs(box.fine(parts[name])) - 0.7
        canvas.paint(window, wall, blood + 6.0, tissue, strength=0.8)


def paint_coronaries(canvas: Canvas, geometry: Geometry) -> None:
    """Paint arteries (lumen and wall) and cardiac veins, and the valves' tissue class."""
    facts = geometry.facts
    for vein in geometry.veins.values():
        canvas.paint_tubes(_dense(vein[:, :3]), np.interp(*_doubled(vein[:, 3])), facts.blood_hu, Tissue.VEINS)
    for branch in geometry.branches:
        radius = np.interp(*_doubled(branch.radius_mm)) + 0.55
        canvas.paint_tubes(_dense(branch.points_lps_mm), radius, facts.blood_hu + 2.0, None)
    valve = geometry.landmarks["aortic_leaflets"]
    canvas.paint_tubes(valve, np.full(len(valve), 1.1), facts.blood_hu + 8.0, Tissue.AORTIC_VALVE)
    ring = geometry.landmarks["mitral_annulus"]
    ring = np.concatenate([ring, ring[:1]])
    canvas.paint_tubes(_dense(ring), np.full(2 * len(ring) - 1, 1.8), facts.blood_hu + 6.0, Tissue.MITRAL_ANNULUS)


def _doubled(values: Array) -> tuple[Array, Array, Array]:
    count = len(values)
    return np.arange(2 * count - 1) / 2.0, np.arange(count, dtype=float), np.asarray(values)


def _dense(points: Array) -> Array:
    """Put a point between any two neighbours."""
    middle = 0.5 * (points[1:] + points[:-1])
    dense = np.empty((2 * len(points) - 1, 3))
    dense[::2], dense[1::2] = points, middle
    return dense
