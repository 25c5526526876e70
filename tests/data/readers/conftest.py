"""Tiny studies written by code, in the exact form of each dataset."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from cacseg.volume import Volume

SPACING_MM = (3.0, 0.5, 0.5)
ORIGIN_MM = (-16.0, -200.0, -50.0)


@dataclass(frozen=True)
class Calcium:
    """Where the calcium of the tiny scan lies: (slice, rows, columns, HU)."""

    lad: tuple = (4, slice(20, 24), slice(30, 33))
    rca: tuple = (7, slice(40, 43), slice(10, 14))


@pytest.fixture(scope="session")
def tiny():
    """A 12 x 64 x 64 scan with two calcified lesions, as a Volume, ascending in z."""
    rng = np.random.default_rng(5)
    hu = rng.integers(20, 60, (12, 64, 64)).astype(np.int16)
    hu[Calcium.lad] = 300
    hu[Calcium.rca] = 450
    return Volume.axial(hu, SPACING_MM, ORIGIN_MM)


def write_ct(
    folder: Path,
    volume: Volume,
    *,
    study_uid: str | None = None,
    series_uid: str | None = None,
    patient_id: str = "P1",
    descending: bool = False,
    prefix: str = "IM",
) -> str:
    """Write an axial volume as CT files; file order and instance numbers may descend. Gives the series UID."""
    folder.mkdir(parents=True, exist_ok=True)
    study_uid = study_uid or generate_uid(entropy_srcs=[str(folder)])
    series_uid = series_uid or generate_uid(entropy_srcs=[str(folder), prefix])
    order = range(volume.shape[0])[::-1] if descending else range(volume.shape[0])
    for number, k in enumerate(order, start=1):
        image = pydicom.Dataset()
        image.file_meta = pydicom.dataset.FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image.file_meta.MediaStorageSOPClassUID = CTImageStorage
        image.SOPClassUID = CTImageStorage
        image.SOPInstanceUID = generate_uid(entropy_srcs=[series_uid, str(k)])
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        image.StudyInstanceUID, image.SeriesInstanceUID = study_uid, series_uid
        image.FrameOfReferenceUID = generate_uid(entropy_srcs=[study_uid, "frame"])
        image.Modality, image.PatientID, image.PatientName = "CT", patient_id, "Nobody^"
        image.PatientBirthDate, image.PatientSex = "", ""
        image.StudyDate = image.StudyTime = image.AccessionNumber = image.StudyID = image.ReferringPhysicianName = ""
        image.SeriesNumber, image.InstanceNumber = 2, number
        image.Manufacturer = "Canon"
        image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        image.KVP, image.ConvolutionKernel, image.SliceThickness = 120, "FC12", volume.spacing_mm[0]
        image.Rows, image.Columns = volume.shape[1:]
        image.PixelSpacing = list(volume.spacing_mm[1:])
        image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        image.ImagePositionPatient = volume.to_world([[k, 0, 0]])[0].tolist()
        image.PatientPosition = "HFS"
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 16, 15, 1
        image.RescaleIntercept, image.RescaleSlope, image.RescaleType = 0, 1, "HU"
        image.PixelData = volume.voxels[k].astype("<i2").tobytes()
        image.save_as(folder / f"{prefix}{number:04d}.dcm", enforce_file_format=True)
    return series_uid


@pytest.fixture(scope="session")
def ct_writer():
    return write_ct


@pytest.fixture(scope="session")
def calcium():
    return Calcium
