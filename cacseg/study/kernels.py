"""What a vendor's reconstruction kernel name says about sharpness.

Calcium scores are defined on smooth kernels (Agatston 1990; McCollough 2007, Radiology 243:527: a medium smooth
kernel); sharp ones raise noise over the threshold and blur-free peaks.
"""

import re
from typing import Final, Literal

Sharpness = Literal["smooth", "sharp", "unknown"]

SIEMENS_SHARP_FROM: Final = 43
"""Siemens names end in a number that rises with sharpness: B35f, I30f, Br36, Qr36, Sa36 are calcium-scoring and
soft-tissue kernels; from 43 up come Bv44, I44, B46 (in-stent), B50 and above (lung, bone)."""

GE: Final = {
    "STANDARD": "smooth",
    "SOFT": "smooth",
    "STND": "smooth",
    "DETAIL": "sharp",
    "LUNG": "sharp",
    "BONE": "sharp",
    "BONEPLUS": "sharp",
    "EDGE": "sharp",
    "ULTRA": "sharp",
    "HD LUNG": "sharp",
}
"""GE kernel names from smooth to sharp."""

PHILIPS: Final = {
    "A": "smooth",
    "B": "smooth",
    "C": "smooth",
    "XCA": "smooth",
    "XCB": "smooth",
    "XCC": "smooth",
    "CA": "smooth",
    "CB": "smooth",
    "CC": "smooth",
    "UA": "smooth",
    "UB": "smooth",
    "SA": "smooth",
    "SB": "smooth",
    "D": "sharp",
    "E": "sharp",
    "L": "sharp",
    "XCD": "sharp",
    "CD": "sharp",
    "YA": "sharp",
    "YB": "sharp",
    "YC": "sharp",
    "YD": "sharp",
    "F": "sharp",
}
"""Philips filters: A, B, C from smoother to standard, D and up sharp; CB and XCB are cardiac standard filters."""

CANON_SMOOTH: Final = (*range(1, 20), *range(41, 50), 26, 27)
"""Canon/Toshiba FC01-FC19 (body) and FC41-FC49 (with and without beam-hardening correction) are smooth to medium;
FC12 and FC03 are its calcium-scoring kernels; FC30, FC50-FC56, FC80-FC86 are bone and lung."""


def sharpness_of(kernel: str | None) -> Sharpness:
    r"""Class of a kernel, by the vendor's naming.

    Examples
    --------
    >>> [sharpness_of(name) for name in ("Br36f\\3", "I30f", "B70f", "STANDARD", "LUNG", "XCB", "D", "FC12", "FC81")]
    ['smooth', 'smooth', 'sharp', 'smooth', 'sharp', 'smooth', 'sharp', 'smooth', 'sharp']
    >>> sharpness_of("MYKERNEL"), sharpness_of(None)
    ('unknown', 'unknown')
    """
    if kernel is None:
        return "unknown"
    name = re.split(r"[\\/]", kernel.strip().upper())[0].strip()
    canon = re.fullmatch(r"FC(\d{2})(-\w+)?", name)
    if canon:
        return "smooth" if int(canon.group(1)) in CANON_SMOOTH else "sharp"
    siemens = re.fullmatch(r"(?:[A-Z]{1,2})(\d{2})[A-Z]?(?:U|\+)?", name)
    if siemens:
        return "sharp" if int(siemens.group(1)) >= SIEMENS_SHARP_FROM else "smooth"
    for table in (GE, PHILIPS):
        if name in table:
            return "smooth" if table[name] == "smooth" else "sharp"
    return "unknown"
