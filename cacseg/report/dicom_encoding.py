"""Bytes of DICOM elements, Explicit VR Little Endian (PS3.5 7.1.2), for the parts of an object that repeat a lot.

A structured report with many lesions and the frames of a segmentation are thousands of small elements; their
bytes are put together here and set at the end of what pydicom writes.
"""

import struct
from collections.abc import Iterable
from functools import cache
from typing import Final

from pydicom.dataset import Dataset

from cacseg.report.codes import Code

LONG_FORM: Final = frozenset((b"OB", b"OW", b"SQ", b"UN", b"UT"))
"""VRs with a 32-bit length after two reserved bytes (PS3.5 table 7.1-1)."""

ITEM: Final = struct.pack("<HH", 0xFFFE, 0xE000)


def element(tag: int, vr: bytes, value: bytes) -> bytes:
    r"""Encode one element; ``value`` is padded to even length.

    Examples
    --------
    >>> element(0x00080060, b"CS", b"SR")
    b'\x08\x00`\x00CS\x02\x00SR'
    """
    if len(value) % 2:
        value += b"\0" if vr in (b"UI", b"OB") else b" "
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr
    if vr in LONG_FORM:
        return head + struct.pack("<xxI", len(value)) + value
    return head + struct.pack("<H", len(value)) + value


def text(tag: int, vr: bytes, value: str) -> bytes:
    """Encode a text element in UTF-8 (Specific Character Set ISO_IR 192)."""
    return element(tag, vr, value.encode())


def sequence(tag: int, items: Iterable[bytes]) -> bytes:
    """Encode a sequence of items of defined length; each item is its encoded elements in order of tags."""
    return element(tag, b"SQ", b"".join(ITEM + struct.pack("<I", len(item)) + item for item in items))


@cache
def code(concept: Code) -> bytes:
    """Encode the item of a code sequence (PS3.3 8.8)."""
    return (
        text(0x00080100, b"SH", concept.value)
        + text(0x00080102, b"SH", concept.scheme)
        + text(0x00080104, b"LO", concept.meaning)
    )


def instance_reference(source: Dataset) -> bytes:
    """Encode class, instance and, where the source names one, frame of a reference (PS3.3 table 10-3)."""
    referred = text(0x00081150, b"UI", source.SOPClassUID) + text(0x00081155, b"UI", source.SOPInstanceUID)
    if "ReferencedFrameNumber" in source:
        referred += text(0x00081160, b"IS", str(source.ReferencedFrameNumber))
    return referred
