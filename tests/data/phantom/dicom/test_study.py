import json
import subprocess
from dataclasses import replace

import nibabel as nib
import numpy as np
import pydicom
import pytest

from cacseg.data.phantom import digital_patient, write_phantoms, write_study
from cacseg.data.phantom.dicom.identity import Identity
from cacseg.volume import Volume


@pytest.fixture(scope="module")
def scan():
    return digital_patient(17, "gated", target_agatston=250.0, matrix=256, padding_hu=None)


@pytest.fixture(scope="module")
def folder(scan, tmp_path_factory):
    return write_study(scan, tmp_path_factory.mktemp("studies") / "one")


@pytest.fixture(scope="module")
def truth(folder):
    return json.loads((folder / "truth.json").read_text())


def objects(folder):
    return sorted(
        path for path in folder.rglob("*") if path.is_file() and path.name != "truth.json" and path.suffix != ".gz"
    )


def main_series(folder, truth):
    found = [
        pydicom.dcmread(path) for path in objects(folder) if path.parent.name == truth["series"]["scoring"]["folder"]
    ]
    return sorted(found, key=lambda each: float(each.ImagePositionPatient[2]))


@pytest.mark.system("dciodvfy")
def test_every_kind_of_object_is_valid(folder):
    first = {path.parent: path for path in reversed(objects(folder))}
    assert len(first) == 7
    for path in first.values():
        said = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False)
        errors = [line for line in (said.stdout + said.stderr).splitlines() if line.startswith("Error")]
        assert errors == [], path


@pytest.mark.parametrize("vendor", ["Siemens", "GE", "Philips", "Canon"])
def test_pixels_read_back_as_they_were_whatever_the_vendor(scan, vendor, tmp_path):
    padding = {"GE": -3024, "Canon": -2048}.get(vendor)
    voxels = scan.volume.voxels[:3].copy()
    if padding is not None:
        voxels[:, :4, :4] = padding
    few = Volume(voxels, scan.volume.affine)
    part = replace(
        scan, protocol=replace(scan.protocol, vendor=vendor, padding_hu=padding), volume=few,
        labels=few.with_voxels(scan.labels.voxels[:3]), owners=few.with_voxels(scan.owners.voxels[:3]),
        owner_hu=scan.owner_hu[: np.count_nonzero(scan.owners.voxels[:3])],
    )  # fmt: skip
    folder = write_study(part, tmp_path / vendor, extras=False)
    read = main_series(folder, json.loads((folder / "truth.json").read_text()))
    hu = np.array([each.pixel_array.astype(int) + int(each.RescaleIntercept) for each in read])
    assert np.array_equal(hu, voxels)
    assert ("PixelPaddingValue" in read[0]) == (padding is not None)
    if padding is not None:
        assert read[0].PixelPaddingValue + int(read[0].RescaleIntercept) == padding


def test_slices_lie_where_the_volume_says(scan, folder, truth):
    read = main_series(folder, truth)
    assert len(read) == scan.volume.shape[0]
    for index, each in enumerate(read):
        assert np.allclose(
            [float(v) for v in each.ImagePositionPatient], scan.volume.to_world([[index, 0, 0]])[0], atol=1e-3
        )
    assert [float(v) for v in read[0].PixelSpacing] == pytest.approx(scan.volume.spacing_mm[1:], rel=1e-6)
    assert float(read[0].SliceThickness) == scan.protocol.slice_thickness_mm


def test_nobody_could_take_it_for_a_person(folder):
    for path in objects(folder):
        header = pydicom.dcmread(path, stop_before_pixels=True)
        assert str(header.PatientName) == "Phantom^Digital"
        assert header.PatientID == "CACSEG-17"
        assert header.PatientBirthDate == ""
        assert str(header.StudyInstanceUID).startswith("2.25.")


def test_one_study_holds_what_a_scanner_sends(folder, truth):
    assert set(truth["series"]) == {"localizer, front", "localizer, side", "scoring", "lung", "thin", "dose page"}
    assert len({entry["series_instance_uid"] for entry in truth["series"].values()}) == 6
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in objects(folder)]
    assert {str(each.StudyInstanceUID) for each in headers} == {truth["study_instance_uid"]}
    assert len({str(each.SOPInstanceUID) for each in headers}) == len(headers)


def test_the_truth_lies_on_the_image(scan, folder, truth):
    image = nib.load(folder / truth["labels"])
    labels = Volume.from_ras(np.asarray(image.dataobj), image.affine).matched_to(scan.volume)
    assert np.array_equal(labels.voxels, scan.labels.voxels)
    mask = pydicom.dcmread(folder / truth["segmentation"])
    names = [segment.SegmentLabel.split(":")[0] for segment in mask.SegmentSequence]
    found = dict.fromkeys(names, 0)
    for frame, group in zip(mask.pixel_array, mask.PerFrameFunctionalGroupsSequence, strict=True):
        found[names[group.SegmentIdentificationSequence[0].ReferencedSegmentNumber - 1]] += int(frame.sum())
    counts = np.bincount(scan.labels.voxels.ravel(), minlength=9)
    from cacseg.vessels import Label

    assert found == {Label(value).name: int(counts[value]) for value in range(1, 9) if counts[value]}


def test_the_chosen_series_of_the_study_scores_as_the_truth_says(scan, folder, truth):
    from cacseg.scoring import score
    from cacseg.study import read_study

    reading = read_study(folder)
    assert reading.chosen is not None
    assert reading.chosen.acquisition.series_instance_uid == truth["series_instance_uid"]
    assert reading.chosen.acquisition.gated == "yes"
    total = score(reading.chosen.volume, scan.labels.matched_to(reading.chosen.volume)).total
    assert total.agatston == pytest.approx(truth["noisy"]["total"]["agatston"])


def test_a_seed_gives_the_same_files_and_uids_follow_the_pixels(tmp_path, scan):
    said = []
    settings = {"extras": False, "matrix": 256, "slices": 6, "z_start_mm": 0.0, "target_agatston": 0.0}
    for name in ("first", "second"):
        written = write_phantoms(tmp_path / name, seed=3, count=2, progress=said.append, **settings)
        assert [each.name for each in written] == ["phantom-000003", "phantom-000004"]
    for path in objects(tmp_path / "first") + sorted((tmp_path / "first").rglob("truth.json")):
        assert path.read_bytes() == (tmp_path / "second" / path.relative_to(tmp_path / "first")).read_bytes()
    assert len(said) == 4
    louder = replace(scan, volume=scan.volume.with_voxels(scan.volume.voxels + np.int16(1)))
    assert Identity.of(louder).uid("study") != Identity.of(scan).uid("study")


def test_nothing_labelled_means_no_segmentation(tmp_path, scan):
    empty = scan.labels.with_voxels(np.zeros_like(scan.labels.voxels))
    folder = write_study(replace(scan, labels=empty), tmp_path / "zero", extras=False)
    assert json.loads((folder / "truth.json").read_text())["segmentation"] is None
    assert not (folder / "truth" / "segmentation.dcm").exists()
