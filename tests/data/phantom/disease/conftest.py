"""A small made-up patient: tubes in fat, with every landmark, so that disease is tested without the anatomy room."""

import numpy as np
import pytest

from cacseg.data.phantom.scanner import Protocol
from cacseg.data.phantom.scene import Branch, Scene
from cacseg.data.phantom.tissue import Tissue
from cacseg.vessels import Label
from cacseg.volume import Volume


def _line(*knots, step=1.0):
    knots = np.asarray(knots, float)
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(knots, axis=0), axis=1))])
    even = np.linspace(0, along[-1], int(along[-1] / step) + 1)
    return np.stack([np.interp(even, along, knots[:, axis]) for axis in range(3)], axis=1)


def _ring(centre, axis, radius, count=72):
    axis = np.asarray(axis, float) / np.linalg.norm(axis)
    u = np.cross(axis, [0, -1, 0])
    u /= np.linalg.norm(u)
    v = np.cross(axis, u)
    turn = np.linspace(0, 2 * np.pi, count, endpoint=False)[:, None]
    return np.asarray(centre) + radius * (np.cos(turn) * u + np.sin(turn) * v)


def _branch(name, vessel, parent, first_mm, last_mm, *knots):
    points = _line(*knots)
    return Branch(name, vessel, points, np.linspace(first_mm, last_mm, len(points)), parent)


def build_scene(age=65.0, sex="M", seed=1):
    """Arteries of usual length and calibre in fat around a blood-filled heart (x left, y back, z up)."""
    branches = (
        _branch("LM", Label.LM, None, 2.3, 2.2, (14, 5, 20), (24, 2, 18)),
        _branch("LAD", Label.LAD, "LM", 1.9, 0.7, (24, 2, 18), (32, -12, 12), (40, -25, -10), (45, -35, -60)),
        _branch("D1", Label.LAD, "LAD", 1.2, 0.6, (34, -15.71, 6.28), (55, -15, -15), (62, -12, -40)),
        _branch("LCX", Label.LCX, "LM", 1.7, 0.8, (24, 2, 18), (40, 18, 8), (44, 38, -15)),
        _branch("OM1", Label.LCX, "LCX", 1.1, 0.6, (40, 18, 8), (60, 15, -20), (66, 5, -45)),
        _branch("RCA", Label.RCA, None, 2.0, 1.2, (-10, -10, 15), (-35, -22, 0), (-38, -5, -35), (-5, 30, -45)),
        _branch("PDA", Label.RCA, "RCA", 1.0, 0.6, (-5, 30, -45), (15, 10, -60), (35, -10, -68)),
    )
    hu = np.full((150, 160, 160), -90.0, np.float32)
    tissue = np.full(hu.shape, int(Tissue.EPICARDIAL_FAT), np.uint8)
    grid = Volume.axial(hu, (1.2, 1.2, 1.2), (-96.0, -96.0, -100.0))
    world = grid.to_world(np.indices(hu.shape).reshape(3, -1).T).reshape(*hu.shape, 3)
    heart = (((world - (15, 5, -20)) / (24, 22, 34)) ** 2).sum(axis=-1) < 1
    hu[heart], tissue[heart] = 45.0, int(Tissue.LEFT_VENTRICLE)
    wall = ((((world - (15, 5, -20)) / (24, 22, 34)) ** 2).sum(axis=-1) < 1.4) & ~heart
    tissue[wall] = int(Tissue.MYOCARDIUM)
    for centre, what in (
        ((-32, 5, -15), Tissue.RIGHT_ATRIUM),
        ((-5, -25, -35), Tissue.RIGHT_VENTRICLE),
        ((75, 10, 0), Tissue.LUNG),
        ((-75, 10, 0), Tissue.LUNG),
        ((0, 85, 0), Tissue.BONE),
        ((60, -85, -10), Tissue.FAT),
        ((-60, -85, -10), Tissue.FAT),
    ):
        tissue[np.linalg.norm(world - centre, axis=-1) < 20] = int(what)
    for branch in branches:
        index = np.rint(grid.to_index(branch.points_lps_mm)).astype(int)
        for shift in np.ndindex(3, 3, 3):
            hu[tuple((index + shift - 1).T)] = 45.0
    landmarks = {
        "heart_centre": np.array([[15.0, 5, -20]]),
        "aortic_valve": _ring((3, 3, 8), (-0.3, -0.2, 1), 12.0),
        "aortic_leaflets": _ring((3, 3, 12), (-0.3, -0.2, 1), 8.0, 9),
        "mitral_annulus": _ring((22, 22, -2), (0.6, -0.7, -0.4), 16.0),
        "left_ostium": np.array([[14.0, 5, 20]]),
        "right_ostium": np.array([[-10.0, -10, 15]]),
        "bifurcation": np.array([[24.0, 2, 18]]),
        "apex": np.array([[28.0, -15, -50]]),
        "aortic_sinuses": np.concatenate(
            [_ring((3 - 0.9 * k, 3 - 0.6 * k, 8 + 3 * k), (-0.3, -0.2, 1), 12 + k * (5 - k) / 2, 36) for k in range(6)]
        ),
        "superior_vena_cava_axis": _line((-35, 5, 60), (-35, 8, 10)),
        "right_bronchus_axis": _line((0, 30, 55), (-45, 38, 30)),
        "left_bronchus_axis": _line((0, 30, 55), (45, 38, 32)),
        "ascending_aorta_axis": _line((3, 3, 8), (-8, -6, 60)),
        "ascending_aorta_radius": np.full((54, 1), 16.0),
        "aortic_arch_axis": _line((-8, -6, 60), (5, 25, 75), (25, 55, 60)),
        "aortic_arch_radius": np.full((72, 1), 14.0),
        "descending_aorta_axis": _line((25, 55, 60), (22, 60, -80)),
        "descending_aorta_radius": np.full((141, 1), 12.0),
        "sternum_axis": _line((0, -80, 60), (0, -90, -70)),
        "spine_axis": _line((0, 85, 75), (0, 85, -95)),
        "carina": np.array([[0.0, 30, 55]]),
        "papillary_muscles": np.array([[30.0, -5, -40], [35, 15, -38]]),
        "pericardium": np.concatenate([_ring((15, 5, z), (0, 0, 1), 60.0) for z in (-50, -38, -26)]),
        "hilum_left": np.array([[45.0, 35, 35]]),
        "hilum_right": np.array([[-45.0, 35, 35]]),
        "lung_points": np.array([[75.0, 10, 5], [-75, 12, 8], [-70, 0, -5]]),
        "costal_cartilage": _line((-20, -85, -20), (-60, -80, -40)),
        "coronary_sinus": _line((40, 35, -18), (0, 35, -30)),
    }
    patient = {"seed": seed, "age_years": age, "sex": sex, "race": "white"}
    return Scene(grid, Volume(tissue, grid.affine), branches, (), patient, landmarks)


@pytest.fixture(scope="session")
def scene():
    """One made-up patient; scenes are immutable, so all tests may share it."""
    return build_scene()


@pytest.fixture
def gated():
    """A quiet gated scan of that patient."""
    return Protocol(
        family="gated",
        kvp=120,
        ha_slope_hu=1.25,
        slice_thickness_mm=3.0,
        increment_mm=3.0,
        field_of_view_mm=180.0,
        matrix=384,
        sigma_mm=0.65,
        noise_sd_hu=10.0,
        noise_cutoff_lpmm=0.42,
        z_start_mm=-70.0,
        slices=34,
        centre_lps_mm=(10.0, 0.0),
    )
