"""The REST routes for tokens, browser sessions, the audit trail and the service itself."""

import shutil
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi import Path as InPath
from fastapi.responses import JSONResponse
from sqlalchemy import func, select, text

from cacseg import __version__
from cacseg.result import NOT_A_DEVICE
from cacseg.service.access import COOKIE
from cacseg.service.answers import AuditAnswer, AuditPage, MadeToken, NewToken, SessionAnswer, SignIn, TokenAnswer
from cacseg.service.api import PROBLEMS, Admin, House
from cacseg.service.database import AuditEntry
from cacseg.service.errors import UnauthenticatedError

router = APIRouter(prefix="/api", responses=PROBLEMS)
watching = APIRouter(tags=["service"])


@router.get("/tokens", tags=["tokens"])
def tokens(actor: Admin, house: House) -> list[TokenAnswer]:
    """List every token, without secrets."""
    return [TokenAnswer.of(row) for row in house.access.tokens()]


@router.post("/tokens", status_code=201, tags=["tokens"])
def add_token(actor: Admin, house: House, wanted: NewToken) -> MadeToken:
    """Make a token; it is shown in this answer and never again."""
    return MadeToken(token=house.access.add(wanted.name, wanted.role, actor.name))


@router.delete("/tokens/{token_id}", status_code=204, tags=["tokens"])
def revoke_token(actor: Admin, house: House, token_id: Annotated[str, InPath(pattern="^[0-9a-f]{12}$")]) -> None:
    """Revoke a token and end its browser sessions."""
    house.access.revoke(token_id, actor.name)


@router.post("/session", tags=["session"])
def sign_in(house: House, request: Request, response: Response, given: SignIn) -> SessionAnswer:
    """Start a browser session with a token; the answer sets a cookie that scripts cannot read."""
    session = house.access.sign_in(given.token, house.settings.session_hours)
    response.set_cookie(
        COOKIE,
        session.cookie,
        max_age=int(house.settings.session_hours * 3600),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return SessionAnswer.of(session)


@router.get("/session", tags=["session"])
def session(house: House, request: Request) -> SessionAnswer:
    """Say who is signed in with this cookie."""
    cookie = request.cookies.get(COOKIE)
    if cookie is None:
        raise UnauthenticatedError("Nobody is signed in. Sign in with a token.")
    return SessionAnswer.of(house.access.signed_in(cookie))


@router.delete("/session", status_code=204, tags=["session"])
def sign_out(house: House, request: Request, response: Response) -> None:
    """End the browser session."""
    house.access.sign_out(request.cookies.get(COOKIE, ""))
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")


@router.get("/audit", tags=["audit"])
def audit(
    actor: Admin,
    house: House,
    subject: Annotated[str, Query(max_length=128)] = "",
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    verify: Annotated[bool, Query(description="Check every link of the chain; takes longer the longer it is.")] = False,
) -> AuditPage:
    """Give the audit trail, newest entry first."""
    wanted = [AuditEntry.subject == subject.replace("\x00", "")] if subject else []
    with house.database.session(write=False) as session:
        total = session.scalar(select(func.count()).select_from(AuditEntry).where(*wanted)) or 0
        rows = session.scalars(
            select(AuditEntry).where(*wanted).order_by(AuditEntry.seq.desc()).offset(offset).limit(limit)
        ).all()
    verdict = house.audit.verify() if verify else None
    return AuditPage(
        total=total,
        holds=None if verdict is None else verdict.holds,
        head=None if verdict is None else verdict.head,
        entries=[AuditAnswer.of(row) for row in rows],
    )


@watching.get("/healthz")
def health() -> dict[str, str]:
    """Say that the process lives."""
    return {"status": "ok", "cacseg": __version__, "notice": NOT_A_DEVICE}


@watching.get("/readyz", responses={503: {"description": "Not ready; the answer says which part is not."}})
def ready(house: House, request: Request) -> JSONResponse:
    """Say whether studies can be taken in and scored."""
    with house.database.session(write=False) as session:
        session.execute(text("SELECT 1"))
    parts = {
        "database": True,
        "disk": shutil.disk_usage(house.settings.scratch).free >= house.settings.min_free_bytes,
        "workers": house.settings.workers == 0 or bool(request.app.state.background.workers.pids),
    }
    return JSONResponse({"ready": all(parts.values()), **parts}, 200 if all(parts.values()) else 503)


@watching.get("/metrics", response_class=Response)
def metrics(request: Request) -> Response:
    """Give figures for Prometheus; there is no patient in them."""
    return Response(request.app.state.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
