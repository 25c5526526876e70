"""A small service without workers, small CT images, and peers that send them."""

import io
import itertools
import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, FileDataset, dcmread, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE, build_context

from cacseg.report import FORMS, write_all
from cacseg.service.node import Node
from cacseg.service.services import Services
from cacseg.service.settings import Settings
from cacseg.service.versions import complete_version, publish_version, reserve_version

PEER = "SCANNER"


def image(study: str = "1.2.3", number: int = 1, *, rows: int = 16, **changes: Any) -> FileDataset:
    """One CT slice; the same arguments give the same object."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    made.SOPClassUID, made.SOPInstanceUID = CTImageStorage, f"{study}.1.{number}"
    made.StudyInstanceUID, made.SeriesInstanceUID = study, f"{study}.1"
    made.PatientID, made.PatientName, made.Modality = "P1", "Nobody^Test", "CT"
    made.StudyDate, made.AccessionNumber, made.InstanceNumber = "20260101", "A1", number
    made.ImagePositionPatient, made.ImageOrientationPatient = [0, 0, 3 * number], [1, 0, 0, 0, 1, 0]
    made.Rows = made.Columns = rows
    made.PixelSpacing, made.SliceThickness = [0.5, 0.5], 3
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 16, 15, 1
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.RescaleSlope, made.RescaleIntercept = 1, -1024
    made.PixelData = np.random.default_rng(number).integers(0, 2000, (rows, rows), np.int16).tobytes()
    for keyword, value in changes.items():
        setattr(made, keyword, value)
    return made


def part10(dataset: FileDataset) -> bytes:
    """The object as a file."""
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    stream = io.BytesIO()
    dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()


@pytest.fixture(scope="session")
def ct_image() -> Callable[..., FileDataset]:
    return image


@pytest.fixture(scope="session")
def ct_file() -> Callable[..., bytes]:
    return lambda *args, **changes: part10(image(*args, **changes))


@pytest.fixture
def make_services(tmp_path: Path) -> Iterator[Callable[..., Services]]:
    """Make a service in a folder of its own; nothing of it runs by itself."""
    made: list[Services] = []
    numbers = itertools.count()

    def make(**settings: Any) -> Services:
        chosen = {"data": tmp_path / f"service{next(numbers)}", "quiet_s": 0.0, "min_free_bytes": 0, **settings}
        made.append(Services.of(Settings(**chosen)))
        return made[-1]

    yield make
    for each in made:
        each.database.close()


@pytest.fixture
def start_node(make_services: Callable[..., Services]) -> Iterator[Callable[..., tuple[Node, Services]]]:
    """Start a node that knows ``PEER``; ``dicom`` and other settings may be changed."""
    started: list[Node] = []

    def start(dicom: dict[str, Any] | None = None, **settings: Any) -> tuple[Node, Services]:
        chosen = {"port": 0, "allowed": {PEER: None}, **(dicom or {})}
        services = make_services(dicom=chosen, **settings)
        started.append(Node(services))
        started[-1].start()
        return started[-1], services

    yield start
    for node in started:
        node.stop()


class Peer:
    """A sender with one open association."""

    def __init__(self, association: Any) -> None:
        self.association = association

    def send(self, dataset: FileDataset) -> int:
        """Send one object and give the status."""
        return int(self.answer(dataset).Status)

    def answer(self, dataset: FileDataset) -> Dataset:
        """Send one object and give the whole answer."""
        answer: Dataset = self.association.send_c_store(dcmread(io.BytesIO(part10(dataset))))
        return answer


@contextmanager
def associated(
    port: int,
    *,
    title: str = PEER,
    called: str = "CACSEG",
    classes: tuple[str, ...] = (CTImageStorage,),
    syntaxes: tuple[str, ...] = (ExplicitVRLittleEndian,),
    **options: Any,
) -> Iterator[Peer]:
    """Open an association with a node here."""
    entity = AE(ae_title=title)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 20
    contexts = [build_context(uid, list(syntaxes)) for uid in classes]
    association = entity.associate("127.0.0.1", port, contexts=contexts, ae_title=called, **options)
    connection = getattr(association.dul.socket, "socket", None)
    try:
        yield Peer(association)
    finally:
        if association.is_established:
            association.release()
        if connection is not None:  # pynetdicom leaves it to the garbage collector where the peer broke off
            connection.close()


@pytest.fixture(scope="session")
def associate() -> Callable[..., Any]:
    return associated


@pytest.fixture(scope="session")
def wait_until() -> Callable[..., None]:
    """Wait for something another thread does; the limit is for a test that fails, not a measure."""

    def wait(condition: Callable[[], Any], limit_s: float = 90.0) -> None:
        pause = threading.Event()
        for _ in range(int(limit_s / 0.02)):
            if condition():
                return
            pause.wait(0.02)
        pytest.fail("what was waited for did not happen")

    return wait


class Listener(ThreadingHTTPServer):
    """An HTTP server that keeps every request and answers as told."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: list[tuple[int, bytes]] = []
        super().__init__(("127.0.0.1", 0), _Recorder)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Recorder(BaseHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        return

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server: Any = self.server
        server.requests.append((self.path, dict(self.headers), body))
        status, content = server.answers.pop(0) if server.answers else (200, b"{}")
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


@pytest.fixture(scope="session")
def written(specimens: Callable[[str], Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every form of a scored study."""
    folder = tmp_path_factory.mktemp("written") / "v1"
    write_all(specimens("mild"), folder, tuple(FORMS))
    return folder


@pytest.fixture
def add_version(written: Path, ct_file: Callable[..., bytes]) -> Callable[..., str]:
    """Give a study a complete version with every form, as a worker does; its deliveries are queued."""

    def add(services: Services, study: str | None = None, status: str = "scored") -> str:
        result = json.loads((written / "result.json").read_text())
        uid = study or result["study"]["study_instance_uid"]
        stored = services.inbox.put(io.BytesIO(ct_file(uid)), "rest", "test")
        with services.database.session() as session:
            number = reserve_version(session, stored.study_id)
        folder = services.settings.version_folder(stored.study_id, number)
        shutil.copytree(written, folder)
        if status == "refused":
            for path in (*folder.glob("*.dcm"), *folder.glob("report.fhir.json"), *folder.glob("report.hl7")):
                path.unlink()
        with services.database.session() as session:
            publish_version(
                session,
                services.audit,
                stored.study_id,
                number,
                kind="automatic",
                author="release",
                generation=1,
                result={**result, "status": status},
                at=1.0,
            )
        with services.database.session() as session:
            complete_version(session, services.queue, services.settings, stored.study_id, number)
        return stored.study_id

    return add


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``ca.pem`` and, signed by it, certificate and key of ``node`` and ``peer``."""
    folder = tmp_path_factory.mktemp("certificates")

    def made(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=folder)

    for name in ("ca", "node", "peer"):
        made("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", f"{name}.key")
    made("req", "-x509", "-new", "-key", "ca.key", "-subj", "/CN=authority", "-days", "2", "-out", "ca.pem")
    for name in ("node", "peer"):
        made("req", "-new", "-key", f"{name}.key", "-subj", "/CN=localhost", "-out", f"{name}.csr")
        made(
            *("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"),
            *("-days", "1", "-out", f"{name}.pem"),
        )
    return folder
