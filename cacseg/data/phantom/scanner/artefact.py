"""What a scanner adds that is neither patient nor noise: overshoot, cupping, streaks from side to side."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from cacseg.data.phantom.scanner.grid import Axes, lattice_axes
from cacseg.data.phantom.scanner.protocol import Protocol
from cacseg.data.phantom.scene import Scene
from cacseg.data.phantom.tissue import Tissue
from cacseg.volume import Volume

LATTICE_SHARPENING: Final = 0.5
"""Weight of the unsharp mask of a scene per unit of a kernel's edge enhancement; with it the overshoot at the
edge of heart and lung is about what the kernel makes of an ideal edge."""


def body_ellipse(scene: Scene) -> tuple[float, float, float, float]:
    """Centre x, y and half axes of the body at heart level in mm, from its landmark or what the scene shows."""
    if "skin_box" in scene.landmarks_lps_mm:
        low, high = np.asarray(scene.landmarks_lps_mm["skin_box"], np.float64)[:, :2]
        (x, y), (half_x, half_y) = (low + high) / 2, (high - low) / 2
        return float(x), float(y), float(half_x), float(half_y)
    tissue = scene.tissue
    axes = lattice_axes(tissue)
    inside = tissue.voxels[tissue.shape[0] // 2] != Tissue.OUTSIDE
    if not inside.any():
        return float(axes.x_mm.mean()), float(axes.y_mm.mean()), 1e6, 1e6
    shown_x = axes.x_mm[inside.any(axis=0)]
    shown_y = axes.y_mm[inside.any(axis=1)]
    return (
        (shown_x[0] + shown_x[-1]) / 2,
        (shown_y[0] + shown_y[-1]) / 2,
        max((shown_x[-1] - shown_x[0]) / 2, 1.0),
        max((shown_y[-1] - shown_y[0]) / 2, 1.0),
    )


def depth_map(scene: Scene, axes: Axes) -> NDArray[np.float32]:
    """How deep each pixel lies in the body: 1 at its centre, 0 at its surface, (row, column) float32."""
    x0, y0, half_x, half_y = body_ellipse(scene)
    square = ((axes.y_mm - y0) / half_y)[:, None] ** 2 + ((axes.x_mm - x0) / half_x)[None] ** 2
    return np.clip(1.0 - square, 0.0, 1.0).astype(np.float32)


def sharpen_lattice(slab: Volume, edge_enhancement: float) -> Volume:
    """Give the scene back the edges that its coarse grid took, so that a sharp kernel overshoots on tissue too.

    Parameters
    ----------
    slab : float32 volume of slice averages on the scene's rows and columns.
    edge_enhancement : of the kernel; at 0 the slab stays as it is.
    """
    from scipy.ndimage import gaussian_filter1d

    if edge_enhancement == 0:
        return slab
    blurred = gaussian_filter1d(slab.voxels, 1.0, axis=1, mode="nearest", truncate=2.0)
    blurred = gaussian_filter1d(blurred, 1.0, axis=2, mode="nearest", truncate=2.0)
    weight = np.float32(LATTICE_SHARPENING * edge_enhancement)
    return slab.with_voxels(slab.voxels + weight * (slab.voxels - blurred))


def side_streaks(protocol: Protocol, axes: Axes, rng: np.random.Generator) -> NDArray[np.float32]:
    """One plane of streaks from side to side, (row, column) float32 HU, SD ``streak_sd_hu``."""
    rows, columns = len(axes.y_mm), len(axes.x_mm)
    knots = rng.standard_normal((rows, 4)).astype(np.float32)
    smooth = knots.copy()
    for lag in (1, 2):
        smooth += np.roll(knots, lag, axis=0) + np.roll(knots, -lag, axis=0)
    smooth *= np.float32(protocol.streak_sd_hu / np.sqrt(5.0) * 1.2)
    position = np.linspace(0.0, 3.0, columns, dtype=np.float32)
    plane = np.zeros((rows, columns), np.float32)
    for knot in range(4):
        plane += smooth[:, knot, None] * np.clip(1 - np.abs(position - knot), 0, 1)[None]
    return plane
