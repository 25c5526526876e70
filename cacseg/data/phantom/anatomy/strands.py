"""Strands in the fat around the heart: small vessels and septa, fainter than an artery."""

from typing import Final

import numpy as np

from cacseg.data.phantom.anatomy.canvas import Canvas
from cacseg.data.phantom.anatomy.geometry import Geometry
from cacseg.data.phantom.anatomy.mediastinum import HeartFields
from cacseg.data.phantom.anatomy.shapes import Array
from cacseg.data.phantom.tissue import Tissue

STRANDS: Final = (40, 130)
"""Least and greatest number of strands in one patient."""

EPICARDIAL_SHARE: Final = 0.4
"""Share of them within the pericardium, where there is less fat than outside and more vessels."""


def paint_strands(canvas: Canvas, fields: HeartFields, geometry: Geometry, rng: np.random.Generator) -> None:
    """Lay thin winding strands into epicardial and mediastinal fat, nowhere else."""
    count = int(rng.integers(*STRANDS))
    inside = int(count * EPICARDIAL_SHARE)
    epicardial = fields.box.points[(fields.sac < -1.0) & (fields.flesh > 1.0)]
    fatty = fields.box.points[(fields.edge < -1.0) & (fields.flesh > 1.0)]
    if len(epicardial) == 0:
        return
    places = [epicardial[rng.integers(0, len(epicardial), inside)], fatty[rng.integers(0, len(fatty), count - inside)]]
    starts = geometry.deformation.to_patient(np.concatenate(places))
    lines = [_walk(start, int(rng.integers(8, 45)), rng) for start in starts]
    thick = [np.full(len(line), size) for line, size in zip(lines, rng.uniform(0.3, 1.0, count), strict=True)]
    _into_fat(canvas, np.concatenate(lines), np.concatenate(thick), geometry.facts.blood_hu - rng.uniform(0.0, 50.0))


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
