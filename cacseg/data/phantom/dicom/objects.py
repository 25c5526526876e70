"""DICOM objects of a synthetic study: headers that every one shares, CT slices, localizers, secondary capture."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from cacseg.data.phantom.dicom.identity import CLOCK, INSTITUTION, PATIENT_NAME, Identity
from cacseg.data.phantom.dicom.plan import MANUFACTURER, STORAGE, Storage
from cacseg.data.phantom.scanner.protocol import Protocol
from cacseg.volume import Volume


def base(identity: Identity, protocol: Protocol, number: int, description: str, sop_class: str) -> Dataset:
    """Make the patient, study, series and equipment modules of one object (PS3.3 C.7.1-C.7.5)."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.SOPClassUID = sop_class
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = identity.study_date
    dataset.StudyTime = dataset.SeriesTime = dataset.AcquisitionTime = dataset.ContentTime = CLOCK
    dataset.AccessionNumber = ""
    dataset.Modality = "CT"
    dataset.Manufacturer = MANUFACTURER[protocol.vendor]
    dataset.ManufacturerModelName = protocol.model_name
    dataset.InstitutionName = INSTITUTION
    dataset.SoftwareVersions = "synthetic"
    dataset.DeviceSerialNumber = "0"
    dataset.ReferringPhysicianName = ""
    dataset.StudyDescription = "Heart calcium score" if protocol.gated else "Chest without contrast"
    if description:
        dataset.SeriesDescription = description
    dataset.PatientName = PATIENT_NAME
    dataset.PatientID = identity.patient_id
    dataset.PatientBirthDate = ""
    dataset.PatientSex = identity.sex
    if identity.age:
        dataset.PatientAge = identity.age
    if identity.height_m is not None:
        dataset.PatientSize = f"{identity.height_m:.2f}"
    if identity.weight_kg is not None:
        dataset.PatientWeight = f"{identity.weight_kg:.1f}"
    dataset.PatientComments = "Synthetic: a digital phantom, not a person"
    dataset.BodyPartExamined = "HEART" if protocol.gated else "CHEST"
    dataset.PatientPosition = protocol.patient_position
    dataset.StudyInstanceUID = identity.uid("study")
    dataset.SeriesInstanceUID = identity.uid("series", number)
    dataset.StudyID = "1"
    dataset.SeriesNumber = number
    dataset.AcquisitionNumber = number
    return dataset


def ct_slices(volume: Volume, protocol: Protocol, identity: Identity, number: int, description: str) -> list[Dataset]:
    """Make one CT Image object per slice of an axial volume (PS3.3 A.3), ascending towards the head."""
    stored, padding = stored_values(volume.voxels, protocol)
    common = _ct_common(volume, protocol, identity, number, description)
    if padding is not None:
        common.add_new(0x00280120, "SS" if STORAGE[protocol.vendor].signed else "US", padding)
    slices = []
    for index, plane in enumerate(stored):
        dataset = Dataset()
        dataset.update(common)
        position = volume.to_world([[index, 0, 0]])[0]
        dataset.SOPInstanceUID = identity.uid("series", number, "slice", index)
        dataset.InstanceNumber = index + 1
        dataset.ImagePositionPatient = [f"{value:.4f}" for value in position]
        dataset.SliceLocation = f"{position[2]:.4f}"
        dataset.PixelData = plane.tobytes()
        finish(dataset)
        slices.append(dataset)
    return slices


def stored_values(hu: NDArray[np.int16], protocol: Protocol) -> tuple[NDArray[np.generic], int | None]:
    """Turn HU into what the vendor stores, and the stored padding value where there is padding."""
    storage = STORAGE[protocol.vendor]
    low, high = (-32768, 32767) if storage.signed else (0, 2**storage.bits_stored - 1)
    stored = np.clip(hu.astype(np.int32) - storage.intercept, low, high)
    padding = None if protocol.padding_hu is None else int(np.clip(protocol.padding_hu - storage.intercept, low, high))
    return stored.astype("<i2" if storage.signed else "<u2"), padding


def _ct_common(volume: Volume, protocol: Protocol, identity: Identity, number: int, description: str) -> Dataset:
    dataset = base(identity, protocol, number, description, CTImageStorage)
    _, rows, columns = volume.shape
    _, row_mm, column_mm = volume.spacing_mm
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.FrameOfReferenceUID = identity.uid("frame of reference")
    dataset.PositionReferenceIndicator = ""
    dataset.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    dataset.PixelSpacing = [f"{row_mm:.8g}", f"{column_mm:.8g}"]
    dataset.SliceThickness = f"{protocol.slice_thickness_mm:g}"
    if protocol.vendor != "Canon":
        dataset.SpacingBetweenSlices = f"{volume.spacing_mm[0]:.6g}"
    dataset.KVP = str(protocol.kvp)
    dataset.ConvolutionKernel = protocol.kernel_name
    dataset.ReconstructionDiameter = f"{protocol.field_of_view_mm:g}"
    dataset.GantryDetectorTilt = "0"
    dataset.XRayTubeCurrent = str(round(60 + 2 * protocol.noise_sd_hu))
    dataset.ExposureTime = "280"
    dataset.RotationDirection = "CW"
    dataset.FilterType = "TIN" if protocol.tin_filter else "BODY FILTER"
    if protocol.gated:
        dataset.ScanOptions = {"Siemens": "TP75", "GE": "CARDIAC MODE", "Philips": "ECG GATED", "Canon": "CARDIAC"}[
            protocol.vendor
        ]
        dataset.HeartRate = "62"
    else:
        dataset.ScanOptions = "HELIX"
    if protocol.texture == "iterative" and protocol.vendor == "Siemens":
        dataset.ReconstructionAlgorithm = "ITERATIVE"
    if protocol.family == "contrast":
        dataset.ContrastBolusAgent = "synthetic contrast medium"
    return _pixel_module(dataset, rows, columns, STORAGE[protocol.vendor])


def _pixel_module(dataset: Dataset, rows: int, columns: int, storage: Storage) -> Dataset:
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = rows, columns
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, storage.bits_stored, storage.bits_stored - 1
    dataset.PixelRepresentation = int(storage.signed)
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = str(storage.intercept), "1", "HU"
    dataset.WindowCenter, dataset.WindowWidth = "50", "400"
    return dataset


def localizer(
    image: NDArray[np.int16],
    corner_lps_mm: tuple[float, float, float],
    direction: tuple[int, ...],
    pixel_mm: float,
    protocol: Protocol,
    identity: Identity,
    number: int,
    description: str,
    index: int,
) -> Dataset:
    """Make one localizer, a CT Image of type LOCALIZER; ``direction`` is ImageOrientationPatient."""
    dataset = base(identity, protocol, number, description, CTImageStorage)
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    dataset.SOPInstanceUID = identity.uid("series", number, "localizer", index)
    dataset.InstanceNumber = index + 1
    dataset.FrameOfReferenceUID = identity.uid("frame of reference")
    dataset.PositionReferenceIndicator = ""
    dataset.ImagePositionPatient = [f"{value:.4f}" for value in corner_lps_mm]
    dataset.ImageOrientationPatient = [str(value) for value in direction]
    dataset.PixelSpacing = [f"{pixel_mm:g}", f"{pixel_mm:g}"]
    dataset.SliceThickness = "0.6"
    dataset.KVP = str(protocol.kvp)
    dataset.ScanOptions = "SCOUT MODE"
    _pixel_module(dataset, image.shape[0], image.shape[1], STORAGE["Siemens"])
    dataset.RescaleType = "US"
    dataset.PixelData = np.clip(image.astype(np.int32) + 1024, 0, 4095).astype("<u2").tobytes()
    return finish(dataset)


def secondary_capture(
    page: NDArray[np.uint8], protocol: Protocol, identity: Identity, number: int, description: str
) -> Dataset:
    """Make a grey page a Secondary Capture image (PS3.3 A.8.1)."""
    dataset = base(identity, protocol, number, description, SecondaryCaptureImageStorage)
    dataset.SOPInstanceUID = identity.uid("series", number, "page")
    dataset.InstanceNumber = 1
    dataset.ConversionType = "WSD"
    dataset.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    dataset.BurnedInAnnotation = "YES"
    dataset.PatientOrientation = ""
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = page.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.PixelRepresentation = 0
    dataset.PixelData = page.tobytes() + (b"\0" if page.size % 2 else b"")
    del dataset.PatientPosition
    return finish(dataset)


def finish(dataset: Dataset) -> Dataset:
    """Give a data set its file meta information."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = "2.25.298117215512853126410839374651284317862"
    dataset.file_meta = meta
    return dataset


def save(dataset: Dataset, path: Any) -> None:
    """Write one object as a DICOM file."""
    dataset.save_as(path, enforce_file_format=True)
