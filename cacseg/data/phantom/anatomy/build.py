"""From drawn facts to a scene: geometry first, then every body painted on one grid."""

from dataclasses import asdict, dataclass
from typing import Final, Literal

import numpy as np

from cacseg.data.phantom.anatomy.abdomen import diaphragm_distance, paint_abdomen
from cacseg.data.phantom.anatomy.canvas import Canvas
from cacseg.data.phantom.anatomy.chest import Chest
from cacseg.data.phantom.anatomy.couch import DEEP_MM, paint_couch
from cacseg.data.phantom.anatomy.geometry import Geometry, build_geometry
from cacseg.data.phantom.anatomy.lungs import paint_lung_trees, paint_lungs
from cacseg.data.phantom.anatomy.mediastinum import heart_fields, paint_coronaries, paint_mediastinum
from cacseg.data.phantom.anatomy.nodes import paint_nodes
from cacseg.data.phantom.anatomy.recess import paint_recesses
from cacseg.data.phantom.anatomy.shapes import Array
from cacseg.data.phantom.anatomy.strands import paint_strands
from cacseg.data.phantom.anatomy.texture import add_texture
from cacseg.data.phantom.anatomy.thorax import cage_distance, paint_arms, paint_bones, paint_wall
from cacseg.data.phantom.population import PatientFacts
from cacseg.data.phantom.scene import Scene
from cacseg.data.phantom.tissue import Tissue
from cacseg.errors import UsageError
from cacseg.volume import Volume

Extent = Literal["heart", "chest"]

SPACING_MM: Final[dict[str, tuple[float, float, float]]] = {"heart": (1.5, 1.2, 1.2), "chest": (2.5, 1.6, 1.6)}
"""Grid of a scene: fine around the heart, coarse for a whole chest."""

HALF_FIELD_MM: Final = 132.0
"""Half the side of what a gated scan shows at most."""

ROOM_MM: Final = 8.0
"""What is built beyond the field of view, whose middle is known only when the heart is painted."""


@dataclass(frozen=True, slots=True)
class Field:
    """What a scan of the heart will show; the rest need not be built.

    Parameters
    ----------
    width_mm : side of the field of view.
    shift_mm : of its middle from the middle of the heart, along x and y.
    """

    width_mm: float
    shift_mm: tuple[float, float]


def build_anatomy(
    facts: PatientFacts,
    rng: np.random.Generator,
    *,
    spacing_mm: tuple[float, float, float] | None = None,
    extent: Extent = "heart",
    field: Field | None = None,
) -> Scene:
    """Build a patient without deposits.

    Parameters
    ----------
    facts : who it is.
    rng : decides what the facts leave open; the same facts and generator state give the same bits.
    spacing_mm : distance of slices, rows, columns; ``SPACING_MM[extent]`` where ``None``.
    extent : "heart" shows 264 mm around the heart from the carina to below the apex, "chest" the whole width of
        the body from the lung's apex to the liver.
    field : of a scan of the heart: only the heart and what lies in the field are built, which costs less.

    Raises
    ------
    UsageError : unknown extent, or spacing outside 0.4-4 mm.
    """
    if extent not in SPACING_MM:
        raise UsageError(f"Unknown extent {extent!r} of a scene; expected one of {', '.join(SPACING_MM)}.")
    spacing = SPACING_MM[extent] if spacing_mm is None else spacing_mm
    if not all(0.4 <= each <= 4.0 for each in spacing):
        raise UsageError(f"Scene spacing {spacing} mm is out of range; expected 0.4 to 4 mm along each axis.")
    geometry = build_geometry(facts, rng)
    axes = _axes(geometry, spacing, extent, field)
    canvas = Canvas(axes, geometry.deformation)
    _paint(canvas, geometry, rng)
    origin = (float(axes[2][0]), float(axes[1][0]), float(axes[0][0]))
    return Scene(
        hu=Volume.axial(canvas.hu, spacing, origin),
        tissue=Volume.axial(canvas.tissue, spacing, origin),
        branches=geometry.branches,
        deposits=(),
        patient=asdict(facts),
        landmarks_lps_mm=dict(geometry.landmarks),
    )


def _axes(
    geometry: Geometry, spacing: tuple[float, float, float], extent: Extent, field: Field | None
) -> tuple[Array, Array, Array]:
    chest = geometry.chest
    carina = float(geometry.landmarks["carina"][0, 2])
    if extent == "heart":
        low = np.array([chest.floor_mm - 16.0, -HALF_FIELD_MM, -HALF_FIELD_MM])
        high = np.array([carina + 8.0, HALF_FIELD_MM, HALF_FIELD_MM])
        if field is not None:
            sac = geometry.landmarks["pericardium"][:, 1::-1]
            first, last = sac.min(axis=0), sac.max(axis=0)
            half = field.width_mm / 2
            within = max(HALF_FIELD_MM - half, 0.0)
            middle = np.clip((first + last) / 2 + field.shift_mm[::-1], -within, within)
            low[1:] = np.maximum(low[1:], np.minimum(first, middle - half) - ROOM_MM)
            high[1:] = np.minimum(high[1:], np.maximum(last, middle + half) + ROOM_MM)
    else:
        facts = chest.facts
        beside = chest.half_width_mm + (125.0 if facts.arms_down else 78.0) + 1.35 * facts.subcutaneous_fat_mm
        front = chest.front_mm - 34.0 - facts.subcutaneous_fat_mm - 14.0 * (facts.breast_ml / 100.0) ** 0.45
        back = chest.back_mm + 92.0 + facts.subcutaneous_fat_mm
        if facts.couch:
            front, back = (front - DEEP_MM, back) if facts.prone else (front, back + DEEP_MM)
        low = np.array([chest.floor_mm - 45.0, front, chest.midline_mm - beside])
        high = np.array([carina + 75.0, back, chest.midline_mm + beside])
    counts = np.ceil((high - low) / np.array(spacing)).astype(int)
    z, y, x = (first + each * np.arange(n) for first, each, n in zip(low, spacing, counts, strict=True))
    return z, y, x


def _paint(canvas: Canvas, geometry: Geometry, rng: np.random.Generator) -> None:
    chest = geometry.chest
    z, y, x = canvas.axes_mm
    low, high = np.array([x[0], y[0], z[0]]) - 1.0, np.array([x[-1], y[-1], z[-1]]) + 1.0
    wide = canvas.box(low, high, 5.0)
    cage, leftward, backward = cage_distance(chest, wide)
    paint_wall(canvas, wide, chest, cage, leftward, backward)
    if geometry.facts.couch:
        paint_couch(canvas, chest)
    canvas.paint(wide.window, wide.fine(cage + 0.5), geometry.facts.fat_hu, Tissue.FAT)
    below = diaphragm_distance(chest, wide.points)
    paint_abdomen(canvas, wide, chest, cage, below, rng)
    fields = heart_fields(canvas, geometry, rng)
    border = np.full(canvas.hu.shape, -20.0, np.float32)
    border[fields.box.window] = -fields.box.fine(np.clip(fields.edge, -20.0, 20.0))
    lung = wide.fine(np.maximum(np.maximum(cage + 1.0, 1.0 - below), _spine_guard(chest, wide.points)))
    paint_lungs(canvas, wide.window, np.maximum(lung, border), geometry)
    if geometry.facts.arms_down:
        paint_arms(canvas, wide, chest)
    paint_bones(canvas, wide, chest, cage, leftward, backward)
    paint_lung_trees(canvas, geometry, rng)
    paint_nodes(canvas, geometry)
    paint_mediastinum(canvas, fields, geometry)
    paint_recesses(canvas, fields, geometry, rng)
    paint_strands(canvas, fields, geometry, rng)
    paint_coronaries(canvas, geometry)
    add_texture(canvas, geometry.facts, rng)


def _spine_guard(chest: Chest, points: Array) -> Array:
    """Distance that keeps the lungs off the spine and its muscles."""
    x = points[..., 0] - chest.spine_x_mm(points[..., 2])
    y = points[..., 1] - chest.spine_front_mm(points[..., 2])
    body = np.sqrt((x / 21.0) ** 2 + ((y - 18.0) / 20.0) ** 2) - 1.0
    flank = np.sqrt((x / 38.0) ** 2 + ((y - 52.0) / 26.0) ** 2) - 1.0
    return np.asarray(-20.0 * np.minimum(body, flank), np.float32)
