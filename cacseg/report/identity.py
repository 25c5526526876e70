"""Who and which examination, as the source headers name them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from pydicom.dataset import Dataset


@dataclass(frozen=True, slots=True)
class Identity:
    """Identifying facts for the head of a report; ``None`` where unknown or left out.

    Dates are ISO 8601 (YYYY-MM-DD).
    """

    name: str | None = None
    patient_id: str | None = None
    birth_date: str | None = None
    accession_number: str | None = None
    study_date: str | None = None
    study_description: str | None = None
    referring: str | None = None
    institution: str | None = None

    @classmethod
    def of(cls, sources: Sequence[Dataset]) -> Self:
        """Read the first source header; all fields are ``None`` without one."""
        if not sources:
            return cls()
        source = sources[0]
        return cls(
            name=_person(source, "PatientName"),
            patient_id=_text(source, "PatientID"),
            birth_date=iso_date(_text(source, "PatientBirthDate")),
            accession_number=_text(source, "AccessionNumber"),
            study_date=iso_date(_text(source, "StudyDate")),
            study_description=_text(source, "StudyDescription"),
            referring=_person(source, "ReferringPhysicianName"),
            institution=_text(source, "InstitutionName"),
        )


def iso_date(date_da: str | None) -> str | None:
    """Turn a DICOM DA into an ISO date; anything else gives ``None``.

    Examples
    --------
    >>> iso_date("20260301"), iso_date("2026")
    ('2026-03-01', None)
    """
    if date_da is None or len(date_da) != 8 or not date_da.isdigit():
        return None
    return f"{date_da[:4]}-{date_da[4:6]}-{date_da[6:]}"


def _text(source: Dataset, keyword: str) -> str | None:
    return str(source.get(keyword) or "").strip() or None


def _person(source: Dataset, keyword: str) -> str | None:
    """Print a DICOM person name as "Family, Given Middle", the alphabetic group first."""
    group = (_text(source, keyword) or "").split("=")[0]
    family, *rest = group.split("^")
    given = " ".join(part for part in rest[:2] if part)
    return ", ".join(part for part in (family.strip(), given.strip()) if part) or None
