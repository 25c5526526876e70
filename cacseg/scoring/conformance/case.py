"""A conformance case: a painted volume, its labels, and what every rule must say about it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from cacseg.scoring.rules import RULES
from cacseg.vessels import Label
from cacseg.volume import Volume

Encoding = Literal["plain", "big-endian", "negative-slope", "fractional-slope", "unsigned", "reversed"]
"""How the case is written to files: the numbers are the same in every encoding."""

PIXEL_MM: Final = 0.5
INCREMENT_MM: Final = 3.0
PIXEL_MM2: Final = PIXEL_MM * PIXEL_MM
"""Usual geometry of a case: pixels of 0.25 mm2, slices 3 mm apart."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a rule must say: coronary Agatston score and volume, number of coronary lesions."""

    agatston: float
    volume_mm3: float
    lesions: int


NOTHING: Final = Expected(0.0, 0.0, 0)


@dataclass(frozen=True, slots=True)
class Block:
    """A box of one HU and one label, painted over what is there.

    Parameters
    ----------
    slices, rows, columns : (first, one past the last).
    hu : value.
    label : label of its voxels, 0 for none.
    """

    slices: tuple[int, int]
    rows: tuple[int, int]
    columns: tuple[int, int]
    hu: float
    label: int = int(Label.LAD)


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One small volume and its expected scores.

    Parameters
    ----------
    name : kebab-case, also the folder it is written to.
    isolates : the one thing that it tests.
    why : how the expected values come about.
    volume, labels : int16 or float32 HU, uint8 labels.
    expected : by rule name, every rule of :data:`~cacseg.scoring.rules.RULES`.
    encoding : how its files are written.
    slice_thickness_mm : thickness, which must not matter; the increment is the volume's spacing.
    """

    name: str
    isolates: str
    why: str
    volume: Volume
    labels: Volume
    expected: Mapping[str, Expected]
    encoding: Encoding = "plain"
    slice_thickness_mm: float = INCREMENT_MM


def paint(
    blocks: tuple[Block, ...],
    shape: tuple[int, int, int] = (5, 16, 16),
    spacing_mm: tuple[float, float, float] = (INCREMENT_MM, PIXEL_MM, PIXEL_MM),
) -> tuple[Volume, Volume]:
    """Paint blocks on a background of 0 HU; later blocks cover earlier ones.

    Returns
    -------
    volume : int16 where every HU is whole, else float32.
    labels : uint8.
    """
    hu = np.zeros(shape, np.float32)
    labels = np.zeros(shape, np.uint8)
    for block in blocks:
        box = tuple(slice(*limits) for limits in (block.slices, block.rows, block.columns))
        hu[box] = block.hu
        labels[box] = block.label
    whole = bool((hu == np.rint(hu)).all())
    volume = Volume.axial(hu.astype(np.int16) if whole else hu, spacing_mm, (-50.0, -60.0, 100.0))
    return volume, volume.with_voxels(labels)


def under_rules(expected: Expected, **others: Expected) -> Mapping[str, Expected]:
    """Give every rule the same expectation, but for those named (``_`` stands for ``-`` in a name).

    Examples
    --------
    >>> by_rule = under_rules(NOTHING, siemens_vb60=Expected(1.0, 3.0, 1))
    >>> by_rule["siemens-vb60"].lesions, by_rule["ge"].lesions
    (1, 0)
    """
    named = {name.replace("_", "-"): value for name, value in others.items()}
    return {name: named.get(name, expected) for name in RULES}


def interpolated_slices(hu: float, per_increment: float, sides: int = 2) -> int:
    """Interpolated slices at or above 130 HU of a block one slice thick, background 0 HU.

    At ``j`` of ``per_increment`` steps from its slice the block reads ``hu (1 - j / per_increment)``.

    Parameters
    ----------
    per_increment : increment / in-plane spacing.
    sides : 2 inside the volume, 1 at its first or last slice.

    Examples
    --------
    >>> interpolated_slices(250, 6), interpolated_slices(130, 6)
    (5, 1)
    """
    return 1 + sides * math.floor(per_increment * (1 - 130 / hu))
