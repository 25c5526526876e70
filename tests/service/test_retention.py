import os
import time

import pytest
from sqlalchemy import func, select

from cacseg.service import retention
from cacseg.service.database import AuditEntry, Base, Study
from cacseg.service.errors import ConflictError, NotFoundError
from cacseg.service.inbox import study_key
from cacseg.service.retention import DAY_S, Retention, destroy


@pytest.fixture
def scored(services, dicom_files, scored_at_once, make_worker):
    stored = services.inbox.put_all(dicom_files(), "test", "sender").stored[0]
    services.inbox.complete(stored.study_id)
    make_worker(services).run_once()
    return stored


def left(services):
    """Rows that are left in each table that tells of studies."""
    with services.database.session(write=False) as session:
        return {
            name: session.scalar(select(func.count()).select_from(table))
            for name, table in Base.metadata.tables.items()
            if name not in ("audit", "cacseg_schema", "token", "browser_session")
        }


def test_nothing_is_left_but_the_trail(services, scored):
    Retention(services).delete(scored.study_id, "admin")
    assert set(left(services).values()) == {0}
    assert not (services.settings.incoming / study_key(scored.study_instance_uid)).exists()
    assert not (services.settings.results / scored.study_id).exists()
    with services.database.session(write=False) as session:
        told = [(row.actor, row.action) for row in session.scalars(select(AuditEntry).order_by(AuditEntry.seq))][-2:]
    assert told == [("admin", "study.deleting"), ("service", "study.deleted")]
    assert services.audit.verify().holds


def test_a_name_does_not_stay_in_the_pages_of_the_database(services, scored):
    Retention(services).delete(scored.study_id, "admin")
    with services.database.engine.connect() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    files = [path for path in services.settings.data.rglob("*") if path.is_file()]
    assert not any(b"SECRET^PERSON" in path.read_bytes() for path in files)


def test_files_are_overwritten_before_they_are_unlinked(tmp_path):
    path, second = tmp_path / "file", tmp_path / "same"
    path.write_bytes(b"patient" * 300_000)
    second.hardlink_to(path)
    destroy(path)
    assert not path.exists()
    assert second.read_bytes() == bytes(7 * 300_000)


def test_a_link_is_unlinked_and_its_target_left_alone(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("kept")
    link.symlink_to(target)
    destroy(link)
    assert (target.read_text(), link.is_symlink()) == ("kept", False)


def test_old_studies_go_and_young_ones_stay(services, scored, dicom_files):
    services.inbox.put_all(dicom_files(study=2), "test", "sender")
    keeping = Retention(services)
    keeping.run_once()
    settings = services.settings.model_copy(update={"retention_days": 30.0})
    object.__setattr__(services, "settings", settings)
    Retention(services, clock=lambda: time.time() + 29 * DAY_S).run_once()
    assert left(services)["study"] == 2
    Retention(services, clock=lambda: time.time() + 31 * DAY_S).run_once()
    with services.database.session(write=False) as session:
        assert [study.state for study in session.scalars(select(Study))] == ["receiving"]


def test_a_deletion_cut_short_is_finished_later(services, scored, monkeypatch):
    def crash(_folder):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(retention, "destroy_folder", crash)
        with pytest.raises(KeyboardInterrupt):
            Retention(services).delete(scored.study_id, "admin")
    assert left(services)["study"] == 1
    Retention(services).run_once()
    assert left(services)["study"] == 0


def test_a_study_in_hand_is_not_deleted(services, dicom_files):
    stored = services.inbox.put_all(dicom_files(), "test", "sender").stored[0]
    services.inbox.complete(stored.study_id)
    job = services.queue.take(["score"])
    with pytest.raises(ConflictError, match="being scored"):
        Retention(services).delete(stored.study_id, "admin")
    services.queue.done(job)
    Retention(services).delete(stored.study_id, "admin")
    with pytest.raises(NotFoundError):
        Retention(services).delete(stored.study_id, "admin")


def test_leftovers_of_killed_processes_go_after_a_day(services):
    fresh, stale, folder = (services.settings.scratch / name for name in ("fresh", "stale", "folder"))
    folder.mkdir()
    for path in (fresh, stale, folder / "part"):
        path.write_text("x")
    old = time.time() - 2 * DAY_S
    for path in (stale, folder):
        os.utime(path, (old, old))
    Retention(services).run_once()
    assert [path.name for path in services.settings.scratch.iterdir()] == ["fresh"]


def test_a_study_sent_again_after_its_deletion_is_new(services, scored, dicom_files):
    Retention(services).delete(scored.study_id, "admin")
    stored = services.inbox.put_all(dicom_files(), "test", "sender").stored
    assert [each.new for each in stored] == [True] * 3
    assert stored[0].study_id != scored.study_id


def test_deleting_what_is_being_deleted_finishes_it(services, scored):
    with services.database.session() as session:
        session.get(Study, scored.study_id).state = "deleting"
    Retention(services).delete(scored.study_id, "admin")
    assert left(services)["study"] == 0


def test_two_that_delete_one_study_at_once_do_so_once(services, scored, monkeypatch):
    """A request and the background, or the backgrounds of two hosts: the second finds files gone under its hands."""
    real, entered = retention.destroy, []

    def destroy(path):
        if not entered:
            entered.append(path)
            Retention(services)._remove(scored.study_id)
        real(path)

    monkeypatch.setattr(retention, "destroy", destroy)
    Retention(services).delete(scored.study_id, "admin")
    assert entered
    assert set(left(services).values()) == {0}
    with services.database.session(write=False) as session:
        actions = session.scalars(select(AuditEntry.action)).all()
    assert actions.count("study.deleted") == 1
