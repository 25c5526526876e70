"""Stored values to Hounsfield units: word layout, padding, rescale slice by slice."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from cacseg.study import tags
from cacseg.study.image import Image

FLOOR_HU: Final = -1024
"""Lowest value kept. Padding outside the field of view (-2000, -2048, -3024) and undershoot become this; no
tissue lies below air at -1000 HU, so no score depends on it."""

PADDING_BELOW_HU: Final = -900.0
PADDING_ABOVE_HU: Final = 4095.0
"""A declared padding value is believed when it stands for something outside tissue: below lung or above a 12-bit
CT's range. A PixelPaddingValue that would be tissue (0 HU, say) is left in place and reported."""

ALWAYS_LOSSY: Final = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51")
"""JPEG Baseline and Extended; syntaxes that may or may not lose are judged by LossyImageCompression."""

_INT16: Final = np.iinfo(np.int16)


@dataclass(frozen=True, slots=True, eq=False)
class Hounsfield:
    """HU of a stack, int16 where every value is whole, else float32; and codes of what was odd about it."""

    voxels: NDArray[np.int16] | NDArray[np.float32]
    remarks: tuple[str, ...]


def to_hounsfield(stored: NDArray[np.generic], images: Sequence[Image]) -> Hounsfield:
    """Convert stored values to HU with each plane's own slope, intercept, word layout and padding.

    Parameters
    ----------
    stored : (plane, row, column) whole numbers, not changed.
    images : the planes, in the same order.

    Returns
    -------
    Hounsfield
        ``remarks`` may hold ``rescale-missing``, ``padding-ambiguous``, ``bits-stored-exceeded``,
        ``hu-clipped``, ``lossy-compression``, ``monochrome1``.
    """
    rescale = [(image.number("RescaleSlope"), image.number("RescaleIntercept")) for image in images]
    remarks = {"rescale-missing"} if any(None in pair for pair in rescale) else set()
    slopes = [1.0 if slope is None else slope for slope, _ in rescale]
    intercepts = [0.0 if intercept is None else intercept for _, intercept in rescale]
    whole = all(float(value).is_integer() for value in (*slopes, *intercepts))
    voxels = np.empty(stored.shape, np.int16 if whole else np.float32)
    for index, image in enumerate(images):
        words, odd = words_of(stored[index], image.file.header)
        padding, doubtful = _padding(words, image.file.header, slopes[index], intercepts[index])
        remarks |= {"bits-stored-exceeded"} if odd else set()
        remarks |= {"padding-ambiguous"} if doubtful else set()
        if _rescale_into(voxels[index], words, slopes[index], intercepts[index]):
            remarks.add("hu-clipped")
        if padding is not None:
            voxels[index][padding] = FLOOR_HU
    if any(tags.text(image.file.header, "PhotometricInterpretation") == "MONOCHROME1" for image in images):
        remarks.add("monochrome1")
    if any(_lossy(image) for image in images):
        remarks.add("lossy-compression")
    return Hounsfield(voxels, tuple(sorted(remarks)))


def _lossy(image: Image) -> bool:
    """Say whether LossyImageCompression (0028,2110) is 01 or the transfer syntax always loses."""
    return image.text("LossyImageCompression") == "01" or image.file.transfer_syntax in ALWAYS_LOSSY


def words_of(words: NDArray[np.generic], header: Dataset) -> tuple[NDArray[np.generic], bool]:
    """Undo HighBit shifts, embedded overlay bits and missing sign extension (PS3.5 8.1.1).

    Returns the values, and whether they exceed what BitsStored allows though the header gives no reason for it
    (a sloppily written header: the whole word is then believed).
    """
    allocated = tags.whole(header, "BitsAllocated") or 16
    stored_bits = tags.whole(header, "BitsStored") or allocated
    high = tags.whole(header, "HighBit")
    high = stored_bits - 1 if high is None else high
    if stored_bits >= allocated or stored_bits < 1:
        return words, False
    signed = tags.whole(header, "PixelRepresentation") == 1
    shift = high + 1 - stored_bits
    if 0 < shift <= allocated - stored_bits:
        return _extract(words, shift, stored_bits, signed), False
    low, top = int(words.min(initial=0)), int(words.max(initial=0))
    limit = 1 << stored_bits
    inside = (-(limit >> 1) <= low and top < (limit >> 1)) if signed else top < limit
    if inside:
        return words, False
    if _embedded_overlay(header) or (signed and low >= 0 and top < limit):
        return _extract(words, 0, stored_bits, signed), False
    return words, True


def _extract(words: NDArray[np.generic], shift: int, bits: int, signed: bool) -> NDArray[np.generic]:
    wide = words.astype(np.int64) >> shift
    wide &= (1 << bits) - 1
    if signed:
        wide[wide >= 1 << (bits - 1)] -= 1 << bits
    return wide.astype(np.int32)


def _embedded_overlay(header: Dataset) -> bool:
    return any(
        element.tag.group & 0xFF00 == 0x6000 and element.tag.element == 0x0102 and element.value
        for element in header.group_dataset(0x6000)
    )


def _padding(
    words: NDArray[np.generic], header: Dataset, slope: float, intercept: float
) -> tuple[NDArray[np.bool_] | None, bool]:
    """Find padding voxels; the second value says that a declared padding value was not believed."""
    value = _padding_number(header, "PixelPaddingValue")
    if value is None:
        return None, False
    limit = _padding_number(header, "PixelPaddingRangeLimit")
    low, high = (value, value) if limit is None else sorted((value, limit))
    ends = sorted(slope * end + intercept for end in (low, high))
    if ends[1] < PADDING_BELOW_HU or ends[0] > PADDING_ABOVE_HU:
        return (words >= low) & (words <= high), False  # type: ignore[operator]
    return None, True


def _padding_number(header: Dataset, keyword: str) -> int | None:
    """Read a padding value, whose sign depends on PixelRepresentation, whichever way it was written."""
    value = tags.whole(header, keyword)
    if value is None:
        return None
    bits = tags.whole(header, "BitsAllocated") or 16
    if tags.whole(header, "PixelRepresentation") == 1 and value >= 1 << (bits - 1):
        return value - (1 << bits)
    return value


def _rescale_into(target: NDArray[np.generic], words: NDArray[np.generic], slope: float, intercept: float) -> bool:
    """Write ``words * slope + intercept`` into ``target``, floored; say whether the top was cut off."""
    if target.dtype == np.float32:
        np.maximum(words.astype(np.float64) * slope + intercept, FLOOR_HU, out=target, casting="unsafe")
        return False
    if words.dtype == np.uint16 and int(words.max(initial=0)) <= _INT16.max:
        words = words.view(np.int16)
    if slope == 1.0 and words.dtype == np.int16 and _fits(words, int(intercept)):
        np.add(words, np.int16(intercept), out=target)
        np.maximum(target, np.int16(FLOOR_HU), out=target)
        return False
    wide = words.astype(np.int64) * int(slope) + int(intercept)
    clipped = bool(wide.max(initial=0) > _INT16.max)
    np.clip(wide, FLOOR_HU, _INT16.max, out=target, casting="unsafe")
    return clipped


def _fits(words: NDArray[np.generic], intercept: int) -> bool:
    return int(words.min()) + intercept >= _INT16.min and int(words.max()) + intercept <= _INT16.max
