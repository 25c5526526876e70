"""What the desk keeps in memory, and when it lets go."""

import json
from types import SimpleNamespace

import pydicom
import pytest

from cacseg.service.errors import NotFoundError
from cacseg.service.retention import Retention
from cacseg.service.review import desk as of_desk
from cacseg.service.review.asked import AskedEdit, edit_of
from cacseg.service.review.desk import Desk
from cacseg.service.services import Services
from cacseg.service.worker import Worker


@pytest.fixture
def counted(monkeypatch):
    """Count how often voxels are read."""
    state = SimpleNamespace(reads=0)
    read = of_desk.load_scan

    def reading(*args):
        state.reads += 1
        return read(*args)

    monkeypatch.setattr(of_desk, "load_scan", reading)
    return state


def test_voxels_are_read_once_for_every_look_and_edit(reading, counted):
    desk = Desk(reading.house)
    desk.state(reading.study_id)
    desk.edit(reading.study_id, 0, None, "Jane", lambda session: session.apply(some_edit(session)))
    desk.edit(reading.study_id, 1, None, "Jane", lambda session: session.undo())
    desk.state(reading.study_id)
    assert counted.reads == 1


def some_edit(session):
    return edit_of(session, AskedEdit(kind="exclude", lesion=1))


def test_a_deleted_study_leaves_the_memory(reading, counted):
    desk = Desk(reading.house)
    desk.state(reading.study_id)
    assert desk._open
    Retention(reading.house).delete(reading.study_id, "admin")
    with pytest.raises(NotFoundError):
        desk.state(reading.study_id)
    assert not desk._open
    folder = reading.data / "results" / reading.study_id
    assert not folder.exists()


def test_the_version_used_longest_ago_makes_room(reading, counted, monkeypatch):
    monkeypatch.setattr(of_desk, "MOST_OPEN", 1)
    desk = Desk(reading.house)
    desk.state(reading.study_id)
    desk._opened("another", 1)
    assert list(desk._open) == [("another", 1)]
    desk.state(reading.study_id)
    assert counted.reads == 2


def test_a_draft_is_taken_over_when_the_images_it_began_on_have_changed(reading):
    """The lowest slice goes, as a late one comes: the draft cannot be opened on the old version, but moves on."""
    jane = reading.client("Jane")
    edited = {"revision": 0, "edit": {"kind": "exclude", "lesion": 1}}
    before = jane.post(f"{reading.at}/review/edits", json=edited).json()
    lowest_slice(reading).unlink()
    house = Services.of(reading.house.settings.model_copy(update={"threads": 1}))
    admin = house.access.add("administrator", "admin", "test")
    assert jane.post(f"{reading.at}/rescore", headers={"Authorization": f"Bearer {admin}"}).status_code == 202
    assert Worker(house.settings, house.database, "worker").run_once()
    house.database.close()
    again = reading.client("Jane", reading.start())
    refused = again.get(f"{reading.at}/review")
    assert refused.status_code == 409
    assert "slices now" in refused.json()["detail"]
    taken = again.post(f"{reading.at}/review/rebase").json()
    assert (taken["version"], taken["skipped"], len(taken["history"])) == (2, [], 1)
    assert taken_out(taken) == pytest.approx(taken_out(before), rel=0.05)
    assert taken_out(before) > 1
    signed = {"revision": taken["revision"], "name": "Jane Roe", "role_title": "Radiologist"}
    assert again.post(f"{reading.at}/review/sign", json=signed).json()["signed_version"] == 3


def taken_out(desk):
    """Agatston units that the edits of a draft take out; the network itself may see a border otherwise."""
    original, current = (desk["scores"][name]["total"]["agatston"] for name in ("original", "current"))
    return original - current


def lowest_slice(reading):
    """File of the lowest slice of the scored series."""
    result = reading.house.settings.version_folder(reading.study_id, 1) / "result.json"
    series = json.loads(result.read_text())["series"]["series_instance_uid"]
    places = []
    for path in reading.house.settings.incoming.rglob("*.dcm"):
        header = pydicom.dcmread(path, stop_before_pixels=True)
        if header.SeriesInstanceUID == series:
            places.append((float(header.ImagePositionPatient[2]), path))
    return min(places)[1]
