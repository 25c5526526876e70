import highdicom
import numpy as np
import pydicom
import pytest
from highdicom.sr import CodedConcept

from cacseg.data.readers import labelled_studies
from cacseg.data.readers.dicom_seg import dicom_seg_sources
from cacseg.errors import UnreadableError
from cacseg.vessels import Label

ARTERY = CodedConcept("51114001", "SCT", "Arterial structure")
NAMES = {1: "left anterior descending artery", 2: "Right Coronary Artry", 3: "spleen"}


def write_seg(path, sources, masks, names):
    """Write a BINARY SEG with one segment a mask; frames without a voxel are omitted."""
    descriptions = [
        highdicom.seg.SegmentDescription(
            segment_number=number,
            segment_label=names[number],
            segmented_property_category=CodedConcept("91723000", "SCT", "Anatomical structure"),
            segmented_property_type=ARTERY,
            algorithm_type="MANUAL",
        )
        for number in sorted(names)
    ]
    stacked = np.stack([masks[number] for number in sorted(names)], axis=-1).astype(np.uint8)
    seg = highdicom.seg.Segmentation(
        source_images=sources,
        pixel_array=stacked,
        segmentation_type="BINARY",
        segment_descriptions=descriptions,
        series_instance_uid=highdicom.UID(),
        series_number=9,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer="test",
        manufacturer_model_name="test",
        software_versions="1",
        device_serial_number="1",
        omit_empty_frames=True,
    )
    seg.save_as(path)


@pytest.fixture
def study(tmp_path, tiny, calcium, ct_writer):
    folder = tmp_path / "0001"
    series = ct_writer(folder / "ct", tiny, descending=True, patient_id="PSEUDO-7")
    sources = [pydicom.dcmread(path) for path in sorted((folder / "ct").glob("*.dcm"))]
    masks = {number: np.zeros(tiny.shape, bool) for number in NAMES}
    masks[1][calcium.lad] = True
    masks[1][5, 0, 0] = True
    masks[2][calcium.rca] = True
    masks[3][0, 0, 0] = True
    reversed_masks = {number: mask[::-1] for number, mask in masks.items()}
    write_seg(folder / "seg.dcm", sources, reversed_masks, NAMES)
    return tmp_path, series


def test_reads_segments_by_geometry_although_empty_frames_are_dropped(study, tiny, calcium):
    (read,) = labelled_studies("dicom-seg", study[0])
    assert read.id == "0001"
    assert read.patient_id is None or read.patient == "0001"
    assert read.volume.same_grid(tiny)
    assert (read.labels[calcium.lad] == Label.LAD).all()
    assert (read.labels[calcium.rca] == Label.RCA).all()
    assert np.count_nonzero(read.labels) == 24


def test_every_repair_is_said(study):
    (read,) = labelled_studies("dicom-seg", study[0])
    said = " | ".join(read.repairs)
    assert "'Right Coronary Artry' read as RCA" in said
    assert "segment 3 ('spleen') is no known artery" in said
    assert "1 labelled voxels below 130 HU cleared" in said
    assert "labels cover (8, 64, 64) voxels" in said
    assert read.label_scope == "coronary"


def test_the_split_goes_by_the_patient_of_the_header(study):
    (source,) = dicom_seg_sources(study[0])
    assert source.patient_id == "PSEUDO-7"
    assert len(source.files) == 13


def test_the_segmentation_says_which_series(study, tiny, ct_writer):
    root, _ = study
    header = pydicom.dcmread(next((root / "0001" / "ct").glob("*.dcm")), stop_before_pixels=True)
    blank = tiny.with_voxels(np.full(tiny.shape, 40, np.int16))
    ct_writer(root / "0001" / "other", blank, study_uid=header.StudyInstanceUID, prefix="X")
    (read,) = labelled_studies("dicom-seg", root)
    assert np.array_equal(read.volume.voxels, tiny.voxels)


def test_a_second_segmentation_does_not_overwrite_the_first(study, tiny, calcium):
    root, _ = study
    sources = [pydicom.dcmread(path) for path in sorted((root / "0001" / "ct").glob("*.dcm"))]
    mask = np.zeros(tiny.shape, bool)
    mask[calcium.lad] = True
    write_seg(root / "0001" / "zz_second.dcm", sources, {1: mask[::-1]}, {1: "LCX"})
    (read,) = labelled_studies("dicom-seg", root)
    assert (read.labels[calcium.lad] == Label.LAD).all()
    assert any("12 voxels of LCX already had another label" in repair for repair in read.repairs)


def test_without_a_known_segment_it_is_unreadable(tmp_path, tiny, ct_writer):
    ct_writer(tmp_path / "s" / "ct", tiny)
    sources = [pydicom.dcmread(path) for path in sorted((tmp_path / "s" / "ct").glob("*.dcm"))]
    mask = np.zeros(tiny.shape, bool)
    mask[0, 0, 0] = True
    write_seg(tmp_path / "s" / "seg.dcm", sources, {1: mask}, {1: "spleen"})
    with pytest.raises(UnreadableError, match="no segment names"):
        dicom_seg_sources(tmp_path)[0].load()
    with pytest.raises(UnreadableError, match="no DICOM Segmentation"):
        dicom_seg_sources(tmp_path / "s" / "ct")
