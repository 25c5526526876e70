"""What a client accepts, and what an answer in DICOM JSON looks like (PS3.18 section 8.7)."""

import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, HTTPException, Response
from fastapi import Path as InPath

from cacseg.service.access import Actor, require
from cacseg.service.services import Services, services_of

Uid = Annotated[str, InPath(pattern=r"^[0-9.]{1,64}$", description="a DICOM UID")]
Reader = Annotated[Actor, Depends(require("read"))]
Sender = Annotated[Actor, Depends(require("send"))]
House = Annotated[Services, Depends(services_of)]


@dataclass(frozen=True, slots=True)
class Address:
    """UIDs of one object, as the path of a request names them."""

    study: Uid
    series: Uid
    instance: Uid


OneObject = Annotated[Address, Depends(Address)]
ONE_OBJECT: Final = "/studies/{study}/series/{series}/instances/{instance}"

JSON: Final = "application/dicom+json"
DICOM: Final = "application/dicom"
OCTETS: Final = "application/octet-stream"
ANY_SYNTAX: Final = "*"


def new_router() -> APIRouter:
    """Make the router of one part; it bears the whole prefix itself, so that the log tells whole route templates."""
    return APIRouter(prefix="/dicomweb", tags=["DICOMweb"])


def accepts(header: str | None, wanted: Sequence[str]) -> dict[str, str] | None:
    """Give the parameters of the first accepted media type that fits, ``None`` where none does.

    Parameters
    ----------
    header : value of ``Accept``; everything is accepted where it is absent.
    wanted : media types; for ``multipart/related`` the type of its parts.

    Examples
    --------
    >>> accepts('multipart/related; type="application/dicom"; transfer-syntax=*', ["application/dicom"])
    {'type': 'application/dicom', 'transfer-syntax': '*'}
    >>> accepts("text/html", ["application/dicom"]) is None
    True
    """
    for offer in (header or "*/*").split(","):
        kind, _, rest = offer.strip().partition(";")
        pairs = (each.strip().partition("=") for each in rest.split(";") if each.strip())
        parameters = {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}
        kind = kind.strip().lower()
        if kind == "multipart/related":
            kind = parameters.get("type", "*/*")
        group = kind.partition("/")[0] + "/*"
        if kind in ("*/*", *wanted) or (kind.endswith("/*") and any(each.startswith(group[:-1]) for each in wanted)):
            return parameters
    return None


def need(header: str | None, wanted: Sequence[str]) -> dict[str, str]:
    """Give the parameters of what is accepted.

    Raises
    ------
    HTTPException : 406, nothing that is wanted is accepted.
    """
    found = accepts(header, wanted)
    if found is None:
        raise HTTPException(406, f"This answers with {' or '.join(wanted)}; the request accepts something else.")
    return found


def dicom_json(
    datasets: Iterable[dict[str, Any]], status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """Make an answer of several data sets."""
    return Response(json.dumps(list(datasets), allow_nan=False), status, headers, JSON)


def multipart(parts: Iterable[bytes], media_type: str, parameters: str = "") -> Response:
    """Make an answer of several parts of one media type.

    Parameters
    ----------
    parameters : of the media type of each part, such as ``; transfer-syntax=1.2.840.10008.1.2.1``.
    """
    boundary = uuid.uuid4().hex
    head = part_head(boundary, media_type + parameters)
    body = b"".join(head + part + b"\r\n" for part in parts) + f"--{boundary}--\r\n".encode()
    return Response(body, media_type=f'multipart/related; type="{media_type}"; boundary={boundary}')


def part_head(boundary: str, media_type: str) -> bytes:
    """Make what stands before the content of a part."""
    return f"--{boundary}\r\nContent-Type: {media_type}\r\n\r\n".encode()
