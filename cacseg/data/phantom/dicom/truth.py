"""The truth beside a synthetic study: JSON, NIfTI label map, DICOM segmentation."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from cacseg.data.phantom.dicom.identity import CLOCK, Identity
from cacseg.data.phantom.scanner.scan import Scan
from cacseg.vessels import FULL_NAME, Label


def write_json(content: dict[str, Any], path: Path) -> None:
    """Write a JSON file, keys in their order."""
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def write_labels(scan: Scan, path: Path) -> None:
    """Write the true label map as NIfTI (uint8, RAS millimetres)."""
    import nibabel as nib

    image = nib.Nifti1Image(np.ascontiguousarray(scan.labels.voxels.T), scan.labels.ras_affine())
    image.header.set_xyzt_units("mm")
    nib.save(image, path)


def segmentation(scan: Scan, sources: Sequence[Dataset], identity: Identity) -> Dataset | None:
    """Make the true labels a DICOM Segmentation on the scored series; ``None`` where nothing is labelled.

    One binary segment per label that occurs; the arteries carry SNOMED CT codes of the anatomy.
    """
    import highdicom as hd
    from pydicom.sr.codedict import codes
    from pydicom.uid import ExplicitVRLittleEndian

    present = [Label(int(value)) for value in np.flatnonzero(np.bincount(scan.labels.voxels.ravel())[1:]) + 1]
    if not present:
        return None
    category = codes.SCT.MorphologicallyAbnormalStructure
    calcium = hd.sr.CodedConcept("36222008", "SCT", "Calcium deposit")
    descriptions = [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=f"{label.name}: calcium of {FULL_NAME[label]}"[:64],
            segmented_property_category=category,
            segmented_property_type=calcium,
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=hd.AlgorithmIdentificationSequence(
                name="cacseg digital phantom",
                family=hd.sr.CodedConcept("123109", "DCM", "Manual Processing"),
                version="1",
            ),
            tracking_id=label.name,
            tracking_uid=identity.uid("segment", label.name),
            anatomic_regions=[_region(label)],
        )
        for number, label in enumerate(present, start=1)
    ]
    lookup = np.zeros(256, np.uint8)
    lookup[[int(label) for label in present]] = np.arange(1, len(present) + 1)
    result: Dataset = hd.seg.Segmentation(
        source_images=list(sources),
        pixel_array=lookup[scan.labels.voxels],
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=descriptions,
        series_instance_uid=identity.uid("series", "truth"),
        series_number=900,
        sop_instance_uid=identity.uid("truth"),
        instance_number=1,
        manufacturer="cacseg",
        manufacturer_model_name="digital phantom",
        software_versions="1",
        device_serial_number="0",
        content_label="TRUTH",
        content_description="True calcium of a digital phantom",
        series_description="Truth: calcium labels",
        transfer_syntax_uid=ExplicitVRLittleEndian,
        omit_empty_frames=True,
    )
    return _without_chance(result, identity)


def _without_chance(dataset: Dataset, identity: Identity) -> Dataset:
    """Take the clock and random UIDs out, so that the same scan gives the same file."""
    dataset.SeriesDate = dataset.ContentDate = dataset.InstanceCreationDate = identity.study_date
    dataset.SeriesTime = dataset.ContentTime = dataset.InstanceCreationTime = CLOCK
    if "ContributingEquipmentSequence" in dataset:
        del dataset.ContributingEquipmentSequence
    organisation = identity.uid("truth", "dimensions")
    for item in (*dataset.DimensionOrganizationSequence, *dataset.DimensionIndexSequence):
        item.DimensionOrganizationUID = organisation
    return dataset


def _region(label: Label) -> Any:
    import highdicom as hd

    region = {
        Label.LM: ("3227004", "Left main coronary artery"),
        Label.LAD: ("59438005", "Anterior descending branch of left coronary artery"),
        Label.LCX: ("57396003", "Circumflex branch of left coronary artery"),
        Label.RCA: ("13647002", "Right coronary artery"),
        Label.AORTIC_VALVE: ("34202007", "Aortic valve"),
        Label.MITRAL_ANNULUS: ("91134007", "Mitral valve"),
        Label.AORTA: ("15825003", "Aorta"),
        Label.OTHER: ("51185008", "Chest"),
    }[label]
    return hd.sr.CodedConcept(region[0], "SCT", region[1])
