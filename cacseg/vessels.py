"""Names, label values and colours of what calcium can belong to.

Label values are part of the contract: ``labels.nii.gz`` and every label map that is read use them.
"""

from enum import IntEnum
from typing import Final


class Label(IntEnum):
    """Label value of a voxel.

    Diagonals and septals count as LAD; marginals and an intermediate branch as LCX; the posterior
    descending and posterolateral branches as the artery they arise from.
    """

    BACKGROUND = 0
    LM = 1
    LAD = 2
    LCX = 3
    RCA = 4
    AORTIC_VALVE = 5
    MITRAL_ANNULUS = 6
    AORTA = 7
    OTHER = 8


CORONARY: Final = (Label.LM, Label.LAD, Label.LCX, Label.RCA)
"""The coronary arteries in the order in which they are listed everywhere."""

EXTRACORONARY: Final = (Label.AORTIC_VALVE, Label.MITRAL_ANNULUS, Label.AORTA, Label.OTHER)
"""Calcium that is reported apart and never enters the coronary score."""

STRUCTURE: Final = {
    Label.AORTIC_VALVE: "aortic_valve",
    Label.MITRAL_ANNULUS: "mitral_annulus",
    Label.AORTA: "aorta",
    Label.OTHER: "other",
}
"""Name of an extra-coronary label in ``result.json``."""

FULL_NAME: Final = {
    Label.LM: "left main coronary artery",
    Label.LAD: "left anterior descending artery",
    Label.LCX: "left circumflex artery",
    Label.RCA: "right coronary artery",
    Label.AORTIC_VALVE: "aortic valve",
    Label.MITRAL_ANNULUS: "mitral annulus",
    Label.AORTA: "aorta",
    Label.OTHER: "other calcium",
}

COLOUR_RGB: Final = {
    Label.LM: (230, 159, 0),
    Label.LAD: (213, 94, 0),
    Label.LCX: (86, 180, 233),
    Label.RCA: (0, 158, 115),
    Label.AORTIC_VALVE: (204, 121, 167),
    Label.MITRAL_ANNULUS: (240, 228, 66),
    Label.AORTA: (0, 114, 178),
    Label.OTHER: (153, 153, 153),
}
"""Colour-blind-safe colours, 8-bit sRGB (Okabe and Ito, https://jfly.uni-koeln.de/color/)."""
