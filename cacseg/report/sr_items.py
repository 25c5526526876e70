"""Content items of a structured report (PS3.3 C.17.3, C.18), each as the encoded elements of one item."""

import struct
from collections.abc import Iterable
from typing import Final, Literal

from pydicom.dataset import Dataset

from cacseg.report import dicom_encoding as enc
from cacseg.report.codes import Code
from cacseg.report.contours import Contour
from cacseg.report.dicom_header import decimal_string

Relation = Literal[
    "CONTAINS", "HAS PROPERTIES", "HAS OBS CONTEXT", "HAS ACQ CONTEXT", "HAS CONCEPT MOD", "SELECTED FROM"
]
Item = bytes

METHOD: Final = Code("370129005", "SCT", "Measurement Method")
SITE: Final = Code("363698007", "SCT", "Finding Site")
FINDING: Final = Code("121071", "DCM", "Finding")
FINDING_CATEGORY: Final = Code("276214006", "SCT", "Finding category")
TRACKING_ID: Final = Code("112039", "DCM", "Tracking Identifier")
TRACKING_UID: Final = Code("112040", "DCM", "Tracking Unique Identifier")
MEASUREMENT_GROUP: Final = Code("125007", "DCM", "Measurement Group")
IMAGE_REGION: Final = Code("111030", "DCM", "Image Region")
SOURCE: Final = Code("260753009", "SCT", "Source")
REFERENCED_SEGMENT: Final = Code("121191", "DCM", "Referenced Segment")
SOURCE_SERIES: Final = Code("121232", "DCM", "Source series for segmentation")


def container(relation: Relation, name: Code, children: Iterable[Item], template: str | None = None) -> Item:
    """Make a container; ``template`` is the TID it follows (PS3.16)."""
    continuity = enc.text(0x0040A050, b"CS", "SEPARATE")
    return _item(relation, "CONTAINER", name, continuity + template_element(template), children)


def template_element(template: str | None) -> bytes:
    """Encode the Content Template Sequence, or nothing."""
    if template is None:
        return b""
    item = enc.text(0x00080105, b"CS", "DCMR") + enc.text(0x0040DB00, b"CS", template)
    return enc.sequence(0x0040A504, [item])


def content_sequence(children: Iterable[Item]) -> bytes:
    """Encode the Content Sequence, or nothing."""
    items = list(children)
    return enc.sequence(0x0040A730, items) if items else b""


def text(relation: Relation, name: Code, value: str, children: Iterable[Item] = ()) -> Item:
    """Make a text item."""
    return _item(relation, "TEXT", name, enc.text(0x0040A160, b"UT", value), children)


def code(relation: Relation, name: Code, value: Code, children: Iterable[Item] = ()) -> Item:
    """Make a coded item."""
    return _item(relation, "CODE", name, enc.sequence(0x0040A168, [enc.code(value)]), children)


def uid(relation: Relation, name: Code, value: str) -> Item:
    """Make a UID item."""
    return _item(relation, "UIDREF", name, enc.text(0x0040A124, b"UI", value))


def person(relation: Relation, name: Code, value: str) -> Item:
    """Make a person name item."""
    return _item(relation, "PNAME", name, enc.text(0x0040A123, b"PN", value))


def measurement(
    name: Code, value: float, unit: Code, children: Iterable[Item] = (), relation: Relation = "CONTAINS"
) -> Item:
    """Make a numeric item; the exact value stands beside the 16 characters of its decimal string."""
    measured = (
        enc.sequence(0x004008EA, [enc.code(unit)])
        + enc.element(0x0040A161, b"FD", struct.pack("<d", value))
        + enc.text(0x0040A30A, b"DS", decimal_string(value))
    )
    return _item(relation, "NUM", name, enc.sequence(0x0040A300, [measured]), children)


def image(relation: Relation, name: Code | None, source: Dataset, segment: int | None = None) -> Item:
    """Make an image reference, to one segment of a segmentation where ``segment`` is given."""
    referenced = enc.instance_reference(source)
    if segment is not None:
        referenced += enc.element(0x0062000B, b"US", struct.pack("<H", segment))
    return enc.sequence(0x00081199, [referenced]) + _item(relation, "IMAGE", name, b"")


def region(contour: Contour, source: Dataset) -> Item:
    """Make a closed polyline on one source image, in image-relative coordinates."""
    values = [float(value) for vertex in contour.vertices for value in vertex]
    children = [image("SELECTED FROM", SOURCE, source)]
    graphic = enc.element(0x00700022, b"FL", struct.pack(f"<{len(values)}f", *values))
    graphic += enc.text(0x00700023, b"CS", "POLYLINE")
    return _item("CONTAINS", "SCOORD", IMAGE_REGION, b"", children) + graphic


def _item(relation: Relation, kind: str, name: Code | None, value: bytes, children: Iterable[Item] = ()) -> Item:
    """Put an item together; ``value`` holds elements between Concept Name and Content Sequence."""
    head = enc.text(0x0040A010, b"CS", relation) + enc.text(0x0040A040, b"CS", kind)
    title = b"" if name is None else enc.sequence(0x0040A043, [enc.code(name)])
    return head + title + value + content_sequence(children)
