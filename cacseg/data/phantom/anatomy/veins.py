"""Cardiac veins: the great cardiac vein beside LAD and circumflex, the coronary sinus, the middle cardiac vein."""

import numpy as np

from cacseg.data.phantom.anatomy.great_vessels import Line
from cacseg.data.phantom.anatomy.heart import HeartModel, muscle
from cacseg.data.phantom.anatomy.shapes import Array, spline, unit
from cacseg.data.phantom.scene import Branch


def cardiac_veins(model: HeartModel, tree: tuple[Branch, ...]) -> dict[str, Line]:
    """Lay the large veins into the grooves next to the arteries (heart mm).

    Returns
    -------
    "great_cardiac_vein", "coronary_sinus", "middle_cardiac_vein".
    """
    lad = {each.name: each.points_lps_mm for each in tree}["LAD"]
    beside = lad[70:12:-6] + 4.5 * unit(np.array([0.75, 0.35, 0.2]))
    arc = model.mitral.at(np.linspace(-0.25, 2.75, 8), 1.42) - 3.0 * model.mitral.inflow
    mouth = np.array([[-14.0, 17.0, -32.0]])
    control = np.concatenate([beside, arc])
    size = np.concatenate([np.linspace(1.2, 2.0, len(beside)), np.linspace(2.1, 4.0, len(arc))])
    points, radius = spline(control, 1.5, size)
    points = _settled(model, points, radius)
    cut = int(0.72 * len(points))
    sinus, sinus_mm = spline(np.concatenate([points[cut::6], points[-1:], mouth]), 1.5)
    sinus_mm = np.linspace(radius[cut], 5.0, len(sinus))
    middle = np.array([(4.0, 4.0, -52.0), (14.0, -14.0, -60.0), (26.0, -34.0, -66.0)])
    course, thin = spline(
        np.concatenate([np.add(mouth, [8.0, 2.0, -6.0]), middle]), 1.5, np.array([2.4, 2.2, 1.8, 1.2])
    )
    return {
        "great_cardiac_vein": Line(points[: cut + 1], radius[: cut + 1]),
        "coronary_sinus": Line(sinus, sinus_mm),
        "middle_cardiac_vein": Line(_settled(model, course, thin), thin),
    }


def _settled(model: HeartModel, points: Array, radius: Array) -> Array:
    """Bring a line to its own radius above the muscle."""
    from scipy.ndimage import gaussian_filter1d

    step = 0.5 * np.concatenate([np.zeros((1, 3)), np.eye(3)])
    found = points.copy()
    for _ in range(5):
        samples = muscle(model.parts((found[None] + step[:, None]).astype(np.float32)), 8.0).astype(np.float64)
        gradient = (samples[1:] - samples[0]).T / 0.5
        slope = np.maximum((gradient**2).sum(axis=1), 0.25)
        found += np.clip(0.8 * (radius + 0.5 - samples[0]) / slope, -4.0, 4.0)[:, None] * gradient
        found = gaussian_filter1d(found, 1.5, axis=0, mode="nearest")
    return np.asarray(found)
