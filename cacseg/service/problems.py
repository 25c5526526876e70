"""Errors as a client sees them: ``application/problem+json`` (RFC 9457), never a trace, never a patient's name."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException

from cacseg.errors import CacsegError, RefusedError, UnreadableError, UsageError
from cacseg.service.errors import (
    BusyError,
    ConflictError,
    ForbiddenError,
    LeaseLostError,
    NotDicomFileError,
    NotFoundError,
    StorageFullError,
    TooLargeError,
    UnauthenticatedError,
)
from cacseg.service.inbox import is_full
from cacseg.service.worker import where

log = logging.getLogger("cacseg.service.problems")

STATUS: Final[tuple[tuple[type[CacsegError], int], ...]] = (
    (NotFoundError, 404),
    (ConflictError, 409),
    (LeaseLostError, 409),
    (TooLargeError, 413),
    (NotDicomFileError, 415),
    (BusyError, 503),
    (StorageFullError, 507),
    (UnauthenticatedError, 401),
    (ForbiddenError, 403),
    (UsageError, 422),
    (RefusedError, 422),
    (UnreadableError, 422),
)
"""HTTP status of each error; the first that fits counts."""


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None, **further: Any) -> JSONResponse:
    """Make a problem document.

    Examples
    --------
    >>> problem(404, "There is no such study.").body
    b'{"type":"about:blank","title":"Not Found","status":404,"detail":"There is no such study."}'
    """
    content = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail, **further}
    return JSONResponse(content, status, dict(headers or {}), media_type="application/problem+json")


def status_of(error: CacsegError) -> int:
    """Give the HTTP status of an error; 500 for what is a fault of ours."""
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


def answer(error: CacsegError) -> JSONResponse:
    """Make the problem document of one of our errors."""
    status = status_of(error)
    if isinstance(error, BusyError):
        return problem(status, str(error), {"Retry-After": str(error.retry_after_s)})
    if isinstance(error, UnauthenticatedError):
        return problem(status, str(error), {"WWW-Authenticate": "Bearer"})
    if isinstance(error, ConflictError) and error.instances:
        return problem(status, str(error), instances=list(error.instances))
    return problem(status, str(error))


def add_problem_handlers(app: FastAPI) -> None:
    """Let an application answer every error with a problem document."""
    for kind in (CacsegError, HTTPException, RequestValidationError, OSError, OperationalError, Exception):
        app.add_exception_handler(kind, _answered)


def _answered(_request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, CacsegError):
        return answer(error)
    if isinstance(error, HTTPException):
        return problem(error.status_code, str(error.detail), error.headers)
    if isinstance(error, RequestValidationError):
        faults = [{"at": ".".join(map(str, each["loc"])), "fault": each["msg"]} for each in error.errors()]
        return problem(422, "The request does not fit the description in /api/openapi.json.", errors=faults)
    if is_full(error):
        return problem(507, "The disk is full; nothing of this was kept. Free space, then send again.")
    log.error("fault while answering", extra={"fault": where(error)})
    return problem(500, "This is a fault of cacseg, not of your request. Its place stands in the log of the service.")
