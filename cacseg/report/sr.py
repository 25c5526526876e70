"""``structured_report.dcm``: DICOM Comprehensive 3D SR, TID 1500, preliminary until a person signs it.

One measurement group for the whole heart, one for each artery (with its segment), one for each lesion (with
its outline on the source images), one for each structure with calcium outside the arteries.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pydicom.dataset import Dataset
from pydicom.uid import Comprehensive3DSRStorage, SegmentationStorage

from cacseg.report import codes
from cacseg.report import sr_items as sr
from cacseg.report.codes import Code
from cacseg.report.contours import Contour
from cacseg.report.dicom_header import (
    MANUFACTURER,
    MODEL,
    file_bytes,
    identify_private_codes,
    instance_uid,
    new_instance,
    reference,
    series_reference,
    software_versions,
)
from cacseg.report.inputs import Stamp
from cacseg.report.seg import SegmentPlan
from cacseg.report.sr_items import Item
from cacseg.report.verification import Observer, reader_comment, series_suffix, status_text
from cacseg.result import NOT_A_DEVICE, Result
from cacseg.scoring.score import Lesion, Score, Scoring
from cacseg.vessels import CORONARY, FULL_NAME, Label

MEASUREMENT_REPORT: Final = Code("126000", "DCM", "Imaging Measurement Report")
IMAGING_MEASUREMENTS: Final = Code("126010", "DCM", "Imaging Measurements")
LANGUAGE: Final = Code("121049", "DCM", "Language of Content Item and Descendants")
ENGLISH: Final = Code("en", "RFC5646", "English")
PROCEDURE: Final = Code("121058", "DCM", "Procedure reported")
OBSERVER_TYPE: Final = Code("121005", "DCM", "Observer Type")
DEVICE: Final = Code("121007", "DCM", "Device")
DEVICE_UID: Final = Code("121012", "DCM", "Device Observer UID")
DEVICE_NAME: Final = Code("121013", "DCM", "Device Observer Name")
DEVICE_MANUFACTURER: Final = Code("121014", "DCM", "Device Observer Manufacturer")
DEVICE_MODEL: Final = Code("121015", "DCM", "Device Observer Model Name")
ALGORITHM_NAME: Final = Code("111001", "DCM", "Algorithm Name")
ALGORITHM_VERSION: Final = Code("111003", "DCM", "Algorithm Version")
ALGORITHM_PARAMETERS: Final = Code("111002", "DCM", "Algorithm Parameters")
REFERENCE_AUTHORITY: Final = Code("121406", "DCM", "Reference Authority")
COMMENT: Final = Code("121106", "DCM", "Comment")
PERSON: Final = Code("121006", "DCM", "Person")
PERSON_NAME: Final = Code("121008", "DCM", "Person Observer Name")
PERSON_ORGANISATION: Final = Code("121009", "DCM", "Person Observer's Organization Name")
NOT_STATED: Final = "not stated"
"""Stands for an organisation that the signer did not give; the attribute must have a value."""

DEVICE_OBSERVER_UID: Final = "2.25.246437219463021934028562098452084367211"
"""Names cacseg as the observer (TID 1004)."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the report points at: the source of every slice, outlines by lesion id, the segmentation if there is one.

    ``replaces`` are the structured reports that this one takes the place of.
    """

    header: Dataset
    sources: tuple[Dataset, ...]
    contours: Mapping[int, tuple[Contour, ...]]
    plan: SegmentPlan | None
    replaces: tuple[Dataset, ...] = ()


def structured_report(result: Result, evidence: Evidence, stamp: Stamp, verified_by: Observer | None = None) -> bytes:
    """Write the report.

    Parameters
    ----------
    result : a scored result.
    evidence : images, outlines and segmentation that the measurements refer to.
    stamp : gives time and UIDs.
    verified_by : who signed; ``None`` while nobody has.
    """
    dataset = new_instance(evidence.header, Comprehensive3DSRStorage, "sr", stamp)
    dataset.Modality = "SR"
    dataset.SeriesDescription = f"Calcium score report ({series_suffix(verified_by)})"
    dataset.SoftwareVersions = software_versions(result)
    dataset.ReferencedPerformedProcedureStepSequence = []
    dataset.PerformedProcedureCodeSequence = []
    _standing(dataset, verified_by)
    if evidence.replaces:
        dataset.PredecessorDocumentsSequence = [_predecessor(one) for one in evidence.replaces]
    dataset.CurrentRequestedProcedureEvidenceSequence = [_evidence(evidence, stamp)]
    identify_private_codes(dataset)
    dataset.ValueType, dataset.ContinuityOfContent = "CONTAINER", "SEPARATE"
    dataset.ConceptNameCodeSequence = [MEASUREMENT_REPORT.item()]
    return file_bytes(
        dataset, sr.template_element("1500") + sr.content_sequence(_root(result, evidence, stamp, verified_by))
    )


def _standing(dataset: Dataset, verified_by: Observer | None) -> None:
    """Say whether a person verified the document, and who (PS3.3 C.17.2)."""
    dataset.CompletionFlag = "COMPLETE"
    if verified_by is None:
        dataset.VerificationFlag, dataset.PreliminaryFlag = "UNVERIFIED", "PRELIMINARY"
        return
    dataset.VerificationFlag, dataset.PreliminaryFlag = "VERIFIED", "FINAL"
    item = Dataset()
    item.VerifyingOrganization = verified_by.organisation or NOT_STATED
    item.VerificationDateTime = f"{verified_by.signed_at:%Y%m%d%H%M%S%z}"
    item.VerifyingObserverName = verified_by.name
    item.VerifyingObserverIdentificationCodeSequence = []
    dataset.VerifyingObserverSequence = [item]


def _predecessor(report: Dataset) -> Dataset:
    """Refer to an earlier document (PS3.3 table C.17-3b)."""
    series = Dataset()
    series.SeriesInstanceUID = report.SeriesInstanceUID
    series.ReferencedSOPSequence = [reference(report)]
    study = Dataset()
    study.StudyInstanceUID = report.StudyInstanceUID
    study.ReferencedSeriesSequence = [series]
    return study


def _evidence(evidence: Evidence, stamp: Stamp) -> Dataset:
    images = series_reference(evidence.sources)
    images.ReferencedSOPSequence = images.ReferencedInstanceSequence
    del images.ReferencedInstanceSequence
    study = Dataset()
    study.StudyInstanceUID = evidence.sources[0].StudyInstanceUID
    study.ReferencedSeriesSequence = [images]
    if evidence.plan is not None:
        series = Dataset()
        series.SeriesInstanceUID = stamp.uid("seg-series")
        series.ReferencedSOPSequence = [reference(_segmentation(stamp))]
        study.ReferencedSeriesSequence.append(series)
    return study


def _segmentation(stamp: Stamp) -> Dataset:
    segmentation = Dataset()
    segmentation.SOPClassUID, segmentation.SOPInstanceUID = SegmentationStorage, instance_uid("seg", stamp)
    return segmentation


def _root(result: Result, evidence: Evidence, stamp: Stamp, verified_by: Observer | None) -> tuple[Item, ...]:
    scoring = result.scoring
    groups: list[Item] = []
    if scoring is not None:
        groups.append(_total(result, scoring, stamp, status_text(result, verified_by)))
        groups += [_vessel(vessel, scoring.vessels[vessel], result, evidence, stamp) for vessel in CORONARY]
        groups += [_lesion(lesion, result, evidence, stamp) for lesion in scoring.lesions]
        groups += [
            _structure(label, part, result, evidence, stamp)
            for label, part in scoring.structures.items()
            if part.lesions
        ]
    return (
        sr.code("HAS CONCEPT MOD", LANGUAGE, ENGLISH),
        *_observer(),
        *_verifier(verified_by),
        sr.code("HAS CONCEPT MOD", PROCEDURE, codes.CT_CALCIUM_SCORING),
        sr.container("CONTAINS", IMAGING_MEASUREMENTS, groups),
    )


def _observer() -> tuple[Item, ...]:
    return (
        sr.code("HAS OBS CONTEXT", OBSERVER_TYPE, DEVICE),
        sr.uid("HAS OBS CONTEXT", DEVICE_UID, DEVICE_OBSERVER_UID),
        sr.text("HAS OBS CONTEXT", DEVICE_NAME, "cacseg"),
        sr.text("HAS OBS CONTEXT", DEVICE_MANUFACTURER, MANUFACTURER),
        sr.text("HAS OBS CONTEXT", DEVICE_MODEL, MODEL),
    )


def _verifier(verified_by: Observer | None) -> tuple[Item, ...]:
    """Name the person as a second observer (TID 1003)."""
    if verified_by is None:
        return ()
    return (
        sr.code("HAS OBS CONTEXT", OBSERVER_TYPE, PERSON),
        sr.person("HAS OBS CONTEXT", PERSON_NAME, verified_by.name),
        sr.text("HAS OBS CONTEXT", PERSON_ORGANISATION, verified_by.organisation or NOT_STATED),
    )


def _total(result: Result, scoring: Scoring, stamp: Stamp, status: str) -> Item:
    risk = result.risk or {}
    properties: list[Item] = []
    percentile = risk.get("percentile") or {}
    if percentile.get("value") is not None:
        authority = sr.text("HAS PROPERTIES", REFERENCE_AUTHORITY, percentile["citation"])
        value = float(percentile["value"])
        properties.append(sr.measurement(codes.PERCENTILE, value, codes.PERCENT, [authority], "HAS PROPERTIES"))
    if result.interval is not None:
        low, high = result.interval.agatston
        properties.append(sr.measurement(codes.INTERVAL_LOW, low, codes.NO_UNITS, (), "HAS PROPERTIES"))
        properties.append(sr.measurement(codes.INTERVAL_HIGH, high, codes.NO_UNITS, (), "HAS PROPERTIES"))
    items = [
        *_measurements(scoring.total, codes.CALCIUM_SCORE, properties),
        sr.measurement(codes.SCORE_THRESHOLD, scoring.rule.threshold_hu, codes.HU),
    ]
    if risk.get("arterial_age_years") is not None:
        items.append(sr.measurement(codes.ARTERIAL_AGE, float(risk["arterial_age_years"]), codes.YEARS))
    chd = risk.get("chd_10y_mesa") or {}
    if chd.get("with_calcium_percent") is not None:
        items.append(sr.measurement(codes.CHD_RISK, chd["with_calcium_percent"], codes.PERCENT))
    for name, key in ((codes.AGATSTON_CATEGORY, "agatston_category"), (codes.CAC_DRS, "cac_drs")):
        if key in risk:
            items.append(sr.text("CONTAINS", name, str(risk[key])))
    items += [sr.text("CONTAINS", codes.NOTICE, NOT_A_DEVICE), sr.text("CONTAINS", codes.STATUS, status)]
    if reader_comment(result):
        items.append(sr.text("CONTAINS", COMMENT, reader_comment(result)))
    items += [
        sr.text("CONTAINS", codes.FINDING_TEXT, f"[{finding.severity.value}] {finding.message} {finding.action}")
        for finding in result.findings
    ]
    head = _head("Total", "total", codes.CORONARY_ARTERY, result, stamp, found=scoring.total.lesions > 0)
    return sr.container("CONTAINS", sr.MEASUREMENT_GROUP, [*head, *items], "1501")


def _vessel(vessel: Label, part: Score, result: Result, evidence: Evidence, stamp: Stamp) -> Item:
    items = [
        *_head(vessel.name, vessel.name, codes.SITE[vessel], result, stamp, found=part.lesions > 0),
        *_measurements(part, codes.CALCIUM_SCORE),
    ]
    return _with_segment(items, vessel, evidence, stamp)


def _structure(label: Label, part: Score, result: Result, evidence: Evidence, stamp: Stamp) -> Item:
    items = [
        *_head(FULL_NAME[label], label.name, codes.SITE[label], result, stamp, found=True),
        *_measurements(part, codes.LESION_SCORE),
    ]
    return _with_segment(items, label, evidence, stamp)


def _with_segment(items: list[Item], label: Label, evidence: Evidence, stamp: Stamp) -> Item:
    """Add the segment to a group (TID 1411), or leave a group without a region (TID 1501)."""
    number = None if evidence.plan is None else evidence.plan.number(label)
    if number is None:
        return sr.container("CONTAINS", sr.MEASUREMENT_GROUP, items, "1501")
    items.append(sr.image("CONTAINS", sr.REFERENCED_SEGMENT, _segmentation(stamp), number))
    items.append(sr.uid("CONTAINS", sr.SOURCE_SERIES, evidence.sources[0].SeriesInstanceUID))
    return sr.container("CONTAINS", sr.MEASUREMENT_GROUP, items, "1411")


def _lesion(lesion: Lesion, result: Result, evidence: Evidence, stamp: Stamp) -> Item:
    name = f"Lesion {lesion.id} {lesion.label.name}"
    single = Score(lesion.agatston, lesion.volume_mm3, lesion.mass_mg, 1)
    items = [
        *_head(name, f"lesion-{lesion.id}", codes.SITE[lesion.label], result, stamp, found=True),
        *_measurements(single, codes.CALCIUM_SCORE)[:-1],
        sr.measurement(codes.AREA, lesion.area_mm2, codes.MM2),
        sr.measurement(codes.PEAK, lesion.peak_hu, codes.HU),
    ]
    if lesion.confidence is not None:
        items.append(sr.measurement(codes.CONFIDENCE, lesion.confidence, codes.NO_UNITS))
    contours = evidence.contours.get(lesion.id, ())
    items += [sr.region(contour, evidence.sources[contour.slice_index]) for contour in contours]
    return sr.container("CONTAINS", sr.MEASUREMENT_GROUP, items, "1411" if contours else "1501")


def _head(name: str, key: str, site: Code, result: Result, stamp: Stamp, *, found: bool) -> list[Item]:
    """Begin a group: how to follow it, what was found where, by which algorithm (TID 1501, TID 4019)."""
    items = [
        sr.text("HAS OBS CONTEXT", sr.TRACKING_ID, name),
        sr.uid("HAS OBS CONTEXT", sr.TRACKING_UID, stamp.uid(f"tracking-{key}")),
    ]
    if found:
        items.append(sr.code("CONTAINS", sr.FINDING_CATEGORY, codes.ABNORMAL_STRUCTURE))
        items.append(sr.code("CONTAINS", sr.FINDING, codes.CALCIFICATION))
    rule = result.scoring.rule.name if result.scoring else "none"
    model = result.provenance.get("model") or {}
    return [
        *items,
        sr.code("HAS CONCEPT MOD", sr.SITE, site),
        sr.text("HAS CONCEPT MOD", ALGORITHM_NAME, "cacseg"),
        sr.text("HAS CONCEPT MOD", ALGORITHM_VERSION, str(result.provenance.get("cacseg", "unknown"))),
        sr.text("HAS CONCEPT MOD", ALGORITHM_PARAMETERS, f"rule {rule}; model {model.get('name', 'none')}"),
    ]


def _measurements(part: Score, score_name: Code, properties: list[Item] | None = None) -> list[Item]:
    """Give score, volume, mass where known, and number of lesions last."""
    items = [
        sr.measurement(
            score_name, part.agatston, codes.NO_UNITS, [_method(codes.AGATSTON_METHOD), *(properties or ())]
        ),
        sr.measurement(codes.CALCIUM_VOLUME, part.volume_mm3, codes.MM3, [_method(codes.VOLUME_METHOD)]),
    ]
    if part.mass_mg is not None:
        items.append(sr.measurement(codes.CALCIUM_MASS, part.mass_mg, codes.MG, [_method(codes.MASS_METHOD)]))
    return [*items, sr.measurement(codes.CALCIFICATIONS, part.lesions, codes.NO_UNITS)]


def _method(method: Code) -> Item:
    return sr.code("HAS CONCEPT MOD", sr.METHOD, method)
