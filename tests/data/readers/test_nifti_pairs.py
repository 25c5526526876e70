import json

import nibabel
import numpy as np
import pytest

from cacseg.data.readers import labelled_studies
from cacseg.data.readers.nifti import nifti_sources, read_nifti
from cacseg.errors import UnreadableError, UsageError
from cacseg.vessels import Label
from cacseg.volume import Volume


def save(path, volume):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(volume.voxels.T, volume.ras_affine()), path)


@pytest.fixture
def marks(tiny, calcium):
    labels = np.zeros(tiny.shape, np.uint8)
    labels[calcium.lad], labels[calcium.rca] = Label.LAD, Label.RCA
    return tiny.with_voxels(labels)


def test_reads_a_pair_with_labels_in_another_axis_order(tmp_path, tiny, marks):
    save(tmp_path / "images" / "a.nii.gz", tiny)
    turned = nibabel.Nifti1Image(marks.voxels.T, marks.ras_affine())
    turned = turned.as_reoriented(np.array([[2, 1], [0, -1], [1, 1]]))
    (tmp_path / "labels").mkdir()
    nibabel.save(turned, tmp_path / "labels" / "a.nii.gz")
    (study,) = labelled_studies("nifti", tmp_path)
    assert np.array_equal(study.volume.voxels, tiny.voxels)
    assert study.volume.voxels.dtype == np.int16
    assert np.array_equal(study.labels, marks.voxels)
    assert "reordered" in study.repairs[0]
    assert study.label_scope == "calcium"


def test_reads_the_layout_of_nnunet_with_named_labels(tmp_path, tiny, marks):
    save(tmp_path / "imagesTr" / "case_0000.nii.gz", tiny)
    lookup = np.zeros(256, np.uint8)
    lookup[[Label.LAD, Label.RCA]] = (3, 1)
    save(tmp_path / "labelsTr" / "case.nii.gz", marks.with_voxels(lookup[marks.voxels]))
    (tmp_path / "dataset.json").write_text(
        json.dumps({"labels": {"background": 0, "RCA": 1, "LAD": 3}, "label_scope": "coronary"})
    )
    (study,) = labelled_studies("nifti", tmp_path)
    assert study.id == "case"
    assert study.label_scope == "coronary"
    assert np.array_equal(study.labels, marks.voxels)


def test_keeps_fractions_of_hu(tmp_path):
    save(tmp_path / "half.nii", Volume.axial(np.full((2, 3, 4), 129.5, np.float64), (1, 1, 1)))
    assert read_nifti(tmp_path / "half.nii").voxels.dtype == np.float32


def test_refuses_values_without_a_meaning(tmp_path, tiny, marks):
    save(tmp_path / "images" / "a.nii.gz", tiny)
    save(tmp_path / "labels" / "a.nii.gz", marks.with_voxels(marks.voxels * 10))
    with pytest.raises(UnreadableError, match=r"\[20, 40\]"):
        nifti_sources(tmp_path)[0].load()


def test_refuses_another_grid(tmp_path, tiny, marks):
    save(tmp_path / "images" / "a.nii.gz", tiny)
    moved = marks.affine.copy()
    moved[0, 3] += 0.25
    save(tmp_path / "labels" / "a.nii.gz", Volume(marks.voxels, moved))
    with pytest.raises(UsageError, match="do not lie on"):
        nifti_sources(tmp_path)[0].load()


@pytest.mark.parametrize("text", ["{", '{"labels": {"spleen": 1}}', '{"label_scope": "all"}', '{"labels": [1]}'])
def test_names_what_is_wrong_with_dataset_json(tmp_path, text):
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(UnreadableError, match=r"dataset\.json"):
        nifti_sources(tmp_path)


def test_damaged_and_absent_files(tmp_path):
    (tmp_path / "a.nii.gz").write_bytes(b"nothing")
    with pytest.raises(UnreadableError, match=r"a\.nii\.gz"):
        read_nifti(tmp_path / "a.nii.gz")
    with pytest.raises(UnreadableError, match="no NIfTI pair"):
        nifti_sources(tmp_path)
    save(tmp_path / "four.nii", Volume.axial(np.zeros((2, 3, 4), np.int16), (1, 1, 1)))
    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 3, 4, 2), np.int16), np.eye(4)), tmp_path / "four.nii")
    with pytest.raises(UnreadableError, match="3-D"):
        read_nifti(tmp_path / "four.nii")
