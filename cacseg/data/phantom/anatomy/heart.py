"""The chambers of the heart as smooth bodies in heart coordinates."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from cacseg.data.phantom.anatomy.frame import LONG_AXIS
from cacseg.data.phantom.anatomy.shapes import (
    Array,
    ellipsoid,
    half_space,
    rotation,
    smooth_cut,
    smooth_union,
    spline,
    tube,
    unit,
)
from cacseg.data.phantom.anatomy.valves import (
    TRICUSPID_CENTRE_MM,
    TRICUSPID_NORMAL,
    TRICUSPID_RADIUS_MM,
    AorticRoot,
    MitralRing,
)
from cacseg.data.phantom.population import PatientFacts

Part = Literal["lv", "rv", "la", "ra", "laa", "raa", "aorta", "pulmonary", "cava"]

BASE_MM: Final = np.array([8.0, 10.0, -10.0])
"""Middle of the base of the left ventricle, between the mitral and aortic rings."""

LONG_MM: Final = 64.0
"""Long semi-axis of the left ventricle; its middle lies 35 mm beyond the base."""

SEPTUM_UP: Final = unit(np.array([0.40, -0.30, 0.87]))
"""From the posterior to the anterior interventricular groove, across the long axis (Dodge L2m against RDm)."""

RIGHTWARD: Final = unit(np.cross(LONG_AXIS, SEPTUM_UP))
"""From the left to the right ventricle, across the long axis."""

_UP: Final = np.cross(RIGHTWARD, LONG_AXIS)

TWIST_MM: Final = 35.0
"""Depth below the base at which arteries have turned as far as the ventricles have rolled."""


@dataclass(frozen=True, slots=True, eq=False)
class HeartModel:
    """All parts of one heart.

    Parameters
    ----------
    facts : what was drawn.
    root, mitral : valves.
    ascending : centre line and radius of the tubular ascending aorta.
    pulmonary_trunk : centre line and radius from the pulmonary valve to the bifurcation.
    appendage : centre line and radius of the left atrial appendage, from mouth to tip.
    """

    facts: PatientFacts
    root: AorticRoot
    mitral: MitralRing
    ascending: tuple[Array, Array]
    pulmonary_trunk: tuple[Array, Array]
    appendage: tuple[Array, Array]

    @classmethod
    def of(cls, facts: PatientFacts) -> "HeartModel":
        """Build the parts."""
        root = AorticRoot.of(facts)
        tubes = (_ascending(facts, root), _pulmonary_trunk(facts), _left_appendage(facts))
        return cls(facts, root, MitralRing.of(facts, root), *tubes)

    @property
    def axes(self) -> Array:
        """Unit vectors (3, 3) of the ventricles: along, towards the anterior groove, to the right."""
        return np.stack([LONG_AXIS, _UP, RIGHTWARD]) @ rotation(LONG_AXIS, self.facts.ventricle_roll_deg).T

    def twisted(self, points: Array) -> Array:
        """Turn points (n, 3) about the long axis as the ventricles are rolled, those of the base not at all."""
        away = points - BASE_MM
        depth = away @ LONG_AXIS
        turn = np.deg2rad(self.facts.ventricle_roll_deg * np.clip(depth / TWIST_MM, 0.0, 1.0))[:, None]
        across = away - depth[:, None] * LONG_AXIS
        turned = np.cos(turn) * across + np.sin(turn) * np.cross(LONG_AXIS, across)
        return np.asarray(points + (turned - across))

    def left_ventricle(self, points: Array, wall_mm: float = 0.0) -> Array:
        """Distance to the outer surface of the left ventricle, or to its cavity ``wall_mm`` deeper."""
        size = self.facts.left_ventricle_scale
        axes = self.axes
        semi = np.array([LONG_MM, 39.5, 36.7]) * size - wall_mm * np.array([0.85, 1.0, 1.0])
        body = ellipsoid(points, BASE_MM + 35.0 * LONG_AXIS - 2.5 * axes[1] - 0.8 * axes[2], semi, axes)
        base = half_space(points, self.mitral.centre + 5.0 * self.mitral.inflow, -self.mitral.inflow)
        outflow = tube(points, np.array([[0.5, -0.5, 1.0], [9.0, -7.0, -15.0]]), np.array([13.5, 14.0]) - 0.2 * wall_mm)
        return smooth_union(smooth_cut(body, base, 18.0), outflow, 8.0)

    def right_ventricle(self, points: Array) -> Array:
        """Distance to the right ventricle with its outflow tract (the left ventricle lies over it)."""
        size = self.facts.right_ventricle_scale
        axes = self.axes
        centre = BASE_MM + 32.0 * LONG_AXIS + 28.0 * size * axes[2] - 4.0 * axes[1]
        body = ellipsoid(points, centre, np.array([57.0, 46.0, 36.5]) * size, axes)
        body = smooth_cut(
            body, half_space(points, TRICUSPID_CENTRE_MM + 5.0 * TRICUSPID_NORMAL, -TRICUSPID_NORMAL), 18.0
        )
        valve = self.pulmonary_trunk[0][0]
        line = np.stack([[4.0, -42.0, -14.0], [10.5, -38.0, 2.0], valve])
        outflow = tube(points, line, np.array([20.0, 17.5, 13.5]) * np.array([size, size, 1.0]))
        return smooth_union(body, outflow, 14.0)

    def left_atrium(self, points: Array) -> Array:
        """Distance to the left atrium without its appendage and veins."""
        size = self.facts.left_atrium_scale
        front = np.array([-2.0, 15.0, 3.5])
        centre = front + np.array([0.0, 20.5 * size, 0.0])
        body = ellipsoid(points, centre, np.array([31.0, 20.5, 24.0]) * size)
        mouth = self.mitral.centre
        funnel = np.stack([np.add(centre, [4.0, -1.0, -4.0]), mouth + 8.0 * self.mitral.inflow])
        return smooth_union(body, tube(points, funnel, np.array([16.0, 0.86 * self.mitral.half_width_mm])), 12.0)

    def left_appendage(self, points: Array) -> Array:
        """Distance to the left atrial appendage, beside the pulmonary trunk over the left groove."""
        return tube(points, *self.appendage)

    def right_atrium(self, points: Array) -> Array:
        """Distance to the right atrium without its appendage."""
        size = self.facts.right_atrium_scale
        centre = np.array([-38.0, 8.0, -12.0])
        body = ellipsoid(points, centre, np.array([22.0, 27.0, 33.0]) * size)
        funnel = np.stack([np.add(centre, [4.0, -2.0, -4.0]), TRICUSPID_CENTRE_MM + 4.0 * TRICUSPID_NORMAL])
        return smooth_union(body, tube(points, funnel, np.array([15.0, TRICUSPID_RADIUS_MM - 2.0])), 12.0)

    def right_appendage(self, points: Array) -> Array:
        """Distance to the right atrial appendage, in front of the aortic root."""
        line = np.array([[-38.0, -8.0, 6.0], [-33.0, -22.0, 11.0], [-24.0, -33.0, 14.0]])
        return tube(points, line, np.array([14.0, 10.0, 6.0]) * self.facts.right_atrium_scale)

    def venae_cavae(self, points: Array) -> Array:
        """Distance to the parts of the venae cavae next to the heart."""
        upper = tube(points, np.array([[-38.0, 4.0, 12.0], [-37.0, 3.0, 40.0], [-35.0, 1.0, 60.0]]), np.full(3, 9.0))
        lower = tube(points, np.array([[-33.0, 14.0, -34.0], [-31.0, 20.0, -60.0]]), np.array([12.0, 13.0]))
        return np.minimum(upper, lower)

    def parts(self, points: Array) -> dict[Part, Array]:
        """Signed distance of points (..., 3) to the outer surface of each part."""
        return {
            "lv": self.left_ventricle(points),
            "rv": self.right_ventricle(points),
            "la": self.left_atrium(points),
            "ra": self.right_atrium(points),
            "laa": self.left_appendage(points),
            "raa": self.right_appendage(points),
            "aorta": np.minimum(self.root.distance_mm(points), tube(points, *self.ascending)),
            "pulmonary": tube(points, *self.pulmonary_trunk),
            "cava": self.venae_cavae(points),
        }


def muscle(parts: dict[Part, Array], reach_mm: float = 5.0) -> Array:
    """Join the parts into one body whose creases are filled over ``reach_mm``."""
    joined = parts["lv"]
    for name in ("rv", "la", "ra", "laa", "raa", "aorta", "pulmonary"):
        joined = smooth_union(joined, parts[name], reach_mm)  # type: ignore[index]
    return joined


def _ascending(facts: PatientFacts, root: AorticRoot) -> tuple[Array, Array]:
    top = root.height_mm * root.axis
    radius = 0.5 * facts.aorta_diameter_mm / facts.heart_scale
    points = np.stack(
        [top, np.add(top, [-5.0, -2.0, 15.0]), np.add(top, [-7.0, -3.0, 34.0]), np.add(top, [-4.0, 1.0, 68.0])]
    )
    return spline(points, 14.0, np.array([0.96, 1.0, 1.0, 0.98]) * radius)


def _pulmonary_trunk(facts: PatientFacts) -> tuple[Array, Array]:
    """Lay the trunk beside the aorta, further out where both are wide; it forks over the roof of the left atrium."""
    radius = 0.5 * facts.pulmonary_diameter_mm / facts.heart_scale
    crowding = 0.5 * ((facts.aorta_diameter_mm + facts.pulmonary_diameter_mm) / facts.heart_scale - 59.0)
    points = np.array([[9.5, -29.0, 15.0], [13.0, -24.0, 31.0], [14.5, -11.0, 41.0], [15.0, 3.0, 45.0]])
    points[2:, 2] -= np.array([0.6, 1.0]) * facts.fork_drop_mm
    points[:, :2] += 0.7 * crowding * unit(np.array([0.75, -0.65]))
    return spline(points, 8.0, np.array([0.97, 1.0, 1.0, 1.0]) * radius)


def _left_appendage(facts: PatientFacts) -> tuple[Array, Array]:
    """Lay the appendage around the left of the pulmonary trunk; appendages are short or long, low or high."""
    line = np.array([[19.0, 28.0, 15.0], [31.0, 22.0, 20.0], [39.0, 9.0, 22.0], [42.0, -3.0, 19.0]])
    line[:, 2] += facts.appendage_rise_mm * np.array([0.2, 0.7, 1.0, 1.0])
    share, kept = np.arange(4.0), facts.appendage_reach * np.arange(4.0)
    radius = np.array([11.0, 10.5, 9.0, 6.0]) * facts.left_atrium_scale * facts.appendage_scale
    return np.stack([np.interp(kept, share, each) for each in line.T], axis=1), radius
