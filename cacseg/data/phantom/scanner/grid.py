"""Where the scanner's pixels and slices lie in the patient."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cacseg.data.phantom.scanner.protocol import Protocol
from cacseg.data.phantom.scene import Scene
from cacseg.data.phantom.tissue import Tissue
from cacseg.errors import UsageError
from cacseg.volume import Volume

HEART: Final = (
    Tissue.LEFT_VENTRICLE,
    Tissue.RIGHT_VENTRICLE,
    Tissue.LEFT_ATRIUM,
    Tissue.RIGHT_ATRIUM,
    Tissue.MYOCARDIUM,
)
"""Classes that make up the heart, whose extent decides what a heart scan covers."""


@dataclass(frozen=True, slots=True, eq=False)
class Axes:
    """World coordinates of slices, rows and columns in LPS mm, each (n,) float64, ascending."""

    z_mm: NDArray[np.float64]
    y_mm: NDArray[np.float64]
    x_mm: NDArray[np.float64]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of slices, rows, columns."""
        return len(self.z_mm), len(self.y_mm), len(self.x_mm)

    def volume(self, voxels: NDArray[np.generic]) -> Volume:
        """Put voxels on these axes."""
        spacing = (self.z_mm[1] - self.z_mm[0], self.y_mm[1] - self.y_mm[0], self.x_mm[1] - self.x_mm[0])
        return Volume.axial(voxels, spacing, (float(self.x_mm[0]), float(self.y_mm[0]), float(self.z_mm[0])))


def lattice_axes(volume: Volume) -> Axes:
    """Give the axes of an upright axial volume.

    Raises
    ------
    UsageError : the volume is oblique or flipped.
    """
    steps = volume.affine[:3, :3]
    expected = np.zeros((3, 3))
    expected[2, 0], expected[1, 1], expected[0, 2] = steps[2, 0], steps[1, 1], steps[0, 2]
    if not np.allclose(steps, expected) or min(steps[2, 0], steps[1, 1], steps[0, 2]) <= 0:
        raise UsageError(f"A scene must be axial with ascending axes; its affine is {volume.affine.tolist()}.")
    start = volume.affine[:3, 3]
    slices, rows, columns = volume.shape
    return Axes(
        start[2] + steps[2, 0] * np.arange(slices),
        start[1] + steps[1, 1] * np.arange(rows),
        start[0] + steps[0, 2] * np.arange(columns),
    )


def heart_extent(scene: Scene) -> NDArray[np.float64] | None:
    """Bounding box of the heart, (2, 3): lowest and highest x, y, z in LPS mm; ``None`` where there is none."""
    axes = lattice_axes(scene.tissue)
    lookup = np.zeros(256, bool)
    lookup[[int(tissue) for tissue in HEART]] = True
    coarse = lookup[scene.tissue.voxels[::2, ::2, ::2]]
    if not coarse.any():
        return None
    box = np.empty((2, 3))
    for column, (axis, positions) in enumerate(((2, axes.x_mm), (1, axes.y_mm), (0, axes.z_mm))):
        others = tuple(other for other in range(3) if other != axis)
        hit = positions[::2][coarse.any(axis=others)]
        box[:, column] = hit[0], hit[-1]
    return box


def heart_box(scene: Scene) -> NDArray[np.float64]:
    """Give ``heart_extent`` of a scene that must have a heart.

    Raises
    ------
    UsageError : the scene has no heart; give the protocol ``z_start_mm``, ``slices`` and ``centre_lps_mm``.
    """
    box = heart_extent(scene)
    if box is None:
        raise UsageError("The scene has no heart: give the protocol z_start_mm, slices and centre_lps_mm.")
    return box


def native_axes(scene: Scene, protocol: Protocol) -> Axes:
    """Place the reconstruction of ``protocol`` in the scene."""
    automatic = protocol.z_start_mm is None or protocol.slices is None or protocol.centre_lps_mm is None
    box = heart_box(scene) if automatic else np.zeros((2, 3))
    centre = (box[0, :2] + box[1, :2]) / 2 if protocol.centre_lps_mm is None else np.array(protocol.centre_lps_mm)
    centre = _within(centre + protocol.shift_mm, scene, protocol) if protocol.centre_lps_mm is None else centre
    scene_z = lattice_axes(scene.hu).z_mm
    half = protocol.slice_thickness_mm / 2
    below, above = protocol.margin_mm
    start = protocol.z_start_mm
    if start is None:
        start = max(box[0, 2] - below, scene_z[0] + half)
    start += protocol.first_slice_offset_mm
    slices = protocol.slices
    if slices is None:
        stop = min(box[1, 2] + above, scene_z[-1] - half)
        slices = max(int((stop - start) // protocol.increment_mm) + 1, 4)
    offset = (np.arange(protocol.matrix, dtype=np.float64) - (protocol.matrix - 1) / 2) * protocol.pixel_mm
    z_mm = start + protocol.increment_mm * np.arange(slices, dtype=np.float64)
    return Axes(z_mm, offset + float(centre[1]), offset + float(centre[0]))


def _within(centre: NDArray[np.float64], scene: Scene, protocol: Protocol) -> NDArray[np.float64]:
    """Move the centre of the field of view so that it shows no more than needed of what lies beyond the scene."""
    lattice = lattice_axes(scene.hu)
    half = protocol.field_of_view_mm / 2
    moved = np.empty(2)
    for number, axis in enumerate((lattice.x_mm, lattice.y_mm)):
        low, high = axis[0] + half, axis[-1] - half
        moved[number] = np.clip(centre[number], low, high) if low < high else (axis[0] + axis[-1]) / 2
    return moved
