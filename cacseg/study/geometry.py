"""Where the planes of a stack lie: their order along the slice normal, the increment, the affine.

Nothing is averaged over: positions that do not make an even, straight stack are a named defect of the stack.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cacseg.study.image import Image

SAME_POSITION_MM: Final = 0.01
"""Planes closer than this along the normal lie at one position; position tags carry 2 to 5 decimals."""

UNEVEN_MM: Final = 0.1
"""Rounding of position tags: an increment may differ from the median by this much ..."""

UNEVEN_FRACTION: Final = 0.02
"""... or by this share of it, whichever is more; a score scales with the increment, so 2 % is the worst case."""

OBLIQUE_DEGREES: Final = 10.0
"""Slices tilted further than this from the body's axis are no axial slices (Agatston 1990: axial slices)."""

SHEAR_DEGREES: Final = 1.0
"""Angle between stacking direction and slice normal above which the gantry was tilted; cos 1 degree = 0.99985."""

ROUNDED_ORIENTATION: Final = 1e-3
"""Direction cosines this close to 0 or 1 are rounding (.99999): the affine keeps them as they are."""


@dataclass(frozen=True, slots=True)
class Defect:
    """What is wrong with a stack's geometry: the code of the finding, and the sentence with values."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, eq=False)
class Geometry:
    """A stack in ascending order along its normal.

    Parameters
    ----------
    order : indices into the planes as given, ascending.
    positions_mm : position of each plane along the normal, in that order.
    increment_mm : distance between neighbours, from first to last; 0 for a single plane.
    affine : (4, 4) of (slice, row, column) to LPS mm.
    defect : ``None`` for an even, straight stack.
    """

    order: tuple[int, ...]
    positions_mm: NDArray[np.float64]
    increment_mm: float
    affine: NDArray[np.float64]
    defect: Defect | None

    @property
    def coverage_mm(self) -> float:
        """From the upper face of the first slice to the lower face of the last, taking slices as thick as far apart."""
        return self.increment_mm * len(self.order)


def along_normal(images: Sequence[Image]) -> NDArray[np.float64]:
    """Position of each plane along the normal of the first, in mm, shape (n,)."""
    normal = images[0].normal
    points = [image.position_mm for image in images]
    return np.array([point @ normal for point in points], np.float64)  # type: ignore[operator]


def obliqueness_degrees(normal: NDArray[np.float64]) -> float:
    """Angle between a slice normal and the axis from feet to head.

    Examples
    --------
    >>> obliqueness_degrees(np.array([0.0, 0.0, -1.0]))
    0.0
    """
    return float(np.degrees(np.arccos(min(1.0, abs(float(normal[2])) / float(np.linalg.norm(normal))))))


def shear_degrees(affine: NDArray[np.float64]) -> float:
    """Angle by which a grid's axes miss being perpendicular: 0 for an upright stack.

    Examples
    --------
    >>> shear_degrees(np.diag([3.0, 0.5, 0.5, 1.0]))
    0.0
    """
    axes = affine[:3, :3]
    cosine = abs(float(np.linalg.det(axes))) / float(np.prod(np.linalg.norm(axes, axis=0)))
    return float(np.degrees(np.arccos(min(1.0, cosine))))


def geometry_of(images: Sequence[Image]) -> Geometry:
    """Order planes of one orientation, matrix and spacing and describe the stack they make.

    Parameters
    ----------
    images : planes that all have position, orientation and spacing.
    """
    along = along_normal(images)
    order = np.lexsort((np.arange(len(images)), along))
    positions = along[order]
    first, last = images[order[0]], images[order[-1]]
    steps = np.diff(positions)
    increment = float((positions[-1] - positions[0]) / len(steps)) if len(steps) else 0.0
    affine = _affine(first, last, len(images), increment)
    defect = _defect(steps, affine, increment) if len(steps) else None
    return Geometry(tuple(int(index) for index in order), positions, increment, affine, defect)


def _affine(first: Image, last: Image, count: int, increment_mm: float) -> NDArray[np.float64]:
    axes = first.orientation
    row_mm, column_mm = first.spacing_mm or (1.0, 1.0)
    start, end = first.position_mm, last.position_mm
    affine = np.eye(4)
    normal = first.normal
    if count > 1 and increment_mm > SAME_POSITION_MM:
        affine[:3, 0] = (end - start) / (count - 1)  # type: ignore[operator]
    else:
        affine[:3, 0] = normal
    affine[:3, 1] = axes[1] * row_mm  # type: ignore[index]
    affine[:3, 2] = axes[0] * column_mm  # type: ignore[index]
    affine[:3, 3] = start
    return affine


def _defect(steps: NDArray[np.float64], affine: NDArray[np.float64], increment_mm: float) -> Defect | None:
    if bool((steps < SAME_POSITION_MM).any()):
        count = int((steps < SAME_POSITION_MM).sum())
        return Defect("two-slices-at-one-position", f"{count} pairs of different slices lie at one position")
    usual = float(np.median(steps))
    tolerance = max(UNEVEN_MM, UNEVEN_FRACTION * usual)
    off = np.abs(steps - usual) > tolerance + 1e-6
    if bool(off.any()):
        return _uneven(steps, usual, tolerance, off)
    shear = shear_degrees(affine)
    if shear > SHEAR_DEGREES:
        return Defect(
            "gantry-tilt", f"the slices are stacked at {shear:.1f} degrees to their normal (gantry tilt), expected 0"
        )
    return None


def _uneven(steps: NDArray[np.float64], usual: float, tolerance: float, off: NDArray[np.bool_]) -> Defect:
    multiples = np.rint(steps / usual)
    whole = np.abs(steps - multiples * usual) <= tolerance * np.maximum(multiples, 1.0)
    if bool((whole & (multiples >= 1))[off].all()):
        missing = int((multiples[off] - 1).sum())
        return Defect(
            "missing-slice",
            f"{missing} slices are missing inside the stack: gaps of "
            f"{', '.join(f'{step:.2f}' for step in steps[off][:3])} mm where slices are {usual:.2f} mm apart",
        )
    return Defect(
        "uneven-spacing",
        f"slices lie {steps.min():.2f} to {steps.max():.2f} mm apart, expected {usual:.2f} mm throughout "
        f"(within {tolerance:.2f} mm)",
    )
