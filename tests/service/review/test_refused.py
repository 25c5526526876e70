"""A refused study can be looked at, and not corrected."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pydicom
import pytest
from sqlalchemy import select

from cacseg.service.database import AuditEntry, Study
from cacseg.service.inbox import study_key


@pytest.fixture
def refuse(client, house, dicom_files, make_worker):
    """Let files of one study be refused by the pipeline itself: they are too few slices."""

    def take_in(*paths):
        stored = house.inbox.put_all([*dicom_files(), *paths], "test", "sender").stored[0]
        house.inbox.complete(stored.study_id)
        assert make_worker(house).run_once()
        with house.database.session(write=False) as session:
            study = session.get(Study, stored.study_id)
        assert study.state == "refused"
        return SimpleNamespace(
            at=f"/api/studies/{study.id}",
            incoming=house.settings.incoming / study_key(study.study_instance_uid),
            result=house.settings.version_folder(study.id, 1) / "result.json",
        )

    return take_in


def test_its_images_are_shown_and_nothing_can_be_changed(client, house, refuse, dicom_files):
    study = refuse()
    assert json.loads(study.result.read_text())["series"] is None
    header = client.get(f"{study.at}/volume.json").json()
    assert (header["shape"], header["window"]) == ([3, 8, 8], {"centre_hu": 130.0, "width_hu": 600.0})
    answer = client.get(f"{study.at}/volume")
    shown = np.frombuffer(answer.content, "<i2").reshape(header["shape"])
    images = sorted((pydicom.dcmread(path) for path in dicom_files()), key=lambda one: one.ImagePositionPatient[2])
    expected = [one.pixel_array.astype(int) * int(one.RescaleSlope) + int(one.RescaleIntercept) for one in images]
    np.testing.assert_array_equal(shown, expected)
    assert client.get(f"{study.at}/volume").content == answer.content
    with house.database.session(write=False) as session:
        actions = session.scalars(select(AuditEntry.action)).all()
    assert actions.count("study.viewed") == 2
    for path in ("/review", "/review?version=1"):
        assert client.get(study.at + path).status_code == 422
    edit = {"revision": 0, "edit": {"kind": "exclude", "lesion": 1}}
    assert client.post(f"{study.at}/review/edits", json=edit).status_code == 422


def test_the_series_that_was_refused_is_the_one_that_is_shown(client, refuse, dicom_files, tmp_path):
    other = []
    for number, path in enumerate(dicom_files(count=5)):
        image = pydicom.dcmread(path)
        image.SeriesInstanceUID, image.SOPInstanceUID = "1.2.3.4", f"1.2.3.4.{number}"
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        other.append(tmp_path / f"{number}.dcm")
        image.save_as(other[-1])
    study = refuse(*other)
    assert client.get(f"{study.at}/volume.json").json()["shape"] == [5, 8, 8]
    result = json.loads(study.result.read_text())
    (smaller,) = [each for each in result["ledger"] if each["series_instance_uid"] != "1.2.3.4"]
    result["series"] = {
        "series_instance_uid": smaller["series_instance_uid"],
        **dict.fromkeys(("description", "slice_thickness_mm", "kvp", "kernel")),
        **{"slices": 3, "spacing_mm": [1.0, 1.0, 1.0], "gated": "unknown", "contrast": "unknown"},
    }
    study.result.write_text(json.dumps(result))
    client.app.state.desk._open.clear()
    assert client.get(f"{study.at}/volume.json").json()["shape"] == [3, 8, 8]


def test_images_that_cannot_be_read_are_said_to_be_so(client, refuse):
    study = refuse()
    for path in study.incoming.iterdir():
        path.write_bytes(path.read_bytes()[:600])
    answer = client.get(f"{study.at}/volume.json")
    assert answer.status_code == 409
    assert "can be shown" in answer.json()["detail"]
    assert study.incoming.name not in answer.text
    shutil.rmtree(study.incoming)
    assert client.get(f"{study.at}/volume").status_code == 409
