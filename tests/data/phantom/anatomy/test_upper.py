"""What lies above the heart: airways, pulmonary arteries and left atrium touch, as in the one real chest at hand."""

from functools import cache

import numpy as np
import pytest
from scipy.spatial import cKDTree

from cacseg.data.phantom.anatomy import build_anatomy
from cacseg.data.phantom.anatomy.geometry import Geometry, build_geometry
from cacseg.data.phantom.anatomy.great_vessels import WALL_MM
from cacseg.data.phantom.population import draw_patient
from cacseg.data.phantom.tissue import Tissue

SEEDS = range(40)


@cache
def made(seed: int) -> Geometry:
    return build_geometry(draw_patient(seed), np.random.default_rng(seed))


def apart_mm(geometry: Geometry, one: str, other: str) -> float:
    """Least distance between the walls of two tubes."""
    a, b = geometry.lines[one], geometry.lines[other]
    distance = np.linalg.norm(a.points[:, None] - b.points[None], axis=2)
    return float((distance - a.radius_mm[:, None] - b.radius_mm[None]).min())


def test_the_right_pulmonary_artery_lies_on_the_airways() -> None:
    gaps = [
        min(apart_mm(made(seed), "right_pulmonary_artery", name) for name in ("trachea", "right_bronchus"))
        for seed in SEEDS
    ]
    assert np.median(gaps) < 4.0
    assert max(gaps) < 15.0
    assert min(gaps) > -8.0  # narrow chests: the airway presses into the artery


def test_the_left_pulmonary_artery_rides_over_its_bronchus() -> None:
    for seed in SEEDS:
        bronchus, artery = made(seed).lines["left_bronchus"].points, made(seed).lines["left_pulmonary_artery"].points
        crossed = bronchus[len(bronchus) * 2 // 5]
        nearest = artery[np.linalg.norm(artery[:, :2] - crossed[:2], axis=1).argmin()]
        assert nearest[2] > crossed[2]
        assert -6.0 < apart_mm(made(seed), "left_pulmonary_artery", "left_bronchus") < 8.0


@pytest.mark.parametrize("side", ["left", "right"])
def test_no_bronchus_runs_through_the_left_atrium(side: str) -> None:
    for seed in SEEDS:
        geometry = made(seed)
        line = geometry.lines[f"{side}_bronchus"]
        apart = geometry.model.left_atrium(geometry.pose.to_heart(line.points)) * geometry.pose.scale
        assert (apart - line.radius_mm).min() > WALL_MM - 0.6


def test_airways_lie_in_front_of_the_spine_with_room_for_the_oesophagus() -> None:
    for seed in SEEDS:
        carina = made(seed).lines["trachea"].points[0]
        before = float(made(seed).chest.spine_front_mm(carina[2])) - carina[1]
        assert 16.9 < before < 38.1


def test_the_spine_comes_forward_and_the_breast_bone_goes_back_on_the_way_up() -> None:
    """LIDC 0314: 13 and 16 mm from the level of the left main artery to 39 mm above it."""
    spine, bone = [], []
    for seed in SEEDS:
        chest, level = made(seed).chest, float(made(seed).landmarks["left_ostium"][0, 2])
        spine.append(float(chest.spine_front_mm(level) - chest.spine_front_mm(level + 39.0)))
        bone.append(float(chest.sternum_y_mm(np.array(level + 39.0)) - chest.sternum_y_mm(np.array(level))))
    assert 6.0 < np.median(spine) < 16.0
    assert max(spine) > 14.0
    assert 11.0 < np.median(bone) < 18.0


def test_nodes_lie_about_the_airways_and_their_number_shows() -> None:
    seen = []
    for nodes in (1.0, 30.0):
        facts = draw_patient(4, nodes=nodes, node_mm=4.5)
        scene = build_anatomy(facts, np.random.default_rng(4), spacing_mm=(2.0, 2.0, 2.0))
        soft = np.argwhere(scene.tissue.voxels == Tissue.SOFT)
        axes = ("trachea_axis", "left_bronchus_axis", "right_bronchus_axis")
        airways = np.concatenate([scene.landmarks_lps_mm[name] for name in axes])
        away, _ = cKDTree(airways).query(scene.hu.to_world(soft))
        seen.append(int((away < 25.0).sum()))
    assert seen[1] > seen[0] + 500


def test_air_distends_the_oesophagus_in_places() -> None:
    """Its lumen is wide at one height and narrow at another, within one patient and between patients."""
    widths = []
    for seed in (2, 7, 11):
        with_air, without = (
            build_anatomy(draw_patient(seed, oesophageal_air=air), np.random.default_rng(seed)) for air in (True, False)
        )
        lumen = (with_air.tissue.voxels == Tissue.AIRWAY) & (without.tissue.voxels != Tissue.AIRWAY)
        widths.append(lumen.sum(axis=(1, 2)) * np.prod(with_air.tissue.spacing_mm[1:]))
        assert with_air.hu.voxels[lumen].mean() < -500.0
    assert max(area.max() for area in widths) > 50.0
    assert all(area.max() > 3.0 * area.min() for area in widths)
