"""Read the header of one DICOM file quickly, without its pixels."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO, Final

from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from cacseg.study import tags
from cacseg.study.files import FoundFile

PREAMBLE_BYTES: Final = 128
"""Length of the preamble before the letters DICM (PS3.10 7.1)."""

_PIXEL_TAGS: Final = (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10")
_LONG_VRS: Final = (b"OB", b"OW", b"UN")
_UNDEFINED_LENGTH: Final = 0xFFFFFFFF
_BARE_STARTS: Final = (b"\x02\x00", b"\x08\x00", b"\x00\x02", b"\x00\x08")
_DAMAGE: Final = (*tags.MALFORMED, OSError, RecursionError, MemoryError)


class NotDicomError(Exception):
    """The file is not DICOM at all: a stray file."""


class DamagedFileError(Exception):
    """The file claims to be DICOM but cannot be read; the text says why, without patient data."""


@dataclass(frozen=True, slots=True, eq=False)
class DicomFile:
    """One DICOM object: where it lies, its header, and where its pixels start.

    Parameters
    ----------
    found : path and shown name.
    header : every element before the pixels.
    pixel_offset, pixel_bytes : position and length of an uncompressed PixelData value in the file; ``None``
        when the pixels are absent, encapsulated, or inside a deflated stream.
    """

    found: FoundFile
    header: Dataset
    pixel_offset: int | None
    pixel_bytes: int | None

    @property
    def transfer_syntax(self) -> str:
        """Transfer syntax UID; what pydicom found in the stream where the file does not say."""
        meta = getattr(self.header, "file_meta", None)
        declared = None if meta is None else tags.text(meta, "TransferSyntaxUID")
        if declared:
            return declared
        implicit, little = self.header.original_encoding
        if not little:
            return str(ExplicitVRBigEndian)
        return str(ImplicitVRLittleEndian) if implicit else "1.2.840.10008.1.2.1"

    @property
    def sop_instance_uid(self) -> str | None:
        """SOPInstanceUID (0008,0018)."""
        return tags.text(self.header, "SOPInstanceUID")


def read_header(found: FoundFile) -> DicomFile:
    """Read everything before the pixels.

    Raises
    ------
    NotDicomError : the file is something else.
    DamagedFileError : it is DICOM but cut off or malformed.
    """
    try:
        with found.path.open("rb") as stream:
            start = stream.read(PREAMBLE_BYTES + 4)
            marked = start[PREAMBLE_BYTES:] == b"DICM"
            if not marked and not start.startswith(_BARE_STARTS):
                raise NotDicomError
            stream.seek(0)
            header = dcmread(stream, force=not marked, stop_before_pixels=True)
            if not marked and not _is_object(header):
                raise NotDicomError
            offset, length = _pixel_value(stream, header)
    except _DAMAGE as error:
        if isinstance(error, PermissionError):
            raise DamagedFileError("permission denied") from error
        raise DamagedFileError(f"header cannot be parsed ({type(error).__name__})") from error
    except Exception as error:
        if isinstance(error, NotDicomError):
            raise
        raise DamagedFileError(f"header cannot be parsed ({type(error).__name__})") from error
    if not _is_object(header):
        raise DamagedFileError("no attribute of an image or a document is left in it")
    return DicomFile(found, header, offset, length)


def _is_object(header: FileDataset) -> bool:
    keywords: Iterable[str] = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "Modality", "Rows")
    return (
        any(tags.raw(header, keyword) not in (None, "") for keyword in keywords) or "DirectoryRecordSequence" in header
    )


def _pixel_value(stream: BinaryIO, header: FileDataset) -> tuple[int | None, int | None]:
    """Parse the element header of PixelData, at which pydicom has stopped."""
    meta = getattr(header, "file_meta", None)
    if meta is not None and tags.text(meta, "TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        return None, None
    head = stream.read(12)
    if len(head) < 8 or not head.startswith(_PIXEL_TAGS):
        return None, None
    implicit, little = header.original_encoding
    order = "little" if little else "big"
    long_form = not implicit and head[4:6] in _LONG_VRS
    length = int.from_bytes(head[8:12] if long_form else head[4:8], order)  # type: ignore[arg-type]
    if length == _UNDEFINED_LENGTH:
        return None, None
    return stream.tell() - len(head) + (12 if long_form else 8), length
