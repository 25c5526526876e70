"""The suite as files: read back with pydicom and nibabel alone, scored, and checked."""

import csv

import nibabel as nib
import numpy as np
import pydicom
import pytest

from cacseg.conformance import check, read_answers, write_suite
from cacseg.errors import UnreadableError, UsageError
from cacseg.scoring import RULES, score
from cacseg.scoring.conformance import cases
from cacseg.volume import Volume


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    return write_suite(tmp_path_factory.mktemp("made") / "suite")


def read_nifti(path):
    image = nib.load(path)
    data = np.asarray(image.dataobj)
    return Volume.from_ras(data.astype(np.uint8) if path.name.startswith("labels") else data, image.affine)


def read_dicom(folder):
    slices = [pydicom.dcmread(path) for path in folder.iterdir()]
    slices.sort(key=lambda one: one.ImagePositionPatient[2])
    hu = np.stack([one.pixel_array * float(one.RescaleSlope) + float(one.RescaleIntercept) for one in slices])
    increment = float(slices[1].ImagePositionPatient[2] - slices[0].ImagePositionPatient[2])
    spacing = (increment, float(slices[0].PixelSpacing[0]), float(slices[0].PixelSpacing[1]))
    return Volume.axial(hu, spacing, tuple(float(x) for x in slices[0].ImagePositionPatient))


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_files_hold_the_case(suite, case):
    folder = suite / "cases" / case.name
    image = read_nifti(folder / "image.nii.gz").matched_to(case.volume)
    labels = read_nifti(folder / "labels.nii.gz").matched_to(case.volume)
    dicom = read_dicom(folder / "dicom")
    assert dicom.same_grid(case.volume)
    assert (labels.voxels == case.labels.voxels).all()
    assert np.abs(image.voxels - case.volume.voxels.astype(float)).max() < 1e-4
    assert np.abs(dicom.voxels - case.volume.voxels.astype(float)).max() < 1e-4
    for volume in (image, dicom):
        total = score(volume, case.labels).total
        assert total.agatston == pytest.approx(case.expected["literature"].agatston, abs=1e-6)


def test_each_encoding_is_what_it_says(suite):
    def first(name):
        return pydicom.dcmread(suite / "cases" / name / "dicom" / "0000.dcm")

    assert first("encoding-big-endian").file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRBigEndian
    assert first("encoding-negative-slope").RescaleSlope == -1
    assert first("encoding-fractional-slope").RescaleSlope == 0.2
    assert first("encoding-unsigned").PixelRepresentation == 0
    assert first("encoding-unsigned").RescaleIntercept == -1024
    last = pydicom.dcmread(suite / "cases" / "encoding-reversed" / "dicom" / "0004.dcm")
    assert last.ImagePositionPatient[2] < first("encoding-reversed").ImagePositionPatient[2]
    assert first("increment-overlap").SliceThickness == 3.0
    assert nib.load(suite / "cases" / "encoding-big-endian" / "image.nii.gz").header.endianness == ">"
    flipped = nib.load(suite / "cases" / "encoding-reversed" / "image.nii.gz").affine
    assert np.sign(np.diag(flipped)).tolist() != np.sign(np.diag(cases()[0].volume.ras_affine())).tolist()


def test_the_suite_written_twice_has_the_same_images(suite, tmp_path):
    again = write_suite(tmp_path / "again", cases()[:3])
    for case in cases()[:3]:
        for file in sorted((again / "cases" / case.name / "dicom").iterdir()):
            assert file.read_bytes() == (suite / "cases" / case.name / "dicom" / file.name).read_bytes()


def test_our_own_answers_conform(suite, tmp_path):
    rows = []
    for case in cases():
        for rule in RULES:
            total = score(case.volume, case.labels, RULES[rule]).total
            rows.append((case.name, rule, f"{total.agatston:.4f}", f"{total.volume_mm3:.4f}", total.lesions))
    answers = tmp_path / "answers.csv"
    with answers.open("w", newline="") as file:
        csv.writer(file).writerows([("case", "rule", "agatston", "volume_mm3", "lesions"), *rows])
    report = check(answers)
    assert report.conforms
    assert report.agreeing == len(cases()) * len(RULES) * 3
    assert report.table() == "\n".join(report.lines())
    assert report.lines() == [f"{report.agreeing} agree, 0 differ, 0 not answered"]


def test_a_wrong_answer_is_named(suite, tmp_path):
    answers = tmp_path / "answers.csv"
    answers.write_text("case,rule,agatston\nweight-400,siemens,6.75\nweight-399,siemens,6.75\n")
    report = check(answers)
    assert not report.conforms
    assert [verdict.case for verdict in report.disagreements] == ["weight-400"]
    assert "a peak of 400 HU has weight 4" in report.lines()[0]
    assert report.to_dict()["disagreements"][0]["expected"] == 9.0
    assert report.unanswered == len(cases()) * 3 - 2


def test_the_empty_form_does_not_conform(suite):
    report = check(suite / "answers.csv")
    assert not report.conforms
    assert report.agreeing == 0
    assert {answer.rule for answer in read_answers(suite / "answers.csv")} == set(RULES)


def test_the_expected_scores_are_written_out(suite):
    with (suite / "expected.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(cases()) * len(RULES)
    assert {row["case"] for row in rows} == {case.name for case in cases()}
    assert (suite / "rules.csv").read_text().count("\n") == len(RULES) + 1
    assert "cacseg conformance --check answers.csv" in (suite / "README.md").read_text()


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "kept.txt").write_text("kept")
    with pytest.raises(UsageError, match="not an empty folder"):
        write_suite(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]


def test_an_empty_folder_is_filled(tmp_path):
    assert (write_suite(tmp_path / "new", cases()[:1]) / "expected.csv").is_file()
    (tmp_path / "empty").mkdir()
    assert (write_suite(tmp_path / "empty", cases()[:1]) / "expected.csv").is_file()


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        write_suite(tmp_path / "file" / "suite", cases()[:1])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b\n1,2\n", "columns a, b"),
        (b"", "columns none"),
        (b"\xff\xfe\xfa", "cannot be read"),
        (None, "cannot be read"),
    ],
)
def test_what_is_no_answers_file_is_unreadable(tmp_path, content, message):
    path = tmp_path / "answers.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnreadableError, match=message):
        check(path)
