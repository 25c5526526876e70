"""Flat calcium in the wall of a large tube: aorta and airways."""

import math

import numpy as np

from cacseg.data.phantom.disease.curve import Curve
from cacseg.data.phantom.disease.pieces import Pieces
from cacseg.data.phantom.disease.plaque import PlaqueShape, place


def wall_plaque(
    tube: Curve,
    along_mm: float,
    angle_rad: float,
    length_mm: float,
    width_mm: float,
    thickness_mm: float,
    density_mg_cm3: float,
    rng: np.random.Generator,
    *,
    gaps: float = 0.0,
) -> Pieces:
    """Lay one plate in the wall of a tube.

    Parameters
    ----------
    tube : centre line and radius.
    along_mm, angle_rad : middle of the plate.
    length_mm, width_mm, thickness_mm : along the tube, around it, and through its wall.
    density_mg_cm3 : hydroxyapatite.
    rng : source of chance.
    gaps : share left out, which makes crumbs of a plate.
    """
    radius = float(tube.radius_at(along_mm))
    shape = PlaqueShape(
        start_mm=max(0.0, along_mm - length_mm / 2),
        length_mm=min(length_mm, tube.length_mm),
        angle_rad=angle_rad,
        arc_rad=min(width_mm / max(radius, 1.0), math.radians(330)),
        thickness_mm=thickness_mm,
        density_mg_cm3=density_mg_cm3,
        twist_rad_per_mm=float(rng.normal(0, 0.01)),
        gradient=float(rng.uniform(-0.6, 0.6)),
        grain=float(rng.uniform(0.1, 0.35)),
        gaps=gaps,
        encroach=0.0,
        seed=int(rng.integers(2**31)),
    )
    return place(shape, tube).pieces
