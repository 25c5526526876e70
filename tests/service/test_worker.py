"""A worker repeats whatever was cut short, publishes each score once, and loses nothing."""

import ctypes
import errno
import gc
import json
import os
import signal
import threading
import time
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import select

from cacseg import pipeline
from cacseg.errors import ReleaseError, UnreadableError
from cacseg.report.nifti import labels_nifti
from cacseg.service import worker as worker_module
from cacseg.service.background import Background
from cacseg.service.database import AuditEntry, Database, Job, Study, Version
from cacseg.service.errors import NotFoundError
from cacseg.service.services import Services
from cacseg.service.versions import complete_version, publish_version, reserve_version
from cacseg.service.worker import Worker
from cacseg.service.workers import run_worker


def rows(services, table):
    with services.database.session(write=False) as session:
        return session.scalars(select(table)).all()


def actions(services):
    return [row.action for row in rows(services, AuditEntry)]


@pytest.fixture
def received(services, dicom_files):
    """A study that waits to be scored."""
    stored = services.inbox.put_all(dicom_files(), "test", "sender").stored[0]
    services.inbox.complete(stored.study_id)
    return stored.study_id


def test_a_study_is_scored_and_all_forms_are_written(services, received, scored_at_once, make_worker):
    assert make_worker(services).run_once()
    assert not make_worker(services).run_once()
    (study,) = rows(services, Study)
    folder = services.settings.version_folder(received, 1)
    result = json.loads((folder / "result.json").read_text())
    assert (study.state, study.result_version, study.agatston) == ("scored", 1, result["scores"]["total"]["agatston"])
    assert study.category == result["risk"]["agatston_category"]
    assert {"report.html", "report.pdf", "segmentation.dcm", "structured_report.dcm"} <= {
        f.name for f in folder.iterdir()
    }
    (version,) = rows(services, Version)
    assert (version.kind, version.author, version.complete) == ("automatic", "none 0", True)
    assert [job.state for job in rows(services, Job)] == ["done"]
    assert actions(services) == ["study.received", "study.complete", "study.taken-up", "version.automatic"]


def test_the_score_can_be_read_before_the_forms_are_written(
    services, received, scored_at_once, make_worker, monkeypatch, specimens
):
    seen = []
    real = worker_module.write_all

    def write_all(inputs, folder, formats):
        (study,) = rows(services, Study)
        present = sorted(f.name for f in services.settings.version_folder(received, 1).glob("*"))
        seen.append((formats, study.state, study.agatston is not None, present))
        return real(inputs, folder, formats)

    monkeypatch.setattr(worker_module, "write_all", write_all)
    make_worker(services).run_once()
    assert seen == [
        (("json", "nifti"), "scoring", False, []),
        (("csv", "seg", "sr", "html", "pdf", "fhir"), "scored", True, ["labels.nii.gz", "result.json"]),
    ]
    present = {path.name: path for path in services.settings.version_folder(received, 1).iterdir()}
    assert {"labels.nii.gz", "result.json", "report.pdf", "lesions.csv"} < set(present)
    inputs = specimens(scored_at_once.kind)
    assert present["labels.nii.gz"].read_bytes() == labels_nifti(inputs.labels, inputs.volume)


def test_a_refused_study_has_its_reasons_and_no_score(services, received, scored_at_once, make_worker):
    scored_at_once.kind = "refused"
    make_worker(services).run_once()
    (study,) = rows(services, Study)
    assert (study.state, study.agatston, study.category, study.result_version) == ("refused", None, None, 1)
    assert any(finding["severity"] == "refusal" for finding in study.findings)


def test_every_destination_gets_one_delivery(services, received, scored_at_once, make_worker):
    settings = services.settings.model_copy(
        update={"deliveries": services.settings.deliveries.model_copy(update={"fhir": "/f", "oru": "/o"})}
    )
    Worker(settings, services.database, "w", release=SimpleNamespace(name="none", version="0")).run_once()
    sends = [job for job in rows(services, Job) if job.kind == "send"]
    assert sorted(job.payload["destination"] for job in sends) == ["fhir", "oru"]
    assert {job.payload["version"] for job in sends} == {1}
    assert (settings.version_folder(received, 1) / "report.hl7").is_file()


def test_unreadable_studies_fail_at_once_with_their_reason(services, received, make_worker, monkeypatch):
    def unreadable(*_args, **_kwargs):
        raise UnreadableError("All 3 files are damaged.")

    monkeypatch.setattr(pipeline, "score_study", unreadable)
    make_worker(services).run_once()
    (study,) = rows(services, Study)
    assert (study.state, study.message) == ("failed", "All 3 files are damaged.")
    assert [job.state for job in rows(services, Job)] == ["failed"]
    assert "study.failed" in actions(services)


@pytest.mark.parametrize("error", [RuntimeError("Patient SECRET^PERSON"), ReleaseError("altered")])
def test_faults_are_tried_again_and_then_told(services, received, make_worker, monkeypatch, caplog, error):
    def fault(*_args, **_kwargs):
        raise error

    monkeypatch.setattr(pipeline, "score_study", fault)
    now = [time.time()]
    worker = make_worker(services, clock=lambda: now[0])
    for attempt in range(3):
        assert rows(services, Study)[0].state == ("waiting" if attempt == 0 else "scoring")
        assert worker.run_once()
        assert not worker.run_once()
        now[0] += 121
    (study,) = rows(services, Study)
    assert study.state == "failed"
    assert "SECRET" not in study.message + caplog.text + str([vars(record) for record in caplog.records])


def test_a_full_disk_is_waited_for(services, received, scored_at_once, make_worker, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    now = [time.time()]
    worker = make_worker(services, clock=lambda: now[0])
    with monkeypatch.context() as patched:
        patched.setattr("cacseg.report.folder.sync", full)
        for _ in range(5):
            assert worker.run_once()
            assert list(services.settings.scratch.iterdir()) == []
            now[0] += 31
    assert not services.settings.version_folder(received, 1).exists()
    assert worker.run_once()
    assert rows(services, Study)[0].state == "scored"
    assert [row.version for row in rows(services, Version)] == [1]


def test_a_slice_that_comes_while_scoring_makes_the_score_void(
    services, received, scored_at_once, make_worker, dicom_files, monkeypatch
):
    quick = pipeline.score_study

    def slow(*args, **kwargs):
        services.inbox.put(dicom_files(count=1, first=3)[0], "test", "sender")
        return quick(*args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(pipeline, "score_study", slow)
        make_worker(services).run_once()
    (study,) = rows(services, Study)
    assert (study.state, study.result_version, rows(services, Version)) == ("receiving", 0, [])
    assert not services.settings.version_folder(received, 1).exists()
    services.inbox.complete(received)
    make_worker(services).run_once()
    (study,) = rows(services, Study)
    assert (study.state, study.scored_generation) == ("scored", 2)
    assert len(rows(services, Version)) == 1


def test_a_slice_that_comes_after_the_score_makes_a_second_version(
    services, received, scored_at_once, make_worker, dicom_files
):
    make_worker(services).run_once()
    services.inbox.put(dicom_files(count=1, first=3)[0], "test", "sender")
    services.inbox.complete(received)
    make_worker(services).run_once()
    assert [(row.version, row.generation) for row in rows(services, Version)] == [(1, 1), (2, 2)]
    assert rows(services, Study)[0].result_version == 2


def test_a_job_of_an_earlier_generation_is_dropped(services, received, scored_at_once, make_worker, dicom_files):
    services.inbox.put(dicom_files(count=1, first=3)[0], "test", "sender")
    assert make_worker(services).run_once()
    assert scored_at_once.folders == []
    assert rows(services, Study)[0].state == "receiving"


def test_a_worker_that_lost_its_lease_publishes_nothing(services, received, scored_at_once, make_worker, monkeypatch):
    quick = pipeline.score_study
    late = lambda: time.time() + 1000  # noqa: E731

    def slow(*args, **kwargs):
        with monkeypatch.context() as patched:
            patched.setattr(pipeline, "score_study", quick)
            assert make_worker(services, "second", clock=late).run_once()
        return quick(*args, **kwargs)

    monkeypatch.setattr(pipeline, "score_study", slow)
    assert make_worker(services, "first").run_once()
    assert [row.version for row in rows(services, Version)] == [1]
    assert actions(services).count("version.automatic") == 1
    assert (services.settings.version_folder(received, 1) / "report.pdf").is_file()


def test_the_lease_is_renewed_while_a_study_takes_long(settings, dicom_files, scored_at_once, make_worker, monkeypatch):
    services = Services.of(settings.model_copy(update={"lease_s": 0.3}))
    stored = services.inbox.put_all(dicom_files(), "test", "sender").stored[0]
    services.inbox.complete(stored.study_id)
    quick = pipeline.score_study

    def slow(*args, **kwargs):
        time.sleep(0.8)
        return quick(*args, **kwargs)

    monkeypatch.setattr(pipeline, "score_study", slow)
    make_worker(services).run_once()
    (job,) = rows(services, Job)
    services.database.close()
    assert (job.state, job.attempts) == ("done", 1)


class Hung(SimpleNamespace):
    """A scorer that does not come back, until the test is over."""

    def __call__(self, *_args, **_kwargs):
        self.calls += 1
        self.ended.wait(30)
        raise RuntimeError


def test_a_study_that_takes_too_long_is_tried_again_and_then_fails(
    settings, dicom_files, make_worker, monkeypatch, caplog
):
    services = Services.of(settings.model_copy(update={"job_limit_s": 0.2}))
    study_id = services.inbox.put_all(dicom_files(), "test", "sender").stored[0].study_id
    services.inbox.complete(study_id)
    now, ends = [time.time()], []
    hung = Hung(calls=0, ended=threading.Event())
    monkeypatch.setattr(pipeline, "score_study", hung)

    def end():
        ends.append(rows(services, Job)[0].state)
        hung.ended.set()

    worker = make_worker(services, clock=lambda: now[0], end=end)
    for attempt in (1, 2, 3):
        hung.ended.clear()
        assert worker.run_once()
        assert len(ends) == hung.calls == attempt
        assert not worker.run_once()
        now[0] += 121
    (study,) = rows(services, Study)
    services.database.close()
    assert ends == ["ready", "ready", "failed"]
    assert study.state == "failed"
    assert study.message.startswith("scoring took longer than 0.2 s (3 of 3 attempts)")
    assert "job_limit_s" in study.message
    assert any("test_worker.py" in getattr(record, "place", "") for record in caplog.records)


def _works_in(settings, hang):
    pipeline.score_study = hang
    Worker(settings, Database(settings.database_url), "hung", SimpleNamespace(name="none", version="0")).run_once()


def _sleeps(*_args, **_kwargs):
    time.sleep(60)


def _keeps_the_interpreter(*_args, **_kwargs):
    ctypes.PyDLL(None).sleep(60)  # a call that never lets another thread run


@pytest.mark.parametrize(("hang", "told"), [(_sleeps, True), (_keeps_the_interpreter, False)])
def test_a_process_that_hangs_is_ended_and_its_study_scored_by_another(
    services, received, scored_at_once, make_worker, monkeypatch, hang, told
):
    monkeypatch.setattr("cacseg.service.heartbeat.GRACE_S", 0.5)
    services.database.engine.dispose()
    impatient = services.settings.model_copy(update={"job_limit_s": 0.5})
    process = get_context("fork").Process(target=_works_in, args=(impatient, hang))
    process.start()
    process.join(30)
    assert process.exitcode == 1
    (job,) = rows(services, Job)
    assert (job.state, job.attempts) == ("ready" if told else "running", 1)
    after = time.time() + services.settings.lease_s + 1
    assert make_worker(services, clock=lambda: after).run_once()
    (study,), (version,) = rows(services, Study), rows(services, Version)
    assert (study.state, study.message, version.complete) == ("scored", None, True)


PLACES = (
    "in the network",
    "writing the first forms",
    "before the score",
    "after the score",
    "writing the other forms",
    "before the end",
)


def _killed_in(place, settings, reached):
    """Work in a process of its own until a certain place, and wait there to be killed."""

    def here(*_args, **_kwargs):
        reached.set()
        time.sleep(60)

    if place == "in the network":
        pipeline.score_study = here
    if place == "writing the first forms":
        worker_module.write_all = here
    if place == "before the score":
        worker_module.publish_version = lambda *a, **k: (publish_version(*a, **k), here())
    if place == "after the score":
        real = worker_module.write_all
        worker_module.write_all = lambda i, f, forms: real(i, f, forms) if len(forms) == 2 else here()
    if place == "writing the other forms":
        import cacseg.report.write as write

        fill = write._fill

        def half(folder, files):
            if len(files) > 2:
                fill(folder, dict(list(files.items())[:2]))
                here()
            fill(folder, files)

        write._fill = half
    if place == "before the end":
        worker_module.complete_version = lambda *a: (complete_version(*a), here())
    Worker(settings, Database(settings.database_url), "killed", SimpleNamespace(name="none", version="0")).run_once()


@pytest.mark.parametrize("place", PLACES)
def test_a_worker_killed_anywhere_is_made_good(services, received, scored_at_once, make_worker, place):
    context = get_context("fork")
    reached = context.Event()
    services.database.engine.dispose()
    process = context.Process(target=_killed_in, args=(place, services.settings, reached))
    process.start()
    assert reached.wait(30)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert not make_worker(services).run_once()
    after = time.time() + services.settings.lease_s + 1
    assert make_worker(services, clock=lambda: after).run_once()
    (study,), (version,), (job,) = rows(services, Study), rows(services, Version), rows(services, Job)
    assert (study.state, version.version, version.complete, job.state, job.attempts) == ("scored", 1, True, "done", 2)
    assert actions(services).count("version.automatic") == 1
    results = services.settings.results / received
    assert [entry.name for entry in results.iterdir()] == ["v1"]
    assert (results / "v1" / "structured_report.dcm").is_file()
    assert services.audit.verify().holds


def test_a_study_that_kills_every_worker_is_given_up(services, received, make_worker):
    class Dies(BaseException):
        pass

    for attempt in range(3):
        clock = lambda attempt=attempt: time.time() - 10_000 + attempt * 1000  # noqa: E731
        services.queue._clock = clock
        services.queue.owner = f"dying-{attempt}"
        if attempt == 0:
            with services.database.session() as session:
                session.scalars(select(Job)).one().not_before = 0.0
        job = services.queue.take(["score"])
        with services.database.session() as session:
            session.get(Study, received).state = "scoring"
        assert job.attempts == attempt + 1
    services.queue._clock = time.time
    Background(services)._tick()
    (study,) = rows(services, Study)
    assert study.state == "failed"
    assert "silent" in study.message
    assert not make_worker(services).run_once()


def test_many_studies_in_a_row_all_end_scored_in_the_same_memory(
    services, dicom_files, scored_at_once, make_worker, monkeypatch
):
    paths = [dicom_files(study=100 + number, count=1)[0] for number in range(50)]
    services.inbox.put_all(paths, "test", "sender")
    assert len(services.inbox.settled(time.time() + 60)) == 50
    monkeypatch.setattr(worker_module, "formats_for", lambda _settings: ("json",))
    monkeypatch.setattr(worker_module, "FIRST_FORMS", ("json",))
    worker, memory_mb = make_worker(services), []
    while worker.run_once():
        memory_mb.append(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024**2)
    assert memory_mb[-1] - memory_mb[10] < 25
    assert [study.state for study in rows(services, Study)] == ["scored"] * 50
    assert len(scored_at_once.folders) == len(set(scored_at_once.folders)) == 50


def test_a_worker_works_until_it_is_told_to_stop(services, received, scored_at_once, make_worker):
    stop = threading.Event()
    thread = threading.Thread(target=make_worker(services).run, args=(stop,))
    thread.start()
    while rows(services, Job)[0].state != "done":
        time.sleep(0.05)
    stop.set()
    thread.join(10)
    assert not thread.is_alive()


def test_a_worker_that_fails_after_losing_its_lease_changes_nothing(services, received, make_worker, monkeypatch):
    def fault(*_args, **_kwargs):
        with services.database.session() as session:
            session.scalars(select(Job)).one().lease_owner = "another"
        raise RuntimeError

    monkeypatch.setattr(pipeline, "score_study", fault)
    assert make_worker(services).run_once()
    (job,) = rows(services, Job)
    assert (job.state, job.lease_owner, job.error) == ("running", "another", None)


def test_forms_that_cannot_be_written_leave_the_score_standing(
    services, received, scored_at_once, make_worker, monkeypatch
):
    monkeypatch.setattr(worker_module, "formats_for", lambda _settings: 1 / 0)
    now = [time.time()]
    worker = make_worker(services, clock=lambda: now[0])
    for _ in range(3):
        assert worker.run_once()
        now[0] += 121
    (study,), (version,) = rows(services, Study), rows(services, Version)
    assert (study.state, version.complete) == ("scored", False)
    assert "ZeroDivisionError" in study.message
    assert not worker.run_once()


def test_a_version_of_a_study_that_is_gone(services):
    with services.database.session() as session:
        with pytest.raises(NotFoundError):
            reserve_version(session, "0" * 32)
        with pytest.raises(NotFoundError):
            complete_version(session, services.queue, services.settings, "0" * 32, 1)
        result = {"status": "refused", "scores": None, "risk": None, "findings": []}
        facts = {"kind": "automatic", "author": "x", "generation": 1, "result": result, "at": 0.0}
        with pytest.raises(NotFoundError):
            publish_version(session, services.audit, "0" * 32, 1, **facts)


def test_a_worker_process_stops_by_signal_or_when_its_parent_is_gone(settings, services, monkeypatch):
    handlers, made = {}, []

    class Stub:
        def __init__(self, *_args):
            made.append(self)

        def run(self, stop):
            if len(made) == 1:
                handlers[signal.SIGTERM]()
            self.stopped = stop.wait(10)

    monkeypatch.setattr(signal, "signal", lambda number, handler: handlers.update({number: handler}))
    monkeypatch.setattr(worker_module, "Worker", Stub)
    monkeypatch.setattr("cacseg.service.workers.log_as_json", lambda: None)
    gc.unfreeze()
    run_worker(settings)
    assert gc.get_freeze_count() > 10_000
    gc.unfreeze()
    run_worker(settings, parent=os.getppid() + 1)
    assert [each.stopped for each in made] == [True, True]


def test_a_worker_without_its_release_says_so(settings, services, caplog, monkeypatch):
    monkeypatch.setattr("cacseg.service.workers.log_as_json", lambda: None)
    monkeypatch.setattr(signal, "signal", lambda *_args: None)
    with pytest.raises(SystemExit):
        run_worker(settings.model_copy(update={"release": "invented"}))
    assert "invented" in caplog.records[-1].reason


def test_the_network_may_run_elsewhere(settings, services, monkeypatch):
    import cacseg.infer.kserve

    monkeypatch.setattr(
        worker_module, "load_release", lambda _name, *, threads, engine: SimpleNamespace(threads=threads)
    )
    monkeypatch.setattr(cacseg.infer.kserve, "serve_elsewhere", lambda release, url: (release.threads, url))
    elsewhere = settings.model_copy(update={"triton": "http://triton:8000"})
    assert Worker(settings, services.database, "w")._release.threads == 2
    assert Worker(elsewhere, services.database, "w")._release == (2, "http://triton:8000")


def test_a_version_signed_while_a_study_is_scored_again_stays_the_newest(
    services, received, scored_at_once, make_worker, monkeypatch
):
    make_worker(services).run_once()
    with services.database.session() as session:
        study = session.get(Study, received)
        study.generation, study.state = 2, "waiting"
        services.queue.enqueue("score", received, "again", {"generation": 2}, session=session)
    quick = pipeline.score_study

    def slow(*args, **kwargs):
        outcome = quick(*args, **kwargs)
        facts = {"kind": "signed", "author": "reader", "generation": 1, "at": 5.0}
        with services.database.session() as session:
            number = reserve_version(session, received)
            publish_version(session, services.audit, received, number, result=outcome.result.to_dict(), **facts)
        return outcome

    monkeypatch.setattr(pipeline, "score_study", slow)
    make_worker(services).run_once()
    (study,) = rows(services, Study)
    assert (study.state, study.result_version, study.scored_generation) == ("scored", 3, 2)
    kinds = {row.version: row.kind for row in rows(services, Version)}
    assert kinds == {1: "automatic", 2: "automatic", 3: "signed"}
