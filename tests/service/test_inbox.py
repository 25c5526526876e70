import errno
import hashlib
import io
import zipfile

import pydicom
import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from cacseg.errors import UnreadableError
from cacseg.service.database import AuditEntry, Instance, Job, Study
from cacseg.service.errors import BusyError, ConflictError, NotDicomFileError, StorageFullError, TooLargeError
from cacseg.service.inbox import Inbox, study_key


def rows(services, table):
    with services.database.session(write=False) as session:
        return session.scalars(select(table)).all()


def only_study(services):
    (study,) = rows(services, Study)
    return study


def leftovers(services):
    return list(services.settings.scratch.iterdir())


def test_a_file_lies_in_its_place_as_it_came(services, dicom_files):
    path = dicom_files()[0]
    stored = services.inbox.put(path, "test", "sender")
    kept = services.settings.incoming / study_key(stored.study_instance_uid)
    name = hashlib.sha256(stored.sop_instance_uid.encode()).hexdigest() + ".dcm"
    assert (kept / name).read_bytes() == path.read_bytes()
    assert path.exists()
    (instance,) = rows(services, Instance)
    assert instance.size == path.stat().st_size
    assert leftovers(services) == []


def test_the_index_knows_whose_study_it_is(services, dicom_files):
    services.inbox.put(dicom_files()[0], "dicom:CT1", "CT1")
    study = only_study(services)
    assert (study.patient_id, study.patient_name, study.study_date) == ("SECRET-ID", "SECRET^PERSON", "20200102")
    assert (study.state, study.generation, study.source) == ("receiving", 1, "dicom:CT1")


def test_a_stream_is_as_good_as_a_file(services, dicom_files):
    stored = services.inbox.put(io.BytesIO(dicom_files()[0].read_bytes()), "test", "sender")
    assert stored.new


def test_a_file_of_the_scratch_folder_is_moved(services, dicom_files):
    mine = services.settings.scratch / "mine"
    mine.write_bytes(dicom_files()[0].read_bytes())
    assert services.inbox.put(mine, "test", "sender").new
    assert not mine.exists()


def test_the_same_study_twice_is_stored_and_queued_once(services, dicom_files):
    first = services.inbox.put_all(dicom_files(), "test", "sender")
    services.inbox.complete(first.stored[0].study_id)
    second = services.inbox.put_all(dicom_files(), "test", "sender")
    assert [each.new for each in first.stored] == [True] * 3
    assert [each.new for each in second.stored] == [False] * 3
    assert only_study(services).state == "waiting"
    assert len(rows(services, Job)) == 1
    assert len(rows(services, Instance)) == 3


def test_another_content_under_the_same_uid_is_a_conflict_and_the_first_stays(services, dicom_files):
    first, changed = dicom_files()[0], dicom_files(SeriesDescription="changed")[0]
    stored = services.inbox.put(first, "test", "sender")
    with pytest.raises(ConflictError, match=stored.sop_instance_uid):
        services.inbox.put(changed, "test", "other")
    kept = next((services.settings.incoming / study_key(stored.study_instance_uid)).iterdir())
    assert kept.read_bytes() == first.read_bytes()
    conflicts = [row for row in rows(services, AuditEntry) if row.action == "instance.conflict"]
    assert [(row.actor, row.detail["instances"]) for row in conflicts] == [("other", [stored.sop_instance_uid])]


def test_the_same_object_from_another_sender_is_the_same(services, dicom_files):
    path = dicom_files()[0]
    object_ = pydicom.dcmread(path)
    object_.file_meta.ImplementationVersionName = "ANOTHER SENDER"
    object_.preamble = b"x" * 128
    rewritten = io.BytesIO()
    object_.save_as(rewritten)
    services.inbox.put(path, "test", "sender")
    rewritten.seek(0)
    assert not services.inbox.put(rewritten, "test", "other").new


def test_conflicts_do_not_stop_the_others(services, dicom_files):
    services.inbox.put(dicom_files()[0], "test", "sender")
    receipt = services.inbox.put_all(dicom_files(SeriesDescription="changed"), "test", "sender")
    assert len(receipt.conflicts) == 1
    assert [each.new for each in receipt.stored] == [True, True]


def test_interleaved_studies_are_kept_apart(services, dicom_files):
    pairs = zip(dicom_files(study=1), dicom_files(study=2), strict=True)
    for pair in pairs:
        for path in pair:
            services.inbox.put(path, "test", "sender")
    studies = rows(services, Study)
    assert sorted(study.study_instance_uid[-2:] for study in studies) == [".1", ".2"]
    for study in studies:
        folder = services.settings.incoming / study_key(study.study_instance_uid)
        assert len(list(folder.iterdir())) == 3


def test_a_study_settles_when_quiet_and_once(services, dicom_files):
    services.inbox.put_all(dicom_files(), "test", "sender")
    last = only_study(services).last_instance_at
    assert services.inbox.settled(last + 4.9) == ()
    (settled,) = services.inbox.settled(last + 5.1)
    assert services.inbox.settled(last + 100) == ()
    (job,) = rows(services, Job)
    assert (job.kind, job.key, job.payload) == ("score", f"score:{settled}:1", {"generation": 1})


def test_a_late_slice_opens_the_study_anew(services, dicom_files):
    services.inbox.put_all(dicom_files(count=3), "test", "sender")
    study_id = only_study(services).id
    assert services.inbox.complete(study_id)
    assert not services.inbox.complete(study_id)
    services.inbox.put(dicom_files(count=1, first=3)[0], "test", "sender")
    assert (only_study(services).state, only_study(services).generation) == ("receiving", 2)
    services.inbox.complete(study_id)
    assert sorted(job.key for job in rows(services, Job)) == [f"score:{study_id}:1", f"score:{study_id}:2"]


def test_a_study_that_is_being_deleted_takes_nothing_in(services, dicom_files):
    services.inbox.put(dicom_files()[0], "test", "sender")
    with services.database.session() as session:
        session.scalars(select(Study)).one().state = "deleting"
    with pytest.raises(ConflictError, match="being deleted"):
        services.inbox.put(dicom_files()[1], "test", "sender")


@pytest.mark.parametrize(
    ("tags", "named"),
    [
        ({"StudyInstanceUID": None}, "StudyInstanceUID"),
        ({"SeriesInstanceUID": ""}, "SeriesInstanceUID"),
        ({"StudyInstanceUID": "../../etc"}, "StudyInstanceUID"),
        ({"StudyInstanceUID": "1." * 40 + "1"}, "StudyInstanceUID"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")  # of pydicom, as the files are made
def test_objects_without_valid_uids_are_refused(services, dicom_files, tags, named):
    with pytest.raises(NotDicomFileError, match=named):
        services.inbox.put(dicom_files(count=1, **tags)[0], "test", "sender")
    assert rows(services, Study) == []


def test_a_truncated_file_is_refused_and_nothing_is_left(services, dicom_files):
    whole = dicom_files()[0].read_bytes()
    for length in (len(whole) - 1, len(whole) - 100, len(whole) // 2, 400, 140, 0):
        with pytest.raises(NotDicomFileError):
            services.inbox.put(io.BytesIO(whole[:length]), "test", "sender")
    assert (rows(services, Study), leftovers(services)) == ([], [])
    assert list(services.settings.incoming.iterdir()) == []


def test_no_dicom_at_all_is_told_and_counted(services, dicom_files):
    with pytest.raises(NotDicomFileError):
        services.inbox.put_all([io.BytesIO(b"a text")], "test", "sender")
    receipt = services.inbox.put_all([io.BytesIO(b"a text"), dicom_files()[0]], "test", "sender")
    assert (receipt.skipped, len(receipt.stored)) == (1, 1)


def test_a_file_beyond_the_limit_is_refused(services, dicom_files):
    inbox = Inbox(services.settings.model_copy(update={"max_upload_mb": 0}), services.database)
    with pytest.raises(TooLargeError):
        inbox.put(io.BytesIO(dicom_files()[0].read_bytes()), "test", "sender")


def test_an_archive_is_unpacked_and_its_names_never_used(services, dicom_files, tmp_path):
    archive = tmp_path / "study.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for number, path in enumerate(dicom_files()):
            packed.write(path, f"CT/{number}")
        packed.write(dicom_files(study=2)[0], "../../../escaped.dcm")
        packed.writestr("readme.txt", "hello")
    receipt = services.inbox.put_archive(archive, "test", "sender")
    assert (len(receipt.stored), receipt.skipped) == (3, 2)
    assert not list(tmp_path.rglob("*escaped*"))
    assert leftovers(services) == []


def test_a_bomb_is_refused_and_cleared(services, tmp_path):
    archive = tmp_path / "bomb.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("zeros", bytes(64 * 1024**2))
    with pytest.raises(UnreadableError, match="bomb"):
        services.inbox.put_archive(archive, "test", "sender")
    assert leftovers(services) == []


def test_senders_are_turned_away_when_too_much_waits(settings, services, dicom_files):
    inbox = Inbox(settings.model_copy(update={"max_waiting": 2}), services.database)
    assert inbox.backpressure() is None
    for study in (1, 2):
        inbox.put(dicom_files(study=study)[0], "test", "sender")
    assert inbox.backpressure() > 0
    with pytest.raises(BusyError) as caught:
        inbox.check_room()
    assert caught.value.retry_after_s > 0


def test_senders_are_turned_away_when_the_disk_is_nearly_full(settings, services):
    inbox = Inbox(settings.model_copy(update={"min_free_bytes": 2**62}), services.database)
    assert inbox.backpressure() > 0


@pytest.mark.parametrize(
    "place", ["cacseg.service.reception.sync", "cacseg.service.inbox.sync", "pathlib.Path.replace"]
)
def test_a_full_disk_leaves_nothing_half_written(services, dicom_files, monkeypatch, place):
    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(place.replace("reception.sync", "reception._copy"), full)
        with pytest.raises(StorageFullError):
            services.inbox.put_all(dicom_files(), "test", "sender")
    assert (rows(services, Study), rows(services, Instance), leftovers(services)) == ([], [], [])
    assert services.inbox.put_all(dicom_files(), "test", "sender").stored[0].new


def test_a_full_disk_while_unpacking_is_no_fault_of_the_archive(services, dicom_files, tmp_path, monkeypatch):
    archive = tmp_path / "study.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.write(dicom_files()[0], "1")

    def full(*_args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("cacseg.study.archive._unpack_one", full)
    with pytest.raises(StorageFullError):
        services.inbox.put_archive(archive, "test", "sender")


def test_a_full_disk_of_the_database_is_a_full_disk(services, dicom_files, monkeypatch):
    def full(*_args, **_kwargs):
        raise OperationalError("INSERT", {}, Exception("database or disk is full"))

    monkeypatch.setattr("cacseg.service.inbox.insert_if_new", full)
    with pytest.raises(StorageFullError):
        services.inbox.put(dicom_files()[0], "test", "sender")
    assert leftovers(services) == []
