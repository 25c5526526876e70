"""Signed distances of smooth bodies: negative inside, in mm, good near the surface."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
"""Points are arrays (..., 3); distances have the leading shape."""


def ellipsoid(points: Array, centre: Array, semi_axes_mm: Array, axes: Array | None = None) -> Array:
    """Distance to an ellipsoid, to first order.

    Parameters
    ----------
    points : (..., 3).
    centre, semi_axes_mm : (3,).
    axes : (3, 3) unit row vectors of the semi-axes; the coordinate axes where ``None``.

    Examples
    --------
    >>> float(ellipsoid(np.array([[3.0, 0.0, 0.0]]), np.zeros(3), np.full(3, 2.0))[0])
    1.0
    """
    local = points - np.asarray(centre, points.dtype)
    if axes is not None:
        local = (local.reshape(-1, 3) @ np.asarray(axes, points.dtype).T).reshape(local.shape)
    near, slope = np.zeros(local.shape[:-1], points.dtype), np.zeros(local.shape[:-1], points.dtype)
    for axis, semi in enumerate(np.asarray(semi_axes_mm, points.dtype)):
        part = local[..., axis] / semi
        near += part * part
        part /= semi
        slope += part * part
    near, slope = np.sqrt(near), np.sqrt(slope)
    return near * (near - 1.0) / np.maximum(slope, 1e-4)


def tube(points: Array, line: Array, radius_mm: Array) -> Array:
    """Distance to a chain of round cones.

    Parameters
    ----------
    points : (..., 3).
    line : (n, 3) centre line, n of at least 2.
    radius_mm : (n,) radius at each of its points.
    """
    best: Array | None = None
    radius = np.asarray(radius_mm, points.dtype)
    corners = np.asarray(line, points.dtype)
    x, y, z = (np.ascontiguousarray(points[..., axis]) for axis in range(3))
    for start, end, first, last in zip(corners[:-1], corners[1:], radius[:-1], radius[1:], strict=True):
        along = end - start
        over = (along / max(float(along @ along), 1e-6)).astype(points.dtype)
        across, behind, above = x - start[0], y - start[1], z - start[2]
        share = across * over[0]
        share += behind * over[1]
        share += above * over[2]
        np.clip(share, 0.0, 1.0, out=share)
        across -= share * along[0]
        behind -= share * along[1]
        above -= share * along[2]
        across *= across
        across += behind * behind
        across += above * above
        distance = np.sqrt(across)
        distance -= first + share * (last - first)
        best = distance if best is None else np.minimum(best, distance, out=best)
    if best is None:
        raise ValueError("A tube needs a line of at least two points.")
    return best


def half_space(points: Array, on_plane: Array, outward: Array) -> Array:
    """Distance to the plane through a point; positive on the side its normal points to."""
    normal = np.asarray(outward, points.dtype)
    return (points - np.asarray(on_plane, points.dtype)) @ (normal / np.linalg.norm(normal))


def smooth_union(first: Array, second: Array, reach_mm: float) -> Array:
    """Union that fills the crease between two bodies over a reach (polynomial smooth minimum).

    Examples
    --------
    >>> float(smooth_union(np.array([0.0]), np.array([0.0]), 8.0)[0])
    -2.0
    """
    closeness = np.maximum(reach_mm - np.abs(first - second), 0.0) / reach_mm
    return np.minimum(first, second) - closeness * closeness * (reach_mm * 0.25)


def smooth_cut(body: Array, limit: Array, reach_mm: float) -> Array:
    """Intersection with rounded edge."""
    return -smooth_union(-body, -limit, reach_mm)


def spline(control: Array, spacing_mm: float = 1.0, radius_mm: Array | None = None) -> tuple[Array, Array]:
    """Draw a smooth curve through control points, evenly sampled.

    Parameters
    ----------
    control : (k, 3).
    spacing_mm : distance between neighbouring points of the curve.
    radius_mm : (k,) radius at the control points; zeros where ``None``.

    Returns
    -------
    points (n, 3) and radius (n,).
    """
    corners = np.asarray(control, np.float64)
    radius = np.zeros(len(corners)) if radius_mm is None else np.asarray(radius_mm, np.float64)
    apart = np.concatenate([[True], np.linalg.norm(np.diff(corners, axis=0), axis=1) > 1e-6])
    corners, radius = corners[apart], radius[apart]
    knots = np.concatenate([[0.0], np.cumsum(np.sqrt(np.linalg.norm(np.diff(corners, axis=0), axis=1)))])
    fine = np.linspace(0.0, knots[-1], 40 * len(corners))
    course = _natural(knots, corners)
    curve = course(fine)
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))])
    count = max(2, round(length[-1] / spacing_mm) + 1)
    at = np.interp(np.linspace(0.0, length[-1], count), length, fine)
    return course(at), np.interp(at, knots, radius)


def _natural(knots: Array, corners: Array) -> Callable[[Array], Array]:
    """Cubic spline through corners (k, 3) at knots (k,), straight between two."""
    from scipy.interpolate import CubicSpline

    if len(knots) > 2:
        return CubicSpline(knots, corners, bc_type="natural")
    span = knots[1] - knots[0]
    return lambda at: np.asarray(corners[0] + ((at - knots[0]) / span)[:, None] * (corners[1] - corners[0]))


def unit(vector: Array) -> Array:
    """Scale a vector to length 1."""
    array = np.asarray(vector, np.float64)
    return array / np.linalg.norm(array)


def rotation(axis: Array, angle_deg: float) -> Array:
    """Matrix (3, 3) that turns column vectors about an axis by the right-hand rule.

    Examples
    --------
    >>> np.round(rotation(np.array([0.0, 0.0, 1.0]), 90.0) @ np.array([1.0, 0.0, 0.0]), 6) + 0.0
    array([0., 1., 0.])
    """
    x, y, z = unit(axis)
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    angle = np.deg2rad(angle_deg)
    return np.eye(3) + np.sin(angle) * cross + (1.0 - np.cos(angle)) * (cross @ cross)
