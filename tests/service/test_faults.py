"""What an acknowledged instance is worth: killed processes and crowds of senders lose and double nothing."""

import os
import signal
import threading
import time
from multiprocessing import get_context

import pytest
from sqlalchemy import select

from cacseg.service.database import Base, Instance, Study
from cacseg.service.inbox import study_key
from cacseg.service.reception import data_set_digest
from cacseg.service.services import Services


def kept(services):
    """SHA-256 of every instance of the index by its UID, each checked on the disk."""
    found = {}
    with services.database.session(write=False) as session:
        for row in session.scalars(select(Instance)):
            assert data_set_digest(services.settings.incoming / row.path) == row.sha256
            found[row.sop_instance_uid] = row.sha256
    return found


def _take_in(settings, paths, acknowledge):
    inbox = Services.of(settings).inbox
    for path in paths:
        acknowledge.send(inbox.put(path, "test", "sender").sop_instance_uid)
    acknowledge.close()


@pytest.mark.parametrize("wait_ms", [0, 3, 10])
def test_killed_while_taking_in_nothing_acknowledged_is_lost(services, dicom_files, wait_ms):
    paths = dicom_files(count=40)
    services.database.engine.dispose()
    context = get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_take_in, args=(services.settings, paths, sending))
    process.start()
    sending.close()
    acknowledged = [receiving.recv() for _ in range(7)]
    time.sleep(wait_ms / 1000)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    while True:
        try:
            acknowledged.append(receiving.recv())
        except EOFError:
            break
    assert 7 <= len(acknowledged) < 40
    assert set(acknowledged) <= set(kept(services))
    again = services.inbox.put_all(paths, "test", "sender")
    assert not again.conflicts
    assert len(kept(services)) == 40
    with services.database.session(write=False) as session:
        (study,) = session.scalars(select(Study)).all()
    assert len(list((services.settings.incoming / study_key(study.study_instance_uid)).iterdir())) == 40
    assert services.audit.verify().holds


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.system("postgres", "psql"))])
def crowded(request, settings):
    """Services on either database."""
    if request.param == "postgresql":
        settings = settings.model_copy(update={"database": request.getfixturevalue("postgresql_url")})
    made = Services.of(settings)
    yield made
    with made.database.engine.begin() as connection:
        Base.metadata.drop_all(connection)
    made.database.close()


def test_a_crowd_of_senders_with_interleaved_and_repeated_studies(crowded, dicom_files):
    services, faults = crowded, []

    def send(studies):
        try:
            for step in range(4):
                paths = [dicom_files(study=study, count=4)[step] for study in studies]
                services.inbox.put_all([*paths, *reversed(paths)], "test", "sender")
        except Exception as error:
            faults.append(error)

    crowds = [(1, 2), (2, 1), (3,), (3, 4), (4, 5), (5, 1), (2,), (1, 3, 5)]
    for study in range(1, 6):
        dicom_files(study=study, count=4)
    threads = [threading.Thread(target=send, args=(crowd,)) for crowd in crowds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert len(kept(services)) == 20
    settled = services.inbox.settled(time.time() + 60)
    assert len(settled) == len(set(settled)) == 5
    assert services.audit.verify().holds


def test_settling_from_many_places_queues_one_job(services, dicom_files):
    services.inbox.put_all(dicom_files(), "test", "sender")
    found = []
    threads = [
        threading.Thread(target=lambda: found.extend(services.inbox.settled(time.time() + 60))) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 1
    assert services.queue.take(["score"]) is not None
    assert services.queue.take(["score"]) is None
