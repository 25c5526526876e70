"""A tube along a curve: where the wall of a vessel is, by length along it and angle around it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cacseg.data.phantom.scene import Branch

STEP_MM = 0.5
"""Distance between the points of a curve after it is made even."""


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A centre line with lumen radius and a frame that does not twist.

    Parameters
    ----------
    along_mm : (n,) length from the first point, even steps.
    points_lps_mm : (n, 3) centre line.
    radius_mm : (n,) lumen radius.
    normal, binormal : (n, 3) unit vectors across the curve.
    owner : (n,) index into ``names``: the branch that each point belongs to.
    names : the branches, from the root outwards.

    Examples
    --------
    >>> tube = Curve.of([[0.0, 0, 0], [0, 0, 10]], 2.0)
    >>> float(tube.length_mm)
    10.0
    >>> wall = tube.wall([5.0], [0.3], [2.5])
    >>> round(float(np.hypot(wall[0, 0], wall[0, 1])), 6), round(float(wall[0, 2]), 6)
    (2.5, 5.0)
    """

    along_mm: NDArray[np.float64]
    points_lps_mm: NDArray[np.float64]
    radius_mm: NDArray[np.float64]
    normal: NDArray[np.float64]
    binormal: NDArray[np.float64]
    owner: NDArray[np.intp]
    names: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, points_lps_mm: ArrayLike, radius_mm: ArrayLike, owner: ArrayLike = 0, names: tuple[str, ...] = ()
    ) -> Self:
        """Make the points even and give them a frame carried along the curve (parallel transport)."""
        points = np.asarray(points_lps_mm, np.float64)
        radius = np.broadcast_to(np.asarray(radius_mm, np.float64), len(points))
        owners = np.broadcast_to(np.asarray(owner, np.intp), len(points))
        step = np.linalg.norm(np.diff(points, axis=0), axis=1)
        keep = np.concatenate([[True], step > 1e-6])
        points, radius, owners = points[keep], radius[keep], owners[keep]
        raw = np.concatenate([[0.0], np.cumsum(step[step > 1e-6])])
        along = np.linspace(0.0, raw[-1], max(2, int(np.ceil(raw[-1] / STEP_MM)) + 1))
        even = np.stack([np.interp(along, raw, points[:, axis]) for axis in range(3)], axis=1)
        tangent = np.gradient(even, axis=0)
        tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
        normal = _transport(tangent)
        nearest = np.searchsorted(raw, along - 1e-9, side="left").clip(0, len(raw) - 1)
        return cls(
            along, even, np.interp(along, raw, radius), normal, np.cross(tangent, normal), owners[nearest], names
        )

    @property
    def length_mm(self) -> float:
        """Length of the whole curve."""
        return float(self.along_mm[-1])

    def radius_at(self, along_mm: ArrayLike) -> NDArray[np.float64]:
        """Lumen radius at lengths along the curve."""
        return np.interp(np.asarray(along_mm, np.float64), self.along_mm, self.radius_mm)

    def owner_at(self, along_mm: ArrayLike) -> NDArray[np.intp]:
        """Index of the owning branch at lengths along the curve."""
        index = np.rint(np.asarray(along_mm, np.float64) / self.length_mm * (len(self.along_mm) - 1))
        return np.asarray(self.owner[index.astype(np.intp).clip(0, len(self.along_mm) - 1)])

    def wall(self, along_mm: ArrayLike, angle_rad: ArrayLike, from_centre_mm: ArrayLike) -> NDArray[np.float64]:
        """(n, 3) points at a length along, an angle around and a distance from the centre line."""
        along = np.asarray(along_mm, np.float64)
        angle = np.asarray(angle_rad, np.float64)
        position = along.clip(0.0, self.length_mm) / self.length_mm * (len(self.along_mm) - 1)
        low = position.astype(np.intp).clip(0, len(self.along_mm) - 2)
        part = (position - low)[:, None]
        across = np.cos(angle)[:, None] * self.normal[low] + np.sin(angle)[:, None] * self.binormal[low]
        centre = self.points_lps_mm[low] * (1 - part) + self.points_lps_mm[low + 1] * part
        centred: NDArray[np.float64] = centre + across * np.asarray(from_centre_mm, np.float64).reshape(-1, 1)
        return centred


def branch_curve(branches: Sequence[Branch], name: str) -> Curve:
    """Follow a branch from the root of its tree: LM, then LAD, then D1, each up to where the next leaves.

    Parameters
    ----------
    branches : the coronary tree.
    name : the last branch of the path.

    Returns
    -------
    Curve whose ``names`` are the branches on the path and whose ``owner`` tells which is where.
    """
    by_name = {branch.name: branch for branch in branches}
    chain = [by_name[name]]
    while chain[0].parent is not None and chain[0].parent in by_name:
        chain.insert(0, by_name[chain[0].parent])
    points, radius, owner = [], [], []
    for index, branch in enumerate(chain):
        stop = len(branch.points_lps_mm)
        if index + 1 < len(chain):
            gap = np.linalg.norm(branch.points_lps_mm - chain[index + 1].points_lps_mm[0], axis=1)
            stop = int(gap.argmin()) + 1
        points.append(branch.points_lps_mm[:stop])
        radius.append(branch.radius_mm[:stop])
        owner.append(np.full(stop, index))
    names = tuple(branch.name for branch in chain)
    return Curve.of(np.concatenate(points), np.concatenate(radius), np.concatenate(owner), names)


def _transport(tangent: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 3) normals carried along the tangents with as little turning as possible."""
    seed = np.eye(3)[np.abs(tangent[0]).argmin()]
    normal = np.empty_like(tangent)
    current = seed
    for index, direction in enumerate(tangent):
        current = current - (current @ direction) * direction
        current = current / np.sqrt(current @ current)
        normal[index] = current
    return normal
