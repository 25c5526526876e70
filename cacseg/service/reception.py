"""One file as it comes in: streamed to scratch with a limit, its header checked, on the disk for good."""

import hashlib
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from pydicom import Dataset

from cacseg.service.errors import NotDicomFileError, TooLargeError
from cacseg.service.settings import Settings
from cacseg.study import tags
from cacseg.study.files import FoundFile
from cacseg.study.header import DamagedFileError, DicomFile, NotDicomError, read_header

CHUNK_BYTES: Final = 1024**2
UID: Final = re.compile(r"[0-9.]{1,64}")
"""Characters and length of a DICOM UID (PS3.5 9.1)."""

META_START: Final = 132
META_LENGTH: Final = b"\x02\x00\x00\x00UL\x04\x00"
"""Where the file meta group begins, and its first element: its length, as explicit little-endian UL."""


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """One checked file in the scratch folder, and what the index is told of it.

    Parameters
    ----------
    sha256 : of the data set, the bytes after the file meta group, which every sender writes in its own way.
    size : of the whole file in bytes.
    patient : columns ``patient_id``, ``patient_name``, ``study_date`` and ``accession`` of a study.
    """

    path: Path
    sha256: str
    size: int
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    patient: dict[str, str | None]


def receive(source: Path | BinaryIO, target: Path, settings: Settings) -> ReceivedFile:
    """Bring one file to a place in the scratch folder and read its header.

    Parameters
    ----------
    source : a stream or a file, both copied; a file that lies in scratch is moved.

    Raises
    ------
    NotDicomFileError : no DICOM object with study, series and instance UID, or a truncated one.
    TooLargeError : more bytes than the settings allow.
    """
    if not isinstance(source, Path):
        _copy(source, target, settings)
    elif source.is_relative_to(settings.scratch):
        source.rename(target)
    else:
        with source.open("rb") as stream:
            _copy(stream, target, settings)
    with warnings.catch_warnings():  # pydicom quotes malformed values in its warnings
        warnings.simplefilter("ignore")
        return _checked(target)


def data_set_digest(path: Path) -> str:
    """Give the SHA-256 of what follows the file meta group (PS3.10 7.1); of the whole file where it has none."""
    with path.open("rb") as stream:
        head = stream.read(META_START + 12)
        grouped = head[META_START - 4 : META_START] == b"DICM" and head[META_START:][:8] == META_LENGTH
        stream.seek(META_START + 12 + int.from_bytes(head[-4:], "little") if grouped else 0)
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _copy(stream: BinaryIO, target: Path, settings: Settings) -> None:
    limit = settings.max_upload_mb * 1024**2
    size = 0
    with target.open("xb") as sink:
        while chunk := stream.read(CHUNK_BYTES):
            size += len(chunk)
            if size > limit:
                raise TooLargeError(f"The file is larger than {limit} bytes, the most this service takes.")
            sink.write(chunk)


def _checked(path: Path) -> ReceivedFile:
    size = path.stat().st_size
    try:
        file = read_header(FoundFile(path.name, path))
    except NotDicomError:
        raise NotDicomFileError("The file is no DICOM object. Send DICOM Part-10 files.") from None
    except DamagedFileError as error:
        raise NotDicomFileError(f"The DICOM file is damaged: {error}. Send it again.") from error
    instance = _uid(file.header, "SOPInstanceUID")
    _check_whole(file, instance, size)
    header = file.header
    return ReceivedFile(
        path=path,
        sha256=data_set_digest(path),
        size=size,
        study_instance_uid=_uid(header, "StudyInstanceUID"),
        series_instance_uid=_uid(header, "SeriesInstanceUID"),
        sop_instance_uid=instance,
        patient={
            "patient_id": tags.text(header, "PatientID"),
            "patient_name": _name(header),
            "study_date": (tags.text(header, "StudyDate") or "")[:64] or None,
            "accession": tags.text(header, "AccessionNumber"),
        },
    )


def _uid(header: Dataset, keyword: str) -> str:
    uid = tags.text(header, keyword)
    if uid is None or UID.fullmatch(uid) is None:
        found = "none" if uid is None else "one with other characters or too long"
        raise NotDicomFileError(
            f"The DICOM file has no valid {keyword}: found {found}, expected at most 64 digits and dots. Send objects "
            "as the scanner made them."
        )
    return uid


def _name(header: Dataset) -> str | None:
    """Give the patient's name as it stands, its groups and components unparsed."""
    value = tags.raw(header, "PatientName")
    return None if value is None else str(value).replace("\x00", "").strip() or None


def _check_whole(file: DicomFile, instance: str, size: int) -> None:
    if file.pixel_offset is None or file.pixel_bytes is None:
        return
    expected = file.pixel_offset + file.pixel_bytes
    if size < expected:
        raise NotDicomFileError(
            f"Instance {instance} is truncated: {size} bytes, expected at least {expected}. Send it again."
        )
