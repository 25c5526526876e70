"""The couch under the patient: a curved shell of foam in a thin dense skin, seen in wide fields of view."""

from typing import Final

import numpy as np

from cacseg.data.phantom.anatomy.canvas import Canvas
from cacseg.data.phantom.anatomy.chest import Chest
from cacseg.data.phantom.anatomy.shapes import Array
from cacseg.data.phantom.tissue import Tissue

DEEP_MM: Final = 56.0
"""How far a scene must reach beyond the body to hold the couch."""

HALF_WIDTH_MM: Final = (190.0, 215.0)
THICK_MM: Final = (14.0, 34.0)
"""In the middle; the edges are a third of it."""

RISE_MM: Final = (12.0, 48.0)
"""How much higher the edges lie than the middle."""

FOAM_HU: Final = (-700.0, -100.0)
"""Most are light."""

SKIN_HU: Final = (-150.0, 120.0)
SKIN_MM: Final = 1.2


def paint_couch(canvas: Canvas, chest: Chest) -> None:
    """Paint the couch where the air is, touching the back, or the front of who lies prone; its class is outside.

    Nothing is painted where the canvas ends within the body.
    """
    rng = np.random.default_rng([chest.facts.seed, 403])
    half_width, thick, rise = (float(rng.uniform(*span)) for span in (HALF_WIDTH_MM, THICK_MM, RISE_MM))
    foam = FOAM_HU[0] + (FOAM_HU[1] - FOAM_HU[0]) * float(rng.random()) ** 2
    skin, aside = float(rng.uniform(*SKIN_HU)), float(rng.normal(0.0, 8.0))
    _, y, x = canvas.axes_mm
    toward = -1.0 if chest.facts.prone else 1.0
    beneath = _lowest(canvas, chest, toward)
    if beneath is None:
        return
    middle = chest.midline_mm + aside
    half_width = min(half_width, middle - float(x[0]) - 4.0, float(x[-1]) - middle - 4.0)
    if half_width < 60.0:
        return
    distance = _shell(toward * y - beneath, (x - middle) / half_width, half_width, thick, rise)
    rows, columns = np.flatnonzero((distance < 2.0).any(axis=1)), np.flatnonzero((distance < 2.0).any(axis=0))
    if len(rows) == 0:
        return
    down, across = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
    distance = distance[down, across]
    window = (slice(0, canvas.hu.shape[0]), down, across)
    air = canvas.tissue[window] == Tissue.OUTSIDE
    fine = np.where(air, distance, np.float32(9.0))
    canvas.paint(window, fine, skin, None)
    canvas.paint(window, np.where(air, distance + np.float32(SKIN_MM), np.float32(9.0)), foam, None)


def _lowest(canvas: Canvas, chest: Chest, toward: float) -> float | None:
    """How far the body reaches towards the floor near its midline; ``None`` where the canvas ends before."""
    _, y, x = canvas.axes_mm
    near = np.flatnonzero(np.abs(x - chest.midline_mm) < 60.0)
    body = canvas.tissue[:, :, near] != Tissue.OUTSIDE
    rows = np.flatnonzero(body.any(axis=(0, 2)))
    if len(rows) == 0:
        return None
    row = int(rows[-1] if toward > 0.0 else rows[0])
    return None if row in (0, len(y) - 1) else toward * float(y[row]) + canvas.voxel_mm


def _shell(deep: Array, aside: Array, half_width: float, thick: float, rise: float) -> Array:
    """Distance (rows, columns) to the couch from depths below the body (mm) and places across it (-1 to 1)."""
    bend = np.clip(np.abs(aside), 0.0, 1.1) ** 2
    top = -rise * bend
    slope = np.sqrt(1.0 + (2.0 * rise * np.abs(aside) / half_width) ** 2)
    bottom = top + thick * (1.0 - 0.67 * bend)
    level = deep[:, None]
    found = np.maximum(np.maximum(top - level, level - bottom) / slope, (np.abs(aside) - 1.0) * half_width)
    return np.asarray(found, np.float32)
