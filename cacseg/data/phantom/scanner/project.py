"""From lattices to scanner pixels: tissue as a whole, dense bodies block by block."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cacseg.data.phantom.scanner.deposits import BLOCK, FINE_MM
from cacseg.data.phantom.scanner.grid import Axes, lattice_axes
from cacseg.data.phantom.scanner.operator import in_plane_profile, sampling_operator, slice_profile
from cacseg.data.phantom.scanner.protocol import Protocol
from cacseg.volume import Volume

AIR_HU: Final = -1000.0
"""What lies beyond the scene."""


def shift_groups(shifts_mm: NDArray[np.float64]) -> list[tuple[NDArray[np.float64], NDArray[np.int64]]]:
    """Slices that are displaced alike in the plane: (x, y) displacement and their indices."""
    distinct, group = np.unique(shifts_mm[:, :2], axis=0, return_inverse=True)
    return [(shift, np.flatnonzero(group.ravel() == number)) for number, shift in enumerate(distinct)]


def slabs(hu: Volume, axes: Axes, protocol: Protocol, shifts_mm: NDArray[np.float64]) -> Volume:
    """Average the scene over the slice profile, on the scene's rows and columns near the field of view.

    Returns
    -------
    float32 volume, HU + 1000; its slices are those of the scan.
    """
    lattice = lattice_axes(hu)
    margin = 6.0 + float(np.abs(shifts_mm).max())
    rows = _near(lattice.y_mm, axes.y_mm, margin)
    columns = _near(lattice.x_mm, axes.x_mm, margin)
    step = float(lattice.z_mm[1] - lattice.z_mm[0])
    operator = sampling_operator(
        axes.z_mm - shifts_mm[:, 2],
        lattice.z_mm[0],
        step,
        len(lattice.z_mm),
        slice_profile(protocol.slice_thickness_mm, step),
    )
    used = np.unique(operator.indices)
    first, last = int(used[0]), int(used[-1]) + 1
    cut = np.ascontiguousarray(hu.voxels[first:last, rows, columns], np.float32) - np.float32(AIR_HU)
    flat = operator[:, first:last] @ cut.reshape(last - first, -1)
    thin = Axes(axes.z_mm, lattice.y_mm[rows], lattice.x_mm[columns])
    return thin.volume(flat.reshape(thin.shape))


def to_pixels(slab: Volume, axes: Axes, protocol: Protocol, shifts_mm: NDArray[np.float64]) -> NDArray[np.float32]:
    """Sample slabs at the scanner's pixels through the kernel's point spread, (slice, row, column) float32 HU."""
    lattice = lattice_axes(slab)
    image = np.empty(axes.shape, np.float32)
    for shift, members in shift_groups(shifts_mm):
        rows = _operator(axes.y_mm - shift[1], lattice.y_mm, protocol)
        columns = _operator(axes.x_mm - shift[0], lattice.x_mm, protocol)
        for index in members:
            half = rows @ slab.voxels[index]
            image[index] = (columns @ np.ascontiguousarray(half.T)).T
    image += np.float32(AIR_HU)
    return image


def _operator(targets_mm: NDArray[np.float64], lattice_mm: NDArray[np.float64], protocol: Protocol) -> Any:
    step = float(lattice_mm[1] - lattice_mm[0])
    profile = in_plane_profile(protocol.sigma_mm, protocol.edge_enhancement, step)
    return sampling_operator(targets_mm, float(lattice_mm[0]), step, len(lattice_mm), profile)


def _near(lattice_mm: NDArray[np.float64], targets_mm: NDArray[np.float64], margin_mm: float) -> slice:
    inside = np.flatnonzero((lattice_mm > targets_mm[0] - margin_mm) & (lattice_mm < targets_mm[-1] + margin_mm))
    if len(inside) < 2:
        return slice(0, 2)
    return slice(int(inside[0]), int(inside[-1]) + 1)


@dataclass(slots=True, eq=False)
class Window:
    """Where one block shows in the scan: slices, rows and columns."""

    slices: NDArray[np.int64]
    rows: slice
    columns: slice

    @property
    def index(self) -> tuple[Any, ...]:
        """Index of the window in a volume; slices are neighbours."""
        return slice(int(self.slices[0]), int(self.slices[-1]) + 1), self.rows, self.columns


class BlockProjector:
    """Projects blocks of the fine lattice onto the scan; keeps the operators of block rows and columns."""

    def __init__(self, axes: Axes, protocol: Protocol, shifts_mm: NDArray[np.float64]) -> None:
        self._axes = axes
        self._protocol = protocol
        self._groups = shift_groups(shifts_mm)
        self._z_mm = axes.z_mm - shifts_mm[:, 2]
        self._kept: dict[tuple[Any, ...], tuple[Any, slice] | None] = {}

    def project(
        self, where: tuple[int, int, int], added: NDArray[np.float32]
    ) -> list[tuple[Window, NDArray[np.float32]]]:
        """Give what a block adds to the scan, as windows of (slice, row, column) float32 HU."""
        profile = slice_profile(self._protocol.slice_thickness_mm, FINE_MM)
        start = where[0] * BLOCK * FINE_MM
        reach = profile[1] + FINE_MM
        members = np.flatnonzero((self._z_mm > start - reach) & (self._z_mm < start + BLOCK * FINE_MM + reach))
        found = []
        for number, (_, group) in enumerate(self._groups):
            for run in _runs(np.intersect1d(members, group)):
                rows = self._in_plane("y", number, where[1])
                columns = self._in_plane("x", number, where[2])
                if rows is None or columns is None:
                    continue
                through = sampling_operator(self._z_mm[run], start, FINE_MM, BLOCK, profile)
                planes = (through @ added.reshape(BLOCK, -1)).reshape(len(run), BLOCK, BLOCK)
                found.append((Window(run, rows[1], columns[1]), _in_plane(planes, rows[0], columns[0])))
        return found

    def _in_plane(self, axis: str, group: int, block: int) -> tuple[Any, slice] | None:
        key = (axis, group, block)
        if key not in self._kept:
            shift = self._groups[group][0]
            targets = self._axes.x_mm - shift[0] if axis == "x" else self._axes.y_mm - shift[1]
            profile = in_plane_profile(self._protocol.sigma_mm, self._protocol.edge_enhancement, FINE_MM)
            start = block * BLOCK * FINE_MM
            near = np.flatnonzero((targets > start - profile[1]) & (targets < start + BLOCK * FINE_MM + profile[1]))
            if len(near) == 0:
                self._kept[key] = None
            else:
                window = slice(int(near[0]), int(near[-1]) + 1)
                self._kept[key] = sampling_operator(targets[window], start, FINE_MM, BLOCK, profile), window
        return self._kept[key]


def _in_plane(planes: NDArray[np.float32], rows: Any, columns: Any) -> NDArray[np.float32]:
    """Apply row and column operators to (slice, BLOCK, BLOCK) planes."""
    count = len(planes)
    half = rows @ np.ascontiguousarray(planes.transpose(1, 0, 2)).reshape(BLOCK, -1)
    half = half.reshape(-1, count, BLOCK).transpose(2, 0, 1)
    whole = columns @ np.ascontiguousarray(half).reshape(BLOCK, -1)
    return np.ascontiguousarray(whole.reshape(-1, rows.shape[0], count).transpose(2, 1, 0))


def _runs(indices: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Split ascending indices into runs of neighbours."""
    if len(indices) == 0:
        return []
    return np.split(indices, np.flatnonzero(np.diff(indices) > 1) + 1)
