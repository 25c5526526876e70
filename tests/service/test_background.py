"""What runs beside the routes: deliveries at growing distances, workers that are tended, a log without names."""

import json
import logging
import sys
import threading
import time
import types

import pytest
from sqlalchemy import select

from cacseg.service.background import Background, Dispatcher, retries
from cacseg.service.database import AuditEntry, Job
from cacseg.service.logs import JsonLines
from cacseg.service.services import Services
from cacseg.service.settings import DeliverySettings, DicomSettings, Settings
from cacseg.service.workers import Workers


@pytest.fixture
def sender(monkeypatch):
    """Stands for the sending of results: fails as long as ``down`` is true."""
    module = types.SimpleNamespace(down=False, sent=[])

    def send(job, settings, database):
        if module.down:
            raise ConnectionError("archive down")
        module.sent.append((job.payload["destination"], job.payload["version"]))

    monkeypatch.setattr("cacseg.service.background.send", send)
    return module


@pytest.fixture
def delivery(services, dicom_files):
    """A result that waits to be sent to the archive."""
    study_id = services.inbox.put(dicom_files()[0], "test", "sender").study_id
    services.queue.enqueue("send", study_id, "send:x:1", {"destination": "archive", "version": 1})
    return study_id


def job_of(services):
    with services.database.session(write=False) as session:
        return session.scalars(select(Job)).one()


def test_a_delivery_is_done_once_and_recorded(services, delivery, sender):
    dispatcher = Dispatcher(services)
    assert dispatcher.run_once()
    assert not dispatcher.run_once()
    assert sender.sent == [("archive", 1)]
    assert job_of(services).state == "done"
    with services.database.session(write=False) as session:
        assert session.scalars(select(AuditEntry).where(AuditEntry.action == "result.sent")).one().subject == delivery


def test_an_archive_that_is_down_is_tried_again_at_growing_distances(services, delivery, sender):
    now = [time.time()]
    dispatcher = Dispatcher(services, clock=lambda: now[0])
    sender.down = True
    tried = []
    begun = now[0]
    while now[0] < begun + 3600:
        if dispatcher.run_once():
            tried.append(round(now[0] - begun))
        now[0] += 10
    assert tried == [0, 10, 40, 100, 400, 1300, 3100]
    sender.down = False
    now[0] += 3600
    assert dispatcher.run_once()
    assert (sender.sent, job_of(services).state) == ([("archive", 1)], "done")


def test_a_delivery_that_never_succeeds_is_given_up_and_told(services, delivery, sender):
    settings = services.settings.model_copy(
        update={"deliveries": services.settings.deliveries.model_copy(update={"retry_s": (1.0,)})}
    )
    object.__setattr__(services, "settings", settings)
    now = [time.time()]
    dispatcher = Dispatcher(services, clock=lambda: now[0])
    sender.down = True
    for _ in range(2):
        assert dispatcher.run_once()
        now[0] += 5
    assert not dispatcher.run_once()
    assert (job_of(services).state, job_of(services).error) == ("failed", "ConnectionError: archive down")


def test_each_destination_has_its_own_distances():
    settings = Settings(archive={"kind": "dimse", "retry_s": [1, 2]}, deliveries={"fhir": "/x", "retry_s": [3]})
    assert retries(settings, "archive") == (1.0, 2.0)
    assert retries(settings, "fhir") == (3.0,)


def test_a_fault_in_one_part_stops_no_other(services, dicom_files, monkeypatch):
    settled, real = threading.Event(), services.inbox.settled

    def fault(_self):
        raise RuntimeError("SECRET")

    monkeypatch.setattr("cacseg.service.background.Dispatcher.run_once", fault)
    monkeypatch.setattr("cacseg.service.retention.Retention.run_once", fault)
    monkeypatch.setattr(type(services.inbox), "settled", lambda _self: (real(time.time() + 60) and settled.set(),))
    services.inbox.put(dicom_files()[0], "test", "sender")
    background = Background(services)
    background.start()
    try:
        assert settled.wait(10)
    finally:
        background.stop()


@pytest.mark.parametrize(("deliveries", "pause_s"), [({}, 5.0), ({"fhir": "/x"}, 0.2)])
def test_deliveries_are_looked_for_often_only_where_there_are_destinations(settings, monkeypatch, deliveries, pause_s):
    pauses = {}
    monkeypatch.setattr(Background, "_repeat", lambda _self, name, _step, pause: pauses.update({name: pause}))
    services = Services.of(settings.model_copy(update={"deliveries": DeliverySettings(**deliveries)}))
    background = Background(services)
    background.start()
    background.stop()
    services.database.close()
    assert pauses == {"tick": 0.2, "retention": 60.0, "delivery": pause_s}


def test_node_and_watch_folder_live_with_the_service(settings, tmp_path, monkeypatch):
    told = []

    class Node:
        def __init__(self, services):
            told.append("made")

        def start(self):
            told.append("started")

        def stop(self):
            told.append("stopped")

    looked = threading.Event()
    watch = types.SimpleNamespace(Watch=lambda services: types.SimpleNamespace(look=looked.set))
    monkeypatch.setitem(sys.modules, "cacseg.service.node", types.SimpleNamespace(Node=Node))
    monkeypatch.setitem(sys.modules, "cacseg.service.watch", watch)
    services = Services.of(settings.model_copy(update={"dicom": DicomSettings(), "watch": tmp_path}))
    background = Background(services)
    background.start()
    assert looked.wait(10)
    background.stop()
    services.database.close()
    assert told == ["made", "started", "stopped"]


def test_a_worker_that_dies_is_replaced(settings, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("cacseg.service.workers.time.monotonic", lambda: now[0])
    monkeypatch.setattr("cacseg.service.workers.RESTART_S", 2.0)
    workers = Workers(settings.model_copy(update={"workers": 2}))
    made = []

    class Process:
        def __init__(self, target, args, name, daemon):
            self.pid, self.name, self.exitcode, self.lives = 1000 + len(made), name, None, True
            made.append(self)

        def start(self):
            pass

        def is_alive(self):
            return self.lives

        def close(self):
            pass

        def terminate(self):
            self.lives = False

        def join(self, _patience=None):
            pass

    workers._context = types.SimpleNamespace(Process=Process)
    workers.tend()
    assert workers.pids == (1000, 1001)
    made[0].lives = False
    workers.tend()
    assert workers.pids == (1001,)
    now[0] += 2.1
    workers.tend()
    assert workers.pids == (1002, 1001)
    workers.stop()
    assert workers.pids == ()


def record(name, message, **extra):
    made = logging.makeLogRecord({"name": name, "msg": message, "levelname": "INFO", **extra})
    return json.loads(JsonLines().format(made))


def test_our_lines_carry_what_was_passed():
    line = record("cacseg.service.worker", "study done", study="abc", score_s=1.5)
    assert (line["message"], line["study"], line["score_s"], line["level"]) == ("study done", "abc", 1.5, "info")
    assert line["at"].endswith("+00:00")


def test_lines_of_libraries_lose_their_words():
    line = record("pydicom", "Invalid value for VR PN: 'SECRET'", module="valuerep", lineno=7, value="SECRET")
    assert "SECRET" not in json.dumps(line)
    assert line["message"] == "message of valuerep:7"


def test_a_trace_is_reduced_to_its_kind():
    try:
        raise RuntimeError("SECRET")
    except RuntimeError:
        line = record("cacseg.service", "fault", exc_info=sys.exc_info())
    assert line["fault"] == "RuntimeError"
    assert "SECRET" not in json.dumps(line)
