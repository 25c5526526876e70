import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

from cacseg.data.phantom import digital_patient
from cacseg.data.phantom.anatomy import build_anatomy
from cacseg.data.phantom.patient import whole_chest
from cacseg.data.phantom.population import draw_patient
from cacseg.data.phantom.qrm import canon_protocol, qrm_scene
from cacseg.data.phantom.scanner import acquire
from cacseg.data.phantom.scanner.grid import heart_box
from cacseg.data.phantom.tissue import Tissue
from cacseg.errors import UsageError

PROGRAM = """
import hashlib
from cacseg.data.phantom import digital_patient
scan = digital_patient(41, "gated", target_agatston=300.0, motion_mm=0.3, step_mm=0.8)
print(hashlib.sha256(scan.volume.voxels.tobytes() + scan.labels.voxels.tobytes()).hexdigest())
"""


@pytest.fixture(scope="module")
def patient():
    return digital_patient(41, "gated", target_agatston=300.0, motion_mm=0.3, step_mm=0.8)


@pytest.mark.parametrize("threads", ["1", "3"])
def test_the_same_seed_gives_the_same_bits_whatever_the_number_of_threads(patient, threads):
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], env={**os.environ, **dict.fromkeys(names, threads)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    expected = hashlib.sha256(patient.volume.voxels.tobytes() + patient.labels.voxels.tobytes()).hexdigest()
    assert run.stdout.strip() == expected


def test_a_patient_has_image_labels_tree_and_truth_that_belong_together(patient):
    assert patient.volume.voxels.dtype == np.int16
    assert patient.labels.same_grid(patient.volume)
    assert patient.seed == 41
    assert {"LM", "LAD", "RCA"} <= {branch.name for branch in patient.branches}
    assert patient.truth["noise_free"]["total"]["agatston"] == pytest.approx(300.0, rel=0.4)
    assert patient.truth["protocol"]["motion_mm"] == 0.3
    heart = patient.tissue.to_world(np.argwhere(patient.tissue.voxels == Tissue.LEFT_VENTRICLE)[::500])
    inside = patient.volume.to_index(heart)
    assert ((inside > -0.5) & (inside < np.array(patient.volume.shape) - 0.5)).all()


def test_overrides_reach_patient_disease_and_protocol():
    scan = digital_patient(42, sex="F", age_years=70, target_agatston=0.0, matrix=256, slices=8, z_start_mm=0.0)
    assert scan.scene.patient["sex"] == "F"
    assert scan.truth["noise_free"]["total"]["agatston"] == 0.0
    assert scan.volume.shape == (8, 256, 256)


def test_contrast_patients_have_bright_blood():
    scan = digital_patient(43, "contrast", matrix=256)
    blood = scan.scene.hu.voxels[scan.tissue.voxels == Tissue.LEFT_VENTRICLE]
    assert 150 < np.median(blood) < 520


def test_chest_patients_show_the_whole_chest():
    scan = digital_patient(44, "chest", matrix=256, slice_thickness_mm=5.0, increment_mm=5.0)
    assert scan.volume.spacing_mm[2] * 256 >= 300
    columns = (scan.volume.voxels > -300).any(axis=(0, 1))
    assert columns[:20].sum() + columns[-20:].sum() < columns[100:150].sum()


def test_the_chest_around_a_heart_scan_is_the_same_patients(patient):
    chest = whole_chest(patient)
    assert chest.hu.shape[2] * chest.hu.spacing_mm[2] > 300
    assert len(chest.deposits) == len(patient.scene.deposits)
    centres = [
        np.mean(scene.tissue.to_world(np.argwhere(scene.tissue.voxels == Tissue.LEFT_VENTRICLE)), axis=0)
        for scene in (chest, patient.scene)
    ]
    assert np.linalg.norm(centres[0] - centres[1]) < 2.0


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(UsageError, match="A seed must not be negative"):
        digital_patient(-1)
    with pytest.raises(UsageError, match="colour is no fact of a patient"):
        digital_patient(1, colour="blue")
    phantom = acquire(qrm_scene(large=False), canon_protocol(), np.random.default_rng(0))
    with pytest.raises(UsageError, match="Only a drawn patient can be built again"):
        whole_chest(phantom)


@pytest.mark.parametrize(("width_mm", "shift_mm"), [(170.0, (12.0, -9.0)), (215.0, (0.0, 5.0)), (262.0, (-14.0, 8.0))])
def test_only_what_the_field_of_view_shows_is_built_and_it_is_all_there(width_mm, shift_mm):
    narrow = digital_patient(44, field_of_view_mm=width_mm, shift_mm=shift_mm, matrix=256, target_agatston=40.0)
    whole = build_anatomy(draw_patient(44), np.random.default_rng([44, 201]))
    assert narrow.scene.tissue.voxels.size <= whole.tissue.voxels.size
    for axis in range(2):
        np.testing.assert_allclose(heart_box(narrow.scene)[:, axis], heart_box(whole)[:, axis], atol=3.7)
    corners = narrow.scene.tissue.to_index(narrow.volume.to_world([[0, 0, 0], np.array(narrow.volume.shape) - 1]))
    assert (corners[:, 1:] > -1.0).all()
    assert (corners[:, 1:] < np.array(narrow.scene.tissue.shape)[1:]).all()
    places = whole.tissue.to_world(np.argwhere(whole.tissue.voxels == Tissue.LEFT_VENTRICLE)[::97])
    there = narrow.scene.tissue.voxels[tuple(np.rint(narrow.scene.tissue.to_index(places)).astype(int).T)]
    assert (there == Tissue.LEFT_VENTRICLE).mean() > 0.9


def test_a_field_of_view_saves_building():
    narrow, wide = (
        digital_patient(45, field_of_view_mm=width, shift_mm=(0.0, 0.0), slices=6, z_start_mm=0.0, matrix=256)
        for width in (180.0, 250.0)
    )
    assert narrow.scene.tissue.voxels.size < 0.6 * wide.scene.tissue.voxels.size
