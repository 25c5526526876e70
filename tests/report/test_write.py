import json
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

from cacseg.acquisition import Patient
from cacseg.errors import UsageError
from cacseg.report import (
    DEFAULT_FORMATS,
    FORMS,
    FROM_RESULT,
    Pictures,
    ReportInput,
    read_result,
    result_from_json,
    write_all,
    write_refused,
)
from cacseg.report.specimen import specimen


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_default_files_are_those_of_the_contract(made, tmp_path, clock):
    written = write_all(made["mild"], tmp_path / "out", clock=clock)
    contract = {
        *("result.json", "report.html", "report.pdf", "segmentation.dcm", "structured_report.dcm"),
        *("labels.nii.gz", "lesions.csv", "report.fhir.json"),
    }
    assert contract == {FORMS[name].file for name in DEFAULT_FORMATS}
    assert set(names(tmp_path / "out")) == contract | {"pictures"}
    assert all(path.is_file() for path in written.files)
    assert written.findings == ()


def test_a_zero_study_has_every_file_too(out):
    assert {form.file for form in FORMS.values()} <= set(names(out / "zero"))


def test_refused_has_no_score_anywhere(made, tmp_path, clock):
    written = write_refused(made["refused"], tmp_path / "out", tuple(FORMS), clock=clock)
    assert names(tmp_path / "out") == ["report.html", "report.pdf", "result.json", "row.csv"]
    data = json.loads((tmp_path / "out" / "result.json").read_text())
    assert data["status"] == "refused"
    assert data["scores"] is None
    assert written.findings == ()
    text = (tmp_path / "out" / "report.html").read_text()
    assert "No score" in text
    assert "contrast" in text
    assert "CPT 75571" not in text


def test_write_refused_takes_no_scored_study(made, tmp_path):
    with pytest.raises(UsageError, match="was scored"):
        write_refused(made["mild"], tmp_path / "out")


def test_result_json_alone_makes_the_text_forms(made, out, tmp_path, clock):
    result = result_from_json((out / "severe" / "result.json").read_bytes())
    assert result == made["severe"].result
    pictures = Pictures.read(out / "severe" / "pictures")
    inputs = replace(made["severe"], result=result, volume=None, labels=None, sources=(), pictures=pictures)
    written = write_all(inputs, tmp_path / "again", tuple(FORMS), clock=clock)
    skipped = {finding.code for finding in written.findings}
    assert skipped == {f"not-written-{name}" for name in ("nifti", "seg", "sr", "encapsulated", "capture")}
    data = json.loads((tmp_path / "again" / "result.json").read_text())
    assert {finding["code"] for finding in data["findings"]} >= skipped
    assert (tmp_path / "again" / "report.html").read_text().count("data:image/png") == len(pictures.images)


def test_without_pictures_the_report_still_stands(made, tmp_path, clock):
    inputs = replace(made["severe"], volume=None, labels=None, sources=())
    write_all(inputs, tmp_path / "out", ("html", "pdf"), clock=clock)
    assert "data:image/png" not in (tmp_path / "out" / "report.html").read_text()


def test_nifti_input_leaves_dicom_forms_out(made, tmp_path, clock):
    written = write_all(replace(made["mild"], sources=()), tmp_path / "out", clock=clock)
    assert {finding.code for finding in written.findings} == {"not-written-seg", "not-written-sr"}
    assert "labels.nii.gz" in names(tmp_path / "out")


def test_headers_that_do_not_match_the_slices(made, tmp_path, clock):
    written = write_all(replace(made["mild"], sources=made["mild"].sources[:-1]), tmp_path / "out", clock=clock)
    assert "39 source instances do not match" in written.findings[0].message


@pytest.mark.parametrize("kind", ["severe", "zero", "refused"])
def test_same_result_and_clock_give_the_same_bytes(kind, made, out, tmp_path, clock):
    write_all(specimen(kind), tmp_path / "again", tuple(FORMS), clock=clock)
    for path in sorted((out / kind).rglob("*")):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / "again" / path.relative_to(out / kind)).read_bytes(), path.name


def test_people_forms_do_not_depend_on_the_clock(made, out, tmp_path):
    write_all(made["mild"], tmp_path / "later", tuple(FORMS), clock=lambda: datetime(2031, 1, 1))
    for name in ("report.pdf", "report.html", "result.json"):
        assert (tmp_path / "later" / name).read_bytes() == (out / "mild" / name).read_bytes()
    assert (tmp_path / "later" / "segmentation.dcm").read_bytes() != (out / "mild" / "segmentation.dcm").read_bytes()


def test_unknown_format(made, tmp_path):
    with pytest.raises(UsageError, match="docx"):
        write_all(made["mild"], tmp_path / "out", ("docx",))
    assert not (tmp_path / "out").exists()


def test_inputs_are_not_changed(made, tmp_path, clock):
    before = made["severe"].labels.copy()
    headers = [str(source) for source in made["severe"].sources]
    write_all(made["severe"], tmp_path / "out", tuple(FORMS), deidentify=True, clock=clock)
    assert np.array_equal(before, made["severe"].labels)
    assert headers == [str(source) for source in made["severe"].sources]


@pytest.mark.parametrize("content", [b"{", b"[]", b"{}", b'{"schema_version": "9"}', b'{"schema_version": "1.0"}'])
def test_foreign_json_is_wrong_usage(content):
    with pytest.raises(UsageError):
        result_from_json(content)


def test_writing_again_in_place_keeps_the_labels(made, tmp_path, clock):
    target = tmp_path / "out"
    write_all(made["mild"], target, clock=clock)
    before = {name: (target / name).read_bytes() for name in ("labels.nii.gz", "segmentation.dcm")}
    result, pictures = read_result(target)
    again = ReportInput(replace(result, patient=Patient(60, "F", "black")), pictures=pictures)
    write_all(again, target, FROM_RESULT, clock=clock, keep_labels=True)
    assert {name: (target / name).read_bytes() for name in before} == before
    assert "structured_report.dcm" not in names(target)
    assert "60 years" in (target / "report.html").read_text()
    write_all(again, target, FROM_RESULT, clock=clock, keep_labels=True, deidentify=True)
    assert "labels.nii.gz" in names(target)
    assert "segmentation.dcm" not in names(target)


def test_labels_of_another_result_are_not_kept(made, tmp_path, clock):
    target = tmp_path / "out"
    write_all(made["mild"], target, clock=clock)
    write_all(ReportInput(made["severe"].result), target, FROM_RESULT, clock=clock, keep_labels=True)
    assert "labels.nii.gz" not in names(target)


def test_a_result_is_read_from_its_folder_or_file(out, tmp_path):
    result, pictures = read_result(out / "severe")
    assert read_result(out / "severe" / "result.json") == (result, pictures)
    assert "map-axial" in pictures.images
    with pytest.raises(UsageError, match="Cannot read"):
        read_result(tmp_path)
