"""What every DICOM object of a report begins with: patient, study, equipment, a new series (PS3.3 annex A)."""

import io
from typing import Any, Final

import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from cacseg.report.codes import CACSEG_SCHEME, Code
from cacseg.report.inputs import Stamp
from cacseg.result import Result

IMPLEMENTATION_UID: Final = "2.25.119284106923478345187364510263984713551"
"""Implementation Class UID (PS3.7 D.3.3.2) of what writes these files."""

MANUFACTURER: Final = "cacseg"
MODEL: Final = "cacseg"
SERIAL: Final = "cacseg"

COPIED: Final = (
    *("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "OtherPatientIDsSequence"),
    *("StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "StudyDescription", "AccessionNumber"),
    *("IssuerOfAccessionNumberSequence", "ReferringPhysicianName", "PatientAge", "PatientSize", "PatientWeight"),
    *("PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence"),
)
"""Attributes of the patient and study modules taken from the source images, so that all stay one study."""

SERIES_NUMBER: Final = {"seg": 9101, "sr": 9102, "pdf": 9103, "capture": 9104}
"""Numbers of the new series; high, so that they do not meet those of the scanner."""


def new_instance(source: Dataset, sop_class: str, kind: str, stamp: Stamp, instance_number: int = 1) -> Dataset:
    """Begin a new instance in a new series of the source's study.

    Parameters
    ----------
    source : header of one source image; its patient and study attributes are copied.
    sop_class : SOP Class UID.
    kind : key of ``SERIES_NUMBER``.
    stamp : gives time and UIDs.
    instance_number : position in the series, from 1.
    """
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    for keyword in COPIED:
        if keyword in source:
            dataset[keyword] = source[keyword]
    _set_missing(dataset, ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime"))
    _set_missing(dataset, ("StudyID", "AccessionNumber", "ReferringPhysicianName"))
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = instance_uid(kind, stamp, instance_number)
    dataset.SeriesInstanceUID = stamp.uid(f"{kind}-series")
    dataset.SeriesNumber = SERIES_NUMBER[kind]
    dataset.InstanceNumber = instance_number
    dataset.SeriesDate = dataset.ContentDate = dataset.InstanceCreationDate = stamp.date_da
    dataset.SeriesTime = dataset.ContentTime = dataset.InstanceCreationTime = stamp.time_tm
    dataset.Manufacturer, dataset.ManufacturerModelName = MANUFACTURER, MODEL
    dataset.DeviceSerialNumber = SERIAL
    return dataset


def instance_uid(kind: str, stamp: Stamp, instance_number: int = 1) -> str:
    """Give the SOP Instance UID that ``new_instance`` sets, for references from other instances."""
    return stamp.uid(f"{kind}-{instance_number}")


def software_versions(result: Result) -> list[str]:
    """Give versions of cacseg and of the model release, as SoftwareVersions holds them."""
    model = result.provenance.get("model") or {}
    return [f"cacseg {result.provenance.get('cacseg', 'unknown')}"[:64], f"model {model.get('name', 'none')}"[:64]]


def identify_private_codes(dataset: Dataset) -> None:
    """Say where codes of the private scheme come from (PS3.3 C.12.1, Coding Scheme Identification Sequence)."""
    item = Dataset()
    item.CodingSchemeDesignator = CACSEG_SCHEME
    item.CodingSchemeName = "cacseg concepts without a standard code"
    item.CodingSchemeResponsibleOrganization = "The cacseg developers"
    dataset.CodingSchemeIdentificationSequence = [item]


def code_items(*codes: Code) -> list[Dataset]:
    """Give the items of a code sequence."""
    return [code.item() for code in codes]


def file_bytes(dataset: Dataset, tail: bytes = b"") -> bytes:
    """Encode a Part 10 file, Explicit VR Little Endian.

    Parameters
    ----------
    dataset : all but the last elements.
    tail : encoded elements with tags above all of ``dataset``, in order (``dicom_encoding``).
    """
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = IMPLEMENTATION_UID
    meta.ImplementationVersionName = "CACSEG"
    file = FileDataset("", dataset, file_meta=meta, preamble=b"\0" * 128)
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, file, enforce_file_format=True)
    return stream.getvalue() + tail


def reference(source: Dataset) -> Dataset:
    """Give an item that refers to an instance (PS3.3 table 10-11)."""
    item = Dataset()
    item.ReferencedSOPClassUID = source.SOPClassUID
    item.ReferencedSOPInstanceUID = source.SOPInstanceUID
    return item


def series_reference(sources: tuple[Dataset, ...]) -> Dataset:
    """Give an item that refers to a series and every instance of it that was used, each once."""
    item: Any = Dataset()
    item.SeriesInstanceUID = sources[0].SeriesInstanceUID
    item.ReferencedInstanceSequence = list({source.SOPInstanceUID: reference(source) for source in sources}.values())
    return item


def _set_missing(dataset: Dataset, keywords: tuple[str, ...]) -> None:
    for keyword in keywords:
        if keyword not in dataset:
            setattr(dataset, keyword, "")


def decimal_string(value: float) -> str:
    """Write a number in the 16 characters of a DS.

    Examples
    --------
    >>> decimal_string(1 / 3), decimal_string(-200.0)
    ('0.33333333333333', '-200')
    """
    for digits in range(15, 5, -1):
        text = f"{float(value) + 0.0:.{digits}g}"
        if len(text) <= 16:
            return text
    return f"{float(value):.6e}"
