"""A document, such as a FHIR bundle or an ORU message, to a folder, an http(s) address or an MLLP port."""

import os
import socket
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx

from cacseg.service.errors import DeliveryError

TIMEOUT_S: Final = 30.0

START: Final = b"\x0b"
END: Final = b"\x1c\r"
"""Frame of a message (HL7 Minimal Lower Layer Protocol, release 1)."""

LONGEST_ANSWER: Final = 1024**2
ACCEPTED: Final = (b"AA", b"CA")
"""Acknowledgement codes of a message that was taken (HL7 table 0008)."""


def send_document(path: Path, target: str, name: str, media_type: str) -> None:
    """Hand over one document.

    Parameters
    ----------
    path : the document; where it was not written, as for a refused study, nothing is sent.
    target : folder, ``http(s)://`` address, or ``mllp://host:port``.
    name : of the file in a folder, without its suffix.

    Raises
    ------
    DeliveryError : it was not taken.
    """
    if not path.is_file():
        return
    scheme = urlsplit(target).scheme
    if scheme in ("http", "https"):
        _post(path.read_bytes(), target, media_type)
    elif scheme == "mllp":
        _send_mllp(path.read_bytes(), target)
    else:
        _put(path.read_bytes(), Path(target), name + "".join(path.suffixes))


def _put(content: bytes, folder: Path, name: str) -> None:
    """Write a file that a watcher of the folder never sees half of."""
    partial = folder / f".{name}.part"
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(folder / name)
    except OSError as error:
        raise DeliveryError(
            f"{name} cannot be written to {folder} ({error.strerror}). Make the folder writable for this service."
        ) from error


def _post(content: bytes, url: str, media_type: str) -> None:
    try:
        answer = httpx.post(url, content=content, headers={"Content-Type": media_type}, timeout=TIMEOUT_S)
    except httpx.HTTPError as error:
        raise DeliveryError(f"{url} does not answer ({type(error).__name__}: {error}).") from error
    if not answer.is_success:
        raise DeliveryError(f"{url} answered {answer.status_code}, expected 200 to 299. See its log.")


def _send_mllp(content: bytes, target: str) -> None:
    parts = urlsplit(target)
    if parts.hostname is None or parts.port is None:
        raise DeliveryError(f"{target!r} is no MLLP address; expected mllp://host:port.")
    try:
        with socket.create_connection((parts.hostname, parts.port), timeout=TIMEOUT_S) as connection:
            connection.sendall(START + content + END)
            answer = _answer(connection)
    except OSError as error:
        raise DeliveryError(f"{target} does not answer ({type(error).__name__}: {error}).") from error
    codes = [segment.split(b"|")[1:2] for segment in answer.split(b"\r") if segment.startswith(b"MSA|")]
    if not codes or codes[0][0] not in ACCEPTED:
        found = codes[0][0].decode("ascii", "replace") if codes else "nothing"
        raise DeliveryError(f"{target} acknowledged with {found}, expected AA or CA. See its log.")


def _answer(connection: socket.socket) -> bytes:
    answer = b""
    while END not in answer and len(answer) < LONGEST_ANSWER:
        chunk = connection.recv(65536)
        if not chunk:
            break
        answer += chunk
    return answer.removeprefix(START).removesuffix(END)
