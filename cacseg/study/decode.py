"""Stored pixel values of image planes, whatever their transfer syntax.

Uncompressed files take a short way: the bytes go straight from the file into the array. Everything else goes
through pydicom's decoders with no colour transform and no rescaling.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.pixels import pixel_array
from pydicom.uid import ExplicitVRBigEndian

from cacseg.errors import UnreadableError
from cacseg.study import tags
from cacseg.study.header import DicomFile
from cacseg.study.image import Image
from cacseg.study.transfer_syntax import NATIVE, decodable, remedy, spoken

THREADS: Final = 2
"""Files decoded at the same time: decoders and file reads release the interpreter lock."""


_PREFERRED: Final = {"1.2.840.10008.1.2.4.80": "pyjpegls", "1.2.840.10008.1.2.4.81": "pyjpegls"}
"""The fastest decoder where several are required packages; others are tried in pydicom's order."""


@dataclass(frozen=True, slots=True)
class DamagedImage:
    """A plane whose pixels cannot be read, and why."""

    image: Image
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """Stored values, (plane, row, column), native byte order, and the planes that could not be read."""

    values: NDArray[np.generic]
    damaged: tuple[DamagedImage, ...]


def stored_values(images: Sequence[Image]) -> Stored:
    """Decode planes of one matrix size.

    Raises
    ------
    UnreadableError : no installed package decodes the transfer syntax.
    """
    for syntax in sorted({image.file.transfer_syntax for image in images}):
        if not decodable(syntax):
            raise UnreadableError(f"The pixels are encoded as {spoken(syntax)}. {remedy(syntax)}")
    rows, columns = images[0].matrix
    dtype = np.result_type(*{_word(image.file) for image in images})
    values = np.zeros((len(images), rows, columns), dtype)
    groups: dict[int, list[int]] = {}
    for index, image in enumerate(images):
        groups.setdefault(id(image.file), []).append(index)
    with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as pool:
        jobs = [pool.submit(_fill, values, images, indices) for indices in groups.values()]
        damaged = [item for job in jobs for item in job.result()]
    return Stored(values, tuple(damaged))


def missing_bytes(file: DicomFile) -> int:
    """Count the bytes of uncompressed pixels that a file lacks (cut off in transfer); 0 if whole or compressed."""
    if file.pixel_offset is None or file.pixel_bytes is None:
        return 0
    end = file.found.path.stat().st_size
    return max(0, expected_bytes(file) - min(file.pixel_bytes, end - file.pixel_offset))


def expected_bytes(file: DicomFile) -> int:
    """Size of the uncompressed pixels that the header promises."""
    header = file.header
    size = tags.whole(header, "BitsAllocated") or 0
    for keyword in ("Rows", "Columns"):
        size *= tags.whole(header, keyword) or 0
    return size * (tags.whole(header, "SamplesPerPixel") or 1) * (tags.whole(header, "NumberOfFrames") or 1) // 8


def _word(file: DicomFile) -> np.dtype[np.generic]:
    """Type of one stored value."""
    bits = 8 if (tags.whole(file.header, "BitsAllocated") or 16) <= 8 else 16
    if (tags.whole(file.header, "BitsAllocated") or 16) > 16:
        bits = 32
    signed = tags.whole(file.header, "PixelRepresentation") == 1
    return np.dtype(f"{'i' if signed else 'u'}{bits // 8}")


def _fill(values: NDArray[np.generic], images: Sequence[Image], indices: list[int]) -> list[DamagedImage]:
    """Decode the planes of one file into their places."""
    file = images[indices[0]].file
    try:
        if file.pixel_offset is not None and file.transfer_syntax in NATIVE:
            for index in indices:
                values[index] = _native(file, images[index].frame, values.shape[1:])
        else:
            for index, plane in zip(indices, _decoded(file, [images[index].frame for index in indices]), strict=True):
                if plane.shape != values.shape[1:] or plane.dtype.kind not in "iu":
                    raise ValueError(f"decoded {plane.dtype} {plane.shape}, header says {values.shape[1:]}")
                values[index] = plane
    except Exception as error:
        reason = f"pixels cannot be decoded ({type(error).__name__})"
        return [DamagedImage(images[index], reason) for index in indices]
    return []


def _native(file: DicomFile, frame: int, shape: tuple[int, ...]) -> NDArray[np.generic]:
    """Read one uncompressed plane directly."""
    big = file.transfer_syntax == ExplicitVRBigEndian
    dtype = _word(file).newbyteorder(">" if big else "<")
    count = int(np.prod(shape))
    offset = (file.pixel_offset or 0) + frame * count * dtype.itemsize
    plane = np.fromfile(file.found.path, dtype, count, offset=offset)
    if plane.size != count:
        raise EOFError
    return plane.reshape(shape)


def _decoded(file: DicomFile, frames: list[int]) -> list[NDArray[np.generic]]:
    """Decode planes of one file with pydicom's decoders."""
    dataset = dcmread(file.found.path, force=True)
    if not getattr(dataset.file_meta, "TransferSyntaxUID", None):
        dataset.file_meta.TransferSyntaxUID = file.transfer_syntax
    single = (tags.whole(file.header, "NumberOfFrames") or 1) == 1
    plugin = _PREFERRED.get(file.transfer_syntax, "")
    return [
        np.asarray(pixel_array(dataset, index=None if single else frame, raw=True, decoding_plugin=plugin))
        for frame in frames
    ]
