"""Small pictures of grey levels and a few colours, as PNG (RFC 2083) with a palette."""

import struct
import zlib
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

GREYS: Final = 240
"""Palette entries 0 to 239 are greys from black to white; the colours follow."""


def palette_png(indices: NDArray[np.uint8], colours: Sequence[tuple[int, int, int]]) -> bytes:
    r"""Encode a picture.

    Parameters
    ----------
    indices : (row, column) uint8; 0 to 239 a grey, ``240 + n`` the n-th colour.
    colours : 8-bit sRGB, at most 16.

    Examples
    --------
    >>> palette_png(np.zeros((2, 3), np.uint8), [(255, 0, 0)])[:4]
    b'\x89PNG'
    """
    greys = np.linspace(0, 255, GREYS).round().astype(np.uint8)
    palette = np.repeat(greys, 3).tobytes() + bytes(value for colour in colours for value in colour)
    rows, columns = indices.shape
    scanlines = np.zeros((rows, columns + 1), np.uint8)
    scanlines[:, 1:] = indices
    header = struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)
    parts = ((b"IHDR", header), (b"PLTE", palette), (b"IDAT", zlib.compress(scanlines.tobytes(), 4)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in parts)


def size_of(png: bytes) -> tuple[int, int]:
    """Give width and height in pixels."""
    width, height = struct.unpack(">II", png[16:24])
    return int(width), int(height)


def chunks(png: bytes) -> dict[bytes, bytes]:
    """Give the content of every chunk by its name; ``palette_png`` writes one of each."""
    found, start = {}, 8
    while start < len(png):
        (length,) = struct.unpack(">I", png[start : start + 4])
        found[png[start + 4 : start + 8]] = png[start + 8 : start + 8 + length]
        start += 12 + length
    return found


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
