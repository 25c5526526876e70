"""The voxels of a scan on their way to a viewer: int16, little endian, slice by slice, gzip where asked for."""

import gzip
import hashlib
import os
import shutil
from pathlib import Path
from typing import Final

import numpy as np

from cacseg.volume import Volume

COMPRESSION: Final = 1
"""Level of gzip: higher ones take four times as long for 2 % less."""

HIGHEST_HU: Final = 32767
LOWEST_HU: Final = -32768


def voxel_bytes(volume: Volume) -> bytes:
    r"""Give the HU as little-endian int16 in array order, rounded and clipped where they are not whole.

    Examples
    --------
    >>> voxel_bytes(Volume.axial(np.full((1, 1, 2), 1.6, np.float32), (1, 1, 1)))
    b'\x02\x00\x02\x00'
    """
    voxels = volume.voxels
    if not np.issubdtype(voxels.dtype, np.integer):
        voxels = np.clip(np.rint(voxels), LOWEST_HU, HIGHEST_HU)
    return voxels.astype("<i2").tobytes()


def kept_file(folder: Path, volume: Volume, series_instance_uid: str | None) -> Path:
    """Name the file in which the compressed voxels of a series are kept."""
    key = f"{series_instance_uid or ''} {volume.shape} {volume.affine.tolist()}"
    return folder / f"voxels-{hashlib.sha256(key.encode()).hexdigest()[:16]}.i16.gz"


def keep(file: Path, content: bytes, scratch: Path) -> None:
    """Write compressed voxels, whole or not at all; a study deleted meanwhile gets none."""
    if file.exists() or not file.parent.is_dir():
        return
    part = scratch / f"{file.name}.{os.getpid()}-{os.urandom(4).hex()}"
    try:
        part.write_bytes(gzip.compress(content, COMPRESSION, mtime=0))
        if file.parent.is_dir():
            shutil.move(part, file)
    finally:
        part.unlink(missing_ok=True)
