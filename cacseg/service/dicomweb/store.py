"""STOW-RS (PS3.18 section 10.5): many objects in one request, each with its own outcome in the answer."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fastapi import HTTPException, Request, Response
from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from python_multipart.multipart import parse_options_header
from sqlalchemy import select
from starlette.concurrency import run_in_threadpool

from cacseg.service.database import Study
from cacseg.service.dicomweb.negotiation import DICOM, JSON, House, Sender, Uid, need, new_router
from cacseg.service.errors import NotDicomFileError
from cacseg.service.node.contexts import IMAGES
from cacseg.service.services import Services
from cacseg.service.upload import uploaded_files
from cacseg.study import tags

SUCCESS: Final = 0x0000
KEPT_EARLIER: Final = 0xB000
OTHER_CLASS: Final = 0x0122
OTHER_STUDY: Final = 0xA900
CANNOT_UNDERSTAND: Final = 0xC000
"""Warning and failure reasons (PS3.18 annex I.2, PS3.4 B.2.3)."""

BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {
            'multipart/related; type="application/dicom"': {"schema": {"type": "string", "format": "binary"}},
            "application/dicom": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "Every object is kept.", "content": {JSON: {}}},
    202: {"description": "Some objects are kept; the answer says what became of each.", "content": {JSON: {}}},
    409: {"description": "No object is kept; the answer says why.", "content": {JSON: {}}},
    415: {"description": "The body is no multipart/related of application/dicom."},
    503: {"description": "Too much is waiting; come back later."},
}

router = new_router()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one object; its UIDs are ``None`` where it could not be read."""

    sop_class: str | None
    sop_instance: str | None
    reason: int

    @property
    def kept(self) -> bool:
        """Say whether the object is kept, now or from earlier."""
        return self.reason in (SUCCESS, KEPT_EARLIER)


@router.post("/studies", openapi_extra=BODY, responses=ANSWERS)
async def store(request: Request, actor: Sender, house: House) -> Response:
    """Store objects of any study."""
    return await _store(request, actor.name, house, None)


@router.post("/studies/{study}", openapi_extra=BODY, responses=ANSWERS)
async def store_in_study(request: Request, actor: Sender, house: House, study: Uid) -> Response:
    """Store objects of one study."""
    return await _store(request, actor.name, house, study)


async def _store(request: Request, actor: str, house: Services, study: str | None) -> Response:
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    parts = options.get(b"type", b"").decode("latin-1") if kind == b"multipart/related" else kind.decode("latin-1")
    if parts.lower() != DICOM:
        raise HTTPException(415, f'The body must be multipart/related; type="{DICOM}", or one object as {DICOM}.')
    need(request.headers.get("accept"), [JSON, "application/json"])
    await run_in_threadpool(_check_room, house, study)
    async with uploaded_files(request, house.settings.scratch) as files:
        outcomes = await run_in_threadpool(_take_in, house, files, actor, study)
    return _answer(outcomes)


def _check_room(house: Services, study: str | None) -> None:
    """Let a study that is being received be finished, however much waits."""
    with house.database.session(write=False) as session:
        state = session.scalar(select(Study.state).where(Study.study_instance_uid == study))
    if state != "receiving":
        house.inbox.check_room()


def _take_in(house: Services, files: Sequence[Path], actor: str, study: str | None) -> list[Outcome]:
    examined = [(path, _examined(path, study)) for path in files]
    good = [path for path, outcome in examined if outcome.kept]
    if not good:
        return [outcome for _, outcome in examined]
    try:
        receipt = house.inbox.put_all(good, "stow", actor)
    except NotDicomFileError:
        stored, conflicts = set[str](), set[str]()
    else:
        stored, conflicts = {each.sop_instance_uid for each in receipt.stored}, set(receipt.conflicts)
    return [_became(outcome, stored, conflicts) if outcome.kept else outcome for _, outcome in examined]


def _examined(path: Path, study: str | None) -> Outcome:
    """Say of one object whether it can be kept, by its header."""
    wanted: Any = ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID"]
    try:
        header = dcmread(path, stop_before_pixels=True, specific_tags=wanted)
        sop_class, instance, of_study = (tags.text(header, keyword) for keyword in wanted)
    except (InvalidDicomError, *tags.MALFORMED, OSError, RecursionError, MemoryError):
        return Outcome(None, None, CANNOT_UNDERSTAND)
    if sop_class is None or instance is None:
        return Outcome(None, None, CANNOT_UNDERSTAND)
    if sop_class not in IMAGES:
        return Outcome(sop_class, instance, OTHER_CLASS)
    if study is not None and study != of_study:
        return Outcome(sop_class, instance, OTHER_STUDY)
    return Outcome(sop_class, instance, SUCCESS)


def _became(outcome: Outcome, stored: set[str], conflicts: set[str]) -> Outcome:
    if outcome.sop_instance in conflicts:
        return Outcome(outcome.sop_class, outcome.sop_instance, KEPT_EARLIER)
    if outcome.sop_instance in stored:
        return outcome
    return Outcome(outcome.sop_class, outcome.sop_instance, CANNOT_UNDERSTAND)


def _answer(outcomes: Sequence[Outcome]) -> Response:
    kept = [outcome for outcome in outcomes if outcome.kept]
    whole = all(outcome.reason == SUCCESS for outcome in outcomes)
    status = 200 if whole else 202 if kept else 409
    return Response(json.dumps(answer_dataset(outcomes).to_json_dict()), status, media_type=JSON)


def answer_dataset(outcomes: Sequence[Outcome]) -> Dataset:
    """Make the Store Instances Response Module (PS3.18 section 10.5.3.4, annex I.2).

    ``RetrieveURL`` is empty: what is stored here is scored, not served; the archive of the images serves them.
    """
    answer = Dataset()
    answer.RetrieveURL = None
    kept = [_item(outcome, "WarningReason") for outcome in outcomes if outcome.kept]
    failed = [_item(o, "FailureReason") for o in outcomes if not o.kept and o.sop_instance is not None]
    unknown = [_item(o, "FailureReason") for o in outcomes if not o.kept and o.sop_instance is None]
    for keyword, items in (
        ("ReferencedSOPSequence", kept),
        ("FailedSOPSequence", failed),
        ("OtherFailuresSequence", unknown),
    ):
        if items:
            setattr(answer, keyword, items)
    return answer


def _item(outcome: Outcome, reason: str) -> Dataset:
    item = Dataset()
    if outcome.sop_instance is not None:
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = outcome.sop_class, outcome.sop_instance
    if outcome.reason != SUCCESS:
        setattr(item, reason, outcome.reason)
    return item
