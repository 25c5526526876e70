"""Contrast medium left in a vein from an earlier injection, or in the oesophagus after a swallow."""

import numpy as np
from numpy.typing import NDArray

from cacseg.data.phantom.disease.landmarks import points, tube
from cacseg.data.phantom.disease.pieces import Pieces
from cacseg.data.phantom.scene import Deposit, Scene
from cacseg.vessels import Label


def contrast_residue(scene: Scene, severity: float, rng: np.random.Generator) -> list[Deposit]:
    """Fill a stretch of the superior vena cava, the azygos vein or the oesophagus with dense fluid."""
    courses = {
        "cava": (points(scene, "superior_vena_cava_axis", least=4), (4.0, 7.5), (250.0, 1500.0)),
        "azygos": (_azygos(scene), (1.5, 3.0), (200.0, 800.0)),
        "oesophagus": (points(scene, "oesophagus_axis", least=4), (1.0, 4.5), (160.0, 800.0)),
    }
    there = [name for name, (course, _, _) in courses.items() if course is not None]
    if not there:
        return []
    name = there[int(rng.integers(len(there)))]
    course, radius_mm, hu = courses[name]
    if course is None:
        return []
    nodes = max(2, round(len(course) * float(rng.uniform(0.25, 1.0))))
    first = int(rng.integers(len(course) - nodes + 1))
    level = float(np.exp(rng.uniform(*np.log(hu))))
    radius = np.exp(0.15 * rng.standard_normal(nodes - 1)) * rng.uniform(*radius_mm)
    column = Pieces.polyline(course[first : first + nodes], radius, 0.0)
    return [column.deposit(Label.OTHER, f"contrast_{name}", material="metal", metal_hu=level)]


def _azygos(scene: Scene) -> NDArray[np.float64] | None:
    """Course of the azygos vein: right of the descending aorta and behind it."""
    aorta = tube(scene, "descending_aorta")
    if aorta is None:
        return None
    radius = aorta.radius_at(aorta.along_mm)[:, None]
    return np.asarray(aorta.points_lps_mm + radius * np.array([-1.05, 0.85, 0.0]))
