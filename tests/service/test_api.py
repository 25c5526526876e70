import io
import json
import logging
import re
import zipfile

import jsonschema
import pytest
from sqlalchemy import select

import cacseg
from cacseg.service.app import make_app
from cacseg.service.database import AuditEntry, Base, Study
from cacseg.service.protection import QUIET
from cacseg.service.services import Services


def form(paths):
    return [("files", (path.name, path.read_bytes(), "application/dicom")) for path in paths]


def zipped(paths):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number, path in enumerate(paths):
            archive.write(path, f"CT/{number}")
    return packed.getvalue()


@pytest.fixture
def scored(client, house, dicom_files, scored_at_once, make_worker):
    """The identifier of a study with a result."""
    study_id = client.post("/api/studies", files=form(dicom_files())).json()["studies"][0]["id"]
    make_worker(house).run_once()
    return study_id


def test_many_files_in_one_form(client, dicom_files):
    answer = client.post("/api/studies", files=form([*dicom_files(study=1), *dicom_files(study=2)]))
    assert answer.status_code == 202
    studies = answer.json()["studies"]
    assert [(each["new"], each["instances"], each["state"]) for each in studies] == [(True, 3, "waiting")] * 2


def test_a_zip_as_the_body_or_in_a_form(client, dicom_files):
    body = client.post("/api/studies", content=zipped(dicom_files()), headers={"Content-Type": "application/zip"})
    assert body.json()["studies"][0]["instances"] == 3
    again = client.post("/api/studies", files={"study": ("x.zip", zipped(dicom_files()))})
    assert again.json()["studies"][0] | {"state": None} == body.json()["studies"][0] | {"new": False, "state": None}


def test_one_file_as_the_body_and_more_to_come(client, house, dicom_files):
    for path in dicom_files():
        answer = client.post(
            "/api/studies?complete=false", content=path.read_bytes(), headers={"Content-Type": "application/dicom"}
        )
        assert answer.json()["studies"][0]["state"] == "receiving"
    study_id = answer.json()["studies"][0]["id"]
    assert client.get(f"/api/studies/{study_id}").json()["instances"] == 3


def test_conflicts_are_named(client, dicom_files):
    client.post("/api/studies", files=form(dicom_files()))
    changed = dicom_files(SeriesDescription="changed")
    answer = client.post("/api/studies", files=form(changed))
    assert answer.status_code == 409
    assert len(answer.json()["instances"]) == 3
    mixed = client.post("/api/studies", files=form([*changed, *dicom_files(count=1, first=7)]))
    assert mixed.status_code == 202
    assert len(mixed.json()["conflicts"]) == 3


UNFIT = [
    (b"", "application/zip", 422),
    (b"no dicom", "application/dicom", 415),
    (b"PK\x03\x04 broken", "application/zip", 422),
    (b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\nhello", "multipart/form-data; boundary=x", 422),
    (b"--x--\r\n", "multipart/form-data; boundary=x", 422),
    (b"anything", "multipart/form-data", 422),
    (b"anything", f"multipart/form-data; boundary={'y' * 600}", 422),
    (b"no boundary here", "multipart/form-data; boundary=x", 422),
]


def test_what_cannot_be_taken_in_is_told(client, house):
    for content, kind, status in UNFIT:
        answer = client.post("/api/studies", content=content, headers={"Content-Type": kind})
        assert answer.status_code == status, (content, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == status
        assert list(house.settings.scratch.iterdir()) == []


def test_a_truncated_upload_keeps_nothing(client, house, dicom_files):
    whole = client.build_request("POST", "/api/studies", files=form(dicom_files()))
    body, kind = whole.read(), whole.headers["content-type"]
    for length in (len(body) - 10, len(body) - 60, len(body) // 2, 10):
        answer = client.post("/api/studies", content=body[:length], headers={"Content-Type": kind})
        assert answer.status_code == 422, length
    assert client.get("/api/studies").json()["total"] == 0
    assert list(house.settings.scratch.iterdir()) == []


def test_the_state_of_a_study_and_its_versions(client, scored):
    study = client.get(f"/api/studies/{scored}").json()
    assert study["state"] == "scored"
    assert study["agatston"] == study["versions"][0]["agatston"] > 0
    assert (study["version"], study["versions"][0]["kind"], study["versions"][0]["complete"]) == (1, "automatic", True)
    assert study["patient_name"] == "SECRET^PERSON"
    assert study["warnings"] == sum(f["severity"] == "warning" for f in study["findings"])


def test_the_result_keeps_to_its_schema(client, scored):
    from importlib.resources import files

    answer = client.get(f"/api/studies/{scored}/result")
    jsonschema.validate(answer.json(), json.loads(files(cacseg).joinpath("result.schema.json").read_text()))
    assert answer.json() == client.get(f"/api/studies/{scored}/files/result.json?version=1").json()


def test_every_form_and_picture_can_be_fetched(client, house, scored):
    listed = {each["name"]: each["size"] for each in client.get(f"/api/studies/{scored}/files").json()}
    assert {"report.pdf", "segmentation.dcm", "labels.nii.gz", "pictures/map-axial.png"} <= set(listed)
    for name, size in listed.items():
        answer = client.get(f"/api/studies/{scored}/files/{name}")
        assert len(answer.content) == size
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert name.rpartition("/")[2] in answer.headers["content-disposition"]
    assert client.get(f"/api/studies/{scored}/files/segmentation.dcm").headers["content-type"] == "application/dicom"
    page = client.get(f"/api/studies/{scored}/files/report.html")
    assert "sandbox" in page.headers["content-security-policy"]
    with house.database.session(write=False) as session:
        reads = session.scalars(select(AuditEntry).where(AuditEntry.action == "result.read")).all()
    assert len(reads) == len(listed) + 2
    assert {(row.actor, row.subject) for row in reads} == {("administrator", scored)}


def test_a_version_that_is_not_there(client, scored):
    for version in (2, 999):
        assert client.get(f"/api/studies/{scored}/result?version={version}").status_code == 404


def test_a_result_that_is_not_there_yet(client, dicom_files):
    study_id = client.post("/api/studies", files=form(dicom_files())).json()["studies"][0]["id"]
    answer = client.get(f"/api/studies/{study_id}/result")
    assert answer.status_code == 404
    assert "waiting" in answer.json()["detail"]


def test_the_list_is_searched_sorted_and_paged(client, house, dicom_files):
    for number, name in ((1, "Beta^B"), (2, "alpha^A"), (3, "Gamma^100%"), (4, "Gamma_1")):
        client.post("/api/studies", files=form(dicom_files(study=number, count=1, PatientName=name)))
    with house.database.session() as session:
        for number, study in enumerate(session.scalars(select(Study).order_by(Study.received_at))):
            study.agatston = None if number == 1 else 100.0 - number

    def names(query):
        return [study["patient_name"] for study in client.get(f"/api/studies?{query}").json()["studies"]]

    assert names("sort=received_at&order=asc") == ["Beta^B", "alpha^A", "Gamma^100%", "Gamma_1"]
    assert names("sort=agatston&order=desc") == ["Beta^B", "Gamma^100%", "Gamma_1", "alpha^A"]
    assert names("sort=agatston&order=asc")[-1] == "alpha^A"
    assert names("search=ALPHA") == ["alpha^A"]
    assert names("search=%25") == ["Gamma^100%"]
    assert names("search=_") == ["Gamma_1"]
    assert names("sort=received_at&order=asc&offset=1&limit=2") == ["alpha^A", "Gamma^100%"]
    assert client.get("/api/studies?limit=1").json()["total"] == 4
    assert client.get("/api/studies?sort=nothing").status_code == 422


def test_scoring_again_makes_a_second_version(client, house, scored, make_worker):
    assert client.post(f"/api/studies/{scored}/rescore").json()["state"] == "waiting"
    assert client.post(f"/api/studies/{scored}/rescore").status_code == 409
    make_worker(house).run_once()
    assert [each["version"] for each in client.get(f"/api/studies/{scored}").json()["versions"]] == [1, 2]
    assert client.get(f"/api/studies/{scored}/result?version=1").status_code == 200


def test_a_deleted_study_is_gone(client, house, scored):
    files = [path for path in house.settings.data.rglob("*") if path.is_file() and "sqlite" not in path.name]
    assert len(files) > 10
    assert client.delete(f"/api/studies/{scored}").status_code == 204
    assert client.get(f"/api/studies/{scored}").status_code == 404
    assert client.delete(f"/api/studies/{scored}").status_code == 404
    assert not [path for path in files if path.exists()]


def test_senders_are_turned_away_with_a_time(settings, dicom_files, client):
    crowded = make_app(settings.model_copy(update={"max_waiting": 1}))
    client.app = client._transport.app = crowded
    assert client.post("/api/studies", files=form(dicom_files(study=1))).status_code == 202
    answer = client.post("/api/studies", files=form(dicom_files(study=2)))
    crowded.state.services.database.close()
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0


def test_the_audit_trail_by_rest(client, house, scored):
    assert client.get("/api/audit").json()["holds"] is None
    page = client.get("/api/audit?limit=3&verify=true").json()
    assert page["holds"]
    assert page["total"] == page["entries"][0]["seq"]
    assert len(page["entries"]) == 3
    mine = client.get(f"/api/audit?subject={scored}").json()
    assert {entry["subject"] for entry in mine["entries"]} == {scored}
    assert "SECRET" not in json.dumps(page) + json.dumps(mine)


def test_health_readiness_and_metrics_need_no_token(client, scored):
    del client.headers["Authorization"]
    assert client.get("/healthz").json()["status"] == "ok"
    assert client.get("/readyz").json() == {"ready": True, "database": True, "disk": True, "workers": True}
    text = client.get("/metrics").text
    assert 'cacseg_studies{state="scored"} 1.0' in text
    assert 'cacseg_jobs{kind="score",state="done"} 1.0' in text
    assert 'cacseg_result_seconds_bucket{le="+Inf"} 1.0' in text
    assert 'route="/api/studies",status="202"' in text
    assert scored not in text
    assert "SECRET" not in text


def test_not_ready_without_room_or_workers(settings, client):
    app = make_app(settings.model_copy(update={"min_free_bytes": 2**62, "workers": 1}))
    client.app = client._transport.app = app
    answer = client.get("/readyz")
    app.state.services.database.close()
    assert answer.status_code == 503
    assert answer.json() == {"ready": False, "database": True, "disk": False, "workers": False}


def test_the_log_names_no_patient(client, scored, caplog):
    with caplog.at_level("INFO"):
        client.get("/api/studies?search=SECRET")
        client.get(f"/api/studies/{scored}/files/SECRET")
        client.get("/SECRET")
    logged = [vars(record) for record in caplog.records if record.name.startswith("cacseg")]
    assert [record["route"] for record in logged][:2] == ["/api/studies", "/api/studies/{study_id}/files/{name:path}"]
    assert "SECRET" not in str(logged)


def test_two_applications_share_one_data_folder(settings, client, scored):
    other = Services.of(settings)
    with other.database.session(write=False) as session:
        assert session.get(Study, scored).state == "scored"
    other.database.close()


def test_every_route_is_logged_and_counted_by_its_whole_template(client, caplog):
    caplog.set_level(logging.INFO, "cacseg.service.http")
    values = {"study_id": "0" * 32, "token_id": "0" * 12, "tag": "7FE00010", "name:path": "x", "frame": "1"}
    described = client.get("/api/openapi.json").json()["paths"]
    templates = [path for path, operations in described.items() if "get" in operations and path not in QUIET]
    assert len(templates) > 25
    for template in templates:
        path = re.sub(r"\{(.*?)\}", lambda part: values.get(part[1], "1"), template)
        caplog.clear()
        client.get(path)
        (record,) = [record for record in caplog.records if record.name == "cacseg.service.http"]
        assert record.route.replace(":path", "") == template
    assert 'route="/dicomweb/studies/{study}/metadata"' in client.get("/metrics").text


def test_the_page_of_the_routes_needs_no_other_server(client):
    page = client.get("/api/docs")
    assert "POST /api/studies" in page.text
    assert "<script" not in page.text
    assert "http://" not in page.text
    assert "https://" not in page.text
    assert client.get("/api/openapi.json").json()["info"]["title"] == "cacseg"


@pytest.mark.system("postgres", "psql")
def test_the_same_on_postgresql(settings, client, dicom_files, scored_at_once, make_worker, postgresql_url):
    app = make_app(settings.model_copy(update={"database": postgresql_url}))
    house = app.state.services
    client.app = client._transport.app = app
    client.headers["Authorization"] = f"Bearer {house.access.add('administrator', 'admin', 'test')}"
    study = client.post("/api/studies", files=form(dicom_files())).json()["studies"][0]["id"]
    assert make_worker(house).run_once()
    assert client.get(f"/api/studies/{study}").json()["versions"][0]["complete"]
    assert client.get("/api/studies?search=secret&sort=agatston").json()["total"] == 1
    assert client.get("/api/studies?search=%00%25").json()["total"] == 0
    assert client.get(f"/api/studies/{study}/files/report.pdf").status_code == 200
    assert 'cacseg_studies{state="scored"} 1.0' in client.get("/metrics").text
    assert client.get("/api/audit?verify=true").json()["holds"]
    assert client.delete(f"/api/studies/{study}").status_code == 204
    assert client.get("/api/studies").json()["total"] == 0
    with house.database.engine.begin() as connection:
        Base.metadata.drop_all(connection)
    house.database.close()
