"""How vendors call their series, and how they store their pixels."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from cacseg.data.phantom.scanner.protocol import Protocol


@dataclass(frozen=True, slots=True)
class Storage:
    """Pixel storage of one vendor.

    ``padding`` is the stored value of PixelPaddingValue, ``None`` where corners are reconstructed.
    """

    signed: bool
    bits_stored: int
    intercept: int


STORAGE: Final = {
    "Siemens": Storage(False, 12, -1024),
    "GE": Storage(True, 16, -1024),
    "Philips": Storage(False, 12, -1024),
    "Canon": Storage(True, 16, 0),
}
"""Signedness, bits and intercept as these vendors commonly write CT."""

MANUFACTURER: Final = {
    "Siemens": "SIEMENS",
    "GE": "GE MEDICAL SYSTEMS",
    "Philips": "Philips",
    "Canon": "TOSHIBA",
}

SCORING_NAMES: Final = {
    "Siemens": ("CaSc  {t:.1f}  {k}  BestDiast 75 %", "CaScoreSeq {t:.1f} {k} 70%", "Herz nativ {t:.1f} {k}"),
    "GE": ("SMART SCORE GATED 0.5 SEC", "CALCIUM SCORE {t:.2f}MM 75%", "Ca SCORING", ""),
    "Philips": ("CaScoring, iDose (3)", "Heartbeat CS {t:.1f}mm 78%", "CS"),
    "Canon": ("Calcium Score (Volume) {t:.1f}", "CaSc 75% {t:.1f} {k}", "Cardiac {t:.3f}"),
}
"""Descriptions of calcium-scoring series: languages and customs differ, some sites leave them empty."""

CHEST_NAMES: Final = ("CHEST W/O {t:.1f} {k}", "Thorax nativ {t:.1f} {k}", "LUNG SCREEN {t:.2f}", "AX {t:.1f} STD", "")
CONTRAST_NAMES: Final = ("CTA 75% {t:.1f} {k}", "CaSc {t:.1f} {k}", "Coronary CTA {t:.2f}", "CORONARY {t:.1f} {k}")
LUNG_NAMES: Final = {
    "Siemens": "Thorax  5.0  B60f Lunge",
    "GE": "LUNG RECON 5.0",
    "Philips": "Lung, iDose (5)",
    "Canon": "LUNG 5.0 FC51",
}
THIN_NAMES: Final = {
    "Siemens": "DS_CaSc  1.5  B35f  75 %",
    "GE": "THINS 75%",
    "Philips": "Thin CS 1.5mm",
    "Canon": "CaSc thin 1.5",
}
LOCALIZER_NAMES: Final = {"Siemens": "Topogram", "GE": "Scout", "Philips": "Surview", "Canon": "Scanogram"}
DOSE_NAMES: Final = {
    "Siemens": "Patient Protocol",
    "GE": "Dose Report",
    "Philips": "Dose Info",
    "Canon": "Dose summary",
}


def main_description(protocol: Protocol, rng: np.random.Generator) -> str:
    """Draw how the site calls the series to be scored."""
    names = {"chest": CHEST_NAMES, "contrast": CONTRAST_NAMES}.get(protocol.family, SCORING_NAMES[protocol.vendor])
    name = names[int(rng.integers(0, len(names)))]
    return name.format(t=protocol.slice_thickness_mm, k=protocol.kernel_name)
