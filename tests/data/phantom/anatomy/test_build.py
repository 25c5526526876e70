"""A rendered patient has the right tissue in the right places, the same for the same seed."""

import time
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, binary_erosion
from scipy.spatial import cKDTree

from cacseg.data.phantom.anatomy import build_anatomy
from cacseg.data.phantom.population import draw_patient
from cacseg.data.phantom.scene import Scene
from cacseg.data.phantom.tissue import Tissue
from cacseg.errors import UsageError

SEEDS = (0, 5, 9)


@cache
def scene(seed: int) -> Scene:
    return build_anatomy(draw_patient(seed), np.random.default_rng(seed))


@pytest.fixture(params=SEEDS)
def patient(request: pytest.FixtureRequest) -> Scene:
    return scene(request.param)


def sample(volume: np.ndarray, made: Scene, points: np.ndarray) -> np.ndarray:
    index = np.rint(made.hu.to_index(points)).astype(int)
    keep = np.all((index >= 0) & (index < made.hu.shape), axis=1)
    return volume[tuple(index[keep].T)]


def test_same_seed_same_bits(record_property: Callable[[str, object], None]) -> None:
    start = time.perf_counter()
    again = build_anatomy(draw_patient(5), np.random.default_rng(5))
    record_property("seconds", time.perf_counter() - start)
    first = scene(5)
    assert again.hu.voxels.tobytes() == first.hu.voxels.tobytes()
    assert again.tissue.voxels.tobytes() == first.tissue.voxels.tobytes()
    assert all(
        np.array_equal(a.points_lps_mm, b.points_lps_mm) for a, b in zip(again.branches, first.branches, strict=True)
    )
    assert all(
        np.array_equal(again.landmarks_lps_mm[key], first.landmarks_lps_mm[key]) for key in first.landmarks_lps_mm
    )


def test_other_seed_other_patient() -> None:
    assert not np.array_equal(scene(0).landmarks_lps_mm["bifurcation"], scene(5).landmarks_lps_mm["bifurcation"])


def test_form(patient: Scene) -> None:
    assert patient.hu.voxels.dtype == np.float32
    assert patient.tissue.voxels.dtype == np.uint8
    assert patient.hu.same_grid(patient.tissue)
    assert patient.deposits == ()
    assert np.isfinite(patient.hu.voxels).all()
    assert patient.hu.spacing_mm == pytest.approx((1.5, 1.2, 1.2))


@pytest.mark.parametrize(
    ("tissue", "low", "high"),
    [
        (Tissue.LUNG, -920, -740), (Tissue.FAT, -125, -75), (Tissue.EPICARDIAL_FAT, -120, -70),
        (Tissue.LEFT_VENTRICLE, 28, 56), (Tissue.MYOCARDIUM, 32, 60), (Tissue.ASCENDING_AORTA, 28, 58),
        (Tissue.LEFT_ATRIUM, 28, 56), (Tissue.BONE, 60, 900), (Tissue.SOFT, 15, 80), (Tissue.PULMONARY_ARTERY, 28, 58),
    ],
)  # fmt: skip
def test_median_hu(patient: Scene, tissue: Tissue, low: float, high: float) -> None:
    inside = patient.hu.voxels[patient.tissue.voxels == tissue]
    assert inside.size > 200
    centre = np.quantile(inside, 0.25) if "FAT" in tissue.name else np.median(inside)
    assert low < centre < high


def test_volumes_are_those_of_hearts(patient: Scene) -> None:
    millilitre = patient.hu.voxel_volume_mm3 / 1000.0
    count = np.bincount(patient.tissue.voxels.ravel(), minlength=20) * millilitre
    assert 70.0 < count[Tissue.LEFT_VENTRICLE] < 260.0
    assert 50.0 < count[Tissue.RIGHT_VENTRICLE] < 230.0
    assert 30.0 < count[Tissue.LEFT_ATRIUM] < 190.0
    assert 35.0 < count[Tissue.RIGHT_ATRIUM] < 220.0
    assert 80.0 < count[Tissue.MYOCARDIUM] < 330.0
    assert 5.0 < count[Tissue.EPICARDIAL_FAT] < 450.0


def epicardial_fat_ml(seed: int) -> float:
    """Volume of -190 to -30 HU in the pericardium, as it is measured on CT."""
    made = build_anatomy(draw_patient(seed), np.random.default_rng(seed), spacing_mm=(2.4, 2.4, 2.4))
    fat = (made.hu.voxels > -190.0) & (made.hu.voxels < -30.0) & (made.tissue.voxels == Tissue.EPICARDIAL_FAT)
    return float(fat.sum() * made.hu.voxel_volume_mm3 / 1000.0)


def test_epicardial_fat_is_that_of_adults() -> None:
    """Median 100-130 ml in adults, 40-260 ml in nine of ten; lean and fat patients both come."""
    volumes = np.array([epicardial_fat_ml(seed) for seed in range(100, 116)])
    assert 80.0 < np.median(volumes) < 140.0
    assert volumes.min() < 65.0
    assert 190.0 < volumes.max() < 420.0


def test_no_lung_lies_beside_the_left_main_of_a_lean_patient() -> None:
    """The crease between appendage, pulmonary trunk and root holds fat, however little the patient has."""
    for seed in (9, 12):
        made = build_anatomy(draw_patient(seed, epicardial_fat_mm=0.7, groove_fat=0.1), np.random.default_rng(seed))
        left_main = next(each for each in made.branches if each.name == "LM").points_lps_mm
        around = np.concatenate([left_main + shift for shift in 5.0 * np.vstack([np.eye(3), -np.eye(3)])])
        assert (sample(made.tissue.voxels, made, around) == Tissue.LUNG).mean() < 0.02


def test_coronaries_show_as_soft_tissue_beside_fat(patient: Scene) -> None:
    lad = next(each for each in patient.branches if each.name == "LAD").points_lps_mm[10:60]
    assert np.median(sample(patient.hu.voxels, patient, lad)) > 0.0
    around = np.concatenate([lad + shift for shift in 6.0 * np.vstack([np.eye(3), -np.eye(3)])])
    assert (sample(patient.tissue.voxels, patient, around) == Tissue.EPICARDIAL_FAT).mean() > 0.08


def test_landmarks_lie_in_their_tissue(patient: Scene) -> None:
    marks = patient.landmarks_lps_mm
    aorta = sample(patient.tissue.voxels, patient, marks["descending_aorta_axis"])
    assert (aorta == Tissue.DESCENDING_AORTA).mean() > 0.8
    spine = sample(patient.tissue.voxels, patient, marks["spine_axis"])
    assert (spine == Tissue.BONE).mean() > 0.6
    papillary = sample(patient.tissue.voxels, patient, marks["papillary_muscles"])
    assert np.isin(papillary, (Tissue.LEFT_VENTRICLE, Tissue.MYOCARDIUM)).all()
    lung = sample(patient.tissue.voxels, patient, marks["lung_points"])
    assert (lung == Tissue.LUNG).mean() > 0.6
    root = sample(patient.tissue.voxels, patient, marks["aortic_root_axis"])
    assert np.isin(root, (Tissue.ASCENDING_AORTA, Tissue.AORTIC_VALVE, Tissue.LEFT_VENTRICLE)).all()


@pytest.mark.parametrize("seed", [0, 5])
def test_strands_run_in_the_fat_around_the_heart(seed: int) -> None:
    """Soft voxels inside fat, far from every artery: the texture of fat alone stays below."""
    patient = scene(seed)
    fat = binary_erosion(patient.tissue.voxels == Tissue.EPICARDIAL_FAT, iterations=2)
    soft = np.argwhere(fat & (patient.hu.voxels > -30.0))
    tree = cKDTree(np.concatenate([each.points_lps_mm for each in patient.branches]))
    apart, _ = tree.query(patient.hu.to_world(soft))
    assert 15 < (apart > 9.0).sum() < 0.1 * fat.sum()


def test_bronchi_have_walls_of_soft_tissue() -> None:
    """Air within dense lungs, darker than they are, inside rings denser than they are."""
    made = build_anatomy(draw_patient(5, lung_hu=-770.0), np.random.default_rng(5), spacing_mm=(1.0, 0.8, 0.8))
    lung = np.isin(made.tissue.voxels, (Tissue.LUNG, Tissue.AIRWAY))
    air = lung & (made.hu.voxels < -925.0)
    assert air.sum() > 300
    rim = binary_dilation(air, iterations=2) & lung & ~air
    assert (made.hu.voxels[rim] > -300.0).mean() > 0.25


def test_cortical_bone_is_dense() -> None:
    made = build_anatomy(draw_patient(2), np.random.default_rng(2), extent="chest", spacing_mm=(4.0, 2.0, 2.0))
    dense = made.hu.voxels[made.hu.voxels > 130.0]
    assert 300.0 < np.median(dense) < 480.0


def test_chest_extent_is_wider_than_the_body() -> None:
    made = build_anatomy(draw_patient(2), np.random.default_rng(2), extent="chest", spacing_mm=(4.0, 3.0, 3.0))
    assert made.hu.voxels[:, :, 0].max() < -900.0
    assert made.hu.voxels[:, 0].max() < -900.0
    assert (made.tissue.voxels == Tissue.LIVER).sum() > 1000


def test_unknown_extent_is_refused() -> None:
    with pytest.raises(UsageError, match="heart, chest"):
        build_anatomy(draw_patient(0), np.random.default_rng(0), extent="head")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"0\.4 to 4"):
        build_anatomy(draw_patient(0), np.random.default_rng(0), spacing_mm=(9.0, 1.0, 1.0))
