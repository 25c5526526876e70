"""DICOMweb as a client meets it, behind the application's own protection."""

import io
import warnings

import httpx
import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, dcmread
from sqlalchemy import select, update

from cacseg.service.app import make_app
from cacseg.service.database import AuditEntry, Instance, Study
from cacseg.service.dicomweb.matching import keyword_of, matches, parse_query
from cacseg.service.dicomweb.negotiation import accepts
from cacseg.service.dicomweb.pixels import _frame

with warnings.catch_warnings():  # Starlette would rather have a successor of httpx
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

RELATED = 'multipart/related; type="application/dicom"; boundary=frontier'
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


@pytest.fixture
def web(make_services):
    """A service with its application, and a client of each role."""
    services = make_services(rate_per_minute=100_000)
    app = make_app(services.settings)
    clients = {}
    for role in ("send", "read", "review"):
        token = services.access.add(role, role, "test")
        clients[role] = TestClient(app, headers={"Authorization": f"Bearer {token}"}, raise_server_exceptions=False)
    yield services, clients
    app.state.services.database.close()


def related(*contents, end=b"\r\n--frontier--\r\n"):
    parts = [b"--frontier\r\nContent-Type: application/dicom\r\n\r\n" + content for content in contents]
    return b"\r\n".join(parts) + end


def store(client, *contents, study="", **headers):
    path = f"/dicomweb/studies{'/' + study if study else ''}"
    fields = {"Content-Type": RELATED, "Accept": "application/dicom+json", **headers}
    return client.post(path, content=related(*contents), headers=fields)


def reasons(answer, sequence, reason):
    return [item.get(reason, {}).get("Value", [None])[0] for item in answer.json().get(sequence, {}).get("Value", [])]


def kept(services):
    with services.database.session(write=False) as session:
        return sorted(session.scalars(select(Instance.sop_instance_uid)))


def parts_of(answer):
    boundary = answer.headers["content-type"].rpartition("boundary=")[2].encode()
    pieces = answer.content.split(b"--" + boundary)
    assert pieces[0] == b""
    assert pieces[-1] == b"--\r\n"
    return [piece.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for piece in pieces[1:-1]]


def test_stored_objects_are_kept_and_named(web, ct_file):
    services, clients = web
    answer = store(clients["send"], ct_file(number=1), ct_file(number=2))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/dicom+json"
    read = Dataset.from_json(answer.json())
    assert [item.ReferencedSOPInstanceUID for item in read.ReferencedSOPSequence] == ["1.2.3.1.1", "1.2.3.1.2"]
    assert "FailedSOPSequence" not in read
    assert kept(services) == ["1.2.3.1.1", "1.2.3.1.2"]
    assert list(services.settings.scratch.iterdir()) == []
    with services.database.session(write=False) as session:
        assert session.scalars(select(Study.source)).one() == "stow"


def test_one_object_may_be_the_whole_body(web, ct_file):
    services, clients = web
    answer = clients["send"].post("/dicomweb/studies", content=ct_file(), headers={"Content-Type": "application/dicom"})
    assert answer.status_code == 200
    assert kept(services) == ["1.2.3.1.1"]


def test_the_same_again_is_success_and_another_content_a_warning(web, ct_file):
    services, clients = web
    assert store(clients["send"], ct_file()).status_code == 200
    assert store(clients["send"], ct_file()).status_code == 200
    answer = store(clients["send"], ct_file(PatientID="P2"))
    assert answer.status_code == 202
    assert reasons(answer, "00081199", "00081196") == [0xB000]
    assert kept(services) == ["1.2.3.1.1"]


def test_each_object_has_its_own_outcome(web, ct_file):
    services, clients = web
    capture = ct_file(number=5, SOPClassUID=SECONDARY_CAPTURE)
    other, cut = ct_file("1.2.4"), ct_file(number=7)[:-100]
    answer = store(clients["send"], ct_file(), capture, other, cut, b"no DICOM", study="1.2.3")
    assert answer.status_code == 202
    assert reasons(answer, "00081199", "00081196") == [None]
    assert reasons(answer, "00081198", "00081197") == [0x0122, 0xA900, 0xC000]
    assert reasons(answer, "0008119A", "00081197") == [0xC000]
    assert kept(services) == ["1.2.3.1.1"]


def test_nothing_kept_is_a_conflict(web, ct_file):
    services, clients = web
    assert store(clients["send"], b"no DICOM").status_code == 409
    answer = store(clients["send"], ct_file()[:-100])
    assert answer.status_code == 409
    assert reasons(answer, "00081198", "00081197") == [0xC000]
    assert kept(services) == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": 'multipart/related; type="application/dicom+xml"; boundary=frontier'}, 415),
        ({"Content-Type": "multipart/form-data; boundary=frontier"}, 415),
        ({"Content-Type": 'multipart/related; type="application/dicom"'}, 422),
        ({"Accept": "application/dicom+xml"}, 406),
        ({"Authorization": "Bearer cacseg_000000000000_" + "0" * 64}, 401),
    ],
)
def test_requests_that_cannot_be_served(web, ct_file, headers, status):
    services, clients = web
    answer = store(clients["send"], ct_file(), **headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert kept(services) == []


def test_a_body_that_breaks_off_keeps_nothing(web, ct_file):
    services, clients = web
    body = related(ct_file(number=1), ct_file(number=2), end=b"")
    answer = clients["send"].post("/dicomweb/studies", content=body, headers={"Content-Type": RELATED})
    assert answer.status_code == 422
    assert "truncated" in answer.json()["detail"]
    assert kept(services) == []


def test_a_full_service_lets_begun_studies_be_finished(make_services, ct_file):
    services = make_services(max_waiting=1)
    app = make_app(services.settings)
    token = services.access.add("sender", "send", "test")
    client = TestClient(app, headers={"Authorization": f"Bearer {token}"})
    assert store(client, ct_file(number=1), study="1.2.3").status_code == 200
    answer = store(client, ct_file("1.2.4"), study="1.2.4")
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert store(client, ct_file(number=2), study="1.2.3").status_code == 200
    app.state.services.database.close()


def test_roles(web, ct_file):
    services, clients = web
    assert store(clients["read"], ct_file()).status_code == 403
    assert clients["send"].get("/dicomweb/studies").status_code == 403
    assert clients["review"].get("/dicomweb/studies").status_code == 200
    assert kept(services) == []


@pytest.fixture
def filled(web, add_version):
    services, clients = web
    study_id = add_version(services)
    with services.database.session(write=False) as session:
        study = session.get(Study, study_id).study_instance_uid
    return services, clients["read"], study


def values(answer, tag):
    return [item[tag]["Value"][0] for item in answer.json()]


def test_a_study_with_results_is_found(filled):
    _, client, study = filled
    answer = client.get("/dicomweb/studies")
    assert answer.headers["content-type"] == "application/dicom+json"
    (found,) = [Dataset.from_json(item) for item in answer.json()]
    assert found.StudyInstanceUID == study
    assert list(found.ModalitiesInStudy) == ["DOC", "OT", "SEG", "SR"]
    assert found.NumberOfStudyRelatedSeries == 4
    assert found.NumberOfStudyRelatedInstances >= 4
    assert found.RetrieveURL == f"http://testserver/dicomweb/studies/{study}"
    assert client.get("/dicomweb/studies?offset=1").json() == []
    assert client.get("/dicomweb/studies?limit=0").json() == []


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("PatientID=SPECIMEN*", 1),
        ("00100020=SPECIMEN-?", 1),
        ("PatientID=nobody", 0),
        ("PatientName=*", 1),
        ("StudyInstanceUID=1.2.3.4", 0),
        ("StudyDate=19000101-20991231", 1),
        ("StudyDate=-19000101", 0),
        ("ModalitiesInStudy=SR", 1),
        ("ModalitiesInStudy=MR", 0),
    ],
)
def test_studies_are_matched(filled, query, count):
    _, client, _ = filled
    answer = client.get(f"/dicomweb/studies?{query}")
    assert answer.status_code == 200
    assert len(answer.json()) == count


def test_series_and_instances_are_found(filled, written):
    _, client, study = filled
    series = client.get(f"/dicomweb/studies/{study}/series?Modality=SR")
    assert values(series, "00080060") == ["SR"]
    report = dcmread(written / "structured_report.dcm")
    assert values(series, "0020000E") == [report.SeriesInstanceUID]
    path = f"/dicomweb/studies/{study}/series/{report.SeriesInstanceUID}/instances"
    instance = client.get(path)
    assert values(instance, "00080018") == [report.SOPInstanceUID]
    assert instance.json()[0]["00081190"]["Value"][0].endswith(f"{path}/{report.SOPInstanceUID}")
    everything = client.get(f"/dicomweb/studies/{study}/instances?includefield=all&limit=2")
    assert len(everything.json()) == 2
    assert "00100010" in everything.json()[0]
    asked = client.get(f"/dicomweb/instances?SOPInstanceUID={report.SOPInstanceUID}&includefield=CompletionFlag")
    assert values(asked, "0040A491") == [report.CompletionFlag]
    assert len(client.get("/dicomweb/series").json()) == 4


def test_fuzzy_matching_is_said_to_be_absent(filled):
    _, client, _ = filled
    answer = client.get("/dicomweb/studies?fuzzymatching=true")
    assert answer.headers["warning"].startswith("299 http://testserver/")
    assert "warning" not in client.get("/dicomweb/studies?fuzzymatching=false").headers


@pytest.mark.parametrize("query", ["Nonsense=1", "limit=x", "00081115=1", "includefield=12345678"])
def test_queries_that_are_not_understood(filled, query):
    _, client, _ = filled
    assert client.get(f"/dicomweb/studies?{query}").status_code == 400


def test_objects_come_back_as_they_were_made(filled, written):
    services, client, study = filled
    everything = client.get(f"/dicomweb/studies/{study}")
    assert everything.status_code == 200
    assert sorted(parts_of(everything)) == sorted(path.read_bytes() for path in written.glob("*.dcm"))
    report = written / "structured_report.dcm"
    header = dcmread(report)
    path = f"/dicomweb/studies/{study}/series/{header.SeriesInstanceUID}"
    assert parts_of(client.get(path)) == [report.read_bytes()]
    accept = 'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.1'
    answer = client.get(f"{path}/instances/{header.SOPInstanceUID}", headers={"Accept": accept})
    assert parts_of(answer) == [report.read_bytes()]
    assert services.audit.verify().entries > 3


@pytest.mark.parametrize(
    "accept",
    ["text/html", 'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.4.90'],
)
def test_forms_that_are_not_kept(filled, accept):
    _, client, study = filled
    assert client.get(f"/dicomweb/studies/{study}", headers={"Accept": accept}).status_code == 406


def test_metadata_point_to_large_values(filled, written):
    _, client, study = filled
    answer = client.get(f"/dicomweb/studies/{study}/metadata")
    assert len(answer.json()) == len(list(written.glob("*.dcm")))
    segmentation = dcmread(written / "segmentation.dcm")
    path = f"/dicomweb/studies/{study}/series/{segmentation.SeriesInstanceUID}"
    (header,) = client.get(f"{path}/metadata").json()
    url = header["7FE00010"]["BulkDataURI"]
    answer = client.get(httpx.URL(url).path)
    assert parts_of(answer) == [segmentation.PixelData]
    (same,) = client.get(f"{path}/instances/{segmentation.SOPInstanceUID}/metadata").json()
    assert same == header
    assert client.get(httpx.URL(url).path.replace("7FE00010", "00100010")).status_code == 404


def test_what_is_not_there(filled, web, ct_file):
    services, client, study = filled
    store(web[1]["send"], ct_file("1.2.9"))
    for path in ("1.2.3.4", f"{study}/series/1.2.3", f"{study}/series/1.2.3/instances/1.2.3", "1.2.9"):
        assert client.get(f"/dicomweb/studies/{path}").status_code == 404
    assert client.get("/dicomweb/studies/..%2F..%2Fetc").status_code in (404, 422)
    assert "1.2.9" not in client.get("/dicomweb/studies").text
    with services.database.session() as session:
        session.execute(update(Study).values(state="deleting"))
    assert client.get(f"/dicomweb/studies/{study}").status_code == 404
    assert client.get("/dicomweb/studies").json() == []


def test_only_the_newest_version_is_found_and_older_ones_can_be_had(filled, add_version, written):
    services, client, study = filled
    old = dcmread(written / "structured_report.dcm")
    study_id = add_version(services)
    newest = services.settings.version_folder(study_id, 2) / "structured_report.dcm"
    changed = dcmread(newest)
    changed.SOPInstanceUID = changed.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4.5"
    changed.save_as(newest)
    found = client.get(f"/dicomweb/studies/{study}/instances?Modality=SR")
    assert values(found, "00080018") == ["1.2.3.4.5"]
    path = f"/dicomweb/studies/{study}/series/{old.SeriesInstanceUID}/instances"
    for instance in (old.SOPInstanceUID, "1.2.3.4.5"):
        (content,) = parts_of(client.get(f"{path}/{instance}"))
        assert dcmread(io.BytesIO(content)).SOPInstanceUID == instance


def test_a_version_whose_files_are_gone_is_not_found(filled):
    services, client, study = filled
    for path in services.settings.results.rglob("*.dcm"):
        path.unlink()
    assert client.get("/dicomweb/studies").json() == []
    assert client.get(f"/dicomweb/studies/{study}").status_code == 404


def test_matching_of_each_kind():
    header = Dataset()
    header.PatientName, header.StudyDate, header.AccessionNumber = "Müller^Jo", "20260301", None
    header.StudyInstanceUID, header.ModalitiesInStudy = "1.2.3", ["SR", "SEG"]
    assert matches(header, {"PatientName": "MÜLLER*", "StudyDate": "20260301", "AccessionNumber": ""})
    assert matches(header, {"StudyInstanceUID": "1.2,1.2.3", "ModalitiesInStudy": "SEG", "StudyTime": "*"})
    assert matches(header, {"StudyDate": "20260301-"})
    assert not matches(header, {"StudyDate": "20260302-"})
    assert not matches(header, {"StudyTime": "0000-2359"})
    assert not matches(header, {"AccessionNumber": "A1"})
    assert not matches(header, {"StudyInstanceUID": "1.2"})
    assert not matches(header, {"PatientName": "M[u]*"})


def test_queries_are_read():
    query = parse_query([("limit", "5000"), ("offset", "3"), ("includefield", "00100020,Modality"), ("PatientID", "a")])
    assert (query.limit, query.offset, query.fields) == (1000, 3, {"PatientID", "Modality"})
    assert query.wanted == {"PatientID": "a"}
    assert parse_query([("includefield", "all")]).fields is None
    assert keyword_of("00080060") == "Modality"


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (None, {}),
        ("*/*", {}),
        ("application/*", {}),
        ("multipart/related", {}),
        ('text/html, multipart/related; type="application/dicom"', {"type": "application/dicom"}),
        ("application/json", None),
        ("text/*", None),
    ],
)
def test_accepted_media_types(header, found):
    assert accepts(header, ["application/dicom"]) == found


def address(study, path):
    header = dcmread(path, stop_before_pixels=True)
    return f"/dicomweb/studies/{study}/series/{header.SeriesInstanceUID}/instances/{header.SOPInstanceUID}"


def test_frames_come_back_one_by_one(filled, written):
    services, client, study = filled
    segmentation = dcmread(written / "segmentation.dcm")
    count = segmentation.NumberOfFrames
    assert count > 2
    url = address(study, written / "segmentation.dcm")
    answer = client.get(f"{url}/frames/{count},1")
    assert answer.headers["content-type"].startswith('multipart/related; type="application/octet-stream"')
    assert b"Content-Type: application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1\r\n" in answer.content
    bits = [np.unpackbits(np.frombuffer(part, np.uint8), bitorder="little") for part in parts_of(answer)]
    pixels = segmentation.pixel_array
    for found, number in zip(bits, (count, 1), strict=True):
        np.testing.assert_array_equal(found.reshape(pixels.shape[1:]), pixels[number - 1])
    capture = written / "capture-1.dcm"
    accept = {"Accept": 'multipart/related; type="application/octet-stream"; transfer-syntax=1.2.840.10008.1.2.1'}
    answer = client.get(f"{address(study, capture)}/frames/1", headers=accept)
    assert parts_of(answer) == [dcmread(capture).PixelData]
    assert services.audit.verify().holds
    with services.database.session(write=False) as session:
        entries = session.scalars(select(AuditEntry).where(AuditEntry.action == "result.read")).all()
    assert [entry.actor for entry in entries] == ["read", "read"]


def test_frames_of_a_bitmap_that_share_a_byte_are_told_apart():
    bits = np.random.default_rng(0).integers(0, 2, (5, 3, 3), np.uint8)
    image = Dataset()
    image.Rows, image.Columns, image.SamplesPerPixel, image.BitsAllocated, image.NumberOfFrames = 3, 3, 1, 1, 5
    image.PixelData = np.packbits(bits.reshape(-1), bitorder="little").tobytes()
    for number in range(1, 6):
        found = np.unpackbits(np.frombuffer(_frame(image, number), np.uint8), bitorder="little")
        np.testing.assert_array_equal(found[:9].reshape(3, 3), bits[number - 1])
        assert not found[9:].any()


@pytest.mark.parametrize(
    ("file", "path", "accept", "status"),
    [
        ("segmentation.dcm", "frames/9999", "*/*", 404),
        ("segmentation.dcm", "frames/0", "*/*", 422),
        ("segmentation.dcm", "frames/1,,2", "*/*", 422),
        ("segmentation.dcm", "frames/1", "image/png", 406),
        (
            "segmentation.dcm",
            "frames/1",
            'multipart/related; type="application/octet-stream"; transfer-syntax=1.2',
            406,
        ),
        ("structured_report.dcm", "frames/1", "*/*", 404),
        ("structured_report.dcm", "rendered", "*/*", 406),
        ("segmentation.dcm", "rendered", "*/*", 406),
        ("segmentation.dcm", "frames/1/rendered", "*/*", 406),
        ("capture-1.dcm", "frames/2/rendered", "*/*", 404),
        ("capture-1.dcm", "rendered", "application/pdf", 406),
        ("encapsulated_report.dcm", "rendered", "image/png", 406),
    ],
)
def test_pixels_that_are_not_given(filled, written, file, path, accept, status):
    _, client, study = filled
    answer = client.get(f"{address(study, written / file)}/{path}", headers={"Accept": accept})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", "jpeg"),
        ("image/*", "jpeg"),
        ("image/jpeg", "jpeg"),
        ("image/png", "png"),
        ("text/html, image/png;q=0.9, image/jpeg", "png"),
    ],
)
@pytest.mark.parametrize("path", ["rendered", "frames/1/rendered"])
def test_captures_are_rendered_as_they_are(filled, written, accept, kind, path):
    _, client, study = filled
    capture = written / "capture-1.dcm"
    answer = client.get(f"{address(study, capture)}/{path}", headers={"Accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (200, f"image/{kind}")
    picture = np.asarray(Image.open(io.BytesIO(answer.content), formats=[kind]).convert("RGB"), np.int16)
    pixels = dcmread(capture).pixel_array.astype(np.int16)
    assert picture.shape == pixels.shape
    assert np.abs(picture - pixels).mean() <= (0 if kind == "png" else 1.5)


def test_the_encapsulated_report_is_rendered_as_its_pdf(filled, written):
    _, client, study = filled
    answer = client.get(f"{address(study, written / 'encapsulated_report.dcm')}/rendered")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pdf")
    assert answer.content == (written / "report.pdf").read_bytes()


def test_objects_without_a_right_are_not_shown(filled, web, written):
    _, _, study = filled
    for path in ("frames/1", "rendered", "frames/1/rendered"):
        url = f"{address(study, written / 'capture-1.dcm')}/{path}"
        assert web[1]["send"].get(url).status_code == 403
        assert web[1]["read"].get(url.replace("/instances/", "/instances/1.2.")).status_code == 404
