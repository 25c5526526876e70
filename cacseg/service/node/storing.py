"""C-STORE: one object to a scratch file as it was sent, then to the inbox, then a status that says what became of it.

Success is answered when the object is on the disk and in the index, never before.
"""

import logging
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from pydicom import Dataset, dcmread
from pydicom.filewriter import write_file_meta_info
from pynetdicom.dsutils import create_file_meta

from cacseg.service.errors import BusyError, ConflictError, NotDicomFileError, StorageFullError, TooLargeError
from cacseg.service.inbox import Inbox
from cacseg.service.node.contexts import IMAGES
from cacseg.service.node.open_associations import OpenAssociation
from cacseg.service.worker import where
from cacseg.study import tags

log = logging.getLogger("cacseg.service.node")

SUCCESS: Final = 0x0000
PROCESSING_FAILURE: Final = 0x0110
OUT_OF_RESOURCES: Final = 0xA700
OTHER_OBJECT: Final = 0xA900
CANNOT_UNDERSTAND: Final = 0xC000
KEPT_EARLIER: Final = 0xB000
NOT_KEPT: Final = 0xB006
"""Statuses of C-STORE (PS3.4 B.2.3, PS3.7 annex C); B006 is a warning, "elements discarded"."""

COMMENT_LENGTH: Final = 64
"""Longest ErrorComment (0000,0902), VR LO."""


@dataclass(frozen=True, slots=True)
class Request:
    """One C-STORE request.

    Parameters
    ----------
    sop_class, sop_instance : UIDs that its command names.
    syntax : transfer syntax of its association's context.
    content : the data set as it was sent.
    peer : calling AE title.
    """

    sop_class: str
    sop_instance: str
    syntax: str
    content: BinaryIO
    peer: str


def store(request: Request, association: OpenAssociation, inbox: Inbox, scratch: Path) -> Dataset:
    """Keep one object and give the status.

    Parameters
    ----------
    association : notes on the association that it came by; the study is added to them.
    scratch : folder on the file system of the inbox.
    """
    if request.sop_class not in IMAGES:
        return _status(NOT_KEPT, "Not a CT image; not kept, not needed")
    path = scratch / f"{uuid.uuid4().hex}.part"
    try:
        return _keep(request, association, inbox, path)
    except Exception as error:  # whatever it is, the peer must not take the object for stored
        return _answer(error)
    finally:
        path.unlink(missing_ok=True)


def _keep(request: Request, association: OpenAssociation, inbox: Inbox, path: Path) -> Dataset:
    _write(request, path)
    study = _checked(request, path)
    if study not in association.begun:
        inbox.check_room()
    stored = inbox.put(path, f"dicom:{request.peer}", request.peer)
    association.begun.add(stored.study_instance_uid)
    association.study_id = stored.study_id
    return _status(SUCCESS)


class _OtherObjectError(Exception):
    """Command and data set name different objects."""


_ANSWERS: Final[tuple[tuple[type[Exception], int, str], ...]] = (
    (BusyError, OUT_OF_RESOURCES, "Too much is waiting; send again later"),
    (StorageFullError, OUT_OF_RESOURCES, "The disk is full; send again later"),
    (TooLargeError, OUT_OF_RESOURCES, "The object is larger than this service takes"),
    (ConflictError, OUT_OF_RESOURCES, "The study is being deleted; send it again"),
    (_OtherObjectError, OTHER_OBJECT, "The data set is another object than the command names"),
    (NotDicomFileError, CANNOT_UNDERSTAND, "The data set is damaged or lacks a valid UID"),
    (OSError, OUT_OF_RESOURCES, "The object could not be written; send again later"),
    (Exception, PROCESSING_FAILURE, "A fault of cacseg; see its log"),
)
"""Status for what went wrong, the first that fits; no comment quotes the object."""


def _answer(error: Exception) -> Dataset:
    """Turn what went wrong into a status."""
    if isinstance(error, ConflictError) and error.instances:
        return _status(KEPT_EARLIER, "Kept earlier with another content; the first one stays")
    log.warning("object not kept", extra={"fault": where(error)})
    code, comment = next((code, comment) for kind, code, comment in _ANSWERS if isinstance(error, kind))
    return _status(code, comment)


def _write(request: Request, path: Path) -> None:
    """Write a Part-10 file; the same object by the same syntax gives the same bytes, whoever sends it."""
    meta = create_file_meta(
        sop_class_uid=request.sop_class, sop_instance_uid=request.sop_instance, transfer_syntax=request.syntax
    )
    request.content.seek(0)
    with path.open("xb") as file:
        file.write(b"\0" * 128 + b"DICM")
        write_file_meta_info(file, meta)
        while chunk := request.content.read(1024**2):
            file.write(chunk)


def _checked(request: Request, path: Path) -> str | None:
    """Compare the object with its command and give its StudyInstanceUID."""
    wanted: Any = ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID"]
    try:
        header = dcmread(path, stop_before_pixels=True, specific_tags=wanted)
        named = (tags.text(header, "SOPClassUID"), tags.text(header, "SOPInstanceUID"))
        study = tags.text(header, "StudyInstanceUID")
    except (*tags.MALFORMED, OSError, RecursionError, MemoryError) as error:
        raise NotDicomFileError(
            f"The data set of {request.sop_instance} is damaged ({type(error).__name__})."
        ) from None
    if None not in named and named != (request.sop_class, request.sop_instance):
        raise _OtherObjectError
    return study


def _status(code: int, comment: str = "") -> Dataset:
    status = Dataset()
    status.Status = code
    if comment:
        status.ErrorComment = comment[:COMMENT_LENGTH]
    return status
