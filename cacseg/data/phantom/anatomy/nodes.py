"""Lymph nodes of the mediastinum and the hila: what lies between airways, pulmonary arteries and left atrium."""

from typing import Final

import numpy as np

from cacseg.data.phantom.anatomy.canvas import Canvas
from cacseg.data.phantom.anatomy.geometry import Geometry
from cacseg.data.phantom.anatomy.shapes import Array
from cacseg.data.phantom.tissue import Tissue

STATIONS: Final = {
    "paratracheal": (0.20, "trachea", 0.0, (-13.0, -6.0, 14.0), (4.0, 4.0, 7.0)),
    "aortopulmonary": (0.12, "trachea", 0.0, (20.0, -12.0, 10.0), (5.0, 4.0, 4.0)),
    "subcarinal": (0.30, "trachea", 0.0, (3.0, -3.0, -16.0), (8.0, 4.0, 7.0)),
    "right hilum": (0.16, "right_bronchus", 0.6, (-9.0, 0.0, 2.0), (5.0, 5.0, 7.0)),
    "left hilum": (0.14, "left_bronchus", 0.6, (8.0, -2.0, -3.0), (5.0, 5.0, 7.0)),
    "paraoesophageal": (0.08, "oesophagus", 0.55, (-2.0, -4.0, 0.0), (6.0, 3.0, 22.0)),
}
"""Share of the nodes; the tube and how far along it they lie; offset and SD in mm (x, y, z)."""


def paint_nodes(canvas: Canvas, geometry: Geometry) -> None:
    """Lay the nodes; everything painted later covers them. Their places depend on the patient's seed alone."""
    facts = geometry.facts
    rng = np.random.default_rng([facts.seed, 104])
    share = np.array([station[0] for station in STATIONS.values()])
    counts = rng.poisson(facts.nodes * share / share.sum())
    for count, (_, name, along, offset, spread) in zip(counts, STATIONS.values(), strict=True):
        line = geometry.lines[name].points
        middle = line[round(along * (len(line) - 1))] + np.array(offset)
        for centre in middle + rng.normal(0.0, 1.0, (int(count), 3)) * np.array(spread):
            radius = float(np.clip(facts.node_mm * np.exp(rng.normal(0.0, 0.3)), 1.2, 11.0))
            points = geometry.deformation.to_patient(_bean(centre, radius, rng))
            canvas.paint_tubes(points, np.full(len(points), radius), float(rng.normal(32.0, 9.0)), Tissue.SOFT)


def _bean(centre: Array, radius_mm: float, rng: np.random.Generator) -> Array:
    """Axis (n, 3) of a node one and a half to two and a half times as long as wide, mostly upright."""
    way = rng.normal(0.0, 1.0, 3) + np.array([0.0, 0.0, 1.0])
    way /= np.linalg.norm(way)
    half = radius_mm * rng.uniform(0.25, 0.75) * 2.0
    return np.asarray(centre + np.linspace(-half, half, max(2, int(2.0 * half) + 1))[:, None] * way)
