"""What lies between the great vessels above the heart where there is little fat: recesses, nodes, thymus."""

from functools import reduce
from typing import Final

import numpy as np

from cacseg.data.phantom.anatomy.canvas import Canvas
from cacseg.data.phantom.anatomy.geometry import Geometry
from cacseg.data.phantom.anatomy.mediastinum import HeartFields
from cacseg.data.phantom.anatomy.shapes import smooth_union
from cacseg.data.phantom.tissue import Tissue

FILLED_SHARE: Final = 0.65
"""Share of patients whose great vessels touch without a visible plane of fat somewhere."""

REACH_MM: Final = (6.0, 26.0)
"""How widely the crease between two vessels is filled; the depth of the filling is a quarter of it."""

RECESS_HU: Final = (8.0, 45.0)
"""From pericardial fluid to a node or thymus."""

WITHIN_MM: Final = 8.0
"""Farthest from a vessel that is filled, however many creases meet."""

ABOVE_OSTIUM_MM: Final = 9.0
"""Lowest level above the left ostium: around the arteries' origins there is fat."""

VESSELS: Final = (
    "aortic_arch",
    "superior_vena_cava",
    "right_pulmonary_artery",
    "left_pulmonary_artery",
    "left_brachiocephalic_vein",
)


def paint_recesses(canvas: Canvas, fields: HeartFields, geometry: Geometry, rng: np.random.Generator) -> None:
    """Fill the creases between aorta, pulmonary artery and superior vena cava, in some patients not at all."""
    filled, reach, hu = rng.random() < FILLED_SHARE, float(rng.uniform(*REACH_MM)), float(rng.uniform(*RECESS_HU))
    if not filled:
        return
    bodies = [fields.parts["aorta"], fields.parts["pulmonary"], *(fields.vessels[name] for name in VESSELS)]
    vessels = reduce(np.minimum, bodies)
    blended = reduce(lambda one, other: smooth_union(one, other, reach), bodies)
    level = geometry.landmarks["left_ostium"][0, 2] + ABOVE_OSTIUM_MM
    between = np.maximum(
        np.maximum(np.maximum(blended, vessels - WITHIN_MM), 0.3 - vessels), level - fields.box.points[..., 2]
    )
    covered = np.minimum(fields.flesh, np.minimum(fields.vessels["trachea"], fields.vessels["left_bronchus"]) - 2.0)
    inside = np.maximum(np.maximum(between, 0.3 - covered), fields.edge + 1.0)
    canvas.body(fields.box, inside, hu, Tissue.SOFT)
