"""Cases about files: the same two lesions, written in ways that careless readers get wrong."""

from typing import Final

from cacseg.scoring.conformance.case import (
    PIXEL_MM,
    PIXEL_MM2,
    Block,
    Case,
    Encoding,
    Expected,
    interpolated_slices,
    paint,
    under_rules,
)

_ENCODINGS: Final[tuple[tuple[Encoding, str], ...]] = (
    ("big-endian", "explicit big endian DICOM; NIfTI of the other byte order"),
    ("negative-slope", "a rescale slope of -1: stored values fall where HU rise"),
    ("fractional-slope", "a rescale slope of 0.2 with HU that are whole"),
    ("unsigned", "unsigned pixels with an intercept of -1024"),
    ("reversed", "instance numbers and file names run from head to foot; NIfTI with flipped axes"),
)


def encoding_cases() -> tuple[Case, ...]:
    """Give one case for each encoding."""
    return tuple(_encoded(encoding, isolates) for encoding, isolates in _ENCODINGS)


def _encoded(encoding: Encoding, isolates: str) -> Case:
    volume, labels = paint((Block((1, 2), (4, 7), (4, 7), 450), Block((3, 4), (9, 11), (9, 11), 150)))
    agatston = 9 * PIXEL_MM2 * 4 + 4 * PIXEL_MM2 * 1
    small = PIXEL_MM2 * PIXEL_MM * (9 * interpolated_slices(450, 6) + 4 * interpolated_slices(150, 6))
    isotropic = Expected(agatston, small, 2)
    return Case(
        f"encoding-{encoding}",
        isolates,
        "2.25 mm2 x weight 4 + 1 mm2 x weight 1 = 10, however it is stored.",
        volume,
        labels,
        under_rules(Expected(agatston, 13 * PIXEL_MM2 * 3.0, 2), literature_isotropic=isotropic, terarecon=isotropic),
        encoding=encoding,
    )
