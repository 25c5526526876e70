"""The aortic root with its sinuses, and the mitral and tricuspid rings, in heart coordinates.

Heart coordinates are LPS mm of the mean heart with the origin at the centre of the aortic annulus.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from cacseg.data.phantom.anatomy.shapes import Array, rotation, unit
from cacseg.data.phantom.population import PatientFacts

ROOT_AXIS: Final = unit(np.array([-0.45, -0.12, 0.885]))
"""From annulus to sinotubular junction; the root leans to the right going up (measured on one real heart)."""

LEFT_SINUS: Final = unit(np.array([0.86, 0.21, 0.466]))
"""From the root's axis to the middle of the left coronary sinus."""

RIGHT_SINUS_DEG: Final = -116.0
NON_CORONARY_SINUS_DEG: Final = 122.0
"""Turn from the left sinus about the axis: right sinus in front, non-coronary sinus behind on the right."""

MITRAL_CENTRE_MM: Final = np.array([13.5, 14.4, -9.3])
MITRAL_NORMAL: Final = unit(np.array([0.55, -0.68, -0.48]))
"""Centre of the mitral ring and the direction of inflow: behind and left of the aortic annulus, with which the
anterior arc is continuous. So far to the left that Dodge's circumflex passes the posterior arc as closely as in people:
at least 4.9 mm (SD 2.1) by echocardiography (Kuroda 2026), less than 2 mm in 9 of 52 by CT (Miura 2021)."""

TOUCHING_MM: Final = 1.5
"""Distance of the nearest point of the mean mitral ring to the lumen of the aortic root."""

TRICUSPID_CENTRE_MM: Final = np.array([-20.0, -8.5, -25.5])
TRICUSPID_NORMAL: Final = unit(np.array([0.60, -0.68, -0.42]))
TRICUSPID_RADIUS_MM: Final = 19.0


@dataclass(frozen=True, slots=True, eq=False)
class AorticRoot:
    """The root as a tube with three bulges.

    Parameters
    ----------
    axis, first, second : unit vectors; ``first`` points to the left sinus, ``second = axis x first``.
    annulus_mm, sinus_mm, junction_mm : radius at height 0, at the sinuses, at the sinotubular junction.
    height_mm : from annulus to sinotubular junction.
    """

    axis: Array
    first: Array
    second: Array
    annulus_mm: float
    sinus_mm: float
    junction_mm: float
    height_mm: float

    @classmethod
    def of(cls, facts: PatientFacts) -> "AorticRoot":
        """Build the root in units of the mean heart, so that the scaled heart has the drawn diameters."""
        sideways = unit(np.cross(ROOT_AXIS, LEFT_SINUS))
        axis = rotation(sideways, facts.root_tilt_deg) @ ROOT_AXIS
        turned = rotation(axis, facts.root_turn_deg) @ LEFT_SINUS
        first = unit(turned - (turned @ axis) * axis)
        half = 0.5 / facts.heart_scale
        return cls(
            axis=axis,
            first=first,
            second=np.cross(axis, first),
            annulus_mm=facts.annulus_diameter_mm * half,
            sinus_mm=facts.root_diameter_mm * half,
            junction_mm=facts.aorta_diameter_mm * 0.94 * half,
            height_mm=facts.root_height_mm / facts.heart_scale,
        )

    def radius_mm(self, height_mm: Array, turn_rad: Array) -> Array:
        """Radius of the lumen's surface at a height and turn, each (...,)."""
        share = np.clip(height_mm / self.height_mm, 0.0, 1.0)
        bulge = np.clip(np.sin(np.pi * share**0.8), 0.0, 1.0) ** 1.5
        straight = self.annulus_mm + (self.junction_mm - self.annulus_mm) * share
        middle = 0.5 * (self.annulus_mm + self.junction_mm)
        lobes = 0.93 + 0.09 * np.cos(3.0 * turn_rad)
        return straight + bulge * (self.sinus_mm * lobes - middle)

    def point(self, height_mm: Array, turn_rad: Array, inset_mm: float = 0.0) -> Array:
        """Points (..., 3) on the surface of the root, or ``inset_mm`` inside it."""
        height, turn = np.asarray(height_mm, np.float64), np.asarray(turn_rad, np.float64)
        outward = np.cos(turn)[..., None] * self.first + np.sin(turn)[..., None] * self.second
        radius = self.radius_mm(height, turn) - inset_mm
        return height[..., None] * self.axis + radius[..., None] * outward

    def distance_mm(self, points: Array) -> Array:
        """Signed distance (to first order) of points (..., 3) to the lumen between outflow tract and junction."""
        dtype = points.dtype
        height = points @ self.axis.astype(dtype)
        across = points @ self.first.astype(dtype)
        behind = points @ self.second.astype(dtype)
        radius = np.sqrt(across**2 + behind**2)
        side = radius - self.radius_mm(height, np.arctan2(behind, across)).astype(dtype)
        return np.maximum(side, np.maximum(-4.0 - height, height - dtype.type(self.height_mm + 3.0)))

    def ring(self, height_mm: float = 0.0, count: int = 48) -> Array:
        """Ring (count, 3) on the surface at one height, from the left sinus towards the non-coronary one."""
        turn = np.linspace(0.0, 2.0 * np.pi, count, endpoint=False)
        return self.point(np.full(count, height_mm), turn)

    def leaflets(self, count: int = 14) -> Array:
        """Curves on which leaflet calcium sits (3 * 2 * count, 3): hinge lines and closure lines of three cusps."""
        curves = []
        for middle in np.deg2rad([0.0, RIGHT_SINUS_DEG, NON_CORONARY_SINUS_DEG]):
            swing = np.linspace(-1.0, 1.0, count)
            hinge = self.point(0.7 * self.height_mm * swing**2 + 1.0, middle + swing * np.deg2rad(57.0), 1.0)
            crown = self.point(np.full(2, 0.7 * self.height_mm), middle + np.deg2rad([-57.0, 57.0]), 1.5)
            centre = 0.45 * self.height_mm * self.axis
            arm = np.linspace(0.0, 1.0, count // 2)[:, None]
            closure = [centre + arm * (end - centre) for end in crown]
            curves += [hinge, *closure]
        return np.concatenate(curves)


@dataclass(frozen=True, slots=True, eq=False)
class MitralRing:
    """The D-shaped, saddle-shaped mitral annulus.

    Parameters
    ----------
    centre : (3,).
    inflow : unit normal towards the ventricle.
    lateral : unit vector to the anterolateral commissure (left, up).
    anterior : unit vector towards the aortic valve.
    half_width_mm, posterior_mm, anterior_mm : half the commissural diameter; depth of either arc.
    """

    centre: Array
    inflow: Array
    lateral: Array
    anterior: Array
    half_width_mm: float
    posterior_mm: float
    anterior_mm: float

    @classmethod
    def of(cls, facts: PatientFacts, root: AorticRoot) -> "MitralRing":
        """Build the ring so that its anterior arc stays continuous with the aortic annulus: it touches the root."""
        towards_aorta = -MITRAL_CENTRE_MM
        anterior = unit(towards_aorta - (towards_aorta @ MITRAL_NORMAL) * MITRAL_NORMAL)
        lateral = np.cross(anterior, MITRAL_NORMAL)
        if lateral[0] < 0.0:
            lateral = -lateral
        half = 0.5 * facts.mitral_diameter_mm / facts.heart_scale
        centre = MITRAL_CENTRE_MM + facts.mitral_drop_mm * MITRAL_NORMAL
        outward = unit(centre - (centre @ root.axis) * root.axis)
        away = unit(outward - anterior)
        for _ in range(4):
            ring = cls(centre, MITRAL_NORMAL, lateral, anterior, half, 0.9 * half, 0.74 * half)
            gap = float(root.distance_mm(ring.ring()).min()) - TOUCHING_MM - 0.5 * facts.mitral_shift_mm
            centre = centre - np.clip(gap, -6.0, 6.0) * away
        return cls(centre, MITRAL_NORMAL, lateral, anterior, half, 0.9 * half, 0.74 * half)

    def at(self, turn_rad: Array, grow: float = 1.0) -> Array:
        """Points (n, 3); turn 0 is the lateral commissure, pi/2 the middle of the posterior arc."""
        turn = np.asarray(turn_rad, np.float64)
        depth = np.where(np.sin(turn) > 0.0, self.posterior_mm, self.anterior_mm)
        saddle = -1.8 * np.cos(2.0 * turn)
        return (
            self.centre
            + (self.half_width_mm * grow * np.cos(turn))[:, None] * self.lateral
            - (depth * grow * np.sin(turn))[:, None] * self.anterior
            + saddle[:, None] * self.inflow
        )

    def ring(self, count: int = 60) -> Array:
        """Ring (count, 3); its first half is the posterior arc from the lateral to the medial commissure."""
        return self.at(np.linspace(0.0, 2.0 * np.pi, count, endpoint=False))
