"""The image side of a DICOM dataset: series in a folder, and one of them as a volume with its facts."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cacseg.acquisition import Acquisition
from cacseg.errors import UnreadableError
from cacseg.findings import Severity
from cacseg.study import read_study
from cacseg.volume import Volume

CT_UIDS: Final = ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1")
"""CT Image Storage, Enhanced CT Image Storage (PS3.4 B.5)."""


@dataclass(frozen=True, slots=True)
class SeriesFiles:
    """The CT files of one series."""

    uid: str
    files: tuple[Path, ...]

    @property
    def folder(self) -> Path:
        """Deepest folder that holds all files of the series."""
        return Path(os.path.commonpath([path.parent for path in self.files]))


@dataclass(frozen=True, slots=True, eq=False)
class ImageReading:
    """A volume, its facts for stratification, and what the reading of the study had to say."""

    volume: Volume
    facts: Mapping[str, Any] = field(default_factory=dict)
    repairs: tuple[str, ...] = ()


def ct_series(folder: Path) -> tuple[tuple[SeriesFiles, ...], tuple[Path, ...]]:
    """Find the CT series below a folder by their headers.

    Returns
    -------
    series : by UID.
    others : files that are no CT image.
    """
    import pydicom
    from pydicom.errors import InvalidDicomError

    found: dict[str, list[Path]] = {}
    others: list[Path] = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        try:
            header = pydicom.dcmread(path, specific_tags=["SOPClassUID", "SeriesInstanceUID"], stop_before_pixels=True)
        except (InvalidDicomError, OSError, EOFError, ValueError):
            others.append(path)
            continue
        if header.get("SOPClassUID") in CT_UIDS and header.get("SeriesInstanceUID"):
            found.setdefault(str(header.SeriesInstanceUID), []).append(path)
        else:
            others.append(path)
    return tuple(SeriesFiles(uid, tuple(found[uid])) for uid in sorted(found)), tuple(others)


def read_image(path: Path, series_uid: str | None = None) -> ImageReading:
    """Read one series in Hounsfield units.

    Parameters
    ----------
    path : folder of the study.
    series_uid : the series; ``None`` takes the one that ``cacseg infer`` would score.

    Raises
    ------
    UnreadableError : the series cannot be made into a volume; the message has the reasons of the reading.
    UsageError : no such path or series, or several studies in the folder.
    """
    reading = read_study(path, series_uid=series_uid)
    refusals = [finding.message for finding in reading.findings if finding.severity is Severity.REFUSAL]
    if reading.chosen is None:
        raise UnreadableError(f"{path}: no volume could be made of it: {' '.join(refusals)}")
    repairs = tuple(f"reading would refuse to score this study: {message}" for message in refusals)
    return ImageReading(
        reading.chosen.volume, acquisition_facts(reading.chosen.acquisition, reading.chosen.volume), repairs
    )


def acquisition_facts(acquisition: Acquisition, volume: Volume) -> dict[str, Any]:
    """Give the facts that strata are made of; unknown ones are left out."""
    facts = {
        "noise_sd_hu": acquisition.noise_sd_hu,
        "slice_thickness_mm": acquisition.slice_thickness_mm,
        "slice_increment_mm": volume.spacing_mm[0],
        "field_of_view_mm": acquisition.field_of_view_mm,
        "kernel": acquisition.kernel,
        "kvp": acquisition.kvp,
        "tin_filter": acquisition.tin_filter,
        "gated": None if acquisition.gated == "unknown" else acquisition.gated == "yes",
        "manufacturer": acquisition.manufacturer,
        "age_years": acquisition.patient.age_years,
        "sex": acquisition.patient.sex,
    }
    return {key: value for key, value in facts.items() if value is not None}
