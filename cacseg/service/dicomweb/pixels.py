"""WADO-RS of pixels (PS3.18 sections 10.4.1.1.2 and 10.4.1.1.3): frames as stored, and pictures for people.

Frames are given of every object that has some; rendered are the captures, as PNG or JPEG, and the encapsulated
report, as its PDF. What else there is (segmentations, structured reports) is not rendered: that is a viewer's work.
"""

import io
from typing import Annotated, Any, Final

import numpy as np
from fastapi import HTTPException, Request, Response
from fastapi import Path as InPath
from PIL import Image
from pydicom import FileDataset, dcmread
from pydicom.uid import EncapsulatedPDFStorage, SecondaryCaptureImageStorage

from cacseg.service.access import Actor
from cacseg.service.dicomweb.made_objects import instance_of
from cacseg.service.dicomweb.negotiation import (
    ANY_SYNTAX,
    OCTETS,
    ONE_OBJECT,
    Address,
    House,
    OneObject,
    Reader,
    accepts,
    multipart,
    need,
    new_router,
)
from cacseg.service.dicomweb.retrieve import note_read
from cacseg.service.errors import NotFoundError
from cacseg.service.services import Services

JPEG: Final = "image/jpeg"
PNG: Final = "image/png"
PDF: Final = "application/pdf"
QUALITY: Final = 92

FrameList = Annotated[str, InPath(pattern=r"^[1-9][0-9]{0,5}(,[1-9][0-9]{0,5}){0,999}$", description="numbers from 1")]

router = new_router()
FRAMES: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The frames, uncompressed.", "content": {f'multipart/related; type="{OCTETS}"': {}}},
    404: {"description": "There is no such object or frame."},
    406: {"description": "The frames are not kept in a form that the request accepts."},
}
RENDERED: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The picture, or the PDF.", "content": {JPEG: {}, PNG: {}, PDF: {}}},
    404: {"description": "There is no such object or frame."},
    406: {"description": "The object is not rendered here, or not in a form that the request accepts."},
}


@router.get(ONE_OBJECT + "/frames/{frames}", responses=FRAMES)
def some_frames(request: Request, actor: Reader, house: House, at: OneObject, frames: FrameList) -> Response:
    """Give frames of an object, each a part: pixels as they are stored, a bitmap packed anew for each frame."""
    syntax = need(request.headers.get("accept"), [OCTETS]).get("transfer-syntax", ANY_SYNTAX)
    found = _opened(house, actor, at)
    kept = found.file_meta.TransferSyntaxUID
    if syntax not in (ANY_SYNTAX, kept):
        raise HTTPException(406, f"The frames are kept as {kept}; accept that or transfer-syntax=*.")
    wanted = [_frame(found, int(number)) for number in frames.split(",")]
    return multipart(wanted, OCTETS, f"; transfer-syntax={kept}")


@router.get(ONE_OBJECT + "/rendered", responses=RENDERED)
def rendered(request: Request, actor: Reader, house: House, at: OneObject) -> Response:
    """Give an object for people to look at; a capture as it is, whatever size of window is asked for."""
    return _rendered(request, _opened(house, actor, at))


@router.get(ONE_OBJECT + "/frames/{frame}/rendered", responses=RENDERED)
def rendered_frame(
    request: Request, actor: Reader, house: House, at: OneObject, frame: Annotated[int, InPath(ge=1, le=10**6)]
) -> Response:
    """Give one frame for people to look at; captures have one each."""
    found = _opened(house, actor, at)
    _frame(found, frame)
    return _rendered(request, found)


def _opened(house: Services, actor: Actor, at: Address) -> FileDataset:
    """Read an object, and write down who did."""
    made = instance_of(house, at)
    note_read(house, actor, at.study, [made])
    return dcmread(made.form.path)


def _frame(found: FileDataset, number: int) -> bytes:
    """Cut one frame out of the pixels; every object made here keeps them uncompressed (PS3.5 8.1.1, 8.2)."""
    count = int(found.get("NumberOfFrames", 1))
    if "PixelData" not in found or number > count:
        raise NotFoundError(f"The object {found.SOPInstanceUID} has no frame {number}.")
    bits = found.Rows * found.Columns * found.SamplesPerPixel * found.BitsAllocated
    first, last = (number - 1) * bits, number * bits
    stored: bytes = found.PixelData
    if first % 8 == last % 8 == 0:
        return stored[first // 8 : last // 8]
    span = np.frombuffer(stored[first // 8 : (last + 7) // 8], np.uint8)
    single = np.unpackbits(span, bitorder="little")[first % 8 : first % 8 + bits]
    return np.packbits(single, bitorder="little").tobytes()


def _rendered(request: Request, found: FileDataset) -> Response:
    asked = request.headers.get("accept")
    if found.SOPClassUID == EncapsulatedPDFStorage:
        need(asked, [PDF])
        length = found.get("EncapsulatedDocumentLength", len(found.EncapsulatedDocument))
        return Response(found.EncapsulatedDocument[:length], media_type=PDF)
    if found.SOPClassUID != SecondaryCaptureImageStorage:
        raise HTTPException(
            406, f"Objects of modality {found.Modality} are not rendered here; open them in a viewer of their kind."
        )
    need(asked, [JPEG, PNG])
    picture = Image.frombytes("RGB", (found.Columns, found.Rows), _frame(found, 1))
    kind, options = (PNG, {}) if _before(asked, PNG, JPEG) else (JPEG, {"quality": QUALITY, "subsampling": 0})
    content = io.BytesIO()
    picture.save(content, kind.partition("/")[2], **options)
    return Response(content.getvalue(), media_type=kind)


def _before(asked: str | None, one: str, default: str) -> bool:
    """Say whether a media type is asked for rather than the default one: it is accepted first, or alone."""
    for offer in (asked or default).split(","):
        if accepts(offer, [default]) is not None:
            return False
        if accepts(offer, [one]) is not None:
            return True
    return False
