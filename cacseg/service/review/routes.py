"""The review by HTTP: voxels, the draft, edits, comment, signature. Every score is computed here, none in the page."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Depends, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel, ConfigDict, Field, field_validator

from cacseg.service.access import Actor, require
from cacseg.service.api import PROBLEMS, Reader, StudyId, VersionNumber
from cacseg.service.review.asked import AskedEdit, make_edit
from cacseg.service.review.desk import Desk, StaleRevisionError
from cacseg.service.review.signing import Signature, sign
from cacseg.service.review.voxels import keep, kept_file, voxel_bytes
from cacseg.service.services import services_of

router = APIRouter(prefix="/api/studies/{study_id}", tags=["review"], responses=PROBLEMS)

Reviewer = Annotated[Actor, Depends(require("review"))]


def desk_of(request: Request) -> Desk:
    """Give the desk of an application, made with the first request; two made at once agree through the database."""
    state = request.app.state
    if not hasattr(state, "desk"):
        state.desk = Desk(services_of(request))
    desk: Desk = state.desk
    return desk


TheDesk = Annotated[Desk, Depends(desk_of)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")

    revision: int = Field(ge=0, le=10**9)


class EditBody(_Body):
    """An edit, and the revision and version that it was made on."""

    base_version: int | None = Field(None, ge=1, le=10**6)
    edit: AskedEdit


class CommentBody(_Body):
    """A comment on the draft."""

    comment: str = Field(max_length=4000)

    @field_validator("comment")
    @classmethod
    def without_controls(cls, text: str) -> str:
        """Drop control characters, which neither DICOM nor every database takes, but for line breaks."""
        return "".join(one for one in text if one.isprintable() or one == "\n")


class SignBody(_Body):
    """A signature."""

    name: str = Field(min_length=1, max_length=64)
    role_title: str = Field(min_length=1, max_length=64)
    organisation: str | None = Field(None, max_length=64)


@router.get("/volume.json")
def volume_header(study_id: StudyId, desk: TheDesk, _: Reader) -> dict[str, Any]:
    """Give grid, window and acquisition of the scored series; of a refused study, of the series that was looked at."""
    return desk.images(study_id).header()


@router.get("/volume", response_class=Response)
def volume(request: Request, study_id: StudyId, desk: TheDesk, actor: Reader, later: BackgroundTasks) -> Response:
    """Give the voxels of that series: HU, int16, little endian, in the order slice, row, column."""
    services = services_of(request)
    settings = services.settings
    images = desk.images(study_id)
    with services.database.session() as session:
        services.audit.record(session, actor.name, "study.viewed", study_id)
    file = kept_file(settings.results / study_id, images.volume, images.acquisition.series_instance_uid)
    kind = "application/octet-stream"
    headers = {"Cache-Control": "no-store", "Vary": "Accept-Encoding"}
    if file.is_file() and "gzip" in request.headers.get("accept-encoding", ""):
        return FileResponse(file, media_type=kind, headers={**headers, "Content-Encoding": "gzip"})
    content = voxel_bytes(images.volume)
    later.add_task(keep, file, content, settings.scratch)
    return Response(content, media_type=kind, headers=headers)


@router.get("/review")
def review(study_id: StudyId, desk: TheDesk, _: Reader, version: VersionNumber = None) -> dict[str, Any]:
    """Give the draft, or what one would begin from; with a version, that one as it was published."""
    return desk.state(study_id) if version is None else desk.version_state(study_id, version)


@router.post("/review/edits")
def edit(study_id: StudyId, body: EditBody, desk: TheDesk, actor: Reviewer) -> Any:
    """Change labels; the answer is the review after it, scores included; a late change gets the newer one in a 409."""
    return _or_newer(
        lambda: desk.edit(
            study_id, body.revision, body.base_version, actor.name, lambda session: make_edit(session, body.edit)
        )
    )


@router.post("/review/comment")
def comment(study_id: StudyId, body: CommentBody, desk: TheDesk, actor: Reviewer) -> Any:
    """Write the comment of the draft."""
    return _or_newer(
        lambda: desk.note(study_id, body.revision, actor.name, comment=body.comment, action="review.commented")
    )


@router.post("/review/amend")
def amend(study_id: StudyId, desk: TheDesk, actor: Reviewer) -> Any:
    """Begin a draft on the newest version, signed or not; one that is there already stays."""
    draft = desk.read(study_id)
    if draft.review_id is not None:
        return desk.state(study_id)
    return _or_newer(lambda: desk.note(study_id, draft.revision, actor.name, action="review.amending"))


@router.post("/review/rebase")
def rebase(study_id: StudyId, desk: TheDesk, actor: Reviewer) -> Any:
    """Take the edits of the draft over to the newest version; those that no longer fit are listed as skipped."""
    draft = desk.read(study_id)
    return _or_newer(
        lambda: desk.note(
            study_id, draft.revision, actor.name, base_version=draft.newest_version, action="review.rebased"
        )
    )


@router.post("/review/discard")
def discard(study_id: StudyId, body: _Body, desk: TheDesk, actor: Reviewer) -> Any:
    """Lay the draft aside."""
    return _or_newer(lambda: desk.discard(study_id, body.revision, actor.name))


@router.post("/review/sign")
def sign_review(request: Request, study_id: StudyId, body: SignBody, desk: TheDesk, actor: Reviewer) -> Any:
    """Sign the review: the next version, with every form of the report verified by the signer."""
    signature = Signature(body.name, body.role_title, body.organisation)

    def signed() -> dict[str, Any]:
        number = sign(services_of(request), desk, study_id, body.revision, signature, actor.name)
        return {"signed_version": number, **desk.state(study_id)}

    return _or_newer(signed)


def _or_newer(act: Callable[[], dict[str, Any]]) -> dict[str, Any] | Response:
    """Answer with the newer state where a change came too late."""
    try:
        return act()
    except StaleRevisionError as error:
        problem = {"type": "about:blank", "title": "Conflict", "status": 409, "detail": str(error)}
        return JSONResponse({**problem, "state": error.state}, 409, media_type="application/problem+json")
