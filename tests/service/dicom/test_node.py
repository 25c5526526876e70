"""The node as its peers see it."""

import logging
import socket
import ssl
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import pytest
from pydicom import dcmread
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from sqlalchemy import func, select

from cacseg.errors import UsageError
from cacseg.service.database import Instance, Study
from cacseg.service.errors import StorageFullError
from cacseg.service.node import Node
from cacseg.service.node.admission import addresses_of, refusal
from cacseg.service.node.contexts import accepted_syntaxes
from cacseg.service.node.open_associations import OpenAssociations

VERIFICATION = "1.2.840.10008.1.1"
ASSOCIATE = b"\x01\0" + (68).to_bytes(4, "big") + b"\0\1\0\0" + b"CACSEG".ljust(16) + b"SCANNER".ljust(16) + b"\0" * 32
"""An A-ASSOCIATE-RQ without items (PS3.8 9.3.2)."""

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def studies(services):
    with services.database.session(write=False) as session:
        return {row.study_instance_uid: row for row in session.scalars(select(Study))}


def instances(services):
    with services.database.session(write=False) as session:
        return list(session.scalars(select(Instance).order_by(Instance.sop_instance_uid)))


def kept(services, instance):
    return services.settings.incoming / instance.path


def test_an_object_answered_with_success_is_kept_as_it_was_sent(start_node, associate, ct_image):
    node, services = start_node()
    sent = ct_image()
    with associate(node.port) as peer:
        assert peer.send(sent) == 0x0000
        (instance,) = instances(services)
        read = dcmread(kept(services, instance))
    assert read == sent
    assert read.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert studies(services)["1.2.3"].source == "dicom:SCANNER"
    assert list(services.settings.scratch.iterdir()) == []


@pytest.mark.parametrize(
    "syntax",
    [
        *(ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian),
        *(RLELossless, JPEG2000Lossless, JPEGLSLossless),
    ],
    ids=lambda uid: uid.name,
)
def test_every_usual_transfer_syntax_arrives(start_node, associate, ct_image, syntax):
    node, services = start_node()
    sent = ct_image(rows=32)
    pixels = sent.pixel_array.copy()
    if syntax.is_compressed and syntax != DeflatedExplicitVRLittleEndian:
        sent.compress(syntax, generate_instance_uid=False)
    else:
        if syntax == ExplicitVRBigEndian:
            sent.PixelData = pixels.astype(">i2").tobytes()
        sent.file_meta.TransferSyntaxUID = syntax
    with associate(node.port, syntaxes=(syntax,)) as peer:
        assert peer.send(sent) == 0x0000
    read = dcmread(kept(services, instances(services)[0]))
    assert read.file_meta.TransferSyntaxUID == syntax
    assert (read.pixel_array == pixels).all()


def test_only_syntaxes_that_can_be_decoded_are_accepted():
    assert {JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless, RLELossless} <= set(accepted_syntaxes())
    assert "1.2.840.10008.1.2.4.100" not in accepted_syntaxes()


def test_an_enhanced_ct_is_taken(start_node, associate, ct_image):
    node, services = start_node()
    with associate(node.port, classes=(EnhancedCTImageStorage,)) as peer:
        assert peer.send(ct_image(SOPClassUID=EnhancedCTImageStorage)) == 0x0000
    assert len(instances(services)) == 1


def test_an_echo(start_node, associate):
    node, _ = start_node()
    with associate(node.port, classes=(VERIFICATION,), syntaxes=(ImplicitVRLittleEndian,)) as peer:
        assert peer.association.send_c_echo().Status == 0x0000


@pytest.mark.parametrize(
    ("title", "called", "reason"),
    [("STRANGER", "CACSEG", (1, 1, 3)), ("SCANNER", "OTHER", (1, 1, 7)), ("ELSEWHERE", "CACSEG", (1, 1, 3))],
)
def test_unknown_peers_are_rejected(start_node, associate, wait_until, title, called, reason, caplog):
    node, services = start_node({"allowed": {"SCANNER": "127.0.0.1", "ELSEWHERE": "192.0.2.1"}})
    with caplog.at_level(logging.WARNING), associate(node.port, title=title, called=called) as peer:
        assert peer.association.is_rejected
        answer = peer.association.acceptor.primitive
    assert (answer.result, answer.result_source, answer.diagnostic) == reason
    assert any(record.message == "association rejected" for record in caplog.records)
    assert instances(services) == []
    with associate(node.port) as known:
        assert known.association.is_established
    wait_until(lambda: not node._open._open)


def test_a_node_that_knows_nobody_admits_nobody(start_node, associate, caplog):
    with caplog.at_level(logging.WARNING):
        node, _ = start_node({"allowed": {}})
    assert "the DICOM node admits nobody: dicom.allowed is empty" in caplog.messages
    with associate(node.port) as peer:
        assert peer.association.is_rejected


def test_a_host_may_be_a_name():
    assert "127.0.0.1" in addresses_of("localhost")
    assert addresses_of("no-such-host.invalid") == frozenset()
    allowed = {"CT1": "localhost"}
    assert refusal("CT1 ", "NODE", "::ffff:127.0.0.1", aet="NODE", allowed=allowed) is None


def test_more_associations_than_allowed_are_rejected_for_now(start_node, associate):
    node, _ = start_node({"max_associations": 1})
    with associate(node.port) as first, associate(node.port) as second:
        assert first.association.is_established
        assert second.association.is_rejected
        assert second.association.acceptor.primitive.result == 2


def test_the_same_object_again_is_success_and_kept_once(start_node, associate, ct_image):
    node, services = start_node()
    for _ in range(2):
        with associate(node.port) as peer:
            assert peer.send(ct_image()) == 0x0000
    assert len(instances(services)) == 1
    assert studies(services)["1.2.3"].generation == 1


def test_another_content_under_the_same_uid_is_a_warning_and_the_first_stays(start_node, associate, ct_image):
    node, services = start_node()
    with associate(node.port) as peer:
        assert peer.send(ct_image()) == 0x0000
        status = peer.answer(ct_image(PatientID="P2"))
    assert status.Status == 0xB000
    assert "first one stays" in status.ErrorComment
    assert dcmread(kept(services, instances(services)[0])).PatientID == "P1"


def test_objects_that_are_no_ct_do_not_stop_a_sender_and_are_not_kept(start_node, associate, ct_image):
    node, services = start_node()
    with associate(node.port, classes=(CTImageStorage, SECONDARY_CAPTURE)) as peer:
        assert peer.send(ct_image(SOPClassUID=SECONDARY_CAPTURE, number=9)) == 0xB006
        assert peer.send(ct_image()) == 0x0000
    assert len(instances(services)) == 1


def test_an_object_that_contradicts_its_command_is_refused(start_node, associate, ct_image):
    node, services = start_node()
    with associate(node.port) as peer:
        request = ct_image()
        other = ct_image(number=2)
        original = peer.association.dimse.send_msg

        def renamed(primitive, context_id):
            primitive.AffectedSOPInstanceUID = other.SOPInstanceUID
            return original(primitive, context_id)

        peer.association.dimse.send_msg = renamed
        assert peer.send(request) == 0xA900
    assert instances(services) == []


@pytest.mark.parametrize(
    "change", [{"StudyInstanceUID": ""}, {"SeriesInstanceUID": "x/../y"}, {"PixelData": b"\0" * 8}]
)
@pytest.mark.filterwarnings("ignore:.*value for VR UI:UserWarning")
def test_what_cannot_be_understood_is_refused(start_node, associate, ct_image, change):
    node, services = start_node()
    with associate(node.port) as peer:
        damaged = ct_image(**change)
        if "PixelData" in change:
            damaged.PatientComments = "x" * 5
            peer.association.dimse.send_msg = _cut_off(peer.association.dimse.send_msg)
        assert peer.send(damaged) == 0xC000
    assert instances(services) == []
    assert list(services.settings.scratch.iterdir()) == []


def _cut_off(send):
    def cut(primitive, context_id):
        primitive.DataSet.truncate(len(primitive.DataSet.getvalue()) - 4)
        return send(primitive, context_id)

    return cut


def test_a_full_service_turns_new_studies_away_and_finishes_begun_ones(start_node, associate, ct_image):
    node, services = start_node(max_waiting=1)
    with associate(node.port) as peer:
        assert peer.send(ct_image("1.2.3", 1)) == 0x0000
        assert peer.send(ct_image("1.2.4", 1)) == 0xA700
        assert peer.send(ct_image("1.2.3", 2)) == 0x0000
    assert set(studies(services)) == {"1.2.3"}


@pytest.mark.parametrize(
    ("fault", "status"),
    [(StorageFullError("full"), 0xA700), (OSError(5, "input/output error"), 0xA700), (RuntimeError("x"), 0x0110)],
)
def test_nothing_that_goes_wrong_is_answered_with_success(start_node, associate, ct_image, monkeypatch, fault, status):
    node, services = start_node()

    def fails(*_):
        raise fault

    monkeypatch.setattr(type(services.inbox), "put", fails)
    with associate(node.port) as peer:
        assert peer.send(ct_image()) == status
    assert list(services.settings.scratch.iterdir()) == []


def test_an_object_larger_than_the_limit_ends_the_association(start_node, associate, ct_image, wait_until):
    node, services = start_node(max_upload_mb=1)
    with associate(node.port) as peer:
        assert peer.send(ct_image()) == 0x0000
        answer = peer.answer(ct_image(number=2, rows=1500))
        assert "Status" not in answer
        wait_until(lambda: not peer.association.is_established)
    with associate(node.port) as peer:
        assert peer.send(ct_image(number=3)) == 0x0000
    assert len(instances(services)) == 2


def test_what_all_peers_send_at_once_is_held_within_the_limit(start_node, associate, ct_image, wait_until):
    node, _ = start_node(max_upload_mb=1)
    node._open.of("another").received_bytes = 2**20 - 1000
    with associate(node.port) as peer:
        assert "Status" not in peer.answer(ct_image(rows=64))
        wait_until(lambda: not peer.association.is_established)
    node._open.close("another", 0.0)
    with associate(node.port) as peer:
        assert peer.send(ct_image(rows=64)) == 0x0000


def test_a_late_slice_opens_the_study_again(start_node, associate, ct_image):
    node, services = start_node()
    with associate(node.port) as peer:
        peer.send(ct_image(number=1))
    assert services.inbox.settled(time.time() + 1)
    with associate(node.port) as peer:
        peer.send(ct_image(number=2))
    study = studies(services)["1.2.3"]
    assert (study.state, study.generation) == ("receiving", 2)


def test_a_peer_that_falls_silent_within_a_message_is_let_go(start_node, monkeypatch, wait_until):
    monkeypatch.setattr("cacseg.service.node.server.IDLE_S", 0.3)
    node, _ = start_node()
    with socket.create_connection(("127.0.0.1", node.port), timeout=20) as silent:
        silent.sendall(ASSOCIATE[:20])
        assert silent.recv(1) in (b"", b"\x07")
    wait_until(lambda: not node._open._open)


def test_more_connections_than_planned_are_closed(start_node, monkeypatch, caplog):
    monkeypatch.setattr("cacseg.service.node.server.SPARE_CONNECTIONS", 1)
    node, _ = start_node({"max_associations": 1})
    with ExitStack() as stack:
        connect = lambda: stack.enter_context(socket.create_connection(("127.0.0.1", node.port), timeout=20))  # noqa: E731
        for count in (1, 2):
            connect()
            while len(node._server.active_associations) < count:
                time.sleep(0.01)
        assert connect().recv(1) == b""
    assert "connection closed: too many are open" in caplog.messages


def test_a_study_is_held_open_while_its_association_is(start_node, associate, ct_image, wait_until):
    node, services = start_node(quiet_s=0.3)
    with associate(node.port) as peer:
        peer.send(ct_image("1.2.3"))
        peer.send(ct_image("1.2.4"))
        wait_until(services.inbox.settled)
        assert studies(services)["1.2.3"].state == "waiting"
        before = studies(services)["1.2.4"].last_instance_at
        wait_until(lambda: studies(services)["1.2.4"].last_instance_at > before + 0.5)
        assert services.inbox.settled() == ()
        assert studies(services)["1.2.4"].state == "receiving"
    wait_until(services.inbox.settled)
    assert studies(services)["1.2.4"].state == "waiting"


def test_an_association_that_broke_off_does_not_hold_its_study(start_node, associate, ct_image, wait_until):
    node, services = start_node(quiet_s=0.2)
    with associate(node.port) as peer:
        peer.send(ct_image())
        peer.association.abort()
        wait_until(services.inbox.settled)
    assert node._open._open == {}


def test_holding_never_moves_a_time_back(make_services, ct_file):
    import io

    services = make_services()
    stored = services.inbox.put(io.BytesIO(ct_file()), "rest", "test")
    associations = OpenAssociations(services.database)
    associations.of("a").study_id = stored.study_id
    before = studies(services)["1.2.3"].last_instance_at
    associations.hold(before - 10)
    assert studies(services)["1.2.3"].last_instance_at == before
    associations.close("a", before + 10)
    assert studies(services)["1.2.3"].last_instance_at == before + 10
    associations.hold(before + 20)
    assert studies(services)["1.2.3"].last_instance_at == before + 10


def test_twenty_associations_at_once_with_interleaved_studies(start_node, associate, ct_image):
    node, services = start_node()
    slices = 2

    def send(sender):
        with associate(node.port) as peer:
            return [
                peer.send(ct_image(f"1.2.{study}", sender * slices + number))
                for number in range(slices)
                for study in (1, 2, 3)
            ]

    with ThreadPoolExecutor(20) as pool:
        statuses = [status for sent in pool.map(send, range(20)) for status in sent]
    assert statuses == [0x0000] * (20 * 3 * slices)
    with services.database.session(write=False) as session:
        counts = session.execute(select(func.count()).select_from(Instance).group_by(Instance.study_id)).scalars().all()
    assert sorted(counts) == [20 * slices] * 3
    assert all(kept(services, each).stat().st_size == each.size for each in instances(services))
    assert services.audit.verify().holds


@pytest.mark.system("openssl")
def test_tls_asks_for_a_certificate_of_the_authority(start_node, associate, ct_image, certificates):
    files = {"certificate": certificates / "node.pem", "key": certificates / "node.key", "ca": certificates / "ca.pem"}
    node, services = start_node({"tls": files})
    context = ssl.create_default_context(cafile=certificates / "ca.pem")
    context.load_cert_chain(certificates / "peer.pem", certificates / "peer.key")
    with associate(node.port, tls_args=(context, "localhost")) as peer:
        assert peer.send(ct_image()) == 0x0000
    nameless = ssl.create_default_context(cafile=certificates / "ca.pem")
    with (
        socket.create_connection(("127.0.0.1", node.port)),
        associate(node.port, tls_args=(context, "localhost")) as peer,
    ):
        assert peer.send(ct_image(number=2)) == 0x0000
    for wrap in (lambda plain: nameless.wrap_socket(plain, server_hostname="localhost"), lambda plain: plain):
        plain = socket.create_connection(("127.0.0.1", node.port), timeout=20)
        with suppress(OSError), wrap(plain) as connection:
            connection.sendall(ASSOCIATE)
            assert connection.recv(1) != b"\x02", "an association without a certificate, or without TLS"
    assert len(instances(services)) == 2


def test_a_certificate_that_is_none_is_said(make_services, tmp_path):
    (tmp_path / "node.pem").write_text("no certificate")
    tls = {"certificate": tmp_path / "node.pem", "key": tmp_path / "node.pem"}
    node = Node(make_services(dicom={"port": 0, "tls": tls}))
    with pytest.raises(UsageError, match=r"certificate node.pem with the key node.pem cannot be used"):
        node.start()


def test_a_port_that_is_taken_is_said(start_node, make_services):
    node, _ = start_node()
    second = Node(make_services(dicom={"port": node.port}))
    with pytest.raises(UsageError, match=rf"cannot listen on 127.0.0.1:{node.port}"):
        second.start()


def test_a_node_needs_its_settings(make_services):
    with pytest.raises(UsageError, match="no part 'dicom'"):
        Node(make_services())


@pytest.mark.system("storescu", "echoscu")
def test_dcmtk_sends_a_folder(start_node, ct_file, tmp_path):
    node, services = start_node()
    folder = tmp_path / "study"
    folder.mkdir()
    for number in range(5):
        (folder / f"{number}.dcm").write_bytes(ct_file(number=number))
    peer = ["-aet", "SCANNER", "-aec", "CACSEG", "127.0.0.1", str(node.port)]
    subprocess.run(["echoscu", *peer], check=True, capture_output=True)
    subprocess.run(["storescu", "+sd", *peer, str(folder)], check=True, capture_output=True)
    assert len(instances(services)) == 5
    stranger = subprocess.run(["echoscu", "-aet", "STRANGER", *peer[2:]], capture_output=True, check=False)
    assert stranger.returncode != 0
