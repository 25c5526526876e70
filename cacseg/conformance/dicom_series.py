"""A conformance case as a CT series (PS3.3 A.3), without any patient."""

from pathlib import Path
from typing import Any, Final

import numpy as np

from cacseg.scoring.conformance import Case

_STORED: Final = {
    "plain": (1, 1.0, 0.0),
    "big-endian": (1, 1.0, 0.0),
    "reversed": (1, 1.0, 0.0),
    "negative-slope": (1, -1.0, 0.0),
    "fractional-slope": (1, 0.2, 0.0),
    "unsigned": (0, 1.0, -1024.0),
}
"""PixelRepresentation, RescaleSlope and RescaleIntercept of each encoding."""


def write_dicom_series(case: Case, folder: Path) -> None:
    """Write one CT image a slice, ``0000.dcm`` and on."""
    folder.mkdir()
    slices = case.volume.shape[0]
    for index in range(slices):
        number = slices - 1 - index if case.encoding == "reversed" else index
        _dataset(case, index, number).save_as(folder / f"{number:04d}.dcm", enforce_file_format=True)


def _dataset(case: Case, index: int, number: int) -> Any:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRBigEndian, ExplicitVRLittleEndian

    representation, slope, intercept = _STORED[case.encoding]
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = _uid(case.name, f"image {index}")
    big = case.encoding == "big-endian"
    meta.TransferSyntaxUID = ExplicitVRBigEndian if big else ExplicitVRLittleEndian
    ds = Dataset()
    ds.file_meta = meta
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    _identify(ds, case, number)
    _place(ds, case, index)
    stored = np.rint((case.volume.voxels[index].astype(np.float64) - intercept) / slope)
    dtype = np.dtype(np.int16 if representation else np.uint16).newbyteorder(">" if big else "<")
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = stored.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, representation
    ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = slope, intercept, "HU"
    ds.PixelData = stored.astype(dtype).tobytes()
    ds["PixelData"].VR = "OW"
    return ds


def _identify(ds: Any, case: Case, number: int) -> None:
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = "", "", "", ""
    ds.StudyInstanceUID, ds.SeriesInstanceUID = _uid(case.name, "study"), _uid(case.name, "series")
    ds.FrameOfReferenceUID = _uid(case.name, "frame of reference")
    ds.StudyID, ds.AccessionNumber, ds.ReferringPhysicianName = "", "", ""
    ds.StudyDate, ds.StudyTime = "", ""
    ds.Modality, ds.Manufacturer, ds.ManufacturerModelName = "CT", "cacseg", "conformance suite"
    ds.SeriesDescription = case.name
    ds.SeriesNumber, ds.AcquisitionNumber, ds.InstanceNumber = 1, 1, number + 1
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.KVP = 120.0


def _place(ds: Any, case: Case, index: int) -> None:
    _, row_mm, column_mm = case.volume.spacing_mm
    ds.ImagePositionPatient = case.volume.to_world([[index, 0, 0]])[0].round(6).tolist()
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing = [round(row_mm, 6), round(column_mm, 6)]
    ds.SliceThickness = case.slice_thickness_mm
    ds.PatientPosition = "HFS"
    ds.PositionReferenceIndicator = ""


def _uid(case: str, role: str) -> str:
    """Give the same UID every time: written twice, the suite is the same."""
    from pydicom.uid import generate_uid

    return str(generate_uid(entropy_srcs=["cacseg conformance suite", case, role]))
