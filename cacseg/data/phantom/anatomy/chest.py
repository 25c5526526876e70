"""The frame of the chest around one heart: where spine, sternum, wall and domes lie."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from cacseg.data.phantom.anatomy.frame import Pose
from cacseg.data.phantom.anatomy.heart import HeartModel, muscle
from cacseg.data.phantom.anatomy.shapes import Array, smooth_union
from cacseg.data.phantom.population import PatientFacts

VERTEBRA_PITCH_MM: Final = 25.0
"""Height of a mid-thoracic vertebra with its disc (19-21 mm body and 4-5 mm disc)."""

BEHIND_SPINE_MM: Final = 46.0
"""How far the lungs reach behind the front of the vertebral bodies."""

RIB_DROP_MM: Final = 100.0
"""Descent of a rib from the spine to its cartilage."""

SPINE_LEFT_MM: Final = -13.0
"""Midline relative to the centre of the heart: two thirds of the heart lie left of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Chest:
    """Frame of the chest in LPS mm, before deformation, with the heart's centre at the origin.

    Parameters
    ----------
    midline_mm : x of the spine at heart level.
    front_mm : y of the inner surface of the sternum at heart level.
    back_mm : y of the front of the vertebral bodies at heart level.
    floor_mm : z of the lowest point of the heart.
    half_width_mm : inner half width of the rib cage.
    facts : what was drawn.
    """

    midline_mm: float
    front_mm: float
    back_mm: float
    floor_mm: float
    half_width_mm: float
    facts: PatientFacts

    @classmethod
    def around(cls, model: HeartModel, pose: Pose) -> "Chest":
        """Fit a chest around a heart with the drawn gaps before and behind."""
        facts = model.facts
        low, high = np.array([-70.0, -90.0, -85.0]), np.array([75.0, 65.0, 45.0])
        axes = [np.arange(first, last, 6.0) for first, last in zip(low, high, strict=True)]
        lattice = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3).astype(np.float32)
        heart = pose.to_patient(lattice[muscle(model.parts(lattice)) < 0.0])
        middle = SPINE_LEFT_MM * facts.heart_scale - facts.heart_shift_left_mm
        before = heart[np.abs(heart[:, 0] - middle - 12.0) < 30.0]
        behind = heart[np.abs(heart[:, 0] - middle) < 24.0]
        # Lying prone, the heart sinks towards the sternum.
        before_mm, behind_mm = facts.sternum_gap_mm, facts.spine_gap_mm
        if facts.prone:
            before_mm, behind_mm = 0.4 * before_mm, behind_mm + 6.0
        return cls(
            midline_mm=middle,
            front_mm=float(before[:, 1].min()) - 2.0 - 0.5 * facts.epicardial_fat_mm - before_mm,
            back_mm=float(behind[:, 1].max()) + 4.0 + behind_mm,
            floor_mm=float(heart[:, 2].min()) - 2.0,
            half_width_mm=0.5 * facts.chest_width_mm,
            facts=facts,
        )

    def spine_x_mm(self, z_mm: Array | float) -> Array:
        """Midline of the spine at heights z: a gentle S."""
        return self.midline_mm + self.facts.scoliosis_mm * np.sin(np.asarray(z_mm) / 75.0)

    def spine_front_mm(self, z_mm: Array | float) -> Array:
        """Front (y) of the vertebral bodies at heights z: most to the back at heart level."""
        away = np.asarray(z_mm) - 5.0
        above = np.minimum(self.facts.kyphosis_mm * (np.maximum(away, 0.0) / 80.0) ** 1.5, 55.0)
        return self.back_mm - above - 0.6 * self.facts.kyphosis_mm * (np.minimum(away, 0.0) / 110.0) ** 2

    def sternum_y_mm(self, z_mm: Array) -> Array:
        """Inner surface of the sternum at heights z; the manubrium lies further back."""
        return self.front_mm + self.facts.sternum_slope * np.maximum(np.asarray(z_mm) + 20.0, 0.0)

    def radius_scale(self, z_mm: Array) -> Array:
        """Width of the cage relative to heart level: it narrows towards the apex of the lungs."""
        return 1.0 - 0.0000118 * np.maximum(np.asarray(z_mm) - 10.0, 0.0) ** 2

    def outline(self, points: Array) -> tuple[Array, Array, Array]:
        """Place points (..., 3) in the rib cage.

        Returns
        -------
        relative radius (1 on the inner surface of the ribs), and the direction from the middle of the cage:
        leftward and backward cosine, each (...,).
        """
        x, y, z = points[..., 0], points[..., 1], points[..., 2]
        front, back = self.sternum_y_mm(z), self.spine_front_mm(z) + BEHIND_SPINE_MM
        half_depth = 0.5 * (back - front)
        across = (x - self.spine_x_mm(z)) / (self.half_width_mm * self.radius_scale(z))
        along = (y - 0.5 * (front + back)) / half_depth
        power = self.facts.chest_squareness
        relative = (np.abs(across) ** power + np.abs(along) ** power) ** (1.0 / power)
        reach = np.maximum(np.sqrt(across**2 + along**2), 1e-3)
        return relative.astype(np.float32), across / reach, along / reach

    def inner_point(self, turn_rad: Array, z_mm: Array, beyond_mm: float = 0.0) -> Array:
        """Points (n, 3) on the cage; turn 0 is left, pi/2 the back, -pi/2 the front."""
        turn, z = np.asarray(turn_rad, np.float64), np.asarray(z_mm, np.float64)
        front, back = self.sternum_y_mm(z), self.spine_front_mm(z) + BEHIND_SPINE_MM
        half_depth, half_width = 0.5 * (back - front), self.half_width_mm * self.radius_scale(z)
        power = self.facts.chest_squareness
        size = (np.abs(np.cos(turn)) ** power + np.abs(np.sin(turn)) ** power) ** (-1.0 / power)
        x = self.spine_x_mm(z) + (half_width * size + beyond_mm) * np.cos(turn)
        y = 0.5 * (front + back) + (half_depth * size + beyond_mm) * np.sin(turn)
        return np.stack([x, y, z], axis=1)

    def skin_box(self) -> Array:
        """Lowest and highest x, y, z (2, 3) of the body at heart level, about where the skin lies; z is 0."""
        fat = self.facts.subcutaneous_fat_mm
        beside, before, behind = 19.0 + 1.15 * fat, 14.0 + 0.5 * fat, 30.0 + 0.8 * fat
        middle = float(self.spine_x_mm(0.0))
        return np.array(
            [
                [middle - self.half_width_mm - beside, self.front_mm - before, 0.0],
                [middle + self.half_width_mm + beside, self.back_mm + BEHIND_SPINE_MM + behind, 0.0],
            ]
        )

    def rib_drop_mm(self, leftward: Array, backward: Array) -> Array:
        """How far a rib has come down between the spine and a direction around the cage."""
        forward = np.arctan2(np.abs(leftward), backward) / np.pi
        down = RIB_DROP_MM * np.clip((forward - 0.08) / 0.62, 0.0, 1.0) ** 0.9
        rise = np.maximum(forward - 0.74, 0.0) / 0.26
        return np.asarray(down - 34.0 * rise**1.5)

    def cartilage_lines(self, count: int = 12) -> Array:
        """Points (n, 3) along the costal cartilages on either side of the sternum."""
        found = []
        for level in range(-4, 4):
            for side in (-1.0, 1.0):
                turn = -0.5 * np.pi + side * np.linspace(0.16, 0.62, count)
                drop = self.rib_drop_mm(np.cos(turn), np.sin(turn))
                z = VERTEBRA_PITCH_MM * (level + 3.2) - drop
                found.append(self.inner_point(turn, z, 5.0))
        return np.concatenate(found)

    def lung_points(self, rng: np.random.Generator, count: int = 24) -> Array:
        """Points (count, 3) somewhere in the lungs."""
        turn = rng.choice([0.0, np.pi], count) + rng.uniform(-0.9, 0.9, count)
        outer = self.inner_point(turn, rng.uniform(self.floor_mm + 45.0, 60.0, count))
        middle = np.stack([self.spine_x_mm(outer[:, 2]), outer[:, 1], outer[:, 2]], axis=1)
        return np.asarray(middle + rng.uniform(0.75, 0.95, count)[:, None] * (outer - middle))

    def floor_z_mm(self, x: Array, y: Array) -> Array:
        """Height of the diaphragm's upper surface over (x, y): two domes, the heart between them."""
        low = 1.0 - self.facts.respiration
        peak = self.floor_mm + np.array([18.0 + 26.0 * low, 6.0 + 22.0 * low, 15.0])
        centre_x = self.midline_mm + self.half_width_mm * np.array([-0.48, 0.53, 0.1])
        middle = 0.5 * (self.front_mm + self.back_mm)
        centre_y = middle + np.array([8.0, 12.0, -14.0])
        wide = self.half_width_mm * np.array([0.62, 0.52, 0.68])
        high = np.array([78.0, 70.0, 60.0])
        found: Array | None = None
        for top, cx, cy, half, rise in zip(peak, centre_x, centre_y, wide, high, strict=True):
            away = ((x - cx) / half) ** 2 + ((y - cy) / 84.0) ** 2
            dome = top - rise * (1.0 - np.sqrt(np.maximum(1.0 - away, 0.0))) - 40.0 * np.maximum(away - 1.0, 0.0)
            found = dome if found is None else -smooth_union(-found, -dome, 14.0)
        return np.asarray(found)
