"""What reading a study gives: the nouns that leave this room."""

from dataclasses import dataclass

from pydicom.dataset import Dataset

from cacseg.acquisition import Acquisition, Patient
from cacseg.findings import Finding
from cacseg.result import LedgerEntry
from cacseg.volume import Volume


@dataclass(frozen=True, slots=True)
class FileCounts:
    """What became of every file: ``found = read + duplicates + stray + damaged + skipped``.

    Parameters
    ----------
    found : regular files and archive entries met.
    read : DICOM objects (or the NIfTI file) taken into the study, images or not.
    duplicates : copies of an object already read (same SOPInstanceUID), dropped.
    stray : files that are not DICOM; a DICOMDIR counts here too.
    damaged : DICOM files that could not be read, named in findings.
    skipped : files that are never opened: nested archives, links, devices.
    """

    found: int = 0
    read: int = 0
    duplicates: int = 0
    stray: int = 0
    damaged: int = 0
    skipped: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class SeriesReading:
    """The chosen volume with its facts.

    Parameters
    ----------
    volume : Hounsfield units, slices ascending along the slice normal (row direction x column direction);
        int16 where every value is whole, else float32; never below -1024 (padding).
    acquisition : what is known of the acquisition and the reconstruction.
    sources : headers without pixels: one per slice in slice order, or the one header of a multi-frame object;
        empty for NIfTI.
    frame_numbers : for a multi-frame object the 1-based frame of each slice, in slice order; else ``None``.
    """

    volume: Volume
    acquisition: Acquisition
    sources: tuple[Dataset, ...] = ()
    frame_numbers: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class StudyReading:
    """One study, read: every series with the reason for or against it, and the one to score.

    ``chosen`` is ``None`` only when the findings hold a refusal.
    """

    study_instance_uid: str | None
    patient: Patient
    ledger: tuple[LedgerEntry, ...]
    chosen: SeriesReading | None
    findings: tuple[Finding, ...]
    files: FileCounts
