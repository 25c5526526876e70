"""``labels.nii.gz``: the label map, aligned with the source in world coordinates."""

import struct
import zlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cacseg.volume import Volume

HEADER_BYTES: Final = 348
DATA_OFFSET: Final = 352
"""NIfTI-1: header, then four bytes that say that no extension follows, then the voxels."""

DT_UINT8: Final = 2
XFORM_SCANNER: Final = 1
UNITS_MM: Final = 2


def labels_nifti(labels: NDArray[np.uint8], grid: Volume) -> bytes:
    """Write a label map as gzipped NIfTI-1 with an sform (scanner RAS mm).

    Parameters
    ----------
    labels : (slice, row, column) uint8.
    grid : the volume whose grid it lies on.
    """
    packer = zlib.compressobj(level=1, wbits=31)
    voxels = np.ascontiguousarray(labels, np.uint8)
    return packer.compress(_header(grid)) + packer.compress(voxels.data) + packer.flush()


def _header(grid: Volume) -> bytes:
    slices, rows, columns = grid.shape
    slice_mm, row_mm, column_mm = grid.spacing_mm
    header = bytearray(DATA_OFFSET)
    struct.pack_into("<i", header, 0, HEADER_BYTES)
    struct.pack_into("<8h", header, 40, 3, columns, rows, slices, 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, DT_UINT8, 8)
    struct.pack_into("<8f", header, 76, 1.0, column_mm, row_mm, slice_mm, 0, 0, 0, 0)
    struct.pack_into("<3f", header, 108, DATA_OFFSET, 1.0, 0.0)
    struct.pack_into("<B", header, 123, UNITS_MM)
    struct.pack_into("<80s", header, 148, b"cacseg label map")
    struct.pack_into("<2h", header, 252, 0, XFORM_SCANNER)
    struct.pack_into("<12f", header, 280, *grid.ras_affine()[:3].ravel().tolist())
    struct.pack_into("<4s", header, 344, b"n+1\0")
    return bytes(header)
