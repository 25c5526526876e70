"""The watched folder: what is taken, when, and where it goes."""

import errno
import zipfile

import pytest
from sqlalchemy import select

from cacseg.errors import UsageError
from cacseg.service.database import Instance, Study
from cacseg.service.watch import Watch


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def watched(make_services, tmp_path):
    folder = tmp_path / "watched"
    folder.mkdir()
    services, clock = make_services(watch=folder, quiet_s=5.0), Clock()
    return services, Watch(services, clock), clock, folder


def fill(folder, *contents):
    folder.mkdir(parents=True)
    for number, content in enumerate(contents):
        (folder / f"IM{number}").write_bytes(content)


def look_twice(watch, clock):
    watch.look()
    clock.now += 5
    return watch.look()


def state_of(services, uid="1.2.3"):
    with services.database.session(write=False) as session:
        return session.scalars(select(Study.state).where(Study.study_instance_uid == uid)).one()


def kept(services):
    with services.database.session(write=False) as session:
        return sorted(session.scalars(select(Instance.sop_instance_uid)))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_is_taken_once_it_is_still(watched, ct_file):
    services, watch, clock, folder = watched
    fill(folder / "a", ct_file(number=1))
    assert watch.look() == ()
    clock.now += 4
    (folder / "a" / "deeper").mkdir()
    (folder / "a" / "deeper" / "IM9").write_bytes(ct_file(number=2))
    assert watch.look() == ()
    clock.now += 4
    assert watch.look() == ()
    assert kept(services) == []
    clock.now += 1
    assert watch.look() == ("a",)
    assert kept(services) == ["1.2.3.1.1", "1.2.3.1.2"]
    assert state_of(services) == "waiting", "complete, without another quiet time"
    assert names(folder) == ["done"]
    assert names(folder / "done") == ["a"]
    assert names(folder / "done" / "a") == ["IM0", "deeper"]


def test_an_archive_and_a_single_file(watched, ct_file):
    services, watch, clock, folder = watched
    with zipfile.ZipFile(folder / "b.zip", "w") as archive:
        archive.writestr("x/1", ct_file("1.2.4"))
        archive.writestr("readme.txt", "hello")
    (folder / "c.dcm").write_bytes(ct_file("1.2.5"))
    assert look_twice(watch, clock) == ("b.zip", "c.dcm")
    assert (state_of(services, "1.2.4"), state_of(services, "1.2.5")) == ("waiting", "waiting")
    assert names(folder / "done") == ["b.zip", "b.zip.note.txt", "c.dcm"]
    assert "not taken in: 1" in (folder / "done" / "b.zip.note.txt").read_text()


def test_what_is_no_study_fails_with_its_reason(watched):
    services, watch, clock, folder = watched
    fill(folder / "notes", b"hello")
    (folder / "d.zip").write_bytes(b"PK\x03\x04 broken" + b"\0" * 200)
    assert look_twice(watch, clock) == ("d.zip", "notes")
    assert names(folder / "failed") == ["d.zip", "d.zip.note.txt", "notes", "notes.note.txt"]
    assert "None of 1 files is a DICOM object" in (folder / "failed" / "notes.note.txt").read_text()
    assert "damaged" in (folder / "failed" / "d.zip.note.txt").read_text()
    assert kept(services) == []


def test_the_same_study_again_is_done_and_another_content_fails(watched, ct_file):
    services, watch, clock, folder = watched
    for content in (ct_file(), ct_file(), ct_file(PatientID="P2")):
        fill(folder / "a", content)
        assert look_twice(watch, clock) == ("a",)
    assert names(folder / "done") == ["2-a", "a"]
    assert "1.2.3.1.1" in (folder / "failed" / "a.note.txt").read_text()
    assert kept(services) == ["1.2.3.1.1"]
    with services.database.session(write=False) as session:
        assert session.scalars(select(Study.generation)).one() == 1


def test_a_full_service_lets_it_lie(watched, ct_file, make_services):
    _, _, clock, folder = watched
    services = make_services(watch=folder, max_waiting=1)
    fill(folder / "a", ct_file("1.2.3"))
    fill(folder / "b", ct_file("1.2.4"))
    watch = Watch(services, clock)
    assert watch.look() == ("a",)
    assert watch.look() == ()
    assert names(folder) == ["b", "done"]
    with services.database.session() as session:
        session.scalars(select(Study)).one().state = "scored"
    assert watch.look() == ("b",)


def test_a_full_disk_lets_it_lie(watched, ct_file, monkeypatch):
    services, watch, clock, folder = watched
    fill(folder / "a", ct_file())

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("cacseg.service.inbox.receive", full)
        assert look_twice(watch, clock) == ()
    assert names(folder) == ["a"]
    assert watch.look() == ("a",)
    assert kept(services) == ["1.2.3.1.1"]


def test_hidden_entries_links_and_empty_folders_are_left_alone(watched, ct_file, tmp_path):
    services, watch, clock, folder = watched
    fill(tmp_path / "elsewhere", ct_file("1.2.9"))
    fill(folder / ".partial", ct_file("1.2.8"))
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    (folder / "empty").mkdir()
    fill(folder / "a", ct_file())
    (folder / "a" / "out").symlink_to(tmp_path / "elsewhere" / "IM0")
    (folder / "a" / "tree").symlink_to(tmp_path / "elsewhere")
    assert look_twice(watch, clock) == ("a",)
    assert kept(services) == ["1.2.3.1.1"]
    assert names(folder) == [".partial", "done", "empty", "link"]


def test_an_entry_that_cannot_be_moved_is_taken_once(watched, ct_file, caplog):
    services, watch, clock, folder = watched
    (folder / "done").write_text("in the way")
    fill(folder / "a", ct_file())
    assert look_twice(watch, clock) == ()
    assert watch.look() == ()
    assert kept(services) == ["1.2.3.1.1"]
    assert "watched study not moved aside" in caplog.messages


def test_an_entry_that_goes_away_is_forgotten(watched, ct_file):
    services, watch, clock, folder = watched
    fill(folder / "a", ct_file())
    watch.look()
    (folder / "a").rename(folder.parent / "gone")
    clock.now += 5
    assert watch.look() == ()
    assert kept(services) == []


def test_a_folder_to_watch_must_be_there(make_services, tmp_path):
    for watch in (None, tmp_path / "nowhere"):
        with pytest.raises(UsageError, match="expected a folder"):
            Watch(make_services(watch=watch))
