import hashlib
import json

import nibabel
import numpy as np
import pytest

from cacseg.data.readers import UnreadStudy, labelled_studies
from cacseg.data.readers.corrections import corrections_sources, write_correction
from cacseg.errors import UnreadableError, UsageError
from cacseg.vessels import Label


@pytest.fixture
def exported(tmp_path, tiny, calcium, ct_writer):
    """One exported correction; gives its folder and a function that rewrites its JSON."""
    series = ct_writer(tmp_path / "studies" / "1", tiny)
    folder = tmp_path / "corrections" / "1"
    folder.mkdir(parents=True)
    labels = np.zeros(tiny.shape, np.uint8)
    labels[calcium.lad], labels[calcium.rca] = Label.LAD, Label.OTHER
    nibabel.save(nibabel.Nifti1Image(labels.T, tiny.ras_affine()), folder / "labels.nii.gz")
    entry = {
        "format": "cacseg-corrections", "version": 1, "study_instance_uid": "1.2.3", "series_instance_uid": series,
        "study_path": "../../studies/1", "patient_id": "A-17", "labels": "labels.nii.gz",
        "labels_sha256": hashlib.sha256((folder / "labels.nii.gz").read_bytes()).hexdigest(),
        "reader": "R2", "finished": "2026-01-31T10:20:00Z", "model": {"name": "m", "sha256": "0"},
        "changes": [{"lesion": 2, "from": "RCA", "to": "OTHER"}],
    }  # fmt: skip

    def write(**changed):
        data = {key: value for key, value in (entry | changed).items() if value != "absent"}
        (folder / "corrections.json").write_text(json.dumps(data))

    write()
    return tmp_path / "corrections", write


def test_reads_the_corrected_labels_on_the_study(exported, tiny, calcium):
    (study,) = labelled_studies("corrections", exported[0])
    assert study.id == "1"
    assert study.patient == "A-17"
    assert np.array_equal(study.volume.voxels, tiny.voxels)
    assert (study.labels[calcium.lad] == Label.LAD).all()
    assert (study.labels[calcium.rca] == Label.OTHER).all()
    assert study.label_scope == "calcium"
    assert study.facts["changes"] == 1


def test_a_changed_label_file_is_refused(exported):
    root, write = exported
    write(labels_sha256="0" * 64)
    (study,) = labelled_studies("corrections", root)
    assert isinstance(study, UnreadStudy)
    assert "SHA-256 differs" in study.message


def test_one_in_work_is_left_out(exported):
    root, write = exported
    write(finished=None)
    with pytest.raises(UnreadableError, match="no finished correction"):
        corrections_sources(root)


@pytest.mark.parametrize(
    ("changed", "word"),
    [({"version": 2}, "version 1"), ({"format": "x"}, "cacseg-corrections"), ({"study_path": "absent"}, "study_path")],
)
def test_another_format_is_refused(exported, changed, word):
    root, write = exported
    write(**changed)
    with pytest.raises(UnreadableError, match=word):
        corrections_sources(root)


def test_a_study_that_has_gone_is_named(exported):
    root, write = exported
    write(study_path="../../studies/none")
    (study,) = labelled_studies("corrections", root)
    assert isinstance(study, UnreadStudy)
    assert "studies/none" in study.message


def test_what_is_no_json_is_refused(exported):
    root, _ = exported
    (root / "1" / "corrections.json").write_text("[1]")
    with pytest.raises(UnreadableError, match="expected format"):
        corrections_sources(root)
    (root / "1" / "corrections.json").write_text("{")
    with pytest.raises(UnreadableError, match="cannot be read"):
        corrections_sources(root)


def test_what_is_exported_is_read_back(tmp_path, tiny, calcium, ct_writer):
    series = ct_writer(tmp_path / "study", tiny)
    labels = np.zeros(tiny.shape, np.uint8)
    labels[calcium.rca] = Label.RCA
    facts = {
        "study_path": tmp_path / "study", "study_instance_uid": "1.2", "series_instance_uid": series, "reader": "R1",
        "finished": "2026-01-31T10:20:00Z", "changes": [{"lesion": 1, "from": "OTHER", "to": "RCA"}],
    }  # fmt: skip
    write_correction(tmp_path / "out" / "a", tiny.with_voxels(labels), **facts)
    (study,) = labelled_studies("corrections", tmp_path / "out")
    assert np.array_equal(study.labels, labels)
    assert (study.id, study.facts["changes"]) == ("a", 1)
    with pytest.raises(UsageError, match="not overwritten"):
        write_correction(tmp_path / "out" / "a", tiny.with_voxels(labels), **facts)
