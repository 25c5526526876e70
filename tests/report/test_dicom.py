import copy
import io
import re
import subprocess
from dataclasses import replace

import highdicom as hd
import numpy as np
import pydicom
import pytest

from cacseg.report import write_all
from cacseg.report.contours import lesion_contours, outline
from cacseg.report.dicom_header import IMPLEMENTATION_UID, decimal_string
from cacseg.report.inputs import Stamp
from cacseg.report.seg import cielab, plan_segments, segmentation
from cacseg.report.slice_sources import slice_sources
from cacseg.vessels import Label
from cacseg.volume import Volume

SCORED = ("zero", "mild", "severe", "non-gated", "poor")
DICOM = ("segmentation.dcm", "structured_report.dcm", "encapsulated_report.dcm", "capture-1.dcm", "capture-2.dcm")


@pytest.mark.system("dciodvfy")
@pytest.mark.parametrize("name", DICOM)
@pytest.mark.parametrize("kind", SCORED)
def test_dciodvfy_finds_no_error(kind, name, out):
    checked = subprocess.run(["dciodvfy", out / kind / name], capture_output=True, text=True, check=False)
    said = checked.stdout + checked.stderr
    assert "Error" not in said
    expected = {
        "segmentation.dcm": "Segmentation",
        "structured_report.dcm": "Comprehensive3DSR",
        "encapsulated_report.dcm": "EncapsulatedPDF",
    }
    assert expected.get(name, "SCImage") in said
    warnings = [line for line in said.splitlines() if line.startswith("Warning") and "99CACSEG" not in line]
    assert warnings == []


@pytest.mark.system("dciodvfy")
def test_dciodvfy_would_find_an_error(out, tmp_path):
    dataset = pydicom.dcmread(out / "mild" / "segmentation.dcm")
    del dataset.SegmentSequence
    dataset.save_as(tmp_path / "bad.dcm")
    checked = subprocess.run(["dciodvfy", tmp_path / "bad.dcm"], capture_output=True, text=True, check=False)
    assert "Error" in checked.stdout + checked.stderr


def labels_from_seg(path, volume):
    """Label map that an independent reader (highdicom) sees, on the grid of the source."""
    seg = hd.seg.segread(path)
    geometry = hd.VolumeGeometry(affine=volume.affine, spatial_shape=volume.shape, coordinate_system="PATIENT")
    labels = np.zeros(volume.shape, np.uint8)
    for number in seg.segment_numbers:
        label = seg.get_segment_description(number).segment_label
        if label == "None found":
            continue
        one = seg.get_volume(segment_numbers=[number], combine_segments=True, relabel=True).match_geometry(geometry)
        labels[one.array > 0] = Label[label.replace(" ", "_")]
    return labels


@pytest.mark.parametrize("kind", SCORED)
def test_highdicom_reads_the_segmentation_back(kind, made, out):
    volume, labels = made[kind].volume, made[kind].labels
    assert np.array_equal(labels_from_seg(out / kind / "segmentation.dcm", volume), labels)


def oblique(shape=(5, 9, 11)):
    direction = np.array([[0.96, 0.28, 0.0], [-0.28, 0.96, 0.0], [0.0, 0.0, 1.0]])
    affine = np.eye(4)
    affine[:3, :3] = direction[:, ::-1] * np.array([2.5, 0.7, 0.6])
    affine[:3, 3] = (-31.3, 12.7, -404.5)
    return Volume(np.zeros(shape, np.int16), affine)


def test_odd_sizes_and_oblique_planes_survive(made, tmp_path, clock):
    volume = oblique()
    rng = np.random.default_rng(3)
    labels = rng.choice(9, volume.shape, p=[0.6] + [0.05] * 8).astype(np.uint8)
    labels[2] = 0
    stamp = Stamp.of(made["mild"].result, clock())
    sources = made["mild"].sources[:5]
    content = segmentation(made["mild"].result, volume, labels, sources[0], sources, stamp, plan_segments(labels))
    (tmp_path / "seg.dcm").write_bytes(content)
    assert np.array_equal(labels_from_seg(tmp_path / "seg.dcm", volume), labels)


def test_only_frames_that_hold_something(made, out):
    dataset = pydicom.dcmread(out / "severe" / "segmentation.dcm")
    assert dataset.NumberOfFrames == len(plan_segments(made["severe"].labels).frames)
    assert all(frame.any() for frame in dataset.pixel_array)
    assert len(dataset.SegmentSequence) == len(np.unique(made["severe"].labels)) - 1


def test_a_zero_segmentation_is_empty_and_says_so(out):
    dataset = pydicom.dcmread(out / "zero" / "segmentation.dcm")
    assert not dataset.pixel_array.any()
    assert dataset.SegmentSequence[0].SegmentLabel == "None found"


def test_segment_codes(out):
    dataset = pydicom.dcmread(out / "severe" / "segmentation.dcm")
    sites = {one.SegmentLabel: one.AnatomicRegionSequence[0].CodeValue for one in dataset.SegmentSequence}
    assert sites["LM"] == "3227004"
    assert sites["LAD"] == "59438005"
    assert sites["LCX"] == "57396003"
    assert sites["RCA"] == "13647002"
    family = dataset.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence[0].AlgorithmFamilyCodeSequence[0]
    assert family.CodeValue == "123110"


@pytest.mark.parametrize("name", DICOM)
def test_same_study_new_series_own_identity(name, made, out):
    dataset = pydicom.dcmread(out / "severe" / name)
    source = made["severe"].sources[0]
    assert dataset.StudyInstanceUID == source.StudyInstanceUID
    assert dataset.PatientID == source.PatientID
    assert dataset.AccessionNumber == source.AccessionNumber
    assert dataset.SeriesInstanceUID != source.SeriesInstanceUID
    assert dataset.file_meta.ImplementationClassUID == IMPLEMENTATION_UID
    assert all(len(uid) <= 64 for uid in (dataset.SOPInstanceUID, dataset.SeriesInstanceUID))


def test_every_series_and_instance_is_its_own(out):
    read = [pydicom.dcmread(out / "severe" / name) for name in DICOM]
    assert len({one.SOPInstanceUID for one in read}) == len(DICOM)
    assert len({one.SeriesInstanceUID for one in read}) == 4  # both capture pages share one


def test_no_retired_or_unknown_code(out):
    for name in ("segmentation.dcm", "structured_report.dcm"):
        content = (out / "severe" / name).read_bytes()
        assert b"112058" not in content
        assert b"123109" not in content


@pytest.mark.parametrize("kind", SCORED)
def test_highdicom_reads_the_report_as_tid_1500(kind, made, out):
    report = hd.sr.srread(out / kind / "structured_report.dcm")
    assert report.PreliminaryFlag == "PRELIMINARY"
    assert report.VerificationFlag == "UNVERIFIED"
    content = report.content
    assert isinstance(content, hd.sr.MeasurementReport)
    volumetric = {group.tracking_identifier: group for group in content.get_volumetric_roi_measurement_groups()}
    plain = {group.tracking_identifier for group in content.get_image_measurement_groups()}
    result = made[kind].result
    assert "Total" in plain
    seg = pydicom.dcmread(out / kind / "segmentation.dcm")
    numbers = {one.SegmentLabel: one.SegmentNumber for one in seg.SegmentSequence}
    for vessel, score in result.scoring.vessels.items():
        if not score.lesions:
            assert vessel.name in plain
            continue
        segment = volumetric[vessel.name].referenced_segment
        assert segment.referenced_sop_instance_uid == seg.SOPInstanceUID
        assert segment.referenced_segment_numbers[0] == numbers[vessel.name]
    for lesion in result.scoring.lesions:
        group = volumetric[f"Lesion {lesion.id} {lesion.label.name}"]
        images = {region.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID for region in group.roi}
        assert images == {made[kind].sources[index].SOPInstanceUID for index in lesion.slices}


def test_evidence_lists_all_that_is_referenced(out):
    dataset = pydicom.dcmread(out / "severe" / "structured_report.dcm")
    (study,) = dataset.CurrentRequestedProcedureEvidenceSequence
    listed = {
        item.ReferencedSOPInstanceUID
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    used = set(re.findall(r"\(0008,1155\) Referenced SOP Instance UID\s+UI: ([\d.]+)", str(dataset)))
    assert used <= listed
    assert len(listed) == 40 + 1


@pytest.mark.system("dsr2html")
@pytest.mark.parametrize("kind", SCORED)
def test_dcmtk_renders_the_report(kind, made, out):
    rendered = subprocess.run(
        ["dsr2html", out / kind / "structured_report.dcm"], capture_output=True, text=True, check=True
    )
    assert "Coronary artery calcium score" in rendered.stdout
    total = made[kind].result.scoring.total.agatston
    assert decimal_string(total) in rendered.stdout
    assert "E:" not in rendered.stderr


def test_encapsulated_pdf_holds_the_pdf(out):
    dataset = pydicom.dcmread(out / "mild" / "encapsulated_report.dcm")
    assert (
        dataset.EncapsulatedDocument[: dataset.EncapsulatedDocumentLength] == (out / "mild" / "report.pdf").read_bytes()
    )


def test_captures_are_pictures(out):
    pixels = pydicom.dcmread(out / "severe" / "capture-1.dcm").pixel_array
    assert pixels.shape == (1024, 1024, 3)
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 20


def test_contours_enclose_exactly_the_counted_pixels(made):
    volume, labels, scoring = made["severe"].volume, made["severe"].labels, made["severe"].result.scoring
    contours = lesion_contours(volume, labels, scoring.rule)
    for lesion in (*scoring.lesions, *scoring.extracoronary):
        area = 0.0
        for contour in contours[lesion.id]:
            x, y = np.array(contour.vertices, float).T
            area += abs(np.dot(x[:-1], y[1:]) - np.dot(x[1:], y[:-1])) / 2
        assert area * volume.pixel_area_mm2 == pytest.approx(lesion.area_mm2)
        assert sorted({contour.slice_index for contour in contours[lesion.id]}) == sorted(lesion.slices)


@pytest.mark.parametrize(
    ("pixels", "area", "corners"),
    [
        ({(0, 0)}, 1, 4),
        ({(0, 0), (1, 0), (1, 1)}, 3, 6),
        ({(r, c) for r in range(3) for c in range(3)} - {(1, 1)}, 9, 4),
        ({(0, 0), (0, 1), (1, 1), (1, 2), (0, 3), (1, 3)}, 6, None),
    ],
)
def test_outline(pixels, area, corners):
    line = outline(pixels)
    assert line[0] == line[-1]
    x, y = np.array(line, float).T
    assert abs(np.dot(x[:-1], y[1:]) - np.dot(x[1:], y[:-1])) / 2 == area
    if corners:
        assert len(line) - 1 == corners


def test_cielab_ends():
    assert cielab((0, 0, 0)) == [0, 32896, 32896]
    lightness, a, b = cielab((255, 0, 0))
    assert a > 50000
    assert b > 45000
    assert 30000 < lightness < 40000


def test_decimal_strings_fit(made):
    for value in (1 / 3, -123456.789012345678, 1e-12, 1832.8125, -0.0, 2**60):
        assert len(decimal_string(value)) <= 16
        assert float(decimal_string(value)) == pytest.approx(value, rel=1e-9)


def test_part_10_file(out):
    content = (out / "mild" / "structured_report.dcm").read_bytes()
    assert content[128:132] == b"DICM"
    read = pydicom.dcmread(io.BytesIO(content))
    rewritten = io.BytesIO()
    read.save_as(rewritten)
    assert pydicom.dcmread(io.BytesIO(rewritten.getvalue())) == read


def multiframe(inputs):
    """One enhanced header in place of one per slice, its frames from head to feet."""
    header = copy.deepcopy(inputs.sources[0])
    header.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2.1"
    frames = []
    for index in reversed(range(inputs.volume.shape[0])):
        place, groups = pydicom.Dataset(), pydicom.Dataset()
        place.ImagePositionPatient = inputs.sources[index].ImagePositionPatient
        groups.PlanePositionSequence = [place]
        frames.append(groups)
    header.PerFrameFunctionalGroupsSequence = frames
    return header


@pytest.mark.parametrize("given", [True, False])
def test_a_multiframe_source_is_referred_to_by_frame(given, made, tmp_path, clock):
    inputs = made["mild"]
    slices = inputs.volume.shape[0]
    numbers = tuple(slices - index for index in range(slices)) if given else None
    inputs = replace(inputs, sources=(multiframe(inputs),), frame_numbers=numbers)
    written = write_all(inputs, tmp_path / "out", ("seg", "sr"), clock=clock)
    assert written.findings == ()
    seg = pydicom.dcmread(tmp_path / "out" / "segmentation.dcm")
    assert len(seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 1
    for frame in seg.PerFrameFunctionalGroupsSequence:
        index = round((frame.PlanePositionSequence[0].ImagePositionPatient[2] + 200) / 3)
        image = frame.DerivationImageSequence[0].SourceImageSequence[0]
        assert image.ReferencedFrameNumber == slices - index
    assert np.array_equal(labels_from_seg(tmp_path / "out" / "segmentation.dcm", inputs.volume), inputs.labels)
    report = hd.sr.srread(tmp_path / "out" / "structured_report.dcm")
    (group,) = report.content.get_volumetric_roi_measurement_groups(tracking_uid=None)[-1:]
    image = group.roi[0].ContentSequence[0].ReferencedSOPSequence[0]
    assert image.ReferencedFrameNumber == slices - inputs.result.scoring.lesions[-1].slices[0]


def test_frames_that_do_not_fit_are_not_guessed(made):
    inputs = made["mild"]
    header = multiframe(inputs)
    header.PerFrameFunctionalGroupsSequence.append(header.PerFrameFunctionalGroupsSequence[0])
    assert slice_sources((header,), inputs.volume) is None
    del header.PerFrameFunctionalGroupsSequence[5:]
    assert slice_sources((header,), inputs.volume) is None
    assert slice_sources((header,), inputs.volume, (1, 2)) is None
    assert slice_sources((), inputs.volume) is None
