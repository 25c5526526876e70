"""An archive reached by STOW-RS (PS3.18 section 10.5)."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpx

from cacseg.service.errors import DeliveryError
from cacseg.service.node.server import client_context
from cacseg.service.sending.archive import DicomForm
from cacseg.service.settings import ArchiveSettings

CONNECT_S: Final = 10.0
ANSWER_S: Final = 60.0

FAILED: Final = "00081198"
REASON: Final = "00081197"
DUPLICATE: Final = 0x0111
"""Failure reason of an object that the archive has already."""

CHUNK_BYTES: Final = 1024**2


class StowSender:
    """A client of one archive; each object goes in a request of its own, so that each has its own outcome."""

    def __init__(self, client: httpx.Client, url: str) -> None:
        self._client = client
        self._url = url.rstrip("/")

    def store(self, form: DicomForm) -> None:
        """Send one object.

        Raises
        ------
        DeliveryError : it was refused, or the archive does not answer.
        """
        boundary = uuid.uuid4().hex
        head = f'--{boundary}\r\nContent-Type: application/dicom; transfer-syntax="{form.syntax}"\r\n\r\n'.encode()
        tail = f"\r\n--{boundary}--\r\n".encode()
        fields = {
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
            "Accept": "application/dicom+json",
            "Content-Length": str(len(head) + form.path.stat().st_size + len(tail)),
        }
        try:
            answer = self._client.post(f"{self._url}/studies", content=_body(head, form, tail), headers=fields)
        except httpx.HTTPError as error:
            raise DeliveryError(
                f"The archive {self._url} does not answer ({type(error).__name__}: {error})."
            ) from error
        reasons = _reasons(answer)
        if answer.status_code not in (200, 202, 409) or (answer.status_code == 409 and not reasons):
            raise DeliveryError(
                f"The archive {self._url} answered {answer.status_code} for {form.sop_instance}, expected 200. Check "
                "its address and the token."
            )
        refused = [f"{reason:04X}" for reason in reasons if reason != DUPLICATE]
        if refused:
            raise DeliveryError(
                f"The archive {self._url} refused {form.sop_instance} (failure reason {', '.join(refused)}, PS3.18 "
                "annex I). See its log."
            )


@contextmanager
def stow_sender(archive: ArchiveSettings) -> Iterator[StowSender]:
    """Open a client.

    Raises
    ------
    DeliveryError : the settings give no address.
    """
    if archive.url is None:
        raise DeliveryError("The archive of kind 'stow' has no 'url' in the settings; give its DICOMweb address.")
    fields = {} if archive.token is None else {"Authorization": f"Bearer {archive.token.get_secret_value()}"}
    verify: Any = True if archive.tls is None else client_context(archive.tls)
    timeout = httpx.Timeout(ANSWER_S, connect=CONNECT_S)
    with httpx.Client(headers=fields, verify=verify, timeout=timeout) as client:
        yield StowSender(client, archive.url)


def _body(head: bytes, form: DicomForm, tail: bytes) -> Iterator[bytes]:
    yield head
    with form.path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
    yield tail


def _reasons(answer: httpx.Response) -> list[int]:
    """Give the failure reasons of an answer; none where it has no such list."""
    try:
        items = answer.json().get(FAILED, {}).get("Value", [])
        return [int(item.get(REASON, {}).get("Value", [0])[0]) for item in items]
    except (ValueError, AttributeError, TypeError, IndexError):
        return []
