"""WADO-RS (PS3.18 section 10.4): objects as they were made, their metadata, their large values."""

import uuid
from collections.abc import Iterator, Sequence
from typing import Any, Final

from fastapi import HTTPException, Request, Response
from fastapi import Path as InPath
from fastapi.responses import StreamingResponse
from pydicom import Dataset, dcmread
from pydicom.dataelem import DataElement

from cacseg.service.access import Actor
from cacseg.service.dicomweb.made_objects import MadeObject, instance_of, newest_objects, study_of
from cacseg.service.dicomweb.negotiation import (
    ANY_SYNTAX,
    DICOM,
    JSON,
    OCTETS,
    ONE_OBJECT,
    House,
    OneObject,
    Reader,
    Uid,
    dicom_json,
    multipart,
    need,
    new_router,
    part_head,
)
from cacseg.service.errors import NotFoundError
from cacseg.service.services import Services

LARGE_BYTES: Final = 1024
"""Binary values from here on are left out of metadata and given an address of their own."""

CHUNK_BYTES: Final = 1024**2

router = new_router()
OBJECTS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The objects.", "content": {f'multipart/related; type="{DICOM}"': {}}},
    404: {"description": "There is no such object."},
    406: {"description": "The objects are not kept in a form that the request accepts."},
}
METADATA: Final[dict[int | str, dict[str, Any]]] = {200: {"description": "Headers.", "content": {JSON: {}}}}


@router.get("/studies/{study}", responses=OBJECTS)
def study_objects(request: Request, actor: Reader, house: House, study: Uid) -> Response:
    """Give every object of a study's newest version."""
    return _objects(request, note_read(house, actor, study, _newest(house, study, None)))


@router.get("/studies/{study}/metadata", responses=METADATA)
def study_metadata(request: Request, _: Reader, house: House, study: Uid) -> Response:
    """Give the headers of a study's newest version."""
    return _metadata(request, _newest(house, study, None))


@router.get("/studies/{study}/series/{series}", responses=OBJECTS)
def series_objects(request: Request, actor: Reader, house: House, study: Uid, series: Uid) -> Response:
    """Give every object of a series."""
    return _objects(request, note_read(house, actor, study, _newest(house, study, series)))


@router.get("/studies/{study}/series/{series}/metadata", responses=METADATA)
def series_metadata(request: Request, _: Reader, house: House, study: Uid, series: Uid) -> Response:
    """Give the headers of a series."""
    return _metadata(request, _newest(house, study, series))


@router.get(ONE_OBJECT, responses=OBJECTS)
def one_object(request: Request, actor: Reader, house: House, at: OneObject) -> Response:
    """Give one object, of an older version too."""
    return _objects(request, note_read(house, actor, at.study, [instance_of(house, at)]))


@router.get(ONE_OBJECT + "/metadata", responses=METADATA)
def one_metadata(request: Request, _: Reader, house: House, at: OneObject) -> Response:
    """Give the header of one object."""
    return _metadata(request, [instance_of(house, at)])


@router.get(ONE_OBJECT + "/bulkdata/{tag}", responses=OBJECTS)
def bulk_data(
    request: Request, actor: Reader, house: House, at: OneObject, tag: str = InPath(pattern="^[0-9A-Fa-f]{8}$")
) -> Response:
    """Give one large value of an object, as it stands in its file."""
    need(request.headers.get("accept"), [OCTETS])
    made = instance_of(house, at)
    element = dcmread(made.form.path).get(int(tag, 16))
    if element is None or not isinstance(element.value, bytes):
        raise NotFoundError(f"The object {at.instance} has no binary value {tag}.")
    note_read(house, actor, at.study, [made])
    return multipart([element.value], OCTETS)


def _newest(house: Services, study: str, series: str | None) -> list[MadeObject]:
    made = newest_objects(house, study_of(house, study))
    found = [each for each in made if series in (None, each.header.SeriesInstanceUID)]
    if not found:
        raise NotFoundError(f"No object was made of study {study}{f', series {series}' if series else ''}, or not yet.")
    return found


def note_read(house: Services, actor: Actor, study: str, made: list[MadeObject]) -> list[MadeObject]:
    """Write down who read which objects."""
    detail = {"instances": [each.form.sop_instance for each in made], "by": "dicomweb"}
    subject = study_of(house, study).id
    with house.database.session() as session:
        house.audit.record(session, actor.name, "result.read", subject, detail)
    return made


def _objects(request: Request, made: Sequence[MadeObject]) -> Response:
    syntax = need(request.headers.get("accept"), [DICOM]).get("transfer-syntax", ANY_SYNTAX)
    kept = sorted({each.form.syntax for each in made})
    if syntax != ANY_SYNTAX and kept != [syntax]:
        raise HTTPException(406, f"The objects are kept as {', '.join(kept)}; accept that or transfer-syntax=*.")
    boundary = uuid.uuid4().hex
    media_type = f'multipart/related; type="{DICOM}"; boundary={boundary}'
    return StreamingResponse(_streamed(made, boundary), media_type=media_type)


def _streamed(made: Sequence[MadeObject], boundary: str) -> Iterator[bytes]:
    for each in made:
        yield part_head(boundary, f"{DICOM}; transfer-syntax={each.form.syntax}")
        with each.form.path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
        yield b"\r\n"
    yield f"--{boundary}--\r\n".encode()


def _metadata(request: Request, made: Sequence[MadeObject]) -> Response:
    need(request.headers.get("accept"), [JSON, "application/json"])
    return dicom_json(_described(each, f"{request.base_url}dicomweb") for each in made)


def _described(made: MadeObject, base: str) -> dict[str, Any]:
    header: Dataset = dcmread(made.form.path)
    url = (
        f"{base}/studies/{header.StudyInstanceUID}/series/{header.SeriesInstanceUID}/instances/{header.SOPInstanceUID}"
    )

    def address(element: DataElement) -> str:
        return f"{url}/bulkdata/{element.tag:08X}"

    described: dict[str, Any] = header.to_json_dict(bulk_data_threshold=LARGE_BYTES, bulk_data_element_handler=address)
    return described
