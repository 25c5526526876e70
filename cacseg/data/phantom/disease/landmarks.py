"""Named points and curves of a patient, where the patient has them."""

import numpy as np
from numpy.typing import NDArray

from cacseg.data.phantom.disease.curve import Curve
from cacseg.data.phantom.scene import Scene
from cacseg.data.phantom.tissue import Tissue


def points(scene: Scene, name: str, least: int = 1) -> NDArray[np.float64] | None:
    """(n, 3) landmark in LPS mm; ``None`` when the patient lacks it or it has fewer than ``least`` points."""
    found = scene.landmarks_lps_mm.get(name)
    if found is None:
        return None
    array = np.asarray(found, np.float64)
    return array if array.ndim == 2 and array.shape[1] == 3 and len(array) >= least else None


def tube(scene: Scene, name: str) -> Curve | None:
    """Curve of ``<name>_axis`` with the radius of ``<name>_radius``; ``None`` when the patient lacks it."""
    axis = points(scene, f"{name}_axis", least=2)
    radius = scene.landmarks_lps_mm.get(f"{name}_radius")
    if axis is None or radius is None:
        return None
    values = np.asarray(radius, np.float64).ravel()
    if len(values) != len(axis):
        values = np.interp(np.linspace(0, 1, len(axis)), np.linspace(0, 1, len(values)), values)
    return Curve.of(axis, values)


def plane_of(ring: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Centre, unit normal (towards the head) and mean radius of a ring of points."""
    centre = ring.mean(axis=0)
    normal = np.linalg.svd(ring - centre, full_matrices=False)[2][2]
    normal = normal if normal[2] >= 0 else -normal
    return centre, normal, float(np.linalg.norm(ring - centre, axis=1).mean())


def tissue_points(
    scene: Scene, tissue: Tissue, centre_lps_mm: NDArray[np.float64], reach_mm: float
) -> NDArray[np.float64]:
    """(n, 3) voxel centres of one tissue in a cube around a point."""
    volume = scene.tissue
    corners = volume.to_index(np.stack([centre_lps_mm - reach_mm, centre_lps_mm + reach_mm]))
    low = np.floor(corners.min(axis=0)).astype(int).clip(0)
    high = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + 1, volume.shape)
    if (high <= low).any():
        return np.zeros((0, 3))
    block = volume.voxels[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
    return volume.to_world(np.argwhere(block == int(tissue)) + low)


def tissue_at(scene: Scene, points_lps_mm: NDArray[np.float64]) -> NDArray[np.uint8]:
    """(n,) tissue at points; ``OUTSIDE`` beyond the grid."""
    index = np.rint(scene.tissue.to_index(points_lps_mm)).astype(np.intp)
    within = ((index >= 0) & (index < np.array(scene.tissue.shape))).all(axis=1)
    found = np.zeros(len(index), np.uint8)
    found[within] = scene.tissue.voxels[tuple(index[within].T)]
    return found


def leaves(
    scene: Scene, start_lps_mm: NDArray[np.float64], direction: NDArray[np.float64], tissue: Tissue, reach_mm: float
) -> NDArray[np.float64]:
    """Last point along a ray that is still of a tissue; the start when it never is."""
    steps = np.arange(0.0, reach_mm, 0.5)
    ray = start_lps_mm + steps[:, None] * direction / np.linalg.norm(direction)
    inside = np.flatnonzero(tissue_at(scene, ray) == int(tissue))
    return np.asarray(ray[inside[-1]] if len(inside) else start_lps_mm)


def patch(cloud: NDArray[np.float64], reach_mm: float, rng: np.random.Generator, most: int = 60) -> NDArray[np.float64]:
    """Points of a cloud around one of them, chosen by chance, nearest first."""
    centre = cloud[int(rng.integers(len(cloud)))]
    gap = np.linalg.norm(cloud - centre, axis=1)
    near = np.argsort(gap, kind="stable")
    return np.asarray(cloud[near[gap[near] <= reach_mm][:most]])
