"""Metal in the field of view: pacemaker leads, valves, clips, stents."""

from typing import Final

import numpy as np

from cacseg.volume import Volume

METAL_HU: Final = 2500
"""Above dense cortical bone and calcification (under about 2,000 HU); 12-bit scanners end at 3071."""

METAL_MM3: Final = 5.0
"""A few voxels at the end of the scale may be noise on calcium; a clip or a lead has more."""


def metal_mm3(volume: Volume) -> float:
    """Volume of voxels that only metal reaches.

    Examples
    --------
    >>> voxels = np.zeros((4, 8, 8), np.int16)
    >>> voxels[1, 2, 2:6] = 3071
    >>> round(metal_mm3(Volume.axial(voxels, (3.0, 1.0, 1.0))), 3)
    12.0
    """
    peaks = volume.voxels.max(axis=(1, 2))
    count = sum(int(np.count_nonzero(volume.voxels[index] >= METAL_HU)) for index in np.flatnonzero(peaks >= METAL_HU))
    return count * volume.voxel_volume_mm3
