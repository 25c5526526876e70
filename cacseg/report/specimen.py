"""Made-up studies to show and test reports with: no patient, no model, known deposits.

The picture is a body, two lungs and a heart as ellipses with spheres of calcium at fixed places; good
enough to see every part of a report, no more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from cacseg.acquisition import Known, Patient
from cacseg.findings import Finding, Severity
from cacseg.report.inputs import ReportInput
from cacseg.result import Interval, LedgerEntry, Result, Series
from cacseg.risk import assess
from cacseg.scoring.category import AGATSTON_CATEGORIES, category_of
from cacseg.scoring.rules import RULES
from cacseg.scoring.scorer import score
from cacseg.vessels import Label
from cacseg.volume import Volume

Kind = Literal["zero", "mild", "severe", "non-gated", "refused", "poor"]
ROOT_UID: Final = "2.25.311111111111111111111111111111111"
SEED: Final = 7


@dataclass(frozen=True, slots=True)
class Deposit:
    """A sphere of calcium: centre as fractions of the volume (slice, row, column), radius, HU."""

    label: Label
    centre: tuple[float, float, float]
    radius_mm: float
    hu: float


MILD: Final = (
    Deposit(Label.LAD, (0.66, 0.36, 0.56), 2.1, 310),
    Deposit(Label.LAD, (0.58, 0.34, 0.60), 1.5, 260),
    Deposit(Label.RCA, (0.52, 0.43, 0.40), 1.7, 240),
)
SEVERE: Final = (
    *MILD,
    Deposit(Label.LM, (0.72, 0.42, 0.52), 2.4, 520),
    Deposit(Label.LAD, (0.62, 0.34, 0.58), 4.2, 780),
    Deposit(Label.LAD, (0.50, 0.33, 0.63), 3.1, 560),
    Deposit(Label.LAD, (0.44, 0.34, 0.66), 2.2, 420),
    Deposit(Label.LCX, (0.62, 0.50, 0.63), 3.3, 610),
    Deposit(Label.LCX, (0.50, 0.56, 0.66), 2.0, 330),
    Deposit(Label.RCA, (0.60, 0.40, 0.38), 3.6, 690),
    Deposit(Label.RCA, (0.42, 0.48, 0.37), 2.7, 480),
    Deposit(Label.AORTIC_VALVE, (0.70, 0.48, 0.47), 2.9, 540),
    Deposit(Label.MITRAL_ANNULUS, (0.48, 0.60, 0.58), 3.4, 590),
    Deposit(Label.AORTA, (0.80, 0.72, 0.62), 3.0, 620),
    Deposit(Label.OTHER, (0.30, 0.64, 0.36), 2.0, 450),
)
DEPOSITS: Final = {"zero": (), "mild": MILD, "severe": SEVERE, "non-gated": MILD, "refused": (), "poor": SEVERE}


def specimen(kind: Kind = "severe", shape: tuple[int, int, int] = (40, 160, 160)) -> ReportInput:
    """Make one study with its result.

    Parameters
    ----------
    kind : zero, mild, severe; non-gated and poor carry findings; refused carries no score.
    shape : slices, rows, columns; the field is always 200 mm wide and slices 3 mm apart.
    """
    spacing = (3.0, 200.0 / shape[1], 200.0 / shape[2])
    origin = (-100.0, -140.0, -200.0)
    noise = 45.0 if kind == "poor" else 14.0
    grid = Volume.axial(np.zeros(shape, np.int8), spacing, origin)
    voxels, labels = _picture(grid, DEPOSITS[kind], noise)
    volume = grid.with_voxels(voxels)
    sources = tuple(_header(volume, index) for index in range(shape[0]))
    result = _refused(volume) if kind == "refused" else _scored(kind, volume, labels)
    if kind == "refused":
        return ReportInput(result, sources=sources)
    return ReportInput(result, volume, labels, sources)


def _picture(grid: Volume, deposits: Sequence[Deposit], noise: float) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    slices, rows, columns = grid.shape
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    plane = np.full((rows, columns), -1000.0)
    plane[(x / 0.99) ** 2 + (y / 0.92) ** 2 < 1] = -90.0
    plane[(x / 0.93) ** 2 + (y / 0.84) ** 2 < 1] = 45.0
    for side in (-1, 1):
        plane[((x - side * 0.56) / 0.33) ** 2 + ((y + 0.02) / 0.66) ** 2 < 1] = -830.0
    plane[((x - 0.06) / 0.48) ** 2 + ((y - 0.02) / 0.42) ** 2 < 1] = -80.0
    plane[((x - 0.08) / 0.42) ** 2 + ((y - 0.04) / 0.35) ** 2 < 1] = 42.0
    plane[(x / 0.13) ** 2 + ((y - 0.68) / 0.11) ** 2 < 1] = 320.0
    random = np.random.default_rng(SEED)
    volume = np.broadcast_to(plane, grid.shape) + random.normal(0.0, noise, grid.shape)
    labels = np.zeros(grid.shape, np.uint8)
    _, row_mm, column_mm = grid.spacing_mm
    scale = np.array(grid.spacing_mm)
    for deposit in deposits:
        centre = np.array(deposit.centre) * (slices - 1, rows - 1, columns - 1)
        reach = np.ceil((deposit.radius_mm + 2.0) / scale) + 1
        low = np.maximum(np.floor(centre - reach), 0).astype(int)
        high = np.minimum(np.ceil(centre + reach) + 1, grid.shape).astype(int)
        box = tuple(slice(first, last) for first, last in zip(low, high, strict=True))
        index = np.stack(np.meshgrid(*(np.arange(a, b) for a, b in zip(low, high, strict=True)), indexing="ij"), -1)
        distance = np.sqrt((((index - centre) * scale) ** 2).sum(axis=-1))
        share = np.clip((deposit.radius_mm - distance) / max(row_mm, column_mm) + 0.5, 0.0, 1.0)
        volume[box] = volume[box] * (1 - share) + deposit.hu * share
        labels[box][(share > 0) & (volume[box] >= RULES["literature"].threshold_hu)] = deposit.label
    return np.rint(volume).astype(np.int16), labels


def _header(volume: Volume, index: int) -> Dataset:
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.SpecificCharacterSet = "ISO_IR 192"
    header.SOPClassUID, header.SOPInstanceUID = CTImageStorage, f"{ROOT_UID}.3.{index + 1}"
    header.StudyInstanceUID, header.SeriesInstanceUID = f"{ROOT_UID}.1", f"{ROOT_UID}.2"
    header.FrameOfReferenceUID, header.PositionReferenceIndicator = f"{ROOT_UID}.4", ""
    header.PatientName, header.PatientID = "Specimen^Sam", "SPECIMEN-1"
    header.PatientBirthDate, header.PatientSex, header.PatientAge = "19680214", "M", "058Y"
    header.StudyDate, header.StudyTime, header.StudyID = "20260301", "101500", "1"
    header.AccessionNumber, header.ReferringPhysicianName = "ACC-1", "Referring^Robin"
    header.StudyDescription, header.SeriesDescription = "CT calcium score", "CaSc 3.0 specimen"
    header.Modality, header.Manufacturer, header.ManufacturerModelName = "CT", "cacseg", "specimen"
    header.InstitutionName, header.SeriesNumber, header.InstanceNumber = "Specimen clinic", 3, index + 1
    header.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    header.ImagePositionPatient = [f"{value:.6g}" for value in volume.to_world([[index, 0, 0]])[0]]
    header.PixelSpacing = [f"{mm:.10g}" for mm in volume.spacing_mm[1:]]
    header.SliceThickness, header.KVP, header.ConvolutionKernel = "3.0", "120", "specimen"
    header.Rows, header.Columns = volume.shape[1:]
    return header


def _series(volume: Volume, gated: Known, contrast: Known = "no") -> Series:
    return Series(
        series_instance_uid=f"{ROOT_UID}.2",
        description="CaSc 3.0 specimen",
        slices=volume.shape[0],
        spacing_mm=volume.spacing_mm,
        slice_thickness_mm=3.0,
        kvp=120.0,
        kernel="specimen",
        gated=gated,
        contrast=contrast,
    )


LEDGER: Final = (
    LedgerEntry(f"{ROOT_UID}.2", "CaSc 3.0 specimen", True, ("axial", "covers the heart", "3 mm, 120 kVp")),
    LedgerEntry(f"{ROOT_UID}.9", "Topogram", False, ("localizer",)),
)
PROVENANCE: Final = {
    "cacseg": "0.1.0",
    "model": {"name": "specimen", "sha256": "0" * 64},
    "threads": 2,
    "packages": {},
    "timings_s": {"total": 0.0},
}
PATIENT: Final = Patient(age_years=58, sex="M", race="white")
FINDINGS: Final = {
    "non-gated": (
        Finding(
            "not-gated",
            Severity.WARNING,
            "No synchronisation with the heart beat was found in the tags.",
            "Read the score as an estimate: motion smears and splits deposits.",
        ),
    ),
    "poor": (
        Finding(
            "noise-high",
            Severity.WARNING,
            "The noise SD in the aorta is 45 HU; expected at most 25 HU.",
            "Look at every small lesion: noise alone can reach 130 HU.",
        ),
        Finding(
            "kvp-not-120",
            Severity.INFO,
            "The tube voltage is 100 kVp; expected 120 kVp.",
            "Compare with earlier scores only at the same voltage.",
        ),
    ),
    "refused": (
        Finding(
            "contrast-present",
            Severity.REFUSAL,
            f"Series {ROOT_UID}.2 was taken with contrast medium: 320 HU in the aorta, expected under 80 HU.",
            "Score the non-contrast series of this study, or repeat the scan without contrast.",
        ),
    ),
}


def _scored(kind: Kind, volume: Volume, labels: NDArray[np.uint8]) -> Result:
    scoring = score(volume, volume.with_voxels(labels))
    confidence = np.where(labels[labels > 0] == Label.LM, 0.71, 0.96)
    scoring = score(volume, volume.with_voxels(labels), confidence=confidence)
    total = scoring.total.agatston
    interval = Interval(
        0.95,
        (max(0.0, total * 0.85 - 3.0), total * 1.15 + 3.0),
        "fixed 15 % and 3 units, for show",
        category_of(max(0.0, total * 0.85 - 3.0)) is category_of(total * 1.15 + 3.0),
        {one.name: float(one is category_of(total)) for one in AGATSTON_CATEGORIES},
    )
    return Result(
        status="scored",
        study_instance_uid=f"{ROOT_UID}.1",
        patient=PATIENT,
        series=_series(volume, "no" if kind == "non-gated" else "yes"),
        ledger=LEDGER,
        findings=FINDINGS.get(kind, ()),
        scoring=scoring,
        interval=interval,
        risk=assess(scoring, PATIENT),
        provenance=PROVENANCE,
    )


def _refused(volume: Volume) -> Result:
    return Result(
        status="refused",
        study_instance_uid=f"{ROOT_UID}.1",
        patient=PATIENT,
        series=_series(volume, "yes", "yes"),
        ledger=LEDGER,
        findings=FINDINGS["refused"],
        scoring=None,
        interval=None,
        risk=None,
        provenance=PROVENANCE,
    )
