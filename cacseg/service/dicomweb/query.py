"""QIDO-RS (PS3.18 section 10.6): studies, series and instances of what was made here."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, Final

from fastapi import Request, Response
from pydicom import Dataset
from sqlalchemy import select

from cacseg.service.database import Study, Version
from cacseg.service.dicomweb.made_objects import MadeObject, newest_objects
from cacseg.service.dicomweb.matching import Query, matches, parse_query
from cacseg.service.dicomweb.negotiation import JSON, House, Reader, Uid, dicom_json, need, new_router
from cacseg.service.services import Services

STUDY: Final = (
    *("SpecificCharacterSet", "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "PatientName"),
    *("PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyID", "StudyDescription"),
)
SERIES: Final = (
    *("SpecificCharacterSet", "Modality", "SeriesDescription", "SeriesInstanceUID", "SeriesNumber"),
    *("SeriesDate", "SeriesTime", "PerformedProcedureStepStartDate", "PerformedProcedureStepStartTime"),
)
INSTANCE: Final = ("SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "InstanceNumber", "Rows", "Columns")
NUMBER_OF_FRAMES: Final = "NumberOfFrames"
COUNTED: Final = (
    *("ModalitiesInStudy", "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances"),
    *("NumberOfSeriesRelatedInstances", "InstanceAvailability", "RetrieveURL"),
)
"""Attributes of each level (PS3.18 tables 10.6.3-3 to 10.6.3-5), and those that are worked out."""

NO_FUZZY: Final = "The fuzzymatching parameter is not supported. Only literal matching has been performed."
BATCH: Final = 100

router = new_router()
DESCRIBED: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The matches, in DICOM JSON; none is an empty list.", "content": {JSON: {}}},
    400: {"description": "An attribute that is not known."},
}


@router.get("/studies", responses=DESCRIBED)
def studies(request: Request, _: Reader, house: House) -> Response:
    """Find studies that objects were made of."""
    return _answer(request, house, "study", {})


@router.get("/series", responses=DESCRIBED)
def all_series(request: Request, _: Reader, house: House) -> Response:
    """Find series of any study."""
    return _answer(request, house, "series", {})


@router.get("/instances", responses=DESCRIBED)
def all_instances(request: Request, _: Reader, house: House) -> Response:
    """Find instances of any study."""
    return _answer(request, house, "instance", {})


@router.get("/studies/{study}/series", responses=DESCRIBED)
def series(request: Request, _: Reader, house: House, study: Uid) -> Response:
    """Find series of a study."""
    return _answer(request, house, "series", {"StudyInstanceUID": study})


@router.get("/studies/{study}/instances", responses=DESCRIBED)
def instances_of_study(request: Request, _: Reader, house: House, study: Uid) -> Response:
    """Find instances of a study."""
    return _answer(request, house, "instance", {"StudyInstanceUID": study})


@router.get("/studies/{study}/series/{series_uid}/instances", responses=DESCRIBED)
def instances(request: Request, _: Reader, house: House, study: Uid, series_uid: Uid) -> Response:
    """Find instances of a series."""
    return _answer(request, house, "instance", {"StudyInstanceUID": study, "SeriesInstanceUID": series_uid})


def _answer(request: Request, house: Services, level: str, given: dict[str, str]) -> Response:
    need(request.headers.get("accept"), [JSON, "application/json"])
    query = parse_query(request.query_params.multi_items())
    query = replace(query, wanted={**query.wanted, **given})
    base = f"{request.base_url}dicomweb"
    found = (header for study in _studies(house, query) for header in _headers(house, study, query, level, base))
    matched = (header for header in found if matches(header, query.wanted))
    page = islice(matched, query.offset, query.offset + query.limit)
    headers = {"Warning": f'299 {request.base_url} "{NO_FUZZY}"'} if query.fuzzy else {}
    return dicom_json((header.to_json_dict(suppress_invalid_tags=True) for header in page), headers=headers)


def _studies(house: Services, query: Query) -> Iterator[Study]:
    """Give studies that may match, by what the index knows, the newest first."""
    with_objects = select(Version.study_id).where(Version.complete.is_(True), Version.status == "scored")
    known: list[Any] = [Study.id.in_(with_objects), Study.state != "deleting"]
    uids = query.wanted.get("StudyInstanceUID", "")
    if uids and "*" not in uids:
        known.append(Study.study_instance_uid.in_(uids.replace("\\", ",").split(",")))
    offset = 0
    while True:
        with house.database.session(write=False) as session:
            order = (Study.received_at.desc(), Study.id)
            rows = session.scalars(select(Study).where(*known).order_by(*order).offset(offset).limit(BATCH)).all()
        yield from rows
        if len(rows) < BATCH:
            return
        offset += BATCH


def _headers(house: Services, study: Study, query: Query, level: str, base: str) -> list[Dataset]:
    """Make the answers of one study, with everything that is matched or asked for."""
    tags = (
        None if query.fields is None else {*STUDY, *SERIES, *INSTANCE, NUMBER_OF_FRAMES, *query.fields, *query.wanted}
    )
    made = newest_objects(house, study, None if tags is None else sorted(tags - {*COUNTED}))
    groups: dict[str, list[MadeObject]] = {}
    for each in made:
        key = {"study": "", "series": str(each.header.SeriesInstanceUID), "instance": each.form.sop_instance}[level]
        groups.setdefault(key, []).append(each)
    usual = {
        "study": STUDY,
        "series": (*SERIES, "StudyInstanceUID"),
        "instance": (*INSTANCE, NUMBER_OF_FRAMES, "StudyInstanceUID", "SeriesInstanceUID", "Modality"),
    }
    wanted = None if query.fields is None else {*usual[level], *query.fields, *query.wanted}
    return [_header(group, made, wanted, level, base) for group in groups.values()]


def _header(
    group: Sequence[MadeObject], made: Sequence[MadeObject], wanted: set[str] | None, level: str, base: str
) -> Dataset:
    first = group[0].header
    header = Dataset()
    for element in first:
        if wanted is None or element.keyword in wanted:
            header.add(element)
    url = f"{base}/studies/{first.StudyInstanceUID}"
    if level == "study":
        header.ModalitiesInStudy = sorted({str(each.header.Modality) for each in made})
        header.NumberOfStudyRelatedSeries = len({each.header.SeriesInstanceUID for each in made})
        header.NumberOfStudyRelatedInstances = len(made)
    else:
        url += f"/series/{first.SeriesInstanceUID}"
    if level == "series":
        header.NumberOfSeriesRelatedInstances = len(group)
    if level == "instance":
        url += f"/instances/{first.SOPInstanceUID}"
    header.InstanceAvailability = "ONLINE"
    header.RetrieveURL = url
    return header
