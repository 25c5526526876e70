"""The REST routes for studies, their results, and what an administrator needs."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi import Path as InPath
from sqlalchemy import func, select
from starlette.concurrency import run_in_threadpool

from cacseg.service.access import Actor, require
from cacseg.service.answers import (
    DeliveryAnswer,
    Problem,
    ResultFile,
    Studies,
    StudyAnswer,
    StudyDetail,
    Uploaded,
    UploadedStudy,
    VersionAnswer,
)
from cacseg.service.database import Instance, Study
from cacseg.service.errors import ConflictError, NotFoundError
from cacseg.service.inbox import Receipt, looks_like_zip
from cacseg.service.result_files import headers_of, media_type_of, names_in, read_named, version_folder
from cacseg.service.retention import Retention
from cacseg.service.services import Services, services_of
from cacseg.service.upload import uploaded_files
from cacseg.service.work_list import SortKey, Whole, list_studies, whole_study

Sender = Annotated[Actor, Depends(require("send"))]
Reader = Annotated[Actor, Depends(require("read"))]
Admin = Annotated[Actor, Depends(require("admin"))]
House = Annotated[Services, Depends(services_of)]
StudyId = Annotated[str, InPath(pattern="^[0-9a-f]{32}$")]
VersionNumber = Annotated[int | None, Query(ge=1, le=10**6)]

PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    code: {"model": Problem, "content": {"application/problem+json": {}}}
    for code in (400, 401, 403, 404, 409, 413, 415, 422, 429, 503, 507)
}
UPLOAD_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"files": {"type": "array", "items": {"type": "string", "format": "binary"}}},
                }
            },
            "application/zip": {"schema": {"type": "string", "format": "binary"}},
            "application/dicom": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}

router = APIRouter(prefix="/api/studies", tags=["studies"], responses=PROBLEMS)


@router.post("", status_code=202, openapi_extra=UPLOAD_BODY)
async def upload(
    request: Request,
    actor: Sender,
    house: House,
    complete: Annotated[bool, Query(description="Score at once, without waiting for further files.")] = True,
) -> Uploaded:
    """Take in DICOM files or zip archives of them: many parts of a form, or one file as the body."""
    await run_in_threadpool(house.inbox.check_room)
    async with uploaded_files(request, house.settings.scratch) as files:
        return await run_in_threadpool(_take_in, house, files, actor, complete)


def _take_in(house: Services, files: tuple[Path, ...], actor: Actor, complete: bool) -> Uploaded:
    archives = [file for file in files if looks_like_zip(file)]
    plain = [file for file in files if file not in set(archives)]
    receipts = [house.inbox.put_archive(file, "rest", actor.name) for file in archives]
    if plain:
        receipts.append(house.inbox.put_all(plain, "rest", actor.name))
    stored = [each for receipt in receipts for each in receipt.stored]
    conflicts = [uid for receipt in receipts for uid in receipt.conflicts]
    if not stored:
        raise ConflictError(
            f"All {len(conflicts)} instances are kept already with another content; the first ones stay.", conflicts
        )
    if complete:
        for study_id in dict.fromkeys(each.study_id for each in stored):
            house.inbox.complete(study_id)
    return _uploaded(house, receipts, conflicts)


def _uploaded(house: Services, receipts: list[Receipt], conflicts: list[str]) -> Uploaded:
    stored = [each for receipt in receipts for each in receipt.stored]
    counts, fresh = Counter(each.study_id for each in stored), Counter(each.study_id for each in stored if each.new)
    studies = []
    with house.database.session(write=False) as session:
        for study_id in counts:
            study = session.get_one(Study, study_id)
            kept = session.scalar(select(func.count()).select_from(Instance).where(Instance.study_id == study_id))
            studies.append(
                UploadedStudy(
                    id=study.id,
                    study_instance_uid=study.study_instance_uid,
                    new=fresh[study_id] == kept,
                    instances=counts[study_id],
                    state=study.state,
                )
            )
    return Uploaded(studies=studies, conflicts=conflicts, skipped=sum(receipt.skipped for receipt in receipts))


@router.get("")
def studies(
    actor: Reader,
    house: House,
    search: Annotated[str, Query(max_length=128)] = "",
    sort: SortKey = "received_at",
    order: Literal["asc", "desc"] = "desc",
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Studies:
    """List studies."""
    listed = list_studies(
        house.database, search=search, sort=sort, descending=order == "desc", offset=offset, limit=limit
    )
    return Studies(total=listed.total, studies=[StudyAnswer.of(study) for study in listed.studies])


@router.get("/{study_id}")
def study(actor: Reader, house: House, study_id: StudyId) -> StudyDetail:
    """Give one study with its versions and deliveries."""
    return _detail(whole_study(house.database, study_id))


def _detail(whole: Whole) -> StudyDetail:
    return StudyDetail(
        **StudyAnswer.facts(whole.study),
        instances=whole.instances,
        versions=[VersionAnswer.of(row) for row in whole.versions],
        deliveries=[
            DeliveryAnswer(
                destination=job.payload["destination"],
                version=job.payload["version"],
                state=job.state,
                attempts=job.attempts,
            )
            for job in whole.deliveries
        ],
    )


@router.get("/{study_id}/result", response_class=Response)
def result(actor: Reader, house: House, study_id: StudyId, version: VersionNumber = None) -> Response:
    """Give ``result.json`` of a version, the newest unless told otherwise."""
    return _file(house, actor, study_id, "result.json", version)


@router.get("/{study_id}/files")
def files(actor: Reader, house: House, study_id: StudyId, version: VersionNumber = None) -> list[ResultFile]:
    """List the files of a version."""
    folder = version_folder(house.settings, whole_study(house.database, study_id).study, version)
    return [ResultFile(name=name, size=path.stat().st_size) for name, path in names_in(folder).items()]


@router.get("/{study_id}/files/{name:path}", response_class=Response)
def file(actor: Reader, house: House, study_id: StudyId, name: str, version: VersionNumber = None) -> Response:
    """Give one file of a version."""
    return _file(house, actor, study_id, name, version)


def _file(house: Services, actor: Actor, study_id: str, name: str, version: int | None) -> Response:
    study = whole_study(house.database, study_id).study
    content = read_named(version_folder(house.settings, study, version), name)
    with house.database.session() as session:
        detail = {"file": name, "version": version or study.result_version}
        house.audit.record(session, actor.name, "result.read", study_id, detail)
    return Response(content, media_type=media_type_of(name), headers=headers_of(name))


@router.post("/{study_id}/rescore", status_code=202)
def rescore(actor: Admin, house: House, study_id: StudyId) -> StudyDetail:
    """Score a study again, as a new version."""
    with house.database.session() as session:
        study = session.get(Study, study_id, with_for_update=True)
        if study is None:
            raise NotFoundError(f"There is no study {study_id!r}.")
        if study.state in ("receiving", "waiting", "scoring", "deleting"):
            raise ConflictError(f"Study {study_id} is {study.state}; it can be scored again when that is over.")
        study.generation += 1
        study.state, study.message = "waiting", None
        house.audit.record(session, actor.name, "study.rescore", study_id, {"generation": study.generation})
        house.queue.enqueue(
            "score",
            study_id,
            f"score:{study_id}:{study.generation}",
            {"generation": study.generation},
            session=session,
        )
    return _detail(whole_study(house.database, study_id))


@router.delete("/{study_id}", status_code=204)
def delete(actor: Admin, house: House, study_id: StudyId) -> None:
    """Delete a study: its files are overwritten, the audit trail keeps that it was here."""
    Retention(house).delete(study_id, actor.name)
