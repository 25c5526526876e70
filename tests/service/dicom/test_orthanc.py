"""The whole way with a real archive: images out of Orthanc, scored, and the results back in it."""

import json
import socket
import subprocess
import threading
import urllib.request
from pathlib import Path

import pytest
from pydicom import dcmread
from sqlalchemy import func, select

from cacseg.service.background import Dispatcher
from cacseg.service.database import Instance, Study
from cacseg.service.worker import Worker

COMPOSE = Path(__file__).parents[3] / "infer" / "compose"
"""Configuration that we ship for an Orthanc beside the service; only ports, paths and waits are changed here."""

MADE = {"SEG", "SR", "DOC", "OT"}


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Orthanc:
    """A running Orthanc, spoken to by its REST interface."""

    def __init__(self, dicom, web):
        self.dicom = dicom
        self.address = f"http://127.0.0.1:{web}"

    def ask(self, path, body=None, method=None):
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.address}{path}", data=data, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or b"null")

    def find(self, level, **query):
        return self.ask("/tools/find", {"Level": level, "Query": query, "Expand": True})


def instances(services):
    with services.database.session(write=False) as session:
        return session.scalar(select(func.count()).select_from(Instance))


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory):
    folder = tmp_path_factory.mktemp("orthanc")
    dicom, web = free_port(), free_port()
    changes = {
        "DicomPort": dicom,
        "HttpPort": web,
        "HttpBindAddresses": ["127.0.0.1"],
        "AuthenticationEnabled": False,
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "Plugins": [],
        "StableAge": 1,
        "DicomAlwaysAllowFind": True,
        "LuaScripts": [str(COMPOSE / "forward.lua")],
    }
    settings = {**json.loads((COMPOSE / "orthanc.json").read_text()), **changes}
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(["Orthanc", str(folder / "orthanc.json")], stdout=log, stderr=log)
        made, pause = Orthanc(dicom, web), threading.Event()
        try:
            while server.poll() is None:
                try:
                    made.ask("/system")
                    break
                except OSError:
                    pause.wait(0.1)
            assert server.poll() is None, (folder / "log").read_text()
            yield made
        finally:
            server.terminate()
            server.wait(timeout=30)


@pytest.mark.system("Orthanc", "storescu", "findscu")
def test_a_study_from_orthanc_is_scored_and_its_results_return(orthanc, start_node, small_study, wait_until):
    node, services = start_node(
        {"allowed": {"ORTHANC": "127.0.0.1", "STORESCU": None}},
        archive={"kind": "dimse", "aet": "ORTHANC", "port": orthanc.dicom},
        threads=1,
    )
    orthanc.ask("/modalities/cacseg", {"AET": "CACSEG", "Host": "127.0.0.1", "Port": node.port}, method="PUT")
    assert orthanc.ask("/modalities/cacseg/echo", {}) in ({}, None)
    images = sorted(small_study.rglob("IM*"))
    uid = str(dcmread(images[0], stop_before_pixels=True).StudyInstanceUID)
    for path in images:
        orthanc.ask("/instances", path.read_bytes())
    wait_until(lambda: instances(services) == len(images))
    (study,) = orthanc.find("Study", StudyInstanceUID=uid)
    wait_until(services.inbox.settled)

    assert Worker(services.settings, services.database, "worker").run_once()
    with services.database.session(write=False) as session:
        row = session.scalars(select(Study)).one()
    assert (row.state, row.study_instance_uid) == ("scored", uid)
    assert row.agatston > 0
    assert Dispatcher(services).run_once()

    series = {one["MainDicomTags"]["Modality"]: one for one in orthanc.find("Series", StudyInstanceUID=uid)}
    assert set(series) == MADE | {"CT"}
    report = services.settings.version_folder(row.id, 1) / "structured_report.dcm"
    assert len(orthanc.find("Instance", SOPInstanceUID=str(dcmread(report).SOPInstanceUID))) == 1
    found = subprocess.run(
        [
            *("findscu", "-S", "-aec", "ORTHANC", "-k", "QueryRetrieveLevel=SERIES", "-k", "Modality=SEG"),
            *("-k", f"StudyInstanceUID={uid}", "-k", "SeriesInstanceUID", "127.0.0.1", str(orthanc.dicom)),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    assert series["SEG"]["MainDicomTags"]["SeriesInstanceUID"] in found.stdout + found.stderr

    again(orthanc, services, node, study, images, uid)


def again(orthanc, services, node, study, images, uid):
    """The archive sends the whole study back, results and all, and a scanner sends it too: nothing is done twice."""
    sent = orthanc.ask("/modalities/cacseg/store", study["ID"])
    assert sent["FailedInstancesCount"] == 0
    assert sent["InstancesCount"] > len(images)
    peer = ["-aet", "STORESCU", "-aec", "CACSEG", "127.0.0.1", str(node.port)]
    subprocess.run(["storescu", "+sd", "+r", *peer, str(images[0].parent)], check=True, capture_output=True)
    services.inbox.settled()
    with services.database.session(write=False) as session:
        row = session.scalars(select(Study)).one()
    assert (row.state, row.generation, row.result_version) == ("scored", 1, 1)
    assert instances(services) == len(images)
    assert not Dispatcher(services).run_once()
    assert len(orthanc.find("Series", StudyInstanceUID=uid)) == 5
