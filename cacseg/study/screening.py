"""What keeps a volume from being scored at all, as its headers tell."""

from dataclasses import dataclass
from typing import Final

from cacseg.acquisition import Acquisition
from cacseg.study.acquisition_facts import acquisition_of
from cacseg.study.geometry import OBLIQUE_DEGREES, Geometry, geometry_of, obliqueness_degrees
from cacseg.study.image import Image
from cacseg.study.stack import Stack

CT_CLASSES: Final = frozenset(
    {"1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2"}
)
"""CT, Enhanced CT and Legacy Converted Enhanced CT Image Storage."""

HOUNSFIELD_UNITS: Final = ("HU", "US", "HU_MOD")
"""RescaleType (0028,1054): HU, unspecified (the usual meaning in CT is HU), HU after correction (PS3.3 C.11.1.1.2);
others are material densities, effective atomic numbers, fractions."""

PROJECTIONS: Final = ("MIP", "MINIP", "MIN_IP", "MAX_IP", "PROJECTION", "RENDERING")
"""Image types of maximum and minimum intensity projections and volume renderings."""

MIN_SLICES: Final = 10
"""Fewer slices than this never cover a heart: 10 of 5 mm make 50 mm."""

MIN_MATRIX: Final = 64
"""A heart in fewer pixels than this has no coronary arteries to see."""


MAX_MATRIX: Final = 4096
"""Scanners reconstruct up to 2048 x 2048; a larger claim is a damaged header."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A reason against scoring: code of the finding and the sentence."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A volume of the study with what its headers tell.

    ``geometry`` is ``None`` where the planes do not know where they lie; ``obstacle`` is ``None`` for a volume
    that may be scored as far as headers go.
    """

    stack: Stack
    acquisition: Acquisition
    geometry: Geometry | None
    obstacle: Obstacle | None


def screen(stack: Stack) -> Candidate:
    """Describe a stack and name the first obstacle in its headers."""
    geometry = geometry_of(stack.images) if stack.located else None
    acquisition = acquisition_of(stack.images[0])
    return Candidate(stack, acquisition, geometry, _kind(stack) or _shape(stack, geometry))


def _kind(stack: Stack) -> Obstacle | None:
    """Say what the images are, if they are not grey CT images in Hounsfield units."""
    first = stack.images[0]
    modality = (first.text("Modality") or "").upper()
    if modality not in ("CT", "") or (modality == "" and first.text("SOPClassUID") not in CT_CLASSES):
        return Obstacle("not-ct", f"its modality is {modality or 'unknown'}, not CT")
    if "LOCALIZER" in first.image_type:
        return Obstacle("localizer", "it is a localizer")
    if any(word in value for value in first.image_type for word in PROJECTIONS):
        return Obstacle("projection", f"it is a projection through several slices ({' '.join(first.image_type)})")
    return _values(first)


def _values(first: Image) -> Obstacle | None:
    """Say what the pixel values are, if they are no Hounsfield units."""
    units = (first.text("RescaleType") or "HU").upper()
    bits = first.number("BitsAllocated") or 16
    if units not in HOUNSFIELD_UNITS:
        return Obstacle("not-hounsfield", f"its values are in {units}, not in Hounsfield units")
    if (first.number("SamplesPerPixel") or 1) != 1:
        return Obstacle("not-ct", "its images are in colour (screenshots), not CT")
    if bits not in (8, 16, 32):
        return Obstacle("not-ct", f"its pixels have {bits:g} bits, expected 16")
    return None


def _shape(stack: Stack, geometry: Geometry | None) -> Obstacle | None:
    """Say what is wrong with where the images lie."""
    count = len(stack.images)
    if geometry is None:
        return Obstacle(
            "no-geometry", "ImagePositionPatient, ImageOrientationPatient or PixelSpacing is missing or malformed"
        )
    normal = stack.images[0].normal
    angle = 0.0 if normal is None else obliqueness_degrees(normal)
    if angle > OBLIQUE_DEGREES:
        return Obstacle(
            "not-axial", f"its slices lie {angle:.0f} degrees from axial, expected at most {OBLIQUE_DEGREES:.0f}"
        )
    if count < MIN_SLICES:
        return Obstacle("too-few-slices", f"it has {count} slices, expected at least {MIN_SLICES}")
    rows, columns = stack.images[0].matrix
    if min(rows, columns) < MIN_MATRIX or max(rows, columns) > MAX_MATRIX:
        return Obstacle(
            "matrix-unsuitable", f"its matrix is {rows} x {columns}, expected {MIN_MATRIX} to {MAX_MATRIX} each way"
        )
    if geometry.defect is not None:
        return Obstacle(geometry.defect.code, geometry.defect.message)
    return None
