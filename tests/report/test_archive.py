"""Stored in and queried from a real archive (Orthanc) over the network."""

import json
import shutil
import socket
import subprocess
import time
import urllib.request

import pydicom
import pytest

from cacseg.report.specimen import ROOT_UID

NAMES = ("segmentation.dcm", "structured_report.dcm", "encapsulated_report.dcm", "capture-1.dcm", "capture-2.dcm")


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory):
    folder = tmp_path_factory.mktemp("orthanc")
    dicom, web = free_port(), free_port()
    settings = {
        "Name": "test",
        "DicomAet": "ARCHIVE",
        "DicomPort": dicom,
        "HttpPort": web,
        "HttpBindAddresses": ["127.0.0.1"],
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "Plugins": [],
        "DicomCheckCalledAet": False,
        "DicomAlwaysAllowFind": True,
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    log = (folder / "log").open("w")
    server = subprocess.Popen(["Orthanc", str(folder / "orthanc.json")], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and server.poll() is None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{web}/system", timeout=5):
                    break
            except OSError:
                time.sleep(0.2)
        else:
            pytest.fail((folder / "log").read_text())
        yield dicom, f"http://127.0.0.1:{web}"
    finally:
        server.terminate()
        server.wait(timeout=30)
        log.close()
        shutil.rmtree(folder / "storage", ignore_errors=True)


def asked(address, body=None):
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(address, data=data), timeout=30) as answer:
        return json.loads(answer.read())


@pytest.mark.system("Orthanc", "storescu", "findscu")
def test_store_and_query(out, orthanc, tmp_path):
    dicom, web = orthanc
    files = [out / "severe" / name for name in NAMES]
    subprocess.run(
        ["storescu", "-R", "-aec", "ARCHIVE", "127.0.0.1", str(dicom), *files], check=True, capture_output=True
    )
    study = asked(
        f"{web}/tools/find", {"Level": "Study", "Query": {"StudyInstanceUID": f"{ROOT_UID}.1"}, "Expand": True}
    )
    assert len(study) == 1
    assert study[0]["PatientMainDicomTags"]["PatientID"] == "SPECIMEN-1"
    series = asked(
        f"{web}/tools/find", {"Level": "Series", "Query": {"StudyInstanceUID": f"{ROOT_UID}.1"}, "Expand": True}
    )
    assert sorted(one["MainDicomTags"]["Modality"] for one in series) == ["DOC", "OT", "SEG", "SR"]
    for path in files:
        wanted = pydicom.dcmread(path)
        query = {"Level": "Instance", "Query": {"SOPInstanceUID": wanted.SOPInstanceUID}}
        (instance,) = asked(f"{web}/tools/find", query)
        with urllib.request.urlopen(f"{web}/instances/{instance}/file", timeout=30) as answer:
            (tmp_path / "back.dcm").write_bytes(answer.read())
        assert pydicom.dcmread(tmp_path / "back.dcm") == wanted
    found = subprocess.run(
        [
            *("findscu", "-S", "-aec", "ARCHIVE", "-k", "QueryRetrieveLevel=SERIES", "-k", "Modality=SR"),
            *("-k", f"StudyInstanceUID={ROOT_UID}.1", "-k", "SeriesInstanceUID", "127.0.0.1", str(dicom)),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    assert pydicom.dcmread(out / "severe" / "structured_report.dcm").SeriesInstanceUID in found.stdout + found.stderr
