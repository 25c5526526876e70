"""What changes in each form when a person signs, and what does not."""

import io
import json
import subprocess
from dataclasses import replace
from datetime import UTC, datetime

import pydicom
import pytest
from fhir.resources.R4B.bundle import Bundle

from cacseg.errors import UsageError
from cacseg.report import FORMS, Observer, person_name, write_all
from cacseg.report.verification import PRELIMINARY, PRELIMINARY_CORRECTED, status_text

AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
JANE = Observer("Roe^Jane", "Radiologist", AT, "St Elsewhere")
CHANGES = [{"kind": "assign", "label": "RCA", "actor": "Jane", "time": "2026-03-01T09:00:00+00:00"}]
DICOM = ("segmentation.dcm", "structured_report.dcm", "encapsulated_report.dcm", "capture-1.dcm")


def reviewed(inputs, changes=CHANGES, **observer):
    record = {
        "verified_by": {"name": JANE.name, "role": JANE.role, "organisation": JANE.organisation},
        "signed_at": AT.isoformat(),
        "comment": "seen by Jane Roe",
        "changes": list(changes),
    }
    result = replace(inputs.result, provenance={**inputs.result.provenance, "review": record})
    return replace(inputs, result=result, verified_by=replace(JANE, **observer))


@pytest.fixture(scope="module")
def forms(made, tmp_path_factory, clock):
    """Every form of a corrected and signed report, by file name."""
    before = pydicom.Dataset()
    before.SOPClassUID, before.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.88.34", "2.25.1"
    before.SeriesInstanceUID, before.StudyInstanceUID = "2.25.2", made["mild"].sources[0].StudyInstanceUID
    inputs = replace(reviewed(made["mild"]), replaces=(before,))
    folder = tmp_path_factory.mktemp("verified") / "out"
    write_all(inputs, folder, tuple(FORMS), clock=clock)
    return {path.name: path for path in folder.iterdir() if path.is_file()}


@pytest.mark.system("dciodvfy")
@pytest.mark.parametrize("name", DICOM)
def test_dciodvfy_finds_no_error_in_a_verified_form(name, forms):
    checked = subprocess.run(["dciodvfy", forms[name]], capture_output=True, text=True, check=False)
    said = checked.stdout + checked.stderr
    assert "Error" not in said
    assert [line for line in said.splitlines() if line.startswith("Warning") and "99CACSEG" not in line] == []


def test_the_structured_report_names_who_verified_it(forms):
    report = pydicom.dcmread(forms["structured_report.dcm"])
    assert (report.CompletionFlag, report.VerificationFlag, report.PreliminaryFlag) == ("COMPLETE", "VERIFIED", "FINAL")
    who = report.VerifyingObserverSequence[0]
    assert who.VerifyingObserverName == "Roe^Jane"
    assert who.VerifyingOrganization == "St Elsewhere"
    assert who.VerificationDateTime == "20260301093000+0000"
    assert report.SeriesDescription == "Calcium score report (verified)"
    people = [one for one in report.ContentSequence if one.ValueType == "PNAME"]
    assert [one.PersonName for one in people] == ["Roe^Jane"]
    referred = report.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert referred.ReferencedSOPInstanceUID == "2.25.1"


def test_the_segmentation_tells_a_corrected_one_from_an_automatic_one(forms, made, tmp_path, clock):
    segmentation = pydicom.dcmread(forms["segmentation.dcm"])
    assert {one.SegmentAlgorithmType for one in segmentation.SegmentSequence} == {"SEMIAUTOMATIC"}
    assert segmentation.SeriesDescription == "Calcium segmentation (corrected, verified)"
    assert segmentation.ContentCreatorName == "Roe^Jane"
    write_all(reviewed(made["mild"], changes=()), tmp_path / "out", ("seg",), clock=clock)
    unchanged = pydicom.dcmread(tmp_path / "out" / "segmentation.dcm")
    assert {one.SegmentAlgorithmType for one in unchanged.SegmentSequence} == {"AUTOMATIC"}
    assert unchanged.SeriesDescription == "Calcium segmentation (automatic, verified)"


def test_the_other_dicom_forms_say_that_they_are_verified(forms):
    assert pydicom.dcmread(forms["encapsulated_report.dcm"]).VerificationFlag == "VERIFIED"
    for name in ("encapsulated_report.dcm", "capture-1.dcm"):
        assert "verified" in pydicom.dcmread(forms[name]).SeriesDescription


@pytest.mark.parametrize(("amends", "fhir", "hl7"), [(False, "final", "F"), (True, "amended", "C")])
def test_messages_carry_the_status_and_the_signer(amends, fhir, hl7, made, tmp_path, clock):
    write_all(reviewed(made["mild"], amends=amends), tmp_path / "out", ("fhir", "oru"), clock=clock)
    text = (tmp_path / "out" / "report.fhir.json").read_text()
    Bundle.model_validate_json(text)
    entries = [one["resource"] for one in json.loads(text)["entry"]]
    assert {one["status"] for one in entries if one["resourceType"] in ("Observation", "DiagnosticReport")} == {fhir}
    signer = next(one for one in entries if one["resourceType"] == "PractitionerRole")
    assert signer["practitioner"]["display"] == "Jane Roe"
    assert entries[0]["resultsInterpreter"][0]["type"] == "PractitionerRole"
    segments = [line.split("|") for line in (tmp_path / "out" / "report.hl7").read_bytes().decode().split("\r")]
    order = next(one for one in segments if one[0] == "OBR")
    assert (order[25], order[32]) == (hl7, "&Roe&Jane")
    assert {one[11] for one in segments if one[0] == "OBX"} == {hl7}


def test_forms_for_people_say_who_signed(forms):
    page = forms["report.html"].read_text()
    assert "Final: corrected and verified by Jane Roe, Radiologist, 2026-03-01 09:30 UTC" in page
    assert 'class="status verified"' in page
    assert "Preliminary" not in page
    assert "a physician has to sign" not in page
    assert "signed; the name stands at the head" in page


def test_the_comment_stands_in_every_form_that_is_read(forms, made, tmp_path, clock):
    assert "seen by Jane Roe" in forms["report.html"].read_text()
    assert "seen by Jane Roe" in json.loads(forms["report.fhir.json"].read_text())["entry"][0]["resource"]["conclusion"]
    assert b"NTE|2||seen by Jane Roe\r" in forms["report.hl7"].read_bytes()
    assert b"seen by Jane Roe" in forms["structured_report.dcm"].read_bytes()
    write_all(made["mild"], tmp_path / "out", ("html",), clock=clock)
    assert "Comment of the reader" not in (tmp_path / "out" / "report.html").read_text()


def test_a_name_with_markup_is_text(made, tmp_path, clock):
    inputs = reviewed(made["mild"], name="<script>alert(1)</script>")
    write_all(inputs, tmp_path / "out", ("html",), clock=clock)
    assert "<script>alert" not in (tmp_path / "out" / "report.html").read_text()


def test_without_a_signature_nothing_is_verified(made):
    inputs = reviewed(made["mild"])
    assert status_text(inputs.result, None) == PRELIMINARY_CORRECTED
    assert status_text(made["mild"].result, None) == PRELIMINARY


def test_a_de_identified_report_names_no_reader(made, tmp_path, clock):
    write_all(reviewed(made["mild"]), tmp_path / "out", tuple(FORMS), deidentify=True, clock=clock)
    for path in (tmp_path / "out").iterdir():
        if path.is_file():
            content = path.read_bytes()
            for secret in (b"Roe^", b"Jane", b"St Elsewhere", b"seen by", b"09:00:00"):
                assert secret not in content, (path.name, secret)
    report = pydicom.dcmread(io.BytesIO((tmp_path / "out" / "structured_report.dcm").read_bytes()))
    assert report.VerificationFlag == "UNVERIFIED"
    kept = json.loads((tmp_path / "out" / "result.json").read_text())["provenance"]["review"]
    assert kept == {"changes": [{"kind": "assign", "label": "RCA"}]}


@pytest.mark.parametrize("written", ["", "   ", "x" * 65, "Roe\\Jane", "Roe=Jane", "Roe\x07"])
def test_a_name_that_dicom_cannot_hold_is_refused(written):
    with pytest.raises(UsageError, match="signer's name"):
        person_name(written)
