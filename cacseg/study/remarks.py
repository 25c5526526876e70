"""Findings about how Hounsfield units were stored."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from cacseg.findings import Finding, Severity
from cacseg.volume import Volume

_REMARKS: Final = {
    "rescale-missing": Finding(
        "rescale-missing",
        Severity.WARNING,
        "RescaleSlope or RescaleIntercept is missing: stored values were taken as Hounsfield units.",
        "Check that air reads about -1000 and water about 0 before using the score.",
    ),
    "padding-ambiguous": Finding(
        "padding-ambiguous",
        Severity.INFO,
        "The declared padding value is one that tissue has too; it was left in place.",
        "None, unless the border of the field of view looks like tissue.",
    ),
    "bits-stored-exceeded": Finding(
        "bits-stored-exceeded",
        Severity.WARNING,
        "Stored values exceed what BitsStored allows; the whole words were taken as values.",
        "Check that the images look right; have the header corrected at its source.",
    ),
    "hu-clipped": Finding(
        "hu-clipped",
        Severity.INFO,
        "Values above 32767 HU were cut off at that value.",
        "None: no tissue reaches it.",
    ),
    "lossy-compression": Finding(
        "lossy-compression",
        Severity.WARNING,
        "The images were compressed with loss: Hounsfield units near the threshold may have changed.",
        "Use the images as the scanner made them.",
    ),
    "monochrome1": Finding(
        "monochrome1",
        Severity.INFO,
        "The images are stored for inverted display (MONOCHROME1); their Hounsfield units are unaffected.",
        "Nothing is to be done.",
    ),
}

AIR_HU: Final = -500.0
"""Every CT of a chest has voxels below this: lung and air."""

SAMPLED: Final = 4


def remark_findings(remarks: Sequence[str]) -> tuple[Finding, ...]:
    """Spell out remarks of the conversion to HU."""
    return tuple(_REMARKS[remark] for remark in remarks)


def air_finding(volume: Volume) -> tuple[Finding, ...]:
    """Refuse values that cannot be Hounsfield units: a chest in which nothing is as thin as lung.

    Examples
    --------
    >>> air_finding(Volume.axial(np.full((4, 8, 8), 1000, np.int16), (3.0, 1.0, 1.0)))[0].code
    'not-hounsfield'
    """
    lowest = float(np.min(volume.voxels[:, ::SAMPLED, ::SAMPLED]))
    if lowest <= AIR_HU:
        return ()
    return (
        Finding(
            "not-hounsfield",
            Severity.REFUSAL,
            f"The lowest value is {lowest:.0f}: no air and no lung, so these are no Hounsfield units of a chest, or no "
            "chest.",
            "Export the original images with their rescale intercept.",
        ),
    )
