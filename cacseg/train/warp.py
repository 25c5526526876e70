"""Small smooth deformations of a sample: rotation, scaling and elastic displacement in one resampling."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from cacseg.infer.grid import AIR_HU

INNER_MM: Final = 75.0
"""Distance from the middle at which an inner rotation is a third of what it is there."""


@dataclass(frozen=True)
class WarpRange:
    """How far a deformation may go; angles and scales are drawn uniformly.

    Parameters
    ----------
    axial_degrees, tilt_degrees : largest rotation within the slices, and of them.
    scale : largest relative change of size.
    elastic_mm : SD of the displacement of control points about 40 mm apart.
    stretch : largest relative change of length along each axis, on top of ``scale``; 0 draws nothing, so that runs
        of before there was one repeat.
    inner_degrees : largest rotation about each axis, on top, of what lies in the middle alone; it fades out over
        ``INNER_MM``, so that the heart turns and the wall of the chest stays. 0 draws nothing either.
    bend_mm : SD of the displacement of control points half a sample (70 to 110 mm) apart, so that parts of the heart
        shift, turn and shear against each other. 0 draws nothing either.
    """

    axial_degrees: float = 12.0
    tilt_degrees: float = 8.0
    scale: float = 0.1
    elastic_mm: float = 3.0
    stretch: float = 0.0
    inner_degrees: float = 0.0
    bend_mm: float = 0.0


def draw_field(
    shape: tuple[int, int, int], spacing_mm: tuple[float, float, float], limits: WarpRange, rng: np.random.Generator
) -> Tensor:
    """Draw a deformation as a sampling field for ``grid_sample``, (1, slice, row, column, 3) in [-1, 1]."""
    half_mm = np.array(shape) * np.array(spacing_mm) / 2
    angles = np.radians(rng.uniform(-1, 1, 3) * (limits.axial_degrees, limits.tilt_degrees, limits.tilt_degrees))
    matrix = _rotation(angles) * (1 + rng.uniform(-limits.scale, limits.scale))
    if limits.stretch:
        matrix = matrix * (1 + rng.uniform(-limits.stretch, limits.stretch, 3))
    to_unit = matrix * (half_mm[None, :] / half_mm[:, None])
    in_xyz = to_unit[::-1, ::-1].copy()
    theta = torch.zeros(1, 3, 4)
    theta[0, :, :3] = torch.from_numpy(in_xyz)
    field = functional.affine_grid(theta, [1, 1, *shape], align_corners=False)
    if limits.inner_degrees:
        field = _turned_inside(field, half_mm, np.radians(rng.uniform(-1, 1, 3) * limits.inner_degrees))
    field = field + _displacement((5, 6, 6), limits.elastic_mm, half_mm, shape, rng)
    if limits.bend_mm:
        field = field + _displacement((3, 3, 3), limits.bend_mm, half_mm, shape, rng)
    return field


def _displacement(
    knots: tuple[int, int, int],
    sd_mm: float,
    half_mm: NDArray[np.float64],
    shape: tuple[int, int, int],
    rng: np.random.Generator,
) -> Tensor:
    """Draw displacements of control points and interpolate between them: what is added to a sampling field."""
    drawn = rng.normal(0, sd_mm, (1, 3, *knots)) / half_mm[::-1][None, :, None, None, None]
    return smooth_between(drawn, shape).permute(0, 2, 3, 4, 1)


def smooth_between(knots: NDArray[np.float64], shape: tuple[int, ...]) -> Tensor:
    """Interpolate (1, channel, slice, row, column) values at control points, the outermost at the edges, to a grid."""
    points = torch.from_numpy(knots.astype(np.float32))
    return functional.interpolate(points, size=shape, mode="trilinear", align_corners=True)


def _turned_inside(field: Tensor, half_mm: NDArray[np.float64], angles: NDArray[np.float64]) -> Tensor:
    """Rotate the places that a field samples about the middle, less the farther off they lie."""
    xyz_mm = torch.from_numpy(half_mm[::-1].astype(np.float32))
    matrix = torch.from_numpy(_rotation(angles)[::-1, ::-1].astype(np.float32))
    place = field * xyz_mm
    near = torch.exp(-((place.norm(dim=-1, keepdim=True) / INNER_MM) ** 4))
    return (place + near * (place @ matrix.T - place)) / xyz_mm


def warped(blocks: Tensor, fields: Tensor, mode: str) -> Tensor:
    """Sample (n, c, slice, row, column) where fields say; edges are held where interpolated, else 0 beyond."""
    beyond = "border" if mode == "bilinear" else "zeros"
    return functional.grid_sample(blocks, fields, mode=mode, padding_mode=beyond, align_corners=False)


def warp_linear(channels: NDArray[np.float32], field: Tensor) -> NDArray[np.float32]:
    """Resample (channel, slice, row, column) values linearly; HU beyond the edge is air, the rest 0."""
    moved = torch.from_numpy(channels).clone()
    moved[0] -= AIR_HU
    warped = functional.grid_sample(moved[None], field, mode="bilinear", padding_mode="zeros", align_corners=False)[0]
    warped[0] += AIR_HU
    result: NDArray[np.float32] = warped.numpy()
    return result


def warp_nearest(labels: NDArray[np.uint8], field: Tensor, unknown: int) -> NDArray[np.uint8]:
    """Resample labels by nearest neighbour; beyond the edge is ``unknown``."""
    shifted = torch.from_numpy(labels.astype(np.float32) - unknown)[None, None]
    warped = functional.grid_sample(shifted, field, mode="nearest", padding_mode="zeros", align_corners=False)
    return (warped[0, 0] + unknown).to(torch.uint8).numpy()


def coarser(field: Tensor) -> Tensor:
    """Take the field at half the rows and columns."""
    moved = field.permute(0, 4, 1, 2, 3)
    return functional.avg_pool3d(moved, (1, 2, 2)).permute(0, 2, 3, 4, 1)


def _rotation(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    matrix = np.eye(3)
    for axis, angle in enumerate(angles):
        first, second = [a for a in range(3) if a != axis]
        turn = np.eye(3)
        turn[first, first] = turn[second, second] = np.cos(angle)
        turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
        matrix = matrix @ turn
    return matrix
