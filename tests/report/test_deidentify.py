import json
import zlib
from dataclasses import replace

import pydicom
import pypdf
import pytest

from cacseg.acquisition import Patient
from cacseg.findings import Finding, Severity
from cacseg.report import FORMS, write_all
from cacseg.report.deidentify import clean_result, deidentified, replaced_uid
from cacseg.report.specimen import ROOT_UID
from cacseg.risk import assess

SECRETS = ("Specimen^Sam", "Specimen, Sam", "SPECIMEN-1", "19680214", "1968-02-14", "ACC-1", "Robin", "Specimen clinic")
SECRETS += ("2026-03-01", "20260301", "101500", "CaSc 3.0", "CT calcium score")


@pytest.fixture(scope="module")
def clean(made, tmp_path_factory, clock):
    folder = tmp_path_factory.mktemp("clean") / "out"
    write_all(made["severe"], folder, tuple(FORMS), deidentify=True, clock=clock)
    return folder


def text_of(path):
    if path.suffix == ".pdf":
        return "\n".join(page.extract_text() for page in pypdf.PdfReader(path).pages)
    if path.name == "encapsulated_report.dcm":
        dataset = pydicom.dcmread(path)
        del dataset.EncapsulatedDocument
        return str(dataset)
    if path.suffix == ".gz":
        return zlib.decompress(path.read_bytes(), wbits=31).decode("latin-1")
    return path.read_bytes().decode("latin-1")


def test_no_form_names_the_person_or_the_examination(clean):
    files = [path for path in clean.rglob("*") if path.is_file()]
    assert len(files) > 12
    for path in files:
        text = text_of(path)
        for secret in (*SECRETS, ROOT_UID):
            assert secret not in text, (path.name, secret)


def test_the_secrets_are_there_without_it(made, out):
    page = (out / "severe" / "report.html").read_text()
    assert all(secret in page for secret in ("Specimen, Sam", "SPECIMEN-1", "1968-02-14", "ACC-1", "Robin", ROOT_UID))


@pytest.mark.parametrize(
    "name", ["segmentation.dcm", "structured_report.dcm", "encapsulated_report.dcm", "capture-1.dcm"]
)
def test_dicom_forms_say_how(clean, name):
    dataset = pydicom.dcmread(clean / name)
    assert dataset.PatientIdentityRemoved == "YES"
    options = [item.CodeValue for item in dataset.DeidentificationMethodCodeSequence]
    assert options == ["113100", "113105", "113108", "113109"]
    assert not dataset.PatientName
    assert not dataset.PatientID
    assert dataset.PatientSex == "M"
    assert dataset.StudyInstanceUID == replaced_uid(f"{ROOT_UID}.1")


def test_forms_still_refer_to_each_other(clean, made):
    report = pydicom.dcmread(clean / "structured_report.dcm")
    seg = pydicom.dcmread(clean / "segmentation.dcm")
    assert seg.SOPInstanceUID in str(report)
    listed = {item.ReferencedSOPInstanceUID for item in seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence}
    assert listed == {replaced_uid(source.SOPInstanceUID) for source in made["severe"].sources}
    assert json.loads((clean / "result.json").read_text())["study"]["study_instance_uid"] == seg.StudyInstanceUID


def test_scores_stay(clean, made):
    data = json.loads((clean / "result.json").read_text())
    assert data["scores"]["total"]["agatston"] == made["severe"].result.scoring.total.agatston
    assert data["study"]["patient"] == {"age_years": 58, "sex": "M", "race": "white"}
    assert "Basic Application Confidentiality Profile" in data["provenance"]["deidentified"]
    assert data["provenance"]["model"]["sha256"] == "0" * 64


def test_very_old_patients_are_ninety_everywhere(made):
    result = made["mild"].result
    patient = Patient(93.0, "F", "white")
    result = replace(result, patient=patient, risk=assess(result.scoring, patient))
    assert "93" in json.dumps(result.risk)
    cleaned = clean_result(result)
    assert cleaned.patient.age_years == 90
    assert "93" not in json.dumps(cleaned.to_dict()["risk"]["percentile"])
    assert 'age_years": 93' not in json.dumps(cleaned.to_dict())
    assert "age is 93" not in json.dumps(cleaned.to_dict())


def test_texts_of_findings_lose_uids_files_and_dates(made):
    finding = Finding(
        "odd",
        Severity.INFO,
        "Series 1.2.840.113619.2.55.3 in /home/jane/doe/IM0001.dcm of 2026-03-01, file doe.dcm",
        "x",
    )
    (cleaned,) = clean_result(replace(made["mild"].result, findings=(finding,))).findings
    for secret in ("1.2.840", "jane", "doe", "2026"):
        assert secret not in cleaned.message
    assert replaced_uid("1.2.840.113619.2.55.3") in cleaned.message


def test_a_key_changes_every_uid(made):
    plain, keyed = deidentified(made["mild"]), deidentified(made["mild"], "secret")
    assert plain.result.study_instance_uid != keyed.result.study_instance_uid
    assert len(keyed.result.study_instance_uid) <= 64
    assert plain.sources[0].SOPInstanceUID != keyed.sources[0].SOPInstanceUID
