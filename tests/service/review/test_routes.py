"""The review by HTTP, from the first look to an amended signature; every number against the scorer itself."""

import gzip
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jsonschema
import numpy as np
import pydicom
import pytest

from cacseg.data.readers import read_labels
from cacseg.data.readers.corrections import corrections_sources, read_correction
from cacseg.pipeline import score_labels
from cacseg.service.database import Job, Review, Study
from cacseg.service.inbox import study_key
from cacseg.service.review import signing
from cacseg.study import read_study
from cacseg.vessels import Label
from cacseg.volume import Volume

SIGNER = {"name": "Jane Roe", "role_title": "Radiologist", "organisation": "St Elsewhere"}
SCHEMA = json.loads((Path(__file__).resolve().parents[3] / "cacseg" / "result.schema.json").read_text())


def review(client, reading, **query):
    return client.get(f"{reading.at}/review", params=query).json()


def edit(client, reading, revision, **asked):
    return client.post(f"{reading.at}/review/edits", json={"revision": revision, "edit": asked})


def sign(client, reading, revision, **further):
    return client.post(f"{reading.at}/review/sign", json={"revision": revision, **SIGNER, **further})


def other(lesion):
    """Another artery than the one a lesion is given to."""
    return int(Label.RCA) if lesion["label"] != Label.RCA else int(Label.LAD)


@pytest.fixture
def jane(reading):
    return reading.client("Jane")


@pytest.fixture
def ben(reading):
    return reading.client("Ben")


def incoming_of(reading):
    """Folder of the study's instances."""
    with reading.house.database.session(write=False) as session:
        uid = session.get(Study, reading.study_id).study_instance_uid
    return reading.data / "incoming" / study_key(uid)


def test_voxels_are_those_that_were_scored(untouched):
    reading, jane = untouched, untouched.client("Jane")
    header = jane.get(f"{reading.at}/volume.json").json()
    volume = read_study(incoming_of(reading)).chosen.volume
    assert tuple(header["shape"]) == volume.shape
    assert np.allclose(header["affine"], volume.affine)
    assert header["window"] == {"centre_hu": 130.0, "width_hu": 600.0}
    first = jane.get(f"{reading.at}/volume")
    assert "content-encoding" not in first.headers
    second = jane.get(f"{reading.at}/volume")
    assert second.headers["content-encoding"] == "gzip"
    assert second.headers["cache-control"] == "no-store"
    plain = jane.get(f"{reading.at}/volume", headers={"Accept-Encoding": "identity"})
    for answer in (first, second, plain):
        assert np.array_equal(np.frombuffer(answer.content, "<i2").reshape(volume.shape), volume.voxels)
    kept = list((reading.data / "results" / reading.study_id).glob("voxels-*.gz"))
    assert len(kept) == 1
    assert gzip.decompress(kept[0].read_bytes()) == first.content


def test_looking_at_a_study_stands_in_the_audit_trail(untouched):
    reading, jane = untouched, untouched.client("Jane")
    jane.get(f"{reading.at}/volume")
    token = reading.house.access.add("administrator", "admin", "test")
    trail = jane.get("/api/audit", headers={"Authorization": f"Bearer {token}"}).json()["entries"]
    assert {"actor": "Jane", "action": "study.viewed", "subject": reading.study_id}.items() <= trail[1].items()


def test_the_first_look_shows_the_automatic_result(untouched):
    reading, jane = untouched, untouched.client("Jane")
    state = review(jane, reading)
    result = jane.get(f"{reading.at}/result").json()
    assert state["revision"] == 0
    assert state["version"] == 1
    assert not state["draft"]
    assert not state["signed"]
    assert state["scores"]["original"]["total"] == state["scores"]["current"]["total"] == result["scores"]["total"]
    assert state["notice"] == result["notice"]
    assert [one["id"] for one in state["lesions"]] == list(range(1, len(state["lesions"]) + 1))


def test_an_edit_moves_the_score_and_keeps_the_original_beside_it(jane, reading):
    before = review(jane, reading)
    lesion = before["lesions"][0]
    after = edit(jane, reading, 0, kind="assign", lesion=lesion["id"], label=other(lesion)).json()
    assert after["revision"] == 1
    assert after["draft"]
    assert after["authors"] == ["Jane"]
    assert after["scores"]["original"] == before["scores"]["current"]
    moved = lesion["agatston"]
    vessel = Label(other(lesion)).name
    vessels = after["scores"]["current"]["vessels"], before["scores"]["current"]["vessels"]
    assert vessels[0][vessel]["agatston"] == pytest.approx(vessels[1][vessel]["agatston"] + moved)
    assert after["history"][0]["actor"] == "Jane"
    assert review(jane, reading) == after


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"kind": "assign", "lesion": 999, "label": 1}, "no lesion 999"),
        ({"kind": "assign", "label": 1}, "give its number"),
        ({"kind": "assign", "lesion": 1}, "give a label"),
        ({"kind": "assign", "lesion": 1, "label": "SPLEEN"}, "'SPLEEN' is none of"),
        ({"kind": "assign", "lesion": 1, "label": 12}, "12 is none of"),
        ({"kind": "exclude", "at": [0, 0, 100000]}, "outside of the scan"),
        ({"kind": "add", "label": 2}, "give its point"),
        ({"kind": "add", "label": 2, "point": [0, 0, 0]}, "no calcium within"),
        ({"kind": "add", "label": 2, "point": [-1, 0, 0]}, "outside of the scan"),
        ({"kind": "add", "label": 2, "point": [10**30, 0, 0]}, "does not fit"),
        ({"kind": "assign", "label": 10**30, "lesion": 1}, "is none of"),
        ({"kind": "cut", "lesion": 1, "label": 2}, "give a line"),
        ({"kind": "cut", "lesion": 1, "label": 2, "slice": 0, "line": [[0, 0], [9, 9]]}, "does not reach slice 0"),
        ({"kind": "undo"}, "no edit to take back"),
        ({"kind": "redo"}, "no edit to make again"),
        ({"kind": "paint"}, "does not fit"),
    ],
)
def test_what_cannot_be_done_changes_nothing_and_says_why(untouched, asked, words):
    reading, jane = untouched, untouched.client("Jane")
    answer = edit(jane, reading, 0, **asked)
    assert answer.status_code == 422
    assert words in answer.json()["detail"]
    state = review(jane, reading)
    assert state["revision"] == 0
    assert not state["draft"]


def test_a_late_change_gets_the_newer_state_and_can_be_made_again(jane, ben, reading):
    first = review(jane, reading)
    one, two = first["lesions"][:2]
    edit(jane, reading, 0, kind="exclude", lesion=one["id"])
    late = edit(ben, reading, 0, kind="assign", lesion=two["id"], label=other(two))
    assert late.status_code == 409
    assert late.headers["content-type"] == "application/problem+json"
    newer = late.json()["state"]
    assert newer["revision"] == 1
    assert "changed by Jane" in late.json()["detail"]
    assert newer == review(ben, reading)
    again = edit(ben, reading, newer["revision"], kind="assign", at=two["anchor"], label=other(two)).json()
    assert again["revision"] == 2
    assert [step["actor"] for step in again["history"]] == ["Jane", "Ben"]
    assert again["authors"] == ["Jane", "Ben"]


def test_of_many_at_once_exactly_one_is_made(jane, reading):
    lesion = review(jane, reading)["lesions"][0]
    ask = lambda _: edit(jane, reading, 0, kind="assign", lesion=lesion["id"], label=other(lesion)).status_code  # noqa: E731
    with ThreadPoolExecutor(6) as pool:
        codes = sorted(pool.map(ask, range(6)))
    assert codes == [200, 409, 409, 409, 409, 409]
    assert len(review(jane, reading)["history"]) == 1


def test_two_servers_on_one_folder_agree(jane, reading):
    beside = reading.client("Ben", reading.start())
    lesions = review(beside, reading)["lesions"]
    edit(jane, reading, 0, kind="exclude", lesion=lesions[0]["id"])
    assert edit(beside, reading, 0, kind="exclude", lesion=lesions[1]["id"]).status_code == 409
    assert edit(beside, reading, 1, kind="exclude", lesion=lesions[1]["id"]).status_code == 200
    assert review(jane, reading) == review(beside, reading)


def test_a_draft_survives_a_restart_with_what_was_taken_back(jane, reading):
    lesions = review(jane, reading)["lesions"]
    edit(jane, reading, 0, kind="exclude", lesion=lesions[0]["id"])
    edit(jane, reading, 1, kind="assign", lesion=1, label="RCA")
    jane.post(f"{reading.at}/review/comment", json={"revision": 2, "comment": "motion in slice 20"})
    before = edit(jane, reading, 3, kind="undo").json()
    again = reading.client("Jane", reading.start())
    after = review(again, reading)
    assert after == before
    assert after["comment"] == "motion in slice 20"
    assert after["can_redo"]
    redone = edit(again, reading, 4, kind="redo").json()
    assert len(redone["history"]) == 2


def test_a_comment_keeps_its_lines_and_loses_what_dicom_cannot_hold(jane, reading):
    asked = {"revision": 0, "comment": "first line\nsecond\x00 \x1bline"}
    assert jane.post(f"{reading.at}/review/comment", json=asked).json()["comment"] == "first line\nsecond line"


def test_undo_takes_the_score_back_exactly(jane, reading):
    before = review(jane, reading)
    edit(jane, reading, 0, kind="exclude", lesion=1)
    after = edit(jane, reading, 1, kind="undo").json()
    assert after["scores"] == before["scores"]
    assert after["lesions"] == before["lesions"]


def test_who_may_only_read_changes_nothing(untouched):
    reading = untouched
    rita = reading.client("Rita")
    assert review(rita, reading)["revision"] == 0
    for action, body in (
        ("edits", {"revision": 0, "edit": {"kind": "exclude", "lesion": 1}}),
        ("comment", {"revision": 0, "comment": "x"}),
        ("sign", {"revision": 0, **SIGNER}),
        ("discard", {"revision": 0}),
        ("amend", None),
        ("rebase", None),
    ):
        assert rita.post(f"{reading.at}/review/{action}", json=body).status_code == 403
    nobody = {"Authorization": ""}
    for path in ("volume", "volume.json", "review"):
        assert rita.get(f"{reading.at}/{path}", headers=nobody).status_code == 401


def test_an_unknown_study_is_not_found(untouched):
    jane = untouched.client("Jane")
    for path in ("volume", "volume.json", "review"):
        assert jane.get(f"/api/studies/{'0' * 32}/{path}").status_code == 404


def files(client, reading, version):
    names = [one["name"] for one in client.get(f"{reading.at}/files", params={"version": version}).json()]
    return {
        name: client.get(f"{reading.at}/files/{name}", params={"version": version}).content
        for name in names
        if "/" not in name
    }


def signed_review(jane, reading):
    """Correct and sign: the state before the signature, the answer, the files of version 2."""
    lesions = review(jane, reading)["lesions"]
    coronary = [one for one in lesions if one["label"] <= Label.RCA]
    edit(jane, reading, 0, kind="assign", lesion=coronary[0]["id"], label=other(coronary[0]))
    edit(jane, reading, 1, kind="exclude", at=coronary[-1]["anchor"])
    state = jane.post(f"{reading.at}/review/comment", json={"revision": 2, "comment": "checked"}).json()
    answer = sign(jane, reading, 3)
    assert answer.status_code == 200, answer.text
    return state, answer.json(), files(jane, reading, 2)


@pytest.fixture(scope="module")
def signed(kept_reading):
    """A signed review that several tests look at."""
    return signed_review(kept_reading.client("Jane"), kept_reading)


@pytest.fixture
def incoming(reading):
    return incoming_of(reading)


@pytest.fixture
def kept_incoming(kept_reading):
    return incoming_of(kept_reading)


def test_the_signed_score_is_what_the_command_line_says_for_the_labels(signed, kept_incoming, tmp_path):
    state, answer, made = signed
    (tmp_path / "labels.nii.gz").write_bytes(made["labels.nii.gz"])
    said = subprocess.run(
        [Path(sys.executable).with_name("cacseg"), "score", kept_incoming, tmp_path / "labels.nii.gz", "--json"],
        capture_output=True,
        check=True,
    )
    scores = json.loads(said.stdout)["scores"]
    result = json.loads(made["result.json"])
    current = state["scores"]["current"]
    for part in ("total", *scores["vessels"]):
        numbers = [
            one["total"] if part == "total" else one["vessels"][part] for one in (scores, current, result["scores"])
        ]
        assert numbers[0]["agatston"] == numbers[1]["agatston"] == numbers[2]["agatston"]
        assert numbers[0]["volume_mm3"] == numbers[1]["volume_mm3"] == numbers[2]["volume_mm3"]
    assert result["scores"]["total"] == answer["scores"]["current"]["total"]
    assert result["scores"]["total"]["agatston"] != state["scores"]["original"]["total"]["agatston"]


def test_a_signature_verifies_every_form(signed, tmp_path):
    _, answer, made = signed
    assert answer["signed_version"] == 2
    assert answer["signed"]
    for name, content in made.items():
        (tmp_path / name).write_bytes(content)
    sr = pydicom.dcmread(tmp_path / "structured_report.dcm")
    assert (sr.VerificationFlag, sr.CompletionFlag, sr.PreliminaryFlag) == ("VERIFIED", "COMPLETE", "FINAL")
    observer = sr.VerifyingObserverSequence[0]
    assert (observer.VerifyingObserverName, observer.VerifyingOrganization) == ("Roe^Jane", "St Elsewhere")
    seg = pydicom.dcmread(tmp_path / "segmentation.dcm")
    assert seg.ContentCreatorName == "Roe^Jane"
    assert {one.SegmentAlgorithmType for one in seg.SegmentSequence} == {"SEMIAUTOMATIC"}
    fhir = json.loads(made["report.fhir.json"])["entry"][0]["resource"]
    assert fhir["status"] == "final"
    assert made["report.hl7"].split(b"\r")[2].split(b"|")[25] == b"F"
    assert "corrected and verified by Jane Roe, Radiologist" in made["report.html"].decode()


def test_the_result_tells_what_was_changed_by_whom(signed):
    state, _, made = signed
    result = json.loads(made["result.json"])
    jsonschema.validate(result, SCHEMA)
    record = result["provenance"]["review"]
    assert record["verified_by"] == {"name": "Roe^Jane", "role": "Radiologist", "organisation": "St Elsewhere"}
    assert (record["version"], record["base_version"], record["amends"]) == (2, 1, False)
    assert record["comment"] == "checked"
    assert [one["kind"] for one in record["changes"]] == ["assign", "exclude"]
    assert record["automatic"]["total"] == state["scores"]["original"]["total"]
    assert [one["code"] for one in result["findings"]].count("corrected-by-reader") == 1
    low, high = result["interval"]["agatston"]
    assert low <= result["scores"]["total"]["agatston"] <= high
    changed = [one for one in result["lesions"] if one["confidence"] is None]
    assert changed


def test_the_new_version_is_listed_and_sent(signed, kept_reading):
    reading = kept_reading
    detail = reading.client("Jane").get(reading.at).json()
    assert [(one["version"], one["kind"], one["author"], one["complete"]) for one in detail["versions"]][1] == (
        2,
        "signed",
        "Jane Roe",
        True,
    )
    assert detail["agatston"] == signed[1]["scores"]["current"]["total"]["agatston"]
    with reading.house.database.session(write=False) as session:
        sent = {
            (job.payload["destination"], job.payload["version"]) for job in session.query(Job).where(Job.kind == "send")
        }
        row = session.query(Review).one()
    assert {("fhir", 2), ("oru", 2)} <= sent
    assert (row.state, row.version, row.author) == ("signed", 2, "Jane")
    assert (reading.data / "results" / row.labels_path).is_file()
    assert reading.house.audit.verify().holds


def test_the_correction_is_exported_for_training(signed, kept_reading):
    reading = kept_reading
    root = reading.data / "results"
    source = corrections_sources(root)[0]
    labelled = source.load()
    version = root / reading.study_id / "v2"
    expected = read_labels(version / "labels.nii.gz", labelled.volume)
    counted = np.where(labelled.volume.voxels >= 130, expected, 0)
    assert np.array_equal(labelled.labels.voxels if isinstance(labelled.labels, Volume) else labelled.labels, counted)
    written = read_correction(root / reading.study_id / "corrections" / "v2" / "corrections.json")
    assert [one["kind"] for one in written["changes"]] == ["assign", "exclude"]
    text = json.dumps(written)
    assert "Jane" not in text
    assert "CACSEG-7" not in text


def test_a_signed_version_is_changed_only_by_an_amendment(jane, ben, reading):
    signed = signed_review(jane, reading)
    refused = edit(jane, reading, 0, kind="exclude", lesion=1)
    assert refused.status_code == 409
    assert "Begin an amendment" in refused.json()["detail"]
    assert sign(jane, reading, 0).status_code == 409
    begun = ben.post(f"{reading.at}/review/amend").json()
    assert (begun["draft"], begun["version"], begun["revision"]) == (True, 2, 1)
    assert ben.post(f"{reading.at}/review/amend").json() == begun
    state = edit(ben, reading, 1, kind="exclude", lesion=1).json()
    assert state["automatic"]["total"] == signed[0]["scores"]["original"]["total"]
    assert state["scores"]["original"] == signed[1]["scores"]["current"]
    assert state["signature"]["verified_by"]["name"] == "Roe^Jane"
    amended = sign(ben, reading, 2, name="Kay, Ben").json()
    assert amended["signed_version"] == 3
    made = files(ben, reading, 3)
    record = json.loads(made["result.json"])["provenance"]["review"]
    assert record["amends"]
    assert [one["version"] for one in record["changes"]] == [2, 2, 3]
    assert record["automatic"]["total"] == signed[0]["scores"]["original"]["total"]
    assert json.loads(made["report.fhir.json"])["entry"][0]["resource"]["status"] == "amended"
    assert made["report.hl7"].split(b"\r")[2].split(b"|")[25] == b"C"
    earlier = pydicom.dcmread(reading.data / "results" / reading.study_id / "v2" / "structured_report.dcm")
    sr = pydicom.dcmread(reading.data / "results" / reading.study_id / "v3" / "structured_report.dcm")
    before = sr.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert before.ReferencedSOPInstanceUID == earlier.SOPInstanceUID
    assert sr.VerifyingObserverSequence[0].VerifyingObserverName == "Kay^Ben"
    assert files(ben, reading, 2) == signed[2]


def test_signing_without_a_change_keeps_every_number(jane, reading):
    before = jane.get(f"{reading.at}/result").json()
    answer = sign(jane, reading, 0, organisation=None).json()
    assert answer["signed_version"] == 2
    after = jane.get(f"{reading.at}/result").json()
    same = ("scores", "lesions", "interval", "risk", "findings")
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    assert after["provenance"]["review"]["changes"] == []
    made = files(jane, reading, 2)
    assert "Final: verified by Jane Roe" in made["report.html"].decode()


@pytest.mark.parametrize(
    ("given", "words"),
    [({"name": "Jane\\Roe"}, "without"), ({"name": "   "}, "0 characters"), ({"role_title": " "}, "role has 0")],
)
def test_a_signature_needs_a_name_and_a_role(untouched, given, words):
    reading, jane = untouched, untouched.client("Jane")
    answer = sign(jane, reading, 0, **given)
    assert answer.status_code == 422
    assert words in answer.json()["detail"]


def nothing_signed(reading):
    folder = reading.data / "results" / reading.study_id
    left = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("voxels"))
    return left in (["v1"], ["corrections", "v1"]) and not list(folder.glob("corrections/*"))


def test_an_edit_that_comes_while_signing_wins(jane, ben, reading, monkeypatch):
    edit(jane, reading, 0, kind="exclude", lesion=1)
    write = signing.write_all

    def slowly(*args, **further):
        assert edit(ben, reading, 1, kind="exclude", lesion=1).status_code == 200
        return write(*args, **further)

    monkeypatch.setattr(signing, "write_all", slowly)
    answer = sign(jane, reading, 1)
    assert answer.status_code == 409
    assert nothing_signed(reading)
    assert review(jane, reading)["revision"] == 2


def test_a_fault_while_signing_leaves_the_draft(jane, reading, monkeypatch):
    edit(jane, reading, 0, kind="exclude", lesion=1)

    def full(*_args, **_further):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(signing, "write_correction", full)
    assert sign(jane, reading, 1).status_code == 507
    assert nothing_signed(reading)
    monkeypatch.undo()
    assert sign(jane, reading, 1).json()["signed_version"] == 3


def rescored(reading):
    """Let a newer automatic version come in, as a late instance does."""
    house = reading.house
    first = house.settings.version_folder(reading.study_id, 1)
    result = json.loads((first / "result.json").read_text())
    from cacseg.service.versions import publish_version, reserve_version

    with house.database.session() as session:
        number = reserve_version(session, reading.study_id)
    folder = house.settings.version_folder(reading.study_id, number)
    folder.mkdir()
    for name in ("result.json", "labels.nii.gz"):
        (folder / name).write_bytes((first / name).read_bytes())
    with house.database.session() as session:
        publish_version(
            session,
            house.audit,
            reading.study_id,
            number,
            kind="automatic",
            author="release",
            generation=1,
            result=result,
            at=0.0,
        )
    return number


def test_a_draft_is_taken_over_to_a_newer_version_before_it_is_signed(jane, reading):
    edited = edit(jane, reading, 0, kind="exclude", lesion=1).json()
    number = rescored(reading)
    state = review(jane, reading)
    assert (state["version"], state["newest_version"]) == (1, number)
    refused = sign(jane, reading, 1)
    assert refused.status_code == 409
    assert "came in after" in refused.json()["detail"]
    taken = jane.post(f"{reading.at}/review/rebase").json()
    assert (taken["version"], taken["revision"]) == (number, 2)
    assert taken["scores"] == edited["scores"]
    assert not taken["skipped"]
    assert sign(jane, reading, 2).status_code == 200


def test_an_edit_made_on_another_version_is_late(jane, reading):
    rescored(reading)
    body = {"revision": 0, "base_version": 1, "edit": {"kind": "exclude", "lesion": 1}}
    answer = jane.post(f"{reading.at}/review/edits", json=body)
    assert answer.status_code == 409
    assert answer.json()["state"]["version"] == 2


def test_a_discarded_draft_is_laid_aside_and_kept(jane, reading):
    before = review(jane, reading)
    edit(jane, reading, 0, kind="exclude", lesion=1)
    assert jane.post(f"{reading.at}/review/discard", json={"revision": 0}).status_code == 409
    after = jane.post(f"{reading.at}/review/discard", json={"revision": 1}).json()
    assert after == before
    with reading.house.database.session(write=False) as session:
        row = session.query(Review).one()
    assert row.state == "discarded"
    assert row.changes


def test_any_version_can_be_looked_at(signed, kept_reading):
    reading, jane = kept_reading, kept_reading.client("Jane")
    first = review(jane, reading, version=1)
    assert first["read_only"]
    assert first["scores"]["current"] == signed[0]["scores"]["original"]
    assert jane.get(f"{reading.at}/review", params={"version": 9}).status_code == 404
    assert jane.get(f"{reading.at}/review", params={"version": 0}).status_code == 422


def test_images_that_are_gone_are_said_to_be_gone(jane, reading, incoming):
    incoming.rename(incoming.with_name("elsewhere"))
    answer = jane.get(f"{reading.at}/review")
    assert answer.status_code == 409
    assert "not kept any more" in answer.json()["detail"]


def test_the_signed_score_equals_the_library_on_the_same_labels(signed, kept_incoming, tmp_path):
    (tmp_path / "labels.nii.gz").write_bytes(signed[2]["labels.nii.gz"])
    scorings, _ = score_labels(kept_incoming, tmp_path / "labels.nii.gz")
    result = json.loads(signed[2]["result.json"])
    assert len(scorings[0].lesions) == len(result["lesions"])
    assert [one.agatston for one in scorings[0].lesions] == [one["agatston"] for one in result["lesions"]]
