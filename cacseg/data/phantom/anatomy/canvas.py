"""A grid to paint on: soft-edged bodies given as signed distances, and fine tubes."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cacseg.data.phantom.anatomy.frame import Deformation, spread
from cacseg.data.phantom.anatomy.shapes import Array
from cacseg.data.phantom.tissue import Tissue

Window = tuple[slice, slice, slice]

MOST_CELLS: Final = 400_000
"""Cells worked on at once when tubes are rasterised; keeps memory small."""


def catmull_rom(fine_mm: Array, coarse_mm: Array) -> NDArray[np.float32]:
    """Interpolation matrix (n, m) from evenly spaced coarse to fine coordinates.

    Examples
    --------
    >>> matrix = catmull_rom(np.array([1.5]), np.arange(5.0))
    >>> (matrix @ np.arange(5.0, dtype=np.float32)).tolist()
    [1.5]
    """
    step = coarse_mm[1] - coarse_mm[0]
    place = (np.asarray(fine_mm) - coarse_mm[0]) / step
    away = np.abs(place[:, None] - np.arange(len(coarse_mm)))
    near = 1.0 - 2.5 * away**2 + 1.5 * away**3
    far = 2.0 - 4.0 * away + 2.5 * away**2 - 0.5 * away**3
    weights = np.where(away < 1.0, near, np.where(away < 2.0, far, 0.0))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def _spans(hit: NDArray[np.bool_]) -> tuple[list[int], list[int]]:
    """First and last + 1 of the set values in every row of (n, m); 0 and 0 where there is none."""
    first = hit.argmax(axis=1)
    last = hit.shape[1] - hit[:, ::-1].argmax(axis=1)
    return first.tolist(), np.where(hit.any(axis=1), last, 0).tolist()


@dataclass(frozen=True, slots=True, eq=False)
class CoarseBox:
    """A box of the canvas with a coarser lattice on which smooth distances are evaluated.

    Parameters
    ----------
    window : the box in voxels of the canvas.
    points : (i, j, k, 3) float32 model coordinates of the lattice (deformation applied).
    matrices : interpolation from lattice to voxels, one per axis.
    """

    window: Window
    points: Array
    matrices: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]

    def fine(self, coarse: Array) -> NDArray[np.float32]:
        """Interpolate lattice values (i, j, k) to the voxels of the box."""
        return np.asarray(spread(np.asarray(coarse, np.float32), *self.matrices), np.float32)


class Canvas:
    """HU and tissue being painted; later strokes cover earlier ones.

    Parameters
    ----------
    axes_mm : coordinates (z, y, x) of the voxel centres, each evenly spaced.
    deformation : applied to every lattice that the canvas hands out.
    """

    def __init__(self, axes_mm: tuple[Array, Array, Array], deformation: Deformation) -> None:
        self.axes_mm = axes_mm
        self.deformation = deformation
        shape = tuple(len(axis) for axis in axes_mm)
        self.hu = np.full(shape, -1000.0, np.float32)
        self.tissue = np.zeros(shape, np.uint8)
        self.voxel_mm = float(np.mean([axis[1] - axis[0] for axis in axes_mm]))

    def box(self, low_lps_mm: Array, high_lps_mm: Array, step_mm: float) -> CoarseBox:
        """Open a box between two corners (clipped to the canvas) with a lattice of about ``step_mm``."""
        window, lattice, matrices = [], [], []
        for axis, low, high in zip(self.axes_mm, low_lps_mm[::-1], high_lps_mm[::-1], strict=True):
            first = int(np.clip(np.searchsorted(axis, low), 0, len(axis) - 2))
            last = int(np.clip(np.searchsorted(axis, high), first + 2, len(axis)))
            inside = axis[first:last]
            count = max(4, int(np.ceil((inside[-1] - inside[0]) / step_mm)) + 1)
            pitch = (inside[-1] - inside[0]) / (count - 1)
            coarse = inside[0] + pitch * np.arange(-1, count + 1)
            window.append(slice(first, last))
            lattice.append(coarse)
            matrices.append(catmull_rom(inside, coarse))
        displacement = self.deformation.on_grid(*lattice)
        z, y, x = lattice
        displacement[..., 0] += x[None, None, :].astype(np.float32)
        displacement[..., 1] += y[None, :, None].astype(np.float32)
        displacement[..., 2] += z[:, None, None].astype(np.float32)
        return CoarseBox((window[0], window[1], window[2]), displacement, (matrices[0], matrices[1], matrices[2]))

    def body(
        self,
        box: CoarseBox,
        distance_mm: Array,
        hu: float,
        tissue: Tissue | None,
        *,
        strength: float = 1.0,
    ) -> None:
        """Lay a body given on a lattice (i, j, k); only the part of the box that it reaches is worked on."""
        if len(distance_mm) == 0:
            return
        near = distance_mm < 1.5 * self.voxel_mm + 1.0
        spans = []
        for axis in range(3):
            hit = np.flatnonzero(near.any(axis=tuple(other for other in range(3) if other != axis)))
            if len(hit) == 0:
                return
            spans.append((max(int(hit[0]) - 2, 0), min(int(hit[-1]) + 3, near.shape[axis])))
        window, matrices = [], []
        for matrix, whole, (first, last) in zip(box.matrices, box.window, spans, strict=True):
            rows = np.flatnonzero(~(matrix[:, :first].any(axis=1) | matrix[:, last:].any(axis=1)))
            if len(rows) == 0:
                return
            start, stop = int(rows[0]), int(rows[-1]) + 1
            window.append(slice(whole.start + start, whole.start + stop))
            matrices.append(matrix[start:stop, first:last])
        cut = distance_mm[tuple(slice(first, last) for first, last in spans)]
        fine = np.asarray(spread(np.asarray(cut, np.float32), *matrices), np.float32)
        self.paint((window[0], window[1], window[2]), fine, hu, tissue, strength=strength)

    def paint(
        self,
        window: Window,
        distance_mm: Array,
        hu: float | Array,
        tissue: Tissue | None,
        *,
        strength: float = 1.0,
    ) -> None:
        """Lay a body over the canvas with an edge one voxel soft.

        Parameters
        ----------
        window : box of voxels that ``distance_mm`` covers.
        distance_mm : signed distance of each voxel of the box.
        hu : value of the body, or one per voxel of the box.
        tissue : class of the voxels whose centre is inside; unchanged where ``None``.
        strength : opacity.
        """
        under, classes = self.hu[window], self.tissue[window]
        values = np.broadcast_to(np.asarray(hu, np.float32), under.shape)
        reached = distance_mm < np.float32(0.5 * self.voxel_mm)
        rows, columns = (_spans(np.logical_or.reduce(reached, axis=axis)) for axis in (2, 1))
        # One slice at a time stays in the processor's cache; what the body does not reach stays as it is.
        for index, (first, last, left, right) in enumerate(zip(*rows, *columns, strict=True)):
            if first >= last:
                continue
            near = distance_mm[index, first:last, left:right]
            layer = under[index, first:last, left:right]
            share = near * np.float32(-1.0 / self.voxel_mm)
            share += np.float32(0.5)
            np.clip(share, 0.0, strength, out=share)
            change = values[index, first:last, left:right] - layer
            change *= share
            layer += change
            if tissue is not None:
                np.putmask(classes[index, first:last, left:right], near < 0.0, np.uint8(tissue))

    def tubes(self, line_lps_mm: Array, radius_mm: Array) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """Rasterise fine tubes.

        Parameters
        ----------
        line_lps_mm : (n, 3) points about a millimetre apart, in the patient (already deformed).
        radius_mm : (n,).

        Returns
        -------
        flat indices of the voxels near the line, and their signed distances in mm.
        """
        points = np.asarray(line_lps_mm, np.float64)
        radius = np.asarray(radius_mm, np.float32)
        reach = float(radius.max()) + self.voxel_mm
        cells = np.prod([2.0 * np.ceil(reach / (axis[1] - axis[0])) + 1.0 for axis in self.axes_mm])
        pieces = max(1, int(np.ceil(len(points) * cells / MOST_CELLS)))
        found = [
            self._around(some, thick, reach)
            for some, thick in zip(np.array_split(points, pieces), np.array_split(radius, pieces), strict=True)
        ]
        flat = np.concatenate([each for each, _ in found])
        distance = np.concatenate([each for _, each in found])
        if len(flat) == 0:
            return flat, distance
        order = np.argsort(flat, kind="stable")
        flat = flat[order]
        start = np.flatnonzero(np.concatenate([[True], flat[1:] != flat[:-1]]))
        return flat[start], np.minimum.reduceat(distance[order], start)

    def _around(self, points: Array, radius: Array, reach: float) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """Voxels within a voxel of each ball, and their distances; a voxel may come several times."""
        index, square = [], []
        for axis, at in zip(self.axes_mm, points.T[::-1], strict=True):
            step = axis[1] - axis[0]
            span = np.arange(-int(np.ceil(reach / step)), int(np.ceil(reach / step)) + 1)
            voxel = np.rint((at - axis[0]) / step).astype(np.intp)[:, None] + span
            away = ((axis[0] + voxel * step) - at[:, None]).astype(np.float32) ** 2
            away[(voxel < 0) | (voxel >= len(axis))] = np.inf
            index.append(voxel)
            square.append(away)
        limit = (radius + np.float32(self.voxel_mm)) ** 2
        distance = square[0][:, :, None, None] + square[1][:, None, :, None] + square[2][:, None, None, :]
        keep = np.nonzero(distance < limit[:, None, None, None])
        _, rows, columns = self.hu.shape
        flat = (index[0][keep[0], keep[1]] * rows + index[1][keep[0], keep[2]]) * columns + index[2][keep[0], keep[3]]
        return flat, np.sqrt(distance[keep]) - radius[keep[0]]

    def paint_tubes(self, line_lps_mm: Array, radius_mm: Array, hu: float, tissue: Tissue | None) -> None:
        """Lay fine tubes over the canvas."""
        flat, distance = self.tubes(line_lps_mm, radius_mm)
        share = np.clip(0.5 - distance / self.voxel_mm, 0.0, 1.0)
        under = self.hu.reshape(-1)
        under[flat] += share * (hu - under[flat])
        if tissue is not None:
            self.tissue.reshape(-1)[flat[distance < 0.0]] = tissue
