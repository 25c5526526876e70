"""Below the diaphragm: liver, stomach, spleen, fat."""

import numpy as np

from cacseg.data.phantom.anatomy.canvas import Canvas, CoarseBox
from cacseg.data.phantom.anatomy.chest import Chest
from cacseg.data.phantom.anatomy.shapes import Array, ellipsoid
from cacseg.data.phantom.tissue import Tissue


def diaphragm_distance(chest: Chest, points: Array) -> Array:
    """Height above the diaphragm (mm, shortened where it is steep); negative in the abdomen."""
    x, y, z = points[..., 0], points[..., 1], points[..., 2]
    height = z - chest.floor_z_mm(x, y)
    return np.asarray(height * 0.75, np.float32)


def paint_abdomen(
    canvas: Canvas, box: CoarseBox, chest: Chest, inside: Array, below: Array, rng: np.random.Generator
) -> None:
    """Fill the cage below the diaphragm.

    Parameters
    ----------
    inside : distance to the inner cage on the lattice; ``below`` height above the diaphragm there.
    """
    facts = chest.facts
    bounded = np.maximum(inside + 0.5, below)
    canvas.body(box, (bounded), facts.muscle_hu, Tissue.SOFT)
    deeper = np.maximum(inside + 3.0, below + 2.5)
    canvas.body(box, (deeper), facts.fat_hu, Tissue.FAT)
    x, y = box.points[..., 0] - chest.midline_mm, box.points[..., 1]
    middle = 0.5 * (chest.front_mm + chest.back_mm)
    size = chest.half_width_mm
    edge = x - (0.42 * size * np.clip(1.0 - (y - chest.front_mm) / (2.2 * (middle - chest.front_mm)), -0.6, 1.0))
    liver = np.maximum(np.maximum(np.maximum(inside + 2.0, below + 1.0), edge * 0.9), y - (chest.back_mm + 34.0))
    canvas.body(box, (liver), facts.liver_hu, Tissue.LIVER)
    stomach_at = np.array(
        [chest.midline_mm + 0.5 * size, middle + rng.normal(0.0, 8.0), chest.floor_mm - 22.0 + rng.normal(0.0, 8.0)]
    )
    stomach = np.maximum(ellipsoid(box.points, stomach_at, np.array([42.0, 46.0, 44.0])), deeper + 0.5)
    canvas.body(box, (stomach), 45.0, Tissue.SOFT)
    level = stomach_at[1] - 30.0 + 40.0 * rng.random()
    canvas.body(box, (stomach + 3.5), 15.0 + 40.0 * rng.random(), Tissue.SOFT)
    canvas.body(box, (np.maximum(stomach + 3.5, y - level)), -950.0, Tissue.AIRWAY)
    spleen_at = np.array([chest.midline_mm + 0.78 * size, chest.back_mm + 8.0, chest.floor_mm - 28.0])
    spleen = np.maximum(ellipsoid(box.points, spleen_at, np.array([26.0, 44.0, 44.0])), deeper + 1.0)
    canvas.body(box, (spleen), 48.0, Tissue.SOFT)
