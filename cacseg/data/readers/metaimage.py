"""MetaImage files (.mhd with .raw or .zraw, and .mha): what orCaScore and ITK programs write.

Format: https://itk.org/Wiki/ITK/MetaIO/Documentation. World coordinates are LPS mm, as in ITK.
"""

import zlib
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cacseg.errors import UnreadableError
from cacseg.volume import Volume

ELEMENT_TYPES: Final = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4",
    "MET_UINT": "u4", "MET_FLOAT": "f4", "MET_DOUBLE": "f8",
}  # fmt: skip

LONGEST_HEADER_BYTES: Final = 1 << 16


def read_metaimage(path: Path) -> Volume:
    """Read a 3-D MetaImage.

    Parameters
    ----------
    path : of the ``.mhd`` or ``.mha`` file.

    Returns
    -------
    Volume : voxels (slice, row, column) in the file's own type, native byte order.

    Raises
    ------
    UnreadableError : not a MetaImage, not 3-D, of several channels, or its data file is missing or too short.
    """
    try:
        content = path.read_bytes()
    except OSError as fault:
        raise UnreadableError(f"{path} cannot be read: {fault}.") from fault
    header, body = _header(content, path)
    shape = tuple(int(n) for n in header.get("DimSize", "").split())
    if (
        len(shape) != 3
        or header.get("ElementType") not in ELEMENT_TYPES
        or header.get("ElementNumberOfChannels", "1") != "1"
    ):
        raise UnreadableError(
            f"{path}: expected a 3-D MetaImage of one channel; got DimSize {header.get('DimSize')!r}, ElementType "
            f"{header.get('ElementType')!r}, channels {header.get('ElementNumberOfChannels', '1')}."
        )
    voxels = _voxels(header, body, path, shape)
    return Volume(voxels, _affine(header, path))


def _header(content: bytes, path: Path) -> tuple[dict[str, str], bytes]:
    """Part the text header from what follows it; ElementDataFile is its last line."""
    header: dict[str, str] = {}
    start = 0
    while start < min(len(content), LONGEST_HEADER_BYTES):
        end = content.find(b"\n", start)
        end = len(content) if end < 0 else end
        key, mark, value = content[start:end].decode("latin-1").partition("=")
        start = end + 1
        if not mark:
            break
        header[key.strip()] = value.strip()
        if key.strip() == "ElementDataFile":
            return header, content[start:]
    raise UnreadableError(f"{path} is not a MetaImage header: no ElementDataFile line found.")


def _voxels(header: dict[str, str], body: bytes, path: Path, shape: tuple[int, ...]) -> NDArray[Any]:
    name = header["ElementDataFile"]
    if name != "LOCAL":
        if Path(name).name != name or "%" in name or name == "LIST":
            raise UnreadableError(f"{path}: ElementDataFile {name!r} must be one file beside the header.")
        try:
            body = (path.parent / name).read_bytes()
        except OSError as fault:
            raise UnreadableError(f"{path}: its data file {name} cannot be read: {fault}.") from fault
    if header.get("CompressedData", "False").lower() == "true":
        try:
            body = zlib.decompress(body, wbits=47)
        except zlib.error as fault:
            raise UnreadableError(f"{path}: its compressed data are damaged: {fault}.") from fault
    big = header.get("BinaryDataByteOrderMSB", header.get("ElementByteOrderMSB", "False")).lower() == "true"
    stored = np.dtype(ELEMENT_TYPES[header["ElementType"]]).newbyteorder(">" if big else "<")
    size = int(np.prod(shape)) * stored.itemsize
    skip = int(header.get("HeaderSize", "0"))
    body = body[len(body) - size :] if skip == -1 else body[skip:]
    if len(body) < size:
        raise UnreadableError(f"{path}: expected {size} bytes of voxels for {shape}; found {len(body)}.")
    voxels = np.frombuffer(body[:size], stored).reshape(shape[::-1])
    return voxels.astype(stored.newbyteorder("="))


def _affine(header: dict[str, str], path: Path) -> NDArray[np.float64]:
    """Axes of the file (x fastest) to LPS; the matrix lists the direction of one axis after another."""
    try:
        spacing = _numbers(header, ("ElementSpacing", "ElementSize"), "1 1 1", 3)
        matrix = _numbers(header, ("TransformMatrix", "Rotation", "Orientation"), "1 0 0 0 1 0 0 0 1", 9)
        origin = _numbers(header, ("Offset", "Position", "Origin"), "0 0 0", 3)
    except ValueError as fault:
        raise UnreadableError(f"{path}: {fault}.") from fault
    affine = np.eye(4)
    directions = matrix.reshape(3, 3)
    for axis in range(3):
        affine[:3, 2 - axis] = directions[axis] * spacing[axis]
    affine[:3, 3] = origin
    return affine


def _numbers(header: dict[str, str], keys: tuple[str, ...], default: str, count: int) -> NDArray[np.float64]:
    text = next((header[key] for key in keys if key in header), default)
    values = np.array([float(word) for word in text.split()])
    if values.size != count or not np.isfinite(values).all():
        raise ValueError(f"{keys[0]} must be {count} finite numbers; got {text!r}")
    return values
