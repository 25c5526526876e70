"""Results on their way out: to archives that are there, away, full or picky, and to everybody else."""

import errno
import json
import socket
import threading
from contextlib import contextmanager

import pytest
from pydantic import SecretStr
from pydicom import dcmread
from pydicom.uid import EncapsulatedPDFStorage
from pynetdicom import AE, AllStoragePresentationContexts, evt
from sqlalchemy import select, update

from cacseg.service.background import Dispatcher
from cacseg.service.database import AuditEntry, Job, Study
from cacseg.service.errors import DeliveryError, LeaseLostError
from cacseg.service.queue import Queue
from cacseg.service.sending import send
from cacseg.service.sending.archive import dicom_forms
from cacseg.service.sending.document import send_document
from cacseg.service.sending.webhook import TIMESTAMP, TOLERANCE_S, announce, genuine

ARCHIVE_ORDER = ["segmentation.dcm", "structured_report.dcm", "encapsulated_report.dcm", "capture-1.dcm"]


class Clock:
    def __init__(self, now=1_000_000.0):
        self.now = now

    def __call__(self):
        return self.now


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextmanager
def archive_at(port, refuse=lambda _: 0x0000, title="ARCHIVE", leave_out=()):
    """An archive that keeps SOPInstanceUIDs; ``refuse`` gives the status of each."""
    kept = []

    def store(event):
        uid = event.request.AffectedSOPInstanceUID
        status = refuse(uid)
        if status == 0x0000 or 0xB000 <= status < 0xC000:
            kept.append(str(uid))
        return status

    entity = AE(ae_title=title)
    entity.require_called_aet = True
    entity.supported_contexts = [
        context for context in AllStoragePresentationContexts if context.abstract_syntax not in leave_out
    ]
    server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
    try:
        yield kept
    finally:
        server.shutdown()


def job_of(services, kind="send"):
    with services.database.session(write=False) as session:
        return session.scalars(select(Job).where(Job.kind == kind).order_by(Job.key)).first()


def uids(folder):
    return [str(dcmread(path, stop_before_pixels=True).SOPInstanceUID) for path in folder.glob("*.dcm")]


def test_the_archive_gets_every_dicom_form_what_is_referred_to_first(make_services, add_version, written):
    port = free_port()
    services = make_services(archive={"kind": "dimse", "port": port})
    add_version(services)
    with archive_at(port) as kept:
        assert Dispatcher(services).run_once()
        assert not Dispatcher(services).run_once()
    assert sorted(kept) == sorted(uids(written))
    assert len(kept) >= 4
    assert [form.path.name for form in dicom_forms(written)][:4] == ARCHIVE_ORDER
    assert kept == [form.sop_instance for form in dicom_forms(written)]
    assert job_of(services).state == "done"


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # pynetdicom: socket of a refused connect
def test_an_archive_that_is_away_for_an_hour_gets_everything_once(make_services, add_version, written):
    port, clock = free_port(), Clock(4_000_000_000.0)
    services = make_services(archive={"kind": "dimse", "port": port})
    add_version(services)
    dispatcher = Dispatcher(services, clock)
    tried, begun = 0, clock.now
    while clock.now < begun + 3600:
        tried += dispatcher.run_once()
        assert not dispatcher.run_once(), "not before its time"
        job = job_of(services)
        assert job.state == "ready"
        assert "does not answer" in job.error
        clock.now = job.not_before
    assert tried == 7
    with archive_at(port) as kept:
        assert dispatcher.run_once()
        clock.now += 1e6
        assert not dispatcher.run_once()
    assert sorted(kept) == sorted(uids(written))


def test_after_a_break_only_the_rest_is_sent(make_services, add_version, written):
    port, clock = free_port(), Clock(4_000_000_000.0)
    services = make_services(archive={"kind": "dimse", "port": port, "retry_s": (5.0, 5.0)})
    add_version(services)
    dispatcher = Dispatcher(services, clock)
    third = [form.sop_instance for form in dicom_forms(written)][2]
    with archive_at(port, lambda uid: 0xA700 if uid == third else 0x0000) as kept:
        dispatcher.run_once()
    assert len(kept) == 2
    assert job_of(services).payload["sent"] == kept
    assert f"answered A700 for {third}" in job_of(services).error
    clock.now += 5
    with archive_at(port) as rest:
        dispatcher.run_once()
    assert sorted(kept + rest) == sorted(uids(written))
    assert job_of(services).state == "done"


def test_a_remark_counts_as_stored(make_services, add_version, written):
    port = free_port()
    services = make_services(archive={"kind": "dimse", "port": port})
    add_version(services)
    with archive_at(port, lambda _: 0xB000) as kept:
        Dispatcher(services).run_once()
    assert len(kept) == len(uids(written))
    assert job_of(services).state == "done"


@pytest.mark.system("openssl")
def test_an_archive_by_tls(make_services, add_version, start_node, certificates):
    """A node with TLS stands for the archive; it answers with the warning that such objects are not needed there."""
    own = {name: certificates / f"node.{end}" for name, end in (("certificate", "pem"), ("key", "key"))}
    node, _ = start_node({"tls": {**own, "ca": certificates / "ca.pem"}, "allowed": {"CACSEG": None}})
    archive = {"kind": "dimse", "aet": "CACSEG", "host": "localhost", "port": node.port, "retry_s": ()}
    shown = {name: certificates / f"peer.{end}" for name, end in (("certificate", "pem"), ("key", "key"))}
    services = make_services(archive={**archive, "tls": {**shown, "ca": certificates / "ca.pem"}})
    add_version(services)
    Dispatcher(services).run_once()
    assert job_of(services).state == "done", job_of(services).error
    services = make_services(archive={**archive, "tls": {**shown, "certificate": certificates / "ca.key"}})
    add_version(services)
    Dispatcher(services).run_once()
    assert "cannot be used" in job_of(services).error


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"title": "OTHER"}, "rejected the association: check the AE titles"),
        ({"leave_out": (EncapsulatedPDFStorage,)}, f"takes no {EncapsulatedPDFStorage} in"),
    ],
)
def test_what_an_archive_does_not_take_is_said(make_services, add_version, options, said):
    port = free_port()
    services = make_services(archive={"kind": "dimse", "port": port, "retry_s": ()})
    add_version(services)
    with archive_at(port, **options):
        Dispatcher(services).run_once()
    job = job_of(services)
    assert said in job.error
    assert job.state == "failed"


def test_two_dispatchers_do_not_send_twice(make_services, add_version, written):
    port = free_port()
    services = make_services(archive={"kind": "dimse", "port": port})
    add_version(services)
    job = Queue(services.database, "first").take(["send"])
    with services.database.session() as session:
        session.execute(update(Job).values(lease_owner="second"))
    with archive_at(port) as kept, pytest.raises(LeaseLostError):
        send(job, services.settings, services.database)
    assert len(kept) == 1, "stops at the first object that it can no longer note"


def test_stow_sends_each_object_in_its_own_request(make_services, add_version, written, listener):
    services = make_services(archive={"kind": "stow", "url": listener.address + "/dicom-web/", "token": "secret"})
    add_version(services)
    Dispatcher(services).run_once()
    assert job_of(services).state == "done", job_of(services).error
    forms = dicom_forms(written)
    assert len(listener.requests) == len(forms)
    for (path, fields, body), form in zip(listener.requests, forms, strict=True):
        assert path == "/dicom-web/studies"
        assert fields["Authorization"] == "Bearer secret"
        assert fields["Content-Type"].startswith('multipart/related; type="application/dicom"; boundary=')
        boundary = fields["Content-Type"].rpartition("=")[2].encode()
        head, _, rest = body.partition(b"\r\n\r\n")
        assert head.startswith(b"--" + boundary + b"\r\nContent-Type: application/dicom")
        assert rest == form.path.read_bytes() + b"\r\n--" + boundary + b"--\r\n"


def refusal(reason):
    return json.dumps({"00081198": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [reason]}}]}}).encode()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((202, refusal(0xA700)), "failure reason A700"),
        ((409, refusal(0xC000)), "failure reason C000"),
        ((409, b"no"), "answered 409"),
        ((401, b""), "answered 401"),
        ((500, refusal(0x0111)), "answered 500"),
        ((200, b"[1]"), None),
        ((409, refusal(0x0111)), None),
    ],
)
def test_the_answers_of_stow(make_services, add_version, listener, answer, said):
    services = make_services(archive={"kind": "stow", "url": listener.address, "retry_s": ()})
    add_version(services)
    listener.answers.append(answer)
    Dispatcher(services).run_once()
    job = job_of(services)
    assert job.state == ("done" if said is None else "failed")
    assert said is None or said in job.error


def test_a_stow_archive_needs_an_address_and_an_answer(make_services, add_version, listener):
    listener.server_close()
    for archive, said in (({}, "no 'url'"), ({"url": listener.address}, "does not answer")):
        services = make_services(archive={"kind": "stow", "retry_s": (), **archive})
        add_version(services)
        Dispatcher(services).run_once()
        assert said in job_of(services).error


def test_documents_go_to_folders_whole(make_services, add_version, written, tmp_path):
    folders = {"fhir": tmp_path / "fhir", "oru": tmp_path / "oru"}
    services = make_services(deliveries={name: str(folder) for name, folder in folders.items()})
    study = add_version(services)
    dispatcher = Dispatcher(services)
    assert dispatcher.run_once()
    assert "cannot be written" in job_of(services).error
    for folder in folders.values():
        folder.mkdir()
    dispatcher = Dispatcher(services, Clock(4_000_000_000.0))
    assert dispatcher.run_once()
    assert dispatcher.run_once()
    found = {path.name: path.read_bytes() for folder in folders.values() for path in folder.iterdir()}
    assert found == {
        f"{study}-v1.fhir.json": (written / "report.fhir.json").read_bytes(),
        f"{study}-v1.hl7": (written / "report.hl7").read_bytes(),
    }


def test_a_folder_without_room_gets_no_half_file(written, tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DeliveryError, match="No space left"):
        send_document(written / "report.hl7", str(tmp_path), "a", "text/plain")
    assert list(tmp_path.glob("*.hl7")) == []


def test_documents_go_to_addresses(written, listener):
    send_document(written / "report.fhir.json", listener.address + "/fhir", "a", "application/fhir+json")
    ((path, fields, body),) = listener.requests
    assert (path, fields["Content-Type"]) == ("/fhir", "application/fhir+json")
    assert json.loads(body)["resourceType"] == "Bundle"
    listener.answers.append((422, b""))
    with pytest.raises(DeliveryError, match="answered 422"):
        send_document(written / "report.fhir.json", listener.address, "a", "application/fhir+json")
    listener.server_close()
    with pytest.raises(DeliveryError, match="does not answer"):
        send_document(written / "report.fhir.json", listener.address, "a", "application/fhir+json")


@contextmanager
def mllp(answer):
    """A receiver of one HL7 message that gives one answer, in two parts."""
    got = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def receive():
            connection, _ = server.accept()
            with connection:
                data = b""
                while not data.endswith(b"\x1c\r"):
                    data += connection.recv(65536)
                got.append(data)
                connection.sendall(answer[:5])
                connection.sendall(answer[5:])

        thread = threading.Thread(target=receive, daemon=True)
        thread.start()
        yield f"mllp://127.0.0.1:{server.getsockname()[1]}", got
        thread.join(timeout=10)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"\x0bMSH|^~\\&|\rMSA|AA|1\r\x1c\r", None),
        (b"\x0bMSH|^~\\&|\rMSA|CA|1\r\x1c\r", None),
        (b"\x0bMSH|^~\\&|\rMSA|AE|1\r\x1c\r", "acknowledged with AE"),
        (b"\x0bMSH|^~\\&|\r\x1c\r", "acknowledged with nothing"),
        (b"", "acknowledged with nothing"),
    ],
)
def test_a_message_by_mllp_needs_its_acknowledgement(written, answer, said):
    with mllp(answer) as (target, got):
        if said is None:
            send_document(written / "report.hl7", target, "a", "x")
        else:
            with pytest.raises(DeliveryError, match=said):
                send_document(written / "report.hl7", target, "a", "x")
    assert got == [b"\x0b" + (written / "report.hl7").read_bytes() + b"\x1c\r"]


@pytest.mark.parametrize(("target", "said"), [("mllp://127.0.0.1", "no MLLP address"), (None, "does not answer")])
def test_no_receiver_of_messages(written, target, said):
    with pytest.raises(DeliveryError, match=said):
        send_document(written / "report.hl7", target or f"mllp://127.0.0.1:{free_port()}", "a", "x")


def test_the_webhook_is_signed_and_fresh(make_services, add_version, listener):
    services = make_services(deliveries={"webhook": {"url": listener.address + "/cac", "secret": "shared"}})
    study = add_version(services)
    listener.answers.append((503, b""))
    clock = Clock(4_000_000_000.0)
    dispatcher = Dispatcher(services, clock)
    dispatcher.run_once()
    assert "answered 503" in job_of(services).error
    clock.now += 10
    dispatcher.run_once()
    assert job_of(services).state == "done"
    (_, first, _), (path, fields, body) = listener.requests
    assert path == "/cac"
    assert first["X-Cacseg-Delivery"] == fields["X-Cacseg-Delivery"]
    sent = json.loads(body)
    assert (sent["study"], sent["version"], sent["status"], sent["kind"]) == (study, 1, "scored", "automatic")
    assert sent["agatston"] > 0
    assert b"Nobody" not in body, "no patient name"
    now = int(fields[TIMESTAMP])
    assert genuine("shared", fields, body, now)
    assert not genuine("other", fields, body, now)
    assert not genuine("shared", fields, body + b" ", now)
    assert not genuine("shared", fields, body, now + TOLERANCE_S + 1)
    assert not genuine("shared", {**fields, TIMESTAMP: str(now + 1)}, body, now)
    assert not genuine("shared", {**fields, TIMESTAMP: "x"}, body, now)


def test_a_webhook_that_is_away(listener):
    listener.server_close()
    with pytest.raises(DeliveryError, match="does not answer"):
        announce({}, "key", listener.address, SecretStr("s"))


def test_a_refused_study_is_announced_and_not_archived(make_services, add_version, listener, tmp_path):
    deliveries = {"fhir": str(tmp_path), "webhook": {"url": listener.address, "secret": "s"}}
    services = make_services(archive={"kind": "dimse", "port": free_port()}, deliveries=deliveries)
    add_version(services, status="refused")
    dispatcher = Dispatcher(services)
    while dispatcher.run_once():
        pass
    with services.database.session(write=False) as session:
        assert set(session.scalars(select(Job.state).where(Job.kind == "send"))) == {"done"}
    assert json.loads(listener.requests[0][2])["status"] == "refused"
    assert list(tmp_path.glob("*.json")) == []


def test_a_version_that_was_replaced_is_not_delivered_and_the_trail_says_so(make_services, add_version, listener):
    services = make_services(deliveries={"webhook": {"url": listener.address, "secret": "s"}})
    add_version(services)
    add_version(services)
    dispatcher = Dispatcher(services)
    while dispatcher.run_once():
        pass
    assert [json.loads(body)["version"] for _, _, body in listener.requests] == [2]
    with services.database.session(write=False) as session:
        entries = session.scalars(select(AuditEntry).where(AuditEntry.action.like("result.%")))
        noted = {entry.detail["version"]: entry.action for entry in entries}
    assert noted == {1: "result.superseded", 2: "result.sent"}


def test_a_study_that_is_being_deleted_is_not_delivered(make_services, add_version, listener):
    services = make_services(deliveries={"webhook": {"url": listener.address, "secret": "s"}})
    add_version(services)
    with services.database.session() as session:
        session.execute(update(Study).values(state="deleting"))
    job = Queue(services.database, "test").take(["send"])
    assert send(job, services.settings, services.database) is False
    assert listener.requests == []


def test_a_destination_that_is_no_longer_set(make_services, add_version, listener):
    services = make_services(deliveries={"webhook": {"url": listener.address, "secret": "s"}})
    add_version(services)
    job = Queue(services.database, "test").take(["send"])
    with pytest.raises(DeliveryError, match="no destination 'webhook'"):
        send(
            job,
            services.settings.model_copy(update={"deliveries": type(services.settings.deliveries)()}),
            services.database,
        )
