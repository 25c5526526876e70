"""An array of voxels together with where it lies in the patient.

The only place where conversions between array indices, LPS millimetres (DICOM, used everywhere in cacseg)
and RAS millimetres (NIfTI) live.
"""

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cacseg.errors import UsageError

LPS_TO_RAS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])
"""Flips x and y: DICOM patient coordinates (PS3.3 C.7.6.2.1.1) to NIfTI world coordinates."""

SAME_POSITION_MM: Final = 0.01
"""Two grids are the same when no corner voxel lies further apart than this."""


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """Voxels and their affine, always together.

    Parameters
    ----------
    voxels : (slice, row, column) array; HU are int16 where every value is an integer, else float32.
    affine : (4, 4) float64; maps homogeneous ``(slice, row, column, 1)`` indices to voxel centres in LPS mm.

    Raises
    ------
    UsageError : the array is not 3-D, or the affine is not an invertible (4, 4) matrix.

    Examples
    --------
    >>> volume = Volume.axial(np.zeros((4, 8, 8), np.int16), spacing_mm=(3.0, 0.5, 0.5))
    >>> volume.spacing_mm
    (3.0, 0.5, 0.5)
    >>> volume.to_world([[1, 0, 2]])
    array([[1., 0., 3.]])
    """

    voxels: NDArray[Any]
    affine: NDArray[np.float64]

    def __post_init__(self) -> None:
        """Check that array and affine fit together."""
        if self.voxels.ndim != 3:
            raise UsageError(f"A volume has 3 axes (slice, row, column); this array has shape {self.voxels.shape}.")
        if self.affine.shape != (4, 4) or abs(np.linalg.det(self.affine[:3, :3])) < 1e-12:
            raise UsageError(f"A volume needs an invertible 4 x 4 affine; got {self.affine.tolist()}.")

    @classmethod
    def axial(
        cls,
        voxels: NDArray[Any],
        spacing_mm: tuple[float, float, float],
        origin_lps_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> Self:
        """Make an axial volume: slices towards the head, rows towards the back, columns towards the left.

        Parameters
        ----------
        voxels : (slice, row, column) array.
        spacing_mm : distance between slices, rows and columns.
        origin_lps_mm : centre of voxel (0, 0, 0).
        """
        affine = np.zeros((4, 4))
        affine[2, 0], affine[1, 1], affine[0, 2] = spacing_mm
        affine[:3, 3] = origin_lps_mm
        affine[3, 3] = 1.0
        return cls(voxels, affine)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of slices, rows and columns."""
        slices, rows, columns = self.voxels.shape
        return slices, rows, columns

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between neighbouring voxel centres along slice, row and column axes."""
        slice_mm, row_mm, column_mm = np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0)).tolist()
        return slice_mm, row_mm, column_mm

    @property
    def pixel_area_mm2(self) -> float:
        """Area of one pixel in its slice."""
        _, row_mm, column_mm = self.spacing_mm
        return row_mm * column_mm

    @property
    def voxel_volume_mm3(self) -> float:
        """Volume of one voxel: slice increment (not thickness) times pixel area."""
        slices, rows, columns = self.affine[:3, :3].T
        return float(abs(slices @ np.cross(rows, columns)))

    def to_world(self, indices: ArrayLike) -> NDArray[np.float64]:
        """Map (n, 3) (slice, row, column) indices, fractions allowed, to (n, 3) LPS mm."""
        points = np.asarray(indices, np.float64)
        return points @ self.affine[:3, :3].T + self.affine[:3, 3]

    def to_index(self, points_lps_mm: ArrayLike) -> NDArray[np.float64]:
        """Map (n, 3) LPS mm to (n, 3) fractional (slice, row, column) indices."""
        points = np.asarray(points_lps_mm, np.float64) - self.affine[:3, 3]
        return points @ np.linalg.inv(self.affine[:3, :3]).T

    def with_voxels(self, voxels: NDArray[Any]) -> "Volume":
        """Put another array of the same shape on this grid.

        Raises
        ------
        UsageError : the shape differs.
        """
        if voxels.shape != self.voxels.shape:
            raise UsageError(f"Expected an array of shape {self.voxels.shape} for this grid; got {voxels.shape}.")
        return Volume(voxels, self.affine)

    def crop(self, start: tuple[int, int, int], stop: tuple[int, int, int]) -> "Volume":
        """Cut out ``start <= index < stop``; the world position of every kept voxel stays the same."""
        window = tuple(slice(first, last) for first, last in zip(start, stop, strict=True))
        affine = self.affine.copy()
        affine[:3, 3] = self.to_world([start])[0]
        return Volume(self.voxels[window], affine)

    def same_grid(self, other: "Volume") -> bool:
        """Say whether every voxel of both volumes lies at the same place, in the same order."""
        if self.shape != other.shape:
            return False
        last = np.array(self.shape, np.float64) - 1
        corners = np.array(np.meshgrid(*[(0.0, end) for end in last], indexing="ij")).reshape(3, -1).T
        distance_mm = np.linalg.norm(self.to_world(corners) - other.to_world(corners), axis=1)
        return bool(distance_mm.max() < SAME_POSITION_MM)

    def matched_to(self, other: "Volume") -> "Volume":
        """Reorder and flip axes so that this volume lies on the grid of ``other``, without interpolation.

        Raises
        ------
        UsageError : no permutation and flip of the axes brings the two grids together.
        """
        transform = np.linalg.inv(other.affine) @ self.affine
        steps = np.rint(transform[:3, :3])
        if sorted(np.abs(steps).sum(axis=0)) != [1, 1, 1] or sorted(np.abs(steps).sum(axis=1)) != [1, 1, 1]:
            raise UsageError(self._mismatch(other))
        order = [int(axis) for axis in np.abs(steps).argmax(axis=1)]
        sign = [steps[row, axis] for row, axis in enumerate(order)]
        flips = tuple(slice(None, None, -1) if s < 0 else slice(None) for s in sign)
        voxels = self.voxels.transpose(order)[flips]
        affine = np.eye(4)
        affine[:3, :3] = self.affine[:3, order] * np.array(sign)
        first = [0.0, 0.0, 0.0]
        for row, axis in enumerate(order):
            first[axis] = 0.0 if sign[row] > 0 else self.voxels.shape[axis] - 1.0
        affine[:3, 3] = self.to_world([first])[0]
        matched = Volume(np.ascontiguousarray(voxels), affine)
        if not matched.same_grid(other):
            raise UsageError(self._mismatch(other))
        return Volume(matched.voxels, other.affine)

    def _mismatch(self, other: "Volume") -> str:
        return (
            f"The two grids do not lie on each other: shape {self.shape}, spacing {self.spacing_mm} mm, first voxel "
            f"at {self.affine[:3, 3].tolist()} against shape {other.shape}, spacing {other.spacing_mm} mm, first "
            f"voxel at {other.affine[:3, 3].tolist()} (LPS mm). Resample the labels onto the image first."
        )

    def ras_affine(self) -> NDArray[np.float64]:
        """Affine for NIfTI: maps (column, row, slice, 1) to RAS mm; store ``voxels.T`` with it."""
        swap = np.eye(4)[[2, 1, 0, 3]]
        return LPS_TO_RAS @ self.affine @ swap

    @classmethod
    def from_ras(cls, array: NDArray[Any], affine: NDArray[np.float64]) -> Self:
        """Make a volume from a NIfTI array (first axis fastest in world space) and its RAS affine.

        The array's axes are transposed, not flipped; slices come to lie along the array's third axis.
        """
        swap = np.eye(4)[[2, 1, 0, 3]]
        return cls(array.transpose(2, 1, 0), np.linalg.inv(LPS_TO_RAS) @ np.asarray(affine, np.float64) @ swap)
