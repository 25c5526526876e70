"""The same tables and the same rules on SQLite and on PostgreSQL."""

import threading

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError

from cacseg.errors import UsageError
from cacseg.service.audit import Audit
from cacseg.service.database import AuditEntry, Base, Database, Schema, Study, insert_if_new
from cacseg.service.queue import Queue


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.system("postgres", "psql"))])
def database(request, tmp_path):
    url = f"sqlite:///{tmp_path}/db.sqlite" if request.param == "sqlite" else request.getfixturevalue("postgresql_url")
    made = Database(url)
    made.create()
    yield made
    with made.engine.begin() as connection:
        Base.metadata.drop_all(connection)
    made.close()


def study(session, uid="1.2.3"):
    row = Study(study_instance_uid=uid, received_at=1.0, last_instance_at=1.0, source="test")
    session.add(row)
    session.flush()
    return row.id


def test_sqlite_is_set_up_for_crashes(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/db.sqlite")
    with database.session(write=False) as session:
        found = {
            name: session.scalar(text(f"PRAGMA {name}"))
            for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete", "busy_timeout")
        }
    database.close()
    assert found == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "secure_delete": 1,
        "busy_timeout": 30000,
    }


def test_transaction_is_all_or_nothing(database):
    def cut_short():
        with database.session() as session:
            study(session)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        cut_short()
    with database.session(write=False) as session:
        assert session.scalars(select(Study)).all() == []


def test_create_twice_keeps_what_is_there(database):
    with database.session() as session:
        kept = study(session)
    database.create()
    with database.session(write=False) as session:
        assert session.get(Study, kept).generation == 1


def test_several_hosts_make_the_tables_at_the_same_moment(database):
    with database.engine.begin() as connection:
        Base.metadata.drop_all(connection)
    start, faults = threading.Barrier(6), []

    def create():
        host = Database(database.engine.url.render_as_string(hide_password=False))
        start.wait()
        try:
            host.create()
        except Exception as error:
            faults.append(error)
        finally:
            host.close()

    hosts = [threading.Thread(target=create) for _ in range(6)]
    for host in hosts:
        host.start()
    for host in hosts:
        host.join()
    assert faults == []


def test_tables_of_another_version_are_refused(database):
    with database.session() as session:
        session.execute(update(Schema).values(version="99"))
    with pytest.raises(UsageError, match="version"):
        database.create()


def test_insert_if_new_says_which_it_was(database):
    values = {"version": "other"}
    with database.session() as session:
        assert insert_if_new(session, Schema, values)
        assert not insert_if_new(session, Schema, values)


def test_one_job_is_taken_once_by_many(database):
    with database.session() as session:
        owner = study(session)
    for number in range(12):
        Queue(database, "test").enqueue("score", owner, f"job-{number}")
    taken, lock = [], threading.Lock()

    def take(name):
        queue = Queue(database, name)
        while (job := queue.take(["score"])) is not None:
            with lock:
                taken.append(job.key)
            queue.done(job)

    threads = [threading.Thread(target=take, args=(f"owner-{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(f"job-{n}" for n in range(12))


def test_writers_at_once_keep_the_audit_chain_whole(database):
    audit = Audit(database)

    def write(name):
        for _ in range(10):
            with database.session() as session:
                audit.record(session, name, "test", "subject")

    threads = [threading.Thread(target=write, args=(f"writer-{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    verdict = audit.verify()
    assert (verdict.entries, verdict.holds) == (40, True)


@pytest.mark.parametrize("statement", ["UPDATE audit SET actor = 'x'", "DELETE FROM audit"])
def test_the_database_itself_refuses_to_change_the_audit_trail(database, statement):
    with database.session() as session:
        Audit(database).record(session, "actor", "action", "subject")
    with pytest.raises(DBAPIError, match="append-only"), database.session() as session:
        session.execute(text(statement))
    with database.session(write=False) as session:
        assert [row.actor for row in session.scalars(select(AuditEntry))] == ["actor"]


@pytest.mark.parametrize("url", ["mysql+pymysql://user@host/db", "nonsense", "mssql://x"])
def test_other_databases_are_wrong_usage(url):
    with pytest.raises(UsageError, match="database"):
        Database(url)
