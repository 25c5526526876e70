"""``report.fhir.json``: FHIR R4 bundle with a DiagnosticReport and an Observation for every number.

The report is LOINC 79087-3; the total and each artery are SNOMED CT 450360000 with the Agatston method
(DCM 112055). All is ``preliminary`` until a person signs.
"""

import json
import uuid
from typing import Any, Final

from cacseg.report import codes
from cacseg.report.codes import Code
from cacseg.report.figures import score_text
from cacseg.report.identity import Identity
from cacseg.report.inputs import Stamp
from cacseg.report.verification import Observer, reader_comment
from cacseg.result import NOT_A_DEVICE, Result
from cacseg.scoring.score import Score
from cacseg.vessels import CORONARY, FULL_NAME

SYSTEMS: Final = {
    "SCT": "http://snomed.info/sct",
    "DCM": "http://dicom.nema.org/resources/ontology/DCM",
    "UCUM": "http://unitsofmeasure.org",
    "LN": "http://loinc.org",
    codes.CACSEG_SCHEME: f"urn:oid:2.25.{uuid.uuid5(uuid.NAMESPACE_URL, 'cacseg/concepts').int}",
}
ORDER: Final = Code("79087-3", "LN", "CT Heart and Coronary arteries for calcium scoring WO contrast")
IMAGING: Final = {
    "coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "imaging"}]
}

Resource = dict[str, Any]


class _Bundle:
    """Collects resources and the identifiers by which they refer to each other."""

    def __init__(self, stamp: Stamp) -> None:
        self.stamp = stamp
        self.entries: list[Resource] = []

    def add(self, kind: str, name: str, content: Resource) -> Resource:
        """Add a resource and give the reference to it."""
        address = f"urn:uuid:{self.stamp.uuid(f'fhir-{name}')}"
        self.entries.append({"fullUrl": address, "resource": {"resourceType": kind, **content}})
        return {"reference": address, "type": kind}


def fhir_bundle(result: Result, identity: Identity, stamp: Stamp, verified_by: Observer | None = None) -> bytes:
    """Write the bundle of a scored result.

    Parameters
    ----------
    result : a scored result.
    identity : patient and examination; an empty one for a de-identified bundle.
    stamp : gives the time of issue and the identifiers.
    verified_by : who signed; ``None`` while nobody has.
    """
    bundle = _Bundle(stamp)
    status = _status(verified_by)
    patient = bundle.add("Patient", "patient", _patient(result, identity))
    device = bundle.add("Device", "device", _device(result))
    study = bundle.add("ImagingStudy", "study", _study(result, identity, patient))
    about: Resource = {"status": status, "subject": patient, "device": device, "derivedFrom": [study]}
    if identity.study_date:
        about["effectiveDateTime"] = identity.study_date
    observations = _observations(bundle, result, about)
    context: Resource = {"status": status, "subject": patient, "imagingStudy": [study]}
    if verified_by is not None:
        context["resultsInterpreter"] = [bundle.add("PractitionerRole", "signer", _signer(verified_by))]
    report = _report(result, identity, stamp, observations, context)
    bundle.add("DiagnosticReport", "report", report)
    whole = {
        "resourceType": "Bundle",
        "id": str(stamp.uuid("fhir-bundle")),
        "type": "collection",
        "timestamp": _instant(stamp),
        "entry": [bundle.entries[-1], *bundle.entries[:-1]],
    }
    return (json.dumps(whole, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _instant(stamp: Stamp) -> str:
    return stamp.time.isoformat(timespec="seconds") + ("" if stamp.time.tzinfo else "Z")


def concept(*coded: Code) -> Resource:
    """Give a CodeableConcept."""
    coding = [{"system": SYSTEMS[one.scheme], "code": one.value, "display": one.meaning} for one in coded]
    return {"coding": coding, "text": coded[0].meaning}


def _quantity(value: float, unit: Code) -> Resource:
    return {"value": value, "unit": unit.meaning, "system": SYSTEMS["UCUM"], "code": unit.value}


def _patient(result: Result, identity: Identity) -> Resource:
    content: Resource = {"gender": {"M": "male", "F": "female"}.get(result.patient.sex or "", "unknown")}
    if identity.patient_id:
        content["identifier"] = [{"value": identity.patient_id}]
    if identity.name:
        family, _, given = identity.name.partition(", ")
        content["name"] = [{"text": identity.name, "family": family, **({"given": given.split()} if given else {})}]
    if identity.birth_date:
        content["birthDate"] = identity.birth_date
    return content


def _status(verified_by: Observer | None) -> str:
    """Give the code that Observation and DiagnosticReport share (FHIR R4 observation-status)."""
    if verified_by is None:
        return "preliminary"
    return "amended" if verified_by.amends else "final"


def _signer(verified_by: Observer) -> Resource:
    """Say who signed, in which role, for whom."""
    content: Resource = {"practitioner": {"display": verified_by.shown}, "code": [{"text": verified_by.role}]}
    if verified_by.organisation:
        content["organization"] = {"display": verified_by.organisation}
    return content


def _device(result: Result) -> Resource:
    model = result.provenance.get("model") or {}
    versions = [f"cacseg {result.provenance.get('cacseg', 'unknown')}", f"model {model.get('name', 'none')}"]
    return {
        "deviceName": [{"name": "cacseg", "type": "user-friendly-name"}],
        "manufacturer": "The cacseg developers",
        "version": [{"value": version} for version in versions],
        "type": concept(codes.ARTIFICIAL_INTELLIGENCE),
        "note": [{"text": NOT_A_DEVICE}],
    }


def _study(result: Result, identity: Identity, patient: Resource) -> Resource:
    modality = {"system": SYSTEMS["DCM"], "code": "CT", "display": "Computed Tomography"}
    content: Resource = {"status": "available", "subject": patient, "modality": [modality]}
    if result.study_instance_uid:
        content["identifier"] = [
            {"system": "urn:dicom:uid", "value": f"urn:oid:{result.study_instance_uid}"},
        ]
    if identity.study_date:
        content["started"] = identity.study_date
    if result.series is not None and result.series.series_instance_uid:
        content["series"] = [
            {
                "uid": result.series.series_instance_uid,
                "modality": modality,
                "numberOfInstances": result.series.slices,
            }
        ]
    return content


def _observations(bundle: _Bundle, result: Result, about: Resource) -> list[Resource]:
    scoring = result.scoring
    if scoring is None:
        return []
    references: list[Resource] = []

    def observe(name: str, what: Code, **value: Any) -> None:
        base = {"category": [IMAGING], "code": concept(what)}
        references.append(bundle.add("Observation", name, {**base, **about, **value}))

    def measured(name: str, part: Score, site: Code, title: str) -> None:
        value: Resource = {
            "method": concept(codes.AGATSTON_METHOD),
            "bodySite": concept(site),
            "valueQuantity": _quantity(part.agatston, codes.NO_UNITS),
            "component": _components(part),
            "note": [{"text": title}],
        }
        if name == "total" and result.interval is not None:
            low, high = result.interval.agatston
            share = f"{result.interval.level * 100:.0f} %"
            value["component"] += [
                {"code": concept(codes.INTERVAL_LOW), "valueQuantity": _quantity(low, codes.NO_UNITS)},
                {"code": concept(codes.INTERVAL_HIGH), "valueQuantity": _quantity(high, codes.NO_UNITS)},
            ]
            value["note"] = [{"text": f"{title}. Limits: {share}, {result.interval.method}"}]
        observe(name, codes.CALCIUM_SCORE, **value)

    measured("total", scoring.total, codes.CORONARY_ARTERY, "All coronary arteries")
    for vessel in CORONARY:
        measured(vessel.name, scoring.vessels[vessel], codes.SITE[vessel], FULL_NAME[vessel])
    for label, part in scoring.structures.items():
        if part.lesions:
            observe(
                label.name,
                codes.LESION_SCORE,
                bodySite=concept(codes.SITE[label]),
                valueQuantity=_quantity(part.agatston, codes.NO_UNITS),
                component=_components(part),
                note=[{"text": f"{FULL_NAME[label]}; not part of the coronary score"}],
            )
    _risk(observe, result)
    return references


def _components(part: Score) -> list[Resource]:
    values = [(codes.CALCIUM_VOLUME, part.volume_mm3, codes.MM3), (codes.CALCIFICATIONS, part.lesions, codes.NO_UNITS)]
    if part.mass_mg is not None:
        values.insert(1, (codes.CALCIUM_MASS, part.mass_mg, codes.MG))
    return [{"code": concept(what), "valueQuantity": _quantity(value, unit)} for what, value, unit in values]


def _risk(observe: Any, result: Result) -> None:
    risk = result.risk or {}
    for name, what, key in (
        ("category", codes.AGATSTON_CATEGORY, "agatston_category"),
        ("cac-drs", codes.CAC_DRS, "cac_drs"),
    ):
        if key in risk:
            observe(name, what, valueString=str(risk[key]))
    percentile = risk.get("percentile") or {}
    if percentile.get("value") is not None:
        source = [{"text": percentile["citation"]}]
        observe(
            "percentile", codes.PERCENTILE, valueQuantity=_quantity(percentile["value"], codes.PERCENT), note=source
        )
    elif percentile:
        unknown = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
        observe(
            "percentile",
            codes.PERCENTILE,
            dataAbsentReason={"coding": [{"system": unknown, "code": "unknown"}], "text": percentile["absent_because"]},
        )
    if risk.get("arterial_age_years") is not None:
        observe("arterial-age", codes.ARTERIAL_AGE, valueQuantity=_quantity(risk["arterial_age_years"], codes.YEARS))
    chd = risk.get("chd_10y_mesa") or {}
    if chd.get("with_calcium_percent") is not None:
        value = _quantity(chd["with_calcium_percent"], codes.PERCENT)
        observe("chd-risk", codes.CHD_RISK, valueQuantity=value, note=[{"text": chd["source"]}])


def _report(
    result: Result, identity: Identity, stamp: Stamp, observations: list[Resource], about: Resource
) -> Resource:
    total = result.scoring.total.agatston if result.scoring else 0.0
    category = (result.risk or {}).get("agatston_category", "")
    comment = reader_comment(result)
    content = {
        "category": [
            {
                "coding": [
                    {"system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": "CT", "display": "CAT Scan"}
                ]
            }
        ],
        "code": concept(ORDER),
        **about,
        "issued": _instant(stamp),
        "result": observations,
        "conclusion": " ".join(
            part
            for part in (f"Agatston score {score_text(total)}, category {category}.", comment, NOT_A_DEVICE)
            if part
        ),
    }
    if identity.study_date:
        content["effectiveDateTime"] = identity.study_date
    if identity.accession_number:
        content["identifier"] = [
            {
                "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "ACSN"}]},
                "value": identity.accession_number,
            }
        ]
    return content
