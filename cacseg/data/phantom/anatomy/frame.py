"""Where the mean heart lies in the patient, and the smooth deformation of everything together."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from cacseg.data.phantom.anatomy.shapes import Array, rotation, unit
from cacseg.data.phantom.population import PatientFacts

HEART_CENTRE_MM: Final = np.array([9.0, -9.0, -16.0])
"""Centre of the mean heart in heart coordinates (origin: centre of the aortic annulus)."""

LONG_AXIS: Final = unit(np.array([0.42, -0.79, -0.45]))
"""Direction from the valve plane to the apex in the mean heart (Dodge 1988: L2m, L3m, PDA, M1 around it)."""

CONTROL_MM: Final = 36.0
"""Distance between the control points of the deformation."""

CONTROLS: Final = (14, 16, 16)
"""Control points along z, y, x; enough for a chest of 500 mm."""


@dataclass(frozen=True, slots=True, eq=False)
class Pose:
    """Similarity from heart coordinates to the patient: ``p = scale * (turn @ (h - centre)) + shift``."""

    turn: Array
    scale: float
    shift: Array

    def to_patient(self, points: Array) -> Array:
        """Map (n, 3) heart mm to (n, 3) LPS mm."""
        return (np.asarray(points, np.float64) - HEART_CENTRE_MM) @ self.turn.T * self.scale + self.shift

    def to_heart(self, points: Array) -> Array:
        """Map (..., 3) LPS mm to (..., 3) heart mm, in the dtype of the points."""
        dtype = points.dtype
        moved = points - self.shift.astype(dtype)
        return moved @ (self.turn / self.scale).astype(dtype) + HEART_CENTRE_MM.astype(dtype)

    def turned(self, vectors: Array) -> Array:
        """Turn (n, 3) directions of the heart into the patient."""
        return np.asarray(vectors, np.float64) @ self.turn.T


def heart_pose(facts: PatientFacts) -> Pose:
    """Place the heart so that its centre is the origin of the patient."""
    turn = (
        rotation(np.array([0.0, 0.0, 1.0]), facts.heart_rotation_deg)
        @ rotation(np.array([0.0, 1.0, 0.0]), -facts.heart_tilt_deg)
        @ rotation(np.array([1.0, 0.0, 0.0]), -facts.heart_pitch_deg)
        @ rotation(LONG_AXIS, facts.heart_roll_deg)
    )
    return Pose(turn, facts.heart_scale, np.zeros(3))


def basis(at_mm: Array, count: int, spacing_mm: float = CONTROL_MM) -> Array:
    """Cubic B-spline weights (n, count) of control points centred on 0 at n coordinates."""
    knots = (np.arange(count) - (count - 1) / 2.0) * spacing_mm
    away = np.abs(np.asarray(at_mm, np.float64)[:, None] - knots) / spacing_mm
    near = 2.0 / 3.0 - away**2 + away**3 / 2.0
    far = np.maximum(2.0 - away, 0.0) ** 3 / 6.0
    return np.where(away < 1.0, near, far).astype(np.float32)


BLOCK: Final = 16
"""Rows that ``spread`` makes at once: few enough that most of the interpolation's zeros are left out."""


def spread(field: Array, along_z: Array, along_y: Array, along_x: Array) -> Array:
    """Evaluate a separable interpolation: (c, c, c) values to (n, m, k) through one matrix per axis.

    The matrices hold few values beside the diagonal; what is left out are products with zero.
    """
    across = np.matmul(field, along_x.T)
    rows = np.empty((len(field), len(along_y), len(along_x)), np.result_type(field, along_y, along_x))
    for here, used in _bands(along_y):
        np.matmul(along_y[here, used], across[:, used], out=rows[:, here])
    flat = rows.reshape(len(rows), -1)
    found = np.empty((len(along_z), flat.shape[1]), rows.dtype)
    for here, used in _bands(along_z):
        np.matmul(along_z[here, used], flat[used], out=found[here])
    return found.reshape(len(along_z), len(along_y), len(along_x))


def _bands(matrix: Array) -> list[tuple[slice, slice]]:
    """Blocks of rows with the span of columns in which they are not all zero."""
    if matrix.shape[1] <= BLOCK:
        return [(slice(None), slice(None))]
    made = []
    for first in range(0, len(matrix), BLOCK):
        used = np.flatnonzero(matrix[first : first + BLOCK].any(axis=0))
        last = int(used[-1]) + 1 if len(used) else 1
        made.append((slice(first, first + BLOCK), slice(int(used[0]) if len(used) else 0, last)))
    return made


@dataclass(frozen=True, slots=True, eq=False)
class Deformation:
    """Smooth displacement: the patient at ``p`` looks like the model at ``p + u(p)``.

    Parameters
    ----------
    control_mm : (3, c, c, c) float32, displacement (x, y, z) at control points (z, y, x).
    """

    control_mm: Array

    @classmethod
    def draw(cls, sd_mm: float, rng: np.random.Generator) -> "Deformation":
        """Draw one; ``sd_mm`` is the SD of each component at a point."""
        control = rng.standard_normal((3, *CONTROLS)).astype(np.float32)
        # A cubic B-spline of white noise keeps (2/3)^2 + 2 (1/6)^2 ~ 0.49 of the variance along each axis.
        return cls(control * np.float32(np.clip(sd_mm, 0.0, 4.0) / 0.7**3))

    def on_grid(self, z_mm: Array, y_mm: Array, x_mm: Array) -> Array:
        """Displacement (n, m, k, 3) float32 on a grid of axes."""
        weights = [basis(at, count) for at, count in zip((z_mm, y_mm, x_mm), CONTROLS, strict=True)]
        return np.stack([spread(each, *weights) for each in self.control_mm], axis=-1)

    def at(self, points: Array) -> Array:
        """Displacement (n, 3) at (n, 3) LPS mm; none beyond the control points."""
        from scipy.ndimage import map_coordinates

        middle = (np.array(CONTROLS)[:, None] - 1.0) / 2.0
        place = np.asarray(points, np.float64).T[::-1] / CONTROL_MM + middle
        return np.stack(
            [
                map_coordinates(each, place, np.float64, order=3, mode="grid-constant", prefilter=False)
                for each in self.control_mm
            ],
            axis=1,
        )

    def to_patient(self, points: Array) -> Array:
        """Find where points (n, 3) of the model lie in the patient, to 0.01 mm."""
        model = np.asarray(points, np.float64)
        found = model.copy()
        for _ in range(7):
            found = model - self.at(found)
        return found
