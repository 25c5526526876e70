"""What an unfriendly sender may try: nothing leaves its folder, nothing is run, nothing is a fault of ours."""

import contextlib
import io
import itertools
import json
import zipfile

import hypothesis
import schemathesis
from hypothesis import strategies
from schemathesis import GenerationMode

from cacseg.service.app import make_app
from cacseg.service.protection import RateLimit


def send_zip(client, entries, compression=zipfile.ZIP_DEFLATED):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", compression) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return client.post("/api/studies", content=packed.getvalue(), headers={"Content-Type": "application/zip"})


def outside(folder):
    """Everything beside the data folder."""
    return sorted(str(path) for path in folder.parent.rglob("*") if not path.is_relative_to(folder))


NAMES = [
    "../../escaped.dcm",
    "/tmp/cacseg-escaped.dcm",
    "..\\..\\escaped.dcm",
    "C:\\escaped.dcm",
    "a/../../../escaped.dcm",
    "x" * 5000 + ".dcm",
    "nul\x01\n.dcm",
]


def test_names_in_an_archive_lead_nowhere(client, house, dicom_files):
    before = outside(house.settings.data)
    for number, name in enumerate(NAMES):
        bad, good = dicom_files(study=number + 1, count=2)
        assert send_zip(client, [(name, bad.read_bytes()), ("good", good.read_bytes())]).status_code == 202
    assert outside(house.settings.data) == before
    stored = list(house.settings.data.rglob("*.dcm"))
    assert len(stored) >= len(NAMES)
    assert all(path.parent.parent == house.settings.incoming for path in stored)


def test_names_in_a_form_lead_nowhere(client, house, dicom_files):
    before = outside(house.settings.data)
    content = dicom_files()[0].read_bytes()
    for name in NAMES:
        answer = client.post("/api/studies", files=[("../x", (name, content))])
        assert answer.status_code == (422 if len(name) > 1000 else 202)
    assert outside(house.settings.data) == before


UNLISTED = [
    "../../../../etc/passwd",
    "..%2f..%2f..%2fetc%2fpasswd",
    "%2e%2e/%2e%2e/cacseg.sqlite",
    "/etc/passwd",
    "pictures/../../../../cacseg.sqlite",
    "result.json/../../v1/result.json",
    "%00",
    "result.json%00.png",
]


def test_only_listed_files_are_given(client, house, dicom_files, scored_at_once, make_worker):
    study = client.post("/api/studies", content=dicom_files()[0].read_bytes()).json()["studies"][0]["id"]
    make_worker(house).run_once()
    assert client.get(f"/api/studies/{study}/files/result.json").status_code == 200
    for name in UNLISTED:
        assert client.get(f"/api/studies/{study}/files/{name}").status_code in (404, 405), name


def test_bombs_are_refused_and_leave_nothing(client, house):
    assert send_zip(client, [("zeros", bytes(50 * 1024**2))]).status_code == 422
    assert send_zip(client, [(f"{n}", b"") for n in range(20_001)], zipfile.ZIP_STORED).status_code == 422
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(10 * 1024**2))
    assert send_zip(client, [("nested.zip", inner.getvalue())]).status_code == 415
    assert list(house.settings.scratch.iterdir()) == []
    assert list(house.settings.incoming.iterdir()) == []


def test_an_archive_with_a_link_is_not_followed(client, house, dicom_files):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("good", dicom_files()[0].read_bytes())
    answer = client.post("/api/studies", content=packed.getvalue(), headers={"Content-Type": "application/zip"})
    assert answer.json()["skipped"] == 1


HTML = '<script>alert(1)</script>"><img src=x onerror=alert(2)>'


def test_markup_in_tags_stays_text(client, house, dicom_files):
    client.post("/api/studies", content=dicom_files(PatientName=HTML, PatientID=HTML)[0].read_bytes())
    answer = client.get("/api/studies")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.json()["studies"][0]["patient_name"] == HTML


def test_every_answer_carries_the_headers(client):
    for path in ("/healthz", "/api/studies", "/nowhere", "/api/openapi.json", "/api/studies/x"):
        headers = client.get(path).headers
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in headers
        assert "server" not in headers


def test_other_origins_are_not_let_in(client):
    answer = client.options(
        "/api/studies", headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    )
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_requests_are_limited_in_size(settings, client):
    app = make_app(settings.model_copy(update={"max_upload_mb": 1}))
    client.app = client._transport.app = app
    big = b"x" * (1024**2 + 1)

    def in_pieces():
        for _ in range(3):
            yield big[: 512 * 1024]

    assert client.post("/api/studies", content=big).status_code == 413
    assert client.post("/api/studies", content=in_pieces()).status_code == 413
    assert client.post("/api/tokens", content=big).status_code == 413
    assert client.post("/api/tokens", content=in_pieces()).status_code == 413
    assert client.post("/api/studies", content=b"x", headers={"Content-Length": "-1"}).status_code == 413
    assert list(settings.scratch.iterdir()) == []
    app.state.services.database.close()


def test_requests_are_limited_in_number(settings, client, house):
    app = make_app(settings.model_copy(update={"rate_per_minute": 5}))
    client.app = client._transport.app = app
    statuses = [client.get("/api/studies").status_code for _ in range(7)]
    assert statuses == [200] * 5 + [429] * 2
    other = house.access.add("other", "read", "test")
    answer = client.get("/api/studies", headers={"Authorization": f"Bearer {other}"})
    assert answer.status_code == 200
    assert int(client.get("/api/studies").headers["retry-after"]) > 0
    app.state.services.database.close()


def test_guessing_tokens_is_stopped(client):
    forged = [f"cacseg_{number:012x}_{'0' * 64}" for number in range(70)]
    statuses = [client.get("/api/studies", headers={"Authorization": f"Bearer {t}"}).status_code for t in forged]
    assert set(statuses[:60]) == {401}
    assert 429 in statuses[60:]


def test_the_rate_refills_with_time_and_the_memory_of_callers_is_bounded(monkeypatch):
    monkeypatch.setattr("cacseg.service.protection.MOST_BUCKETS", 3)
    now = [0.0]
    rate = RateLimit(60, clock=lambda: now[0])
    assert all(rate.spend("one") for _ in range(60))
    assert not rate.spend("one")
    now[0] += 1.5
    assert rate.spend("one")
    assert not rate.spend("one")
    assert rate.spend("two")
    assert rate.spend("three")
    assert not rate.spend("four")
    now[0] += 120
    assert rate.spend("four")


def test_faults_of_ours_tell_nothing(client, house, monkeypatch, caplog):
    def fault(*_args, **_kwargs):
        raise RuntimeError("SECRET")

    monkeypatch.setattr("cacseg.service.api.list_studies", fault)
    answer = client.get("/api/studies")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "SECRET" not in answer.text + str([vars(record) for record in caplog.records if "cacseg" in record.name])


def test_a_full_disk_is_507(client, house, dicom_files, monkeypatch):
    import errno

    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    for place in ("cacseg.service.inbox.sync", "cacseg.service.upload._Parts.feed"):
        with monkeypatch.context() as patched:
            patched.setattr(place, full)
            answer = client.post("/api/studies", files={"files": ("x", dicom_files()[0].read_bytes())})
        assert answer.status_code == 507, place
    assert client.get("/api/studies").json()["total"] == 0
    assert list(house.settings.scratch.iterdir()) == []


RELATED = 'multipart/related; type="application/dicom"'


def describe_bodies(content):
    """Tell schemathesis what bodies of DICOM look like: whole, cut short, with one byte changed, anything at all."""
    place = strategies.integers(0, len(content) - 1)
    changed = strategies.tuples(place, strategies.binary(min_size=1, max_size=1))
    objects = strategies.one_of(
        strategies.just(content),
        place.map(lambda end: content[:end]),
        changed.map(lambda one: content[: one[0]] + one[1] + content[one[0] + 1 :]),
        strategies.binary(max_size=300),
    )
    heads = strategies.sampled_from([b"Content-Type: application/dicom\r\n", b"", b"Content-Type", b"\xff: x\r\n"])
    parts = strategies.tuples(heads, objects).map(
        lambda part: b"--frontier\r\n" + part[0] + b"\r\n" + part[1] + b"\r\n"
    )
    ends = strategies.sampled_from([b"--frontier--\r\n", b"--frontier\r\n", b""])
    bodies = strategies.tuples(strategies.lists(parts, max_size=3).map(b"".join), ends).map(b"".join)
    schemathesis.openapi.media_type("application/dicom", objects)
    schemathesis.openapi.media_type(RELATED, bodies)


def test_no_request_of_the_description_is_a_fault(app, client, house, dicom_files, scored_at_once, make_worker):
    """Schemathesis: requests that fit the OpenAPI document, and requests that nearly do, of a study that is there."""
    content = dicom_files()[0].read_bytes()
    study = client.post("/api/studies", content=content).json()["studies"][0]["id"]
    make_worker(house).run_once()
    token = house.access.add("tester", "admin", "test")
    describe_bodies(content)
    described = schemathesis.openapi.from_asgi("/api/openapi.json", app)
    operations = [found.ok() for found in described.get_all_operations()]
    assert len(operations) >= 35
    sent, stored = [], []
    modes = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    for operation, mode in itertools.product(operations, modes):
        storing = (operation.method, operation.path[:9]) == ("post", "/dicomweb")

        @hypothesis.settings(
            max_examples=25 if storing else 4,
            derandomize=True,
            database=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
        def no_fault(case):
            if case.method != "DELETE" and not case.path.endswith("rescore") and "study_id" in case.path_parameters:
                case.path_parameters["study_id"] = study
            headers = {"Authorization": f"Bearer {token}"}
            if case.media_type == RELATED:
                headers["Content-Type"] = f"{RELATED}; boundary=frontier"
            answer = case.call(headers=headers)
            (stored if case.path.startswith("/dicomweb") and case.method == "POST" else sent).append(answer.status_code)
            assert answer.status_code < 500, (case.method, case.path, answer.text)
            if answer.status_code >= 400 and answer.content:
                said = json.loads(answer.content)
                outcomes = answer.headers["content-type"][0] == "application/dicom+json"
                assert outcomes or said["status"] == answer.status_code

        with contextlib.suppress(hypothesis.errors.Unsatisfiable):  # some operations have nothing to get wrong
            no_fault()
    assert len(sent) > 100
    assert {200, 404, 422} <= set(sent)
    assert {200, 202, 409, 422} <= set(stored)
