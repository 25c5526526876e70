"""``report.hl7``: HL7 version 2.5.1 ORU^R01, results as one OBX per value, preliminary until a person signs."""

from collections.abc import Iterable
from typing import Final

from cacseg.report import codes
from cacseg.report.codes import Code
from cacseg.report.fhir import ORDER
from cacseg.report.identity import Identity
from cacseg.report.inputs import Stamp
from cacseg.report.verification import Observer, reader_comment
from cacseg.result import NOT_A_DEVICE, Result
from cacseg.scoring.score import Score
from cacseg.vessels import CORONARY, STRUCTURE

ESCAPES: Final = {"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\", "\r": " ", "\n": " "}
"""Delimiters within a value (HL7 2.5.1 section 2.7)."""


def oru_message(result: Result, identity: Identity, stamp: Stamp, verified_by: Observer | None = None) -> bytes:
    """Write the message of a scored result; segments end with a carriage return, text is UTF-8.

    Parameters
    ----------
    result : a scored result.
    identity : patient and examination; an empty one for a de-identified message.
    stamp : gives time and message control ID.
    verified_by : who signed; ``None`` while nobody has.
    """
    when = f"{stamp.date_da}{stamp.time_tm}"
    exam = (identity.study_date or "").replace("-", "")
    family, _, given = (identity.name or "").partition(", ")
    header = [
        "MSH",
        "^~\\&",
        "cacseg",
        "",
        "",
        "",
        when,
        "",
        "ORU^R01^ORU_R01",
        str(stamp.uuid("oru"))[:20],
        "P",
        "2.5.1",
    ]
    header += [""] * 5 + ["UNICODE UTF-8"]
    patient = ["PID", "1", "", _escape(identity.patient_id or ""), "", f"{_escape(family)}^{_escape(given)}", ""]
    patient += [(identity.birth_date or "").replace("-", ""), result.patient.sex or "U"]
    order = ["OBR", "1", "", _escape(identity.accession_number or ""), _code(ORDER), "", "", exam]
    status = _status(verified_by)
    order += [""] * 14 + [when, "", "CT", status]
    if verified_by is not None:
        order += [""] * 6 + ["&".join(["", *map(_escape, verified_by.name.split("^")[:2])])]
    segments = [header, patient, order, *_values(result, status)]
    comment = reader_comment(result)
    notes = [
        NOT_A_DEVICE,
        *([comment] if comment else []),
        *(f"[{one.severity.value}] {one.message} {one.action}" for one in result.findings),
    ]
    segments += [["NTE", str(number), "", _escape(note)] for number, note in enumerate(notes, start=1)]
    return "".join("|".join(segment) + "\r" for segment in segments).encode()


def _status(verified_by: Observer | None) -> str:
    """Give the result status (HL7 tables 0085 and 0123): preliminary, final, or corrected."""
    if verified_by is None:
        return "P"
    return "C" if verified_by.amends else "F"


def _values(result: Result, status: str) -> Iterable[list[str]]:
    scoring = result.scoring
    if scoring is None:
        return []
    rows: list[list[str]] = []

    def add(kind: str, what: Code, part: str, value: str, unit: Code | None = None, method: Code | None = None) -> None:
        rows.append(
            ["OBX", str(len(rows) + 1), kind, _code(what), part, value, _code(unit) if unit else ""]
            + [""] * 4
            + [status]
            + [""] * 5
            + ([_code(method)] if method else [])
        )

    def add_score(part: str, score: Score, what: Code) -> None:
        add("NM", what, part, repr(score.agatston), codes.NO_UNITS, codes.AGATSTON_METHOD)
        add("NM", codes.CALCIUM_VOLUME, part, repr(score.volume_mm3), codes.MM3, codes.VOLUME_METHOD)
        if score.mass_mg is not None:
            add("NM", codes.CALCIUM_MASS, part, repr(score.mass_mg), codes.MG, codes.MASS_METHOD)
        add("NM", codes.CALCIFICATIONS, part, str(score.lesions), codes.NO_UNITS)

    add_score("TOTAL", scoring.total, codes.CALCIUM_SCORE)
    if result.interval is not None:
        low, high = result.interval.agatston
        add("NM", codes.INTERVAL_LOW, "TOTAL", repr(low), codes.NO_UNITS)
        add("NM", codes.INTERVAL_HIGH, "TOTAL", repr(high), codes.NO_UNITS)
    for vessel in CORONARY:
        add_score(vessel.name, scoring.vessels[vessel], codes.CALCIUM_SCORE)
    for label, score in scoring.structures.items():
        if score.lesions:
            add_score(STRUCTURE[label].upper(), score, codes.LESION_SCORE)
    risk = result.risk or {}
    for what, key in ((codes.AGATSTON_CATEGORY, "agatston_category"), (codes.CAC_DRS, "cac_drs")):
        if key in risk:
            add("ST", what, "TOTAL", _escape(str(risk[key])))
    percentile = (risk.get("percentile") or {}).get("value")
    if percentile is not None:
        add("NM", codes.PERCENTILE, "TOTAL", str(percentile), codes.PERCENT)
    if risk.get("arterial_age_years") is not None:
        add("NM", codes.ARTERIAL_AGE, "TOTAL", repr(risk["arterial_age_years"]), codes.YEARS)
    return rows


def _code(code: Code) -> str:
    return f"{_escape(code.value)}^{_escape(code.meaning)}^{_escape(code.scheme)}"


def _escape(text: str) -> str:
    return "".join(ESCAPES.get(character, character) for character in text)
