"""Age and sex of the patient, as far as the headers tell."""

import re
from datetime import date
from typing import Final

from pydicom.dataset import Dataset

from cacseg.acquisition import Patient
from cacseg.study import tags

_YEARS_PER_UNIT: Final = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}
"""Units of the age string (PS3.5 6.2, VR AS)."""

OLDEST_YEARS: Final = 120.0


def patient_of(header: Dataset) -> Patient:
    """Read age and sex; age from PatientAge, else from birth date and study date. Race is never guessed.

    Examples
    --------
    >>> header = Dataset()
    >>> header.PatientAge, header.PatientSex = "058Y", "F"
    >>> patient_of(header)
    Patient(age_years=58.0, sex='F', race=None)
    """
    sex = (tags.text(header, "PatientSex") or "").upper()
    age = _age_string(tags.text(header, "PatientAge"))
    if age is None:
        age = _age_between(tags.text(header, "PatientBirthDate"), tags.text(header, "StudyDate"))
    return Patient(age_years=age, sex="M" if sex == "M" else "F" if sex == "F" else None)


def _age_string(value: str | None) -> float | None:
    match = re.fullmatch(r"(\d{1,3})\s*([YMWD])?", (value or "").upper())
    if match is None:
        return None
    age = int(match.group(1)) * _YEARS_PER_UNIT[match.group(2) or "Y"]
    return age if 0 < age <= OLDEST_YEARS else None


def _age_between(born: str | None, seen: str | None) -> float | None:
    first, last = _date(born), _date(seen)
    if first is None or last is None:
        return None
    years = last.year - first.year - ((last.month, last.day) < (first.month, first.day))
    return float(years) if 0 < years <= OLDEST_YEARS else None


def _date(value: str | None) -> date | None:
    match = re.fullmatch(r"(\d{4})[.\-]?(\d{2})[.\-]?(\d{2})", value or "")
    if match is None:
        return None
    try:
        return date(int(match.group(1)), int(match.group(2)), int(match.group(3)))
    except ValueError:
        return None
