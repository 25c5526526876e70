"""Strands in the fat around the heart: small vessels, septa and lymph nodes, fainter than an artery."""

from typing import Final

import numpy as np

from cacseg.data.phantom.anatomy.canvas import Canvas
from cacseg.data.phantom.anatomy.geometry import Geometry
from cacseg.data.phantom.anatomy.mediastinum import HeartFields
from cacseg.data.phantom.anatomy.shapes import Array
from cacseg.data.phantom.tissue import Tissue

STRANDS: Final = (40, 130)
"""Least and greatest number of strands in one patient."""

NODES: Final = (3, 12)
"""Least and greatest number of lymph nodes, 2-5 mm in radius."""


def paint_strands(canvas: Canvas, fields: HeartFields, geometry: Geometry, rng: np.random.Generator) -> None:
    """Lay thin winding strands and a few nodes into epicardial and mediastinal fat, nowhere else."""
    fatty = fields.box.points[(fields.edge < -1.0) & (fields.flesh > 1.0)]
    if len(fatty) == 0:
        return
    count, nodes = int(rng.integers(*STRANDS)), int(rng.integers(*NODES))
    starts = geometry.deformation.to_patient(fatty[rng.integers(0, len(fatty), count + nodes)])
    lines = [_walk(start, int(rng.integers(8, 45)), rng) for start in starts[:count]]
    thick = [np.full(len(line), size) for line, size in zip(lines, rng.uniform(0.25, 0.75, count), strict=True)]
    _into_fat(canvas, np.concatenate(lines), np.concatenate(thick), geometry.facts.blood_hu - rng.uniform(0.0, 50.0))
    for start, size in zip(starts[count:], rng.uniform(1.6, 3.6, nodes), strict=True):
        body = _walk(start, 4, rng)
        _into_fat(canvas, body, np.full(len(body), size), float(rng.uniform(-10.0, 45.0)))


def _walk(start: Array, count: int, rng: np.random.Generator) -> Array:
    """Random smooth walk (count, 3) in steps of 1 mm."""
    way = rng.standard_normal(3) + np.cumsum(rng.normal(0.0, 0.22, (count, 3)), axis=0)
    return np.asarray(start + np.cumsum(way / np.linalg.norm(way, axis=1, keepdims=True), axis=0))


def _into_fat(canvas: Canvas, points: Array, radius: Array, hu: float) -> None:
    flat, distance = canvas.tubes(points, radius)
    tissue = canvas.tissue.reshape(-1)[flat]
    inside = (tissue == Tissue.FAT) | (tissue == Tissue.EPICARDIAL_FAT)
    flat, distance = flat[inside], distance[inside]
    share = np.clip(0.5 - distance / canvas.voxel_mm, 0.0, 1.0)
    values = canvas.hu.reshape(-1)
    values[flat] += (share * (hu - values[flat])).astype(np.float32)
