"""Whether a heart is in the volume and how much of it, from lungs and mediastinum alone.

A wrong refusal costs a patient the score, so only strong evidence refuses: no lung at all, an object of constant
cross-section without fat (a technical phantom), a stack far shorter than any heart. Weaker signs are warnings; the
network that looks for the heart later has the last word.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from cacseg.findings import Finding, Severity
from cacseg.study.thorax import Thorax
from cacseg.volume import Volume

NO_LUNG_ML: Final = 30.0
"""A field of view of 160 mm over a heart holds several hundred mL of lung even after a pneumonectomy."""

SAME_APART_MM: Final = 30.0
SAME_DICE: Final = 0.96
"""Overlap of the mediastinum's outlines 30 mm apart: 0.99 in the QRM thorax phantom, 0.6 in the LIDC chest."""

BARE_FAT_SHARE: Final = 0.08
"""Less fat than this between the lungs is found in technical phantoms only (QRM 0.03, LIDC chest 0.2)."""

TRUNCATED_MM: Final = 60.0
"""Stacks shorter than this cannot hold the coronary arteries: from the left main to the apex lie 80 to 130 mm."""

SHORT_MM: Final = 80.0
"""Stacks shorter than this seldom hold the whole heart."""

NARROW_MM: Final = 110.0
"""A field of view narrower than the heart (120-140 mm across in adults)."""

END_SHARE: Final = 0.9
"""An end slice whose mediastinum has more than this share of the largest lies within the heart."""

_COVER: Final = "Check that the scan runs from the carina to below the apex; rescan if it does not."


def heart_findings(volume: Volume, thorax: Thorax) -> tuple[Finding, ...]:
    """Judge presence and coverage of the heart.

    Returns
    -------
    tuple of Finding
        ``no-heart`` or ``heart-truncated``, refusal or warning, or nothing.
    """
    absent = _absence(thorax)
    if absent is not None:
        action = "Pass a scan of a patient's heart. Phantom scans are scored with cacseg score and own labels."
        return (Finding("no-heart", Severity.REFUSAL, f"No heart was found: {absent}.", action),)
    refusal = _far_too_short(volume)
    if refusal is not None:
        return (Finding("heart-truncated", Severity.REFUSAL, refusal, _COVER),)
    doubt = _doubt(volume, thorax)
    if not doubt:
        return ()
    return (Finding("heart-truncated", Severity.WARNING, f"The heart may be cut off: {'; '.join(doubt)}.", _COVER),)


def _absence(thorax: Thorax) -> str | None:
    if thorax.lung_ml < NO_LUNG_ML:
        return f"{thorax.lung_ml:.0f} mL of lung are in the field of view, expected several hundred"
    sameness = thorax.sameness(SAME_APART_MM)
    if sameness is not None and sameness > SAME_DICE and thorax.fat_share < BARE_FAT_SHARE:
        return (
            f"what lies between the lungs has the same outline throughout (overlap {sameness:.2f} over "
            f"{SAME_APART_MM:.0f} mm, a heart has about 0.6) and hardly any fat ({100 * thorax.fat_share:.0f} %), "
            "as in a technical phantom"
        )
    return None


def _far_too_short(volume: Volume) -> str | None:
    coverage = volume.shape[0] * volume.spacing_mm[0]
    if coverage >= TRUNCATED_MM:
        return None
    return f"The slices cover {coverage:.0f} mm, expected at least {TRUNCATED_MM:.0f} mm for a heart."


def _doubt(volume: Volume, thorax: Thorax) -> list[str]:
    slice_mm, row_mm, column_mm = volume.spacing_mm
    doubt: list[str] = []
    coverage = volume.shape[0] * slice_mm
    if coverage < SHORT_MM:
        doubt.append(f"the slices cover {coverage:.0f} mm, expected at least {SHORT_MM:.0f} mm")
    field = min(volume.shape[1] * row_mm, volume.shape[2] * column_mm)
    if field < NARROW_MM:
        doubt.append(f"the field of view is {field:.0f} mm, expected at least {NARROW_MM:.0f} mm")
    if thorax.mediastinum_mm < TRUNCATED_MM:
        return doubt
    area = _smoothed(thorax.between_cm2)
    largest = float(area.max())
    top, bottom = (-1, 0) if volume.affine[2, 0] > 0 else (0, -1)
    if area[top] > END_SHARE * largest:
        doubt.append(f"the uppermost slice still shows {area[top]:.0f} of at most {largest:.0f} cm2 between the lungs")
    lung = _smoothed(thorax.lung_cm2)
    if lung[bottom] > END_SHARE * float(lung.max()) and area[bottom] > END_SHARE * largest:
        doubt.append("the lowest slice shows heart and as much lung as any other, so no diaphragm")
    return doubt


def _smoothed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average over three slices, ends repeated, so that one odd slice does not decide."""
    padded = np.concatenate([values[:1], values, values[-1:]])
    return np.asarray((padded[:-2] + padded[1:-1] + padded[2:]) / 3.0, np.float64)
