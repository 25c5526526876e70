"""Arch, descending aorta, pulmonary arteries and veins, caval veins, oesophagus, airways: lines with radii."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from cacseg.data.phantom.anatomy.chest import Chest
from cacseg.data.phantom.anatomy.frame import Pose
from cacseg.data.phantom.anatomy.heart import HeartModel
from cacseg.data.phantom.anatomy.shapes import Array, spline

WALL_MM: Final = 2.5
"""Between the lumen of a bronchus and the left atrium."""


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A tube of the mediastinum in LPS mm before deformation: (n, 3) points and (n,) radii."""

    points: Array
    radius_mm: Array


def _line(control: list[Array] | Array, radius: list[float], spacing_mm: float = 6.0) -> Line:
    return Line(*spline(np.array(control, np.float64), spacing_mm, np.array(radius)))


def mediastinal_lines(model: HeartModel, pose: Pose, chest: Chest) -> dict[str, Line]:
    """Lay out the great vessels and airways of one patient.

    Returns
    -------
    "ascending_aorta", "aortic_arch", "descending_aorta", "pulmonary_trunk", "right_pulmonary_artery",
    "left_pulmonary_artery", "superior_vena_cava", "inferior_vena_cava", "pulmonary_vein_1" to "_4",
    "trachea", "right_bronchus", "left_bronchus", "oesophagus", "azygos".
    """
    scale = pose.scale
    upper, upper_mm = model.ascending
    ascending = Line(pose.to_patient(upper), upper_mm * scale)
    trunk, trunk_mm = model.pulmonary_trunk
    lines = {"ascending_aorta": ascending, "pulmonary_trunk": Line(pose.to_patient(trunk), trunk_mm * scale)}
    lines |= _aorta(ascending, chest)
    lines |= _airways(lines["pulmonary_trunk"], model, pose, chest)
    lines |= _pulmonary_arteries(lines, pose)
    lines |= _veins(model, pose)
    return lines


def _aorta(ascending: Line, chest: Chest) -> dict[str, Line]:
    start, radius = ascending.points[-1], float(ascending.radius_mm[-1])
    lower = 0.78 * radius + 0.5
    apex_z = start[2] + 1.15 * radius
    landing_z = start[2] - 14.0
    left = float(chest.spine_x_mm(landing_z)) + 18.0
    landing = np.array([left, float(chest.spine_front_mm(landing_z)) - 4.0, landing_z])
    inside = ascending.points[-2]
    over = np.array([0.55 * start[0] + 0.45 * left, 0.55 * start[1] + 0.45 * landing[1], apex_z])
    later = np.array([left + 1.0, landing[1] - 12.0, apex_z - 9.0])
    arch = _line([inside, start, over, later, landing], [radius, radius, 0.92 * radius, 0.85 * radius, lower])
    heights = np.array([landing_z, landing_z - 35.0, landing_z - 75.0, landing_z - 115.0, landing_z - 190.0])
    aside = np.array([18.0, 17.0, 14.0, 10.0, 4.0])
    forward = np.array([-4.0, -6.0, -9.0, -12.0, -14.0])
    down = np.stack([chest.spine_x_mm(heights) + aside, chest.spine_front_mm(heights) + forward, heights], axis=1)
    heights = np.array([apex_z - 6.0, apex_z + 30.0, apex_z + 70.0])[:, None]
    roots = {
        "brachiocephalic_artery": (0.72 * start + 0.28 * landing, [-4.0, 0.0], [-10.0, -2.0], 6.0),
        "left_carotid_artery": (0.5 * start + 0.5 * landing, [0.0, 1.0], [-2.0, -3.0], 3.8),
        "left_subclavian_artery": (0.25 * start + 0.75 * landing, [2.0, 2.0], [12.0, 2.0], 4.6),
    }
    branches = {
        name: _line(
            np.concatenate([np.stack([root[:2], root[:2] + first, root[:2] + last]), heights], axis=1), [wide] * 3
        )
        for name, (root, first, last, wide) in roots.items()
    }
    return branches | {
        "aortic_arch": arch,
        "descending_aorta": _line(down, [lower, lower, 0.96 * lower, 0.93 * lower, 0.88 * lower]),
    }


def _pulmonary_arteries(lines: dict[str, Line], pose: Pose) -> dict[str, Line]:
    """Lead the right one behind the aorta to the front of its bronchus, the left one over and behind its own."""
    trunk, scale = lines["pulmonary_trunk"], pose.scale
    fork, radius = trunk.points[-1], float(trunk.radius_mm[-1])
    behind = lines["right_bronchus"]
    beside = behind.points[len(behind.points) * 3 // 5] + scale * np.array([-12.0, -4.0, 0.0])
    right = fork + scale * np.array([[0.0, 0.0, 0.0], [-14.0, 12.0, -2.0], [-34.0, 17.0, -5.0], [-48.0, 20.0, -9.0]])
    right = np.concatenate([right, [beside]])
    under = lines["left_bronchus"]
    crossed = under.points[len(under.points) * 2 // 5]
    over = crossed + np.array([6.0, -8.0, float(under.radius_mm[0]) + 0.72 * radius + 2.0])
    outside = under.points[len(under.points) * 3 // 5] + scale * np.array([12.0, 4.0, 3.0])
    left = np.stack(
        [fork, fork + scale * np.array([11.0, 11.0, 4.0]), over, 0.5 * (over + outside) + [5.0, 6.0, 2.0], outside]
    )
    last = scale * np.array([[-9.0, 4.0, -2.0], [10.0, 6.0, -2.0]])
    calibre = [0.5 * radius, 0.46 * radius, 0.34 * radius, 0.22 * radius]
    lower = {}
    for side, start, bronchus, aside in (("right", beside, behind, last[0]), ("left", outside, under, last[1])):
        end = bronchus.points[-1] + aside
        down = np.stack([start, 0.5 * (start + end) + 0.2 * aside, end, end + (end - start) * 0.5])
        lower[f"{side}_lower_artery"] = _line(down, calibre)
    return lower | {
        "right_pulmonary_artery": _line(
            right, [0.9 * radius, 0.8 * radius, 0.76 * radius, 0.64 * radius, 0.5 * radius]
        ),
        "left_pulmonary_artery": _line(left, [0.9 * radius, 0.84 * radius, 0.74 * radius, 0.64 * radius, 0.5 * radius]),
    }


def _veins(model: HeartModel, pose: Pose) -> dict[str, Line]:
    scale, size = pose.scale, model.facts.left_atrium_scale
    lines = {}
    veins = (
        [(22.0, 31.0, 12.0), (40.0, 33.0, 22.0), (58.0, 36.0, 34.0), (72.0, 36.0, 46.0)],
        [(22.0, 40.0, -4.0), (40.0, 49.0, -7.0), (58.0, 60.0, -14.0), (70.0, 70.0, -26.0)],
        [(-26.0, 28.0, 10.0), (-46.0, 25.0, 15.0), (-62.0, 22.0, 22.0), (-78.0, 14.0, 30.0)],
        [(-26.0, 40.0, -6.0), (-46.0, 49.0, -12.0), (-62.0, 58.0, -20.0), (-76.0, 68.0, -32.0)],
    )
    for number, control in enumerate(veins, start=1):
        calibre = [7.5 * size * scale, 6.0 * size * scale, 4.0 * scale, 2.4 * scale]
        lines[f"pulmonary_vein_{number}"] = _line(pose.to_patient(np.array(control)), calibre)
    upper = pose.to_patient(np.array([[-38.0, 6.0, 4.0], [-38.0, 4.0, 20.0], [-37.0, 2.0, 45.0]]))
    top = upper[-1] + np.array([[-1.0, -2.0, 30.0], [-3.0, -4.0, 60.0]])
    lines["superior_vena_cava"] = _line(np.concatenate([upper, top]), [10.0, 9.5, 9.0, 8.5, 7.5])
    meeting = upper[-1] + np.array([0.0, -1.0, 22.0])
    across = meeting + np.array([[0.0, 0.0, 0.0], [18.0, -5.0, 8.0], [42.0, 0.0, 20.0], [56.0, 4.0, 45.0]])
    lines["left_brachiocephalic_vein"] = _line(across, [7.0, 6.5, 6.5, 6.5])
    lower = pose.to_patient(np.array([[-34.0, 12.0, -26.0], [-33.0, 16.0, -46.0]]))
    below = lower[-1] + np.array([[1.0, 8.0, -30.0], [3.0, 14.0, -80.0]])
    lines["inferior_vena_cava"] = _line(np.concatenate([lower, below]), [12.0, 12.5, 13.0, 13.0])
    return lines


def _airways(trunk: Line, model: HeartModel, pose: Pose, chest: Chest) -> dict[str, Line]:
    """Lay the airways behind the right pulmonary artery and over the left atrium, in front of the oesophagus."""
    facts, scale = model.facts, pose.scale
    fork, radius = trunk.points[-1], float(trunk.radius_mm[-1])
    fork_z = float(fork[2]) + 12.0 * scale
    middle = float(chest.spine_x_mm(fork_z)) + 1.0
    wide = 8.3 if facts.sex == "M" else 7.2
    spine = float(chest.spine_front_mm(fork_z))
    depth = float(fork[1]) + 13.0 * scale + 0.8 * radius + wide + 1.0 + facts.airway_gap_mm
    depth = float(np.clip(depth, spine - 38.0, spine - 17.0))
    carina = np.array([middle, depth, fork_z])
    back = chest.spine_front_mm(fork_z + np.array([30.0, 70.0, 110.0])) - spine
    up = carina + np.array([[0.0, 0.0, 0.0], [1.0, back[0], 30.0], [0.0, back[1], 70.0], [0.0, back[2], 110.0]])
    right = carina + scale * np.array(
        [[-2.0, 0.0, 0.0], [-13.0, 2.0, -12.0], [-24.0, 5.0, -25.0], [-34.0, 12.0, -46.0], [-41.0, 23.0, -68.0]]
    )
    left = carina + scale * np.array(
        [[2.0, 0.0, 0.0], [16.0, 0.0, -10.0], [31.0, 4.0, -20.0], [39.0, 13.0, -38.0], [44.0, 26.0, -62.0]]
    )
    heights = np.arange(fork_z + 80.0, fork_z - 200.0, -20.0)
    swing = 7.0 * np.clip((fork_z - 60.0 - heights) / 60.0, 0.0, 1.6) + 3.0
    gullet = np.stack([chest.spine_x_mm(heights) + swing, chest.spine_front_mm(heights) - 9.0, heights], axis=1)
    azygos = np.stack([chest.spine_x_mm(heights) - 8.0, chest.spine_front_mm(heights) - 2.0, heights], axis=1)
    return {
        "trachea": _line(up, [wide, wide, wide, wide]),
        "right_bronchus": _behind_atrium(
            _line(right, [0.85 * wide, 0.8 * wide, 0.62 * wide, 0.45 * wide, 0.3 * wide]), model, pose
        ),
        "left_bronchus": _behind_atrium(
            _line(left, [0.78 * wide, 0.72 * wide, 0.62 * wide, 0.45 * wide, 0.3 * wide]), model, pose
        ),
        "oesophagus": _line(gullet, [7.0] * len(heights)),
        "azygos": _line(azygos, [3.5] * len(heights)),
    }


def _behind_atrium(line: Line, model: HeartModel, pose: Pose) -> Line:
    """Move an airway back where it would run through the left atrium."""
    from scipy.ndimage import gaussian_filter1d

    points = line.points.copy()
    for _ in range(8):
        apart = model.left_atrium(pose.to_heart(points)) * pose.scale
        points[:, 1] += np.maximum(line.radius_mm + WALL_MM - apart, 0.0)
    points[:, 1] = np.maximum(points[:, 1], gaussian_filter1d(points[:, 1], 1.0, mode="nearest"))
    return Line(points, line.radius_mm)
