"""One patient as curves and points: the coronary tree and every landmark, without rendering."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cacseg.data.phantom.anatomy.chest import Chest
from cacseg.data.phantom.anatomy.coronary import courses, fit, ostia
from cacseg.data.phantom.anatomy.frame import HEART_CENTRE_MM, LONG_AXIS, Deformation, Pose, heart_pose
from cacseg.data.phantom.anatomy.great_vessels import Line, mediastinal_lines
from cacseg.data.phantom.anatomy.heart import BASE_MM, LONG_MM, RIGHTWARD, SEPTUM_UP, HeartModel, muscle
from cacseg.data.phantom.anatomy.shapes import Array
from cacseg.data.phantom.anatomy.valves import TRICUSPID_CENTRE_MM, TRICUSPID_NORMAL, TRICUSPID_RADIUS_MM
from cacseg.data.phantom.anatomy.veins import cardiac_veins
from cacseg.data.phantom.population import PatientFacts
from cacseg.data.phantom.scene import Branch

LANDMARK_LINES: Final = (
    "ascending_aorta", "aortic_arch", "descending_aorta", "pulmonary_trunk", "oesophagus", "trachea",
    "right_bronchus", "left_bronchus", "superior_vena_cava", "right_pulmonary_artery", "left_pulmonary_artery",
)  # fmt: skip
"""Tubes whose centre line is a landmark "..._axis"."""


@dataclass(frozen=True, slots=True, eq=False)
class Geometry:
    """Everything of a patient that is a formula or a curve.

    Parameters
    ----------
    facts, model, pose, chest, deformation : what the bodies are evaluated from.
    lines : mediastinal tubes before deformation.
    branches : coronary tree in the patient (LPS mm, deformed).
    veins : cardiac veins in the patient: name to (n, 4) of x, y, z and radius.
    landmarks : named points (n, 3) in the patient.
    """

    facts: PatientFacts
    model: HeartModel
    pose: Pose
    chest: Chest
    deformation: Deformation
    lines: Mapping[str, Line]
    branches: tuple[Branch, ...]
    veins: Mapping[str, NDArray[np.float64]]
    landmarks: Mapping[str, NDArray[np.float64]]


def build_geometry(facts: PatientFacts, rng: np.random.Generator) -> Geometry:
    """Build curves and landmarks of a patient; ``rng`` decides windings, side branches and deformation."""
    model = HeartModel.of(facts)
    pose = heart_pose(facts)
    chest = Chest.around(model, pose)
    deformation = Deformation.draw(facts.deformation_mm, rng)
    lines = mediastinal_lines(model, pose, chest)
    tree = fit(model, courses(model, rng), rng)

    veins = cardiac_veins(model, tree)
    curves = {f"branch {each.name}": pose.to_patient(each.points_lps_mm) for each in tree}
    curves |= {f"vein {name}": pose.to_patient(line.points) for name, line in veins.items()}
    curves |= {name: pose.to_patient(points) for name, points in _heart_landmarks(model, tree, rng).items()}
    curves |= _chest_landmarks(lines, chest, rng)
    found = _deformed(curves, deformation)
    branches = tuple(
        Branch(each.name, each.vessel, found.pop(f"branch {each.name}"), each.radius_mm * pose.scale, each.parent)
        for each in tree
    )
    tubes = {
        name: np.concatenate([found.pop(f"vein {name}"), line.radius_mm[:, None] * pose.scale], axis=1)
        for name, line in veins.items()
    }
    found["coronary_sinus"] = tubes["coronary_sinus"][:, :3]
    for name in ("ascending_aorta", "aortic_arch", "descending_aorta", "pulmonary_trunk", "oesophagus"):
        found[f"{name}_radius"] = np.asarray(lines[name].radius_mm, np.float64)[:, None]
    return Geometry(facts, model, pose, chest, deformation, lines, branches, tubes, found)


def _deformed(curves: Mapping[str, Array], deformation: Deformation) -> dict[str, NDArray[np.float64]]:
    """Carry all curves of the model to the patient at once."""
    cuts = np.cumsum([len(points) for points in curves.values()])[:-1]
    moved = deformation.to_patient(np.concatenate(list(curves.values())))
    return dict(zip(curves, np.split(moved, cuts), strict=True))


def _heart_landmarks(
    model: HeartModel, tree: tuple[Branch, ...], rng: np.random.Generator
) -> dict[str, NDArray[np.float64]]:
    """Points of the heart in heart mm."""
    left, right = ostia(model)
    by_name = {each.name: each for each in tree}
    turn = np.linspace(0.0, 2.0 * np.pi, 40, endpoint=False)
    across = np.cross(TRICUSPID_NORMAL, np.array([0.0, 0.0, 1.0]))
    across /= np.linalg.norm(across)
    along = np.cross(TRICUSPID_NORMAL, across)
    ring = np.cos(turn)[:, None] * across + np.sin(turn)[:, None] * along
    depth = np.linspace(34.0, 58.0, 7)[:, None] * LONG_AXIS
    spots = np.array([-0.45 * RIGHTWARD + 0.55 * SEPTUM_UP, -0.55 * RIGHTWARD - 0.5 * SEPTUM_UP])
    cavity = 36.5 * model.facts.left_ventricle_scale - model.facts.wall_mm
    muscles = [BASE_MM + depth + 0.78 * cavity * spot for spot in spots]
    return {
        "heart_centre": HEART_CENTRE_MM[None],
        "aortic_valve": model.root.ring(),
        "sinotubular_junction": model.root.ring(model.root.height_mm),
        "aortic_leaflets": model.root.leaflets(),
        "aortic_root_axis": np.linspace(0.0, model.root.height_mm, 8)[:, None] * model.root.axis,
        "aortic_sinuses": _sinus_wall(model),
        "mitral_annulus": model.mitral.ring(),
        "tricuspid_annulus": TRICUSPID_CENTRE_MM + TRICUSPID_RADIUS_MM * ring,
        "left_ostium": left[None],
        "right_ostium": right[None],
        "bifurcation": by_name["LM"].points_lps_mm[-1:],
        "apex": (BASE_MM + (35.0 + LONG_MM * model.facts.left_ventricle_scale) * LONG_AXIS)[None],
        "papillary_muscles": model.twisted(np.concatenate(muscles)),
        "pericardium": _pericardium(model, rng),
        "left_atrial_appendage": model.appendage[0],
    }


def _sinus_wall(model: HeartModel) -> Array:
    turn = np.linspace(0.0, 2.0 * np.pi, 36, endpoint=False)
    heights = np.linspace(0.15, 1.0, 6) * model.root.height_mm
    return np.concatenate([model.root.point(np.full(36, height), turn) for height in heights])


def _pericardium(model: HeartModel, rng: np.random.Generator) -> Array:
    """Points (300, 3) a little outside the muscle, all around (heart mm)."""
    ways = rng.standard_normal((300, 3))
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    start = BASE_MM + 18.0 * LONG_AXIS
    far = np.arange(10.0, 110.0, 2.0)
    points = start + far[:, None, None] * ways
    parts = model.parts(points.astype(np.float32))
    outside = muscle(parts, 20.0) - model.facts.epicardial_fat_mm
    last = outside.shape[0] - 1 - (outside[::-1] < 0.0).argmax(axis=0)
    return np.asarray(points[last, np.arange(300)])


def _chest_landmarks(lines: Mapping[str, Line], chest: Chest, rng: np.random.Generator) -> dict[str, Array]:
    """Points of the chest before deformation."""
    found: dict[str, Array] = {f"{name}_axis": lines[name].points for name in LANDMARK_LINES}
    found["carina"] = lines["trachea"].points[:1]
    for side in ("right", "left"):
        line = lines[f"{side}_bronchus"].points
        found[f"hilum_{side}"] = line[len(line) // 2] + rng.normal(0.0, 6.0, (6, 3))
    height = np.arange(-90.0, 115.0, 5.0)
    found["spine_axis"] = np.stack([chest.spine_x_mm(height), chest.spine_front_mm(height) + 15.0, height], axis=1)
    height = np.arange(chest.floor_mm - 5.0, 110.0, 5.0)
    middle = np.full(len(height), chest.midline_mm)
    found["sternum_axis"] = np.stack([middle, chest.sternum_y_mm(height) - 6.0, height], axis=1)
    found["costal_cartilage"] = chest.cartilage_lines()
    found["lung_points"] = chest.lung_points(rng)
    found["skin_box"] = chest.skin_box()
    return found
