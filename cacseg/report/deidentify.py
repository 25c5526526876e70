"""Taking the person out of a report: PS3.15 annex E, Basic Profile with three options.

Clean Descriptors (113105), Retain Patient Characteristics (113108) and Retain Device Identity (113109). UIDs
are replaced one to one, the same for the same UID and key, so that the forms of one report still refer to
each other. Dates, names, identifiers and free texts of the source are dropped. Ages above 89 become 90.
"""

import hashlib
import re
import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from pydicom.dataset import Dataset

from cacseg.acquisition import Patient
from cacseg.report.codes import Code
from cacseg.report.inputs import ReportInput
from cacseg.report.verification import REVIEW
from cacseg.result import Result

BASIC_PROFILE: Final = Code("113100", "DCM", "Basic Application Confidentiality Profile")
OPTIONS: Final = (
    BASIC_PROFILE,
    Code("113105", "DCM", "Clean Descriptors Option"),
    Code("113108", "DCM", "Retain Patient Characteristics Option"),
    Code("113109", "DCM", "Retain Device Identity Option"),
)
"""De-identification Method Code Sequence (CID 7050)."""

OLDEST_YEARS: Final = 90
"""Ages above 89 are shown as 90 (45 CFR 164.514(b)(2)(i)(C))."""

KEPT: Final = (
    *("SOPClassUID", "PatientSex", "SliceThickness", "PixelSpacing", "ImageOrientationPatient"),
    *("ImagePositionPatient", "Rows", "Columns", "Modality", "Manufacturer", "ManufacturerModelName"),
    *("KVP", "PositionReferenceIndicator", "NumberOfFrames"),
)
"""Attributes of a source header that say nothing about who; every other one is dropped."""

NO_TIME: Final = datetime(2000, 1, 1)
"""Time of writing of a de-identified report: the true one would tell about when the examination was."""

UIDS: Final = ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
UID_PATTERN: Final = re.compile(r"\b[0-2](?:\.(?:0|[1-9]\d*)){4,}\b")
FILE_PATTERN: Final = re.compile(r"(?:[\w.\-]*/)+[\w.\-]+|\b[\w\-]+\.(?:dcm|ima|img|zip|nii|nii\.gz)\b", re.IGNORECASE)
DATE_PATTERN: Final = re.compile(r"\b(?:19|20)\d{2}-?(?:0[1-9]|1[0-2])-?(?:0[1-9]|[12]\d|3[01])\b")


def deidentified(inputs: ReportInput, key: str = "") -> ReportInput:
    """Give the same report without the person.

    Parameters
    ----------
    inputs : a report's input; it is not changed.
    key : secret that goes into the replaced UIDs; without one, whoever holds the old UIDs can link the two.
    """
    sources = tuple(_clean_header(source, key) for source in inputs.sources)
    return replace(inputs, result=clean_result(inputs.result, key), sources=sources, verified_by=None, replaces=())


def replaced_uid(uid: str, key: str = "") -> str:
    """Give the UID that stands for another.

    Examples
    --------
    >>> replaced_uid("1.2.3.4.5") == replaced_uid("1.2.3.4.5") != replaced_uid("1.2.3.4.5", "secret")
    True
    """
    return f"2.25.{uuid.UUID(bytes=hashlib.sha256(f'{key}/{uid}'.encode()).digest()[:16], version=4).int}"


def clean_result(result: Result, key: str = "") -> Result:
    """Give the result without free texts of the source, with replaced UIDs and a capped age."""
    age = result.patient.age_years
    capped = None if age is None else float(OLDEST_YEARS) if age >= OLDEST_YEARS else age
    patient: Patient = replace(result.patient, age_years=capped)
    series = result.series
    if series is not None:
        series = replace(series, description=None, series_instance_uid=_uid(series.series_instance_uid, key))
    ledger = tuple(
        replace(
            entry,
            series_instance_uid=_uid(entry.series_instance_uid, key),
            description=None,
            reasons=tuple(_clean_text(reason, key) for reason in entry.reasons),
            facts={},
        )
        for entry in result.ledger
    )
    findings = tuple(
        replace(one, message=_clean_text(one.message, key), action=_clean_text(one.action, key))
        for one in result.findings
    )
    return replace(
        result,
        study_instance_uid=_uid(result.study_instance_uid, key),
        patient=patient,
        series=series,
        ledger=ledger,
        findings=findings,
        risk=None if result.risk is None else _clean_values(result.risk, key, age, capped),
        provenance={
            **_clean_values(_without_reader(result.provenance), key, None, None),
            "deidentified": [one.meaning for one in OPTIONS],
        },
    )


def _without_reader(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Keep of a review what was changed, not by whom, when, or in which words."""
    kept = dict(provenance)
    if REVIEW in kept:
        kept[REVIEW] = {"changes": [_change(one) for one in kept[REVIEW]["changes"]]}
    return kept


def _change(change: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in change.items() if name not in ("actor", "time")}


def mark_deidentified(dataset: Dataset) -> None:
    """Say in a DICOM object that the person was taken out, and how."""
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = "cacseg, PS3.15 annex E"
    dataset.DeidentificationMethodCodeSequence = [option.item() for option in OPTIONS]


def _clean_header(source: Dataset, key: str) -> Dataset:
    clean = Dataset()
    for keyword in KEPT:
        if keyword in source:
            clean[keyword] = source[keyword]
    for keyword in UIDS:
        if source.get(keyword):
            setattr(clean, keyword, replaced_uid(str(source[keyword].value), key))
    clean.PatientName, clean.PatientID = "", ""
    mark_deidentified(clean)
    return clean


def _uid(uid: str | None, key: str) -> str | None:
    return None if uid is None else replaced_uid(uid, key)


def _clean_text(text: str, key: str) -> str:
    text = UID_PATTERN.sub(lambda match: replaced_uid(match.group(), key), text)
    return DATE_PATTERN.sub("[date]", FILE_PATTERN.sub("[file]", text))


def _clean_values(values: Mapping[str, Any], key: str, age: float | None, capped: float | None) -> dict[str, Any]:
    """Clean texts within a JSON-ready mapping, sources of facts excepted, and cap the age wherever it stands."""
    return {name: _clean_value(name, value, key, age, capped) for name, value in values.items()}


def _clean_value(name: str, value: Any, key: str, age: float | None, capped: float | None) -> Any:
    if isinstance(value, Mapping):
        return _clean_values(value, key, age, capped)
    if isinstance(value, list | tuple):
        return [_clean_value(name, one, key, age, capped) for one in value]
    if name == "age_years" and value == age:
        return capped
    if name == "absent_because" and value is not None and age is not None and age != capped:
        return str(value).replace(f"{age:g}", f"{OLDEST_YEARS} or more")
    if isinstance(value, str) and not name.endswith(("source", "citation", "sha256", "endpoint")):
        return _clean_text(value, key)
    return value
