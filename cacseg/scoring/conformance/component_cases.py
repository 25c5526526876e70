"""Cases about what one component and one lesion are: minimum area, neighbours, the peak of each slice."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from cacseg.scoring.conformance.case import (
    NOTHING,
    PIXEL_MM,
    PIXEL_MM2,
    Block,
    Case,
    Expected,
    interpolated_slices,
    paint,
    under_rules,
)

VOXEL_MM3: Final = PIXEL_MM2 * 3.0
SMALL_MM3: Final = PIXEL_MM2 * PIXEL_MM
"""Voxel interpolated to 0.5 mm."""

PIXELS_NEEDED: Final[Mapping[str, int]] = {"siemens": 1, "siemens-vb60": 2, "philips": 2, "canon": 3}
"""Pixels of 0.25 mm2 that a component needs; 4 (1 mm2) under the rules not listed."""


def component_cases() -> tuple[Case, ...]:
    """Area at the limit, corners, slices, peaks of two slices."""
    return (
        *(_area(pixels) for pixels in (1, 2, 3, 4, 5)),
        _area_per_slice(),
        _diagonal(),
        _diagonal_small(),
        _corner_between_slices(),
        _two_peaks(),
        _bridge(),
        _many(),
    )


def _both_isotropic(expected: Expected) -> Mapping[str, Expected]:
    return {"literature_isotropic": expected, "terarecon": expected}


def _area(pixels: int) -> Case:
    volume, labels = paint((Block((2, 3), (6, 7), (5, 5 + pixels), 250),))
    agatston = pixels * PIXEL_MM2 * 2
    plain = Expected(agatston, pixels * VOXEL_MM3, 1)
    isotropic = Expected(agatston, pixels * SMALL_MM3 * interpolated_slices(250, 6), 1)
    small = {rule.replace("-", "_"): plain for rule, needed in PIXELS_NEEDED.items() if pixels >= needed}
    expected = under_rules(NOTHING, **small) if pixels < 4 else under_rules(plain, **_both_isotropic(isotropic))
    return Case(
        f"area-{pixels}-pixels",
        f"a component of {pixels * PIXEL_MM2} mm2 against the minimum area, inclusive",
        "Needed: 4 pixels for 1 mm2, 2 for 0.5 mm2, 3 for canon, 1 for siemens; peak 250 HU has weight 2.",
        volume,
        labels,
        expected,
    )


def _area_per_slice() -> Case:
    volume, labels = paint((Block((2, 4), (6, 7), (5, 8), 250),))
    counted = Expected(2 * 3 * PIXEL_MM2 * 2, 6 * VOXEL_MM3, 1)
    return Case(
        "area-per-slice",
        "the minimum area is asked of each slice, not of the lesion",
        "Three pixels in each of two slices: 0.75 mm2 twice, nowhere 1 mm2. Where 3 pixels do, one lesion.",
        volume,
        labels,
        under_rules(NOTHING, siemens=counted, siemens_vb60=counted, philips=counted, canon=counted),
    )


def _diagonal() -> Case:
    volume, labels = paint((Block((2, 3), (4, 6), (4, 6), 450), Block((2, 3), (6, 8), (6, 8), 150)))
    apart = 4 * PIXEL_MM2 * 4 + 4 * PIXEL_MM2 * 1
    slices = interpolated_slices(450, 6) + interpolated_slices(150, 6)
    return Case(
        "diagonal-neighbours",
        "pixels that share a corner only: apart when 4-connected, one component when 8-connected",
        "Two blocks of 1 mm2, peaks 450 and 150: 4 + 1 apart; as one component 2 mm2 x 4 = 8.",
        volume,
        labels,
        under_rules(
            Expected(apart, 8 * VOXEL_MM3, 2),
            literature_8=Expected(8 * PIXEL_MM2 * 4, 8 * VOXEL_MM3, 1),
            **_both_isotropic(Expected(apart, 4 * SMALL_MM3 * slices, 2)),
        ),
    )


def _diagonal_small() -> Case:
    volume, labels = paint((Block((2, 3), (5, 6), (4, 6), 250), Block((2, 3), (6, 7), (6, 8), 250)))
    two = Expected(4 * PIXEL_MM2 * 2, 4 * VOXEL_MM3, 2)
    return Case(
        "diagonal-below-area",
        "two halves that reach the minimum area only together",
        "Two pairs of pixels, 0.5 mm2 each, touch at a corner: 1 mm2 when 8-connected.",
        volume,
        labels,
        under_rules(
            NOTHING,
            literature_8=Expected(two.agatston, two.volume_mm3, 1),
            siemens=two,
            siemens_vb60=two,
            philips=two,
        ),
    )


def _corner_between_slices() -> Case:
    volume, labels = paint((Block((1, 2), (4, 6), (4, 6), 250), Block((2, 3), (6, 8), (4, 6), 250)))
    apart = Expected(8 * PIXEL_MM2 * 2, 8 * VOXEL_MM3, 2)
    return Case(
        "slices-touching-at-an-edge",
        "components of neighbouring slices that share an edge only: two lesions across faces, one with 26 neighbours",
        "Two blocks of 1 mm2 with weight 2, one slice apart, side by side; only the count of lesions differs.",
        volume,
        labels,
        under_rules(
            apart,
            literature_8=Expected(apart.agatston, apart.volume_mm3, 1),
            **_both_isotropic(Expected(apart.agatston, 8 * SMALL_MM3 * interpolated_slices(250, 6), 2)),
        ),
    )


def _two_peaks() -> Case:
    volume, labels = paint((Block((1, 2), (6, 8), (6, 8), 450), Block((2, 3), (6, 8), (6, 8), 150)))
    agatston = 4 * PIXEL_MM2 * 4 + 4 * PIXEL_MM2 * 1
    return Case(
        "two-slices-two-peaks",
        "each slice has the weight of its own peak, not of the lesion's",
        "1 mm2 x 4 + 1 mm2 x 1 = 5, not 8. Interpolated: 4 slices before the first, it, 5 between, the second: 11.",
        volume,
        labels,
        under_rules(Expected(agatston, 8 * VOXEL_MM3, 1), **_both_isotropic(Expected(agatston, 4 * 11 * SMALL_MM3, 1))),
    )


def _bridge() -> Case:
    volume, labels = paint(
        (
            Block((1, 2), (6, 8), (4, 6), 450),
            Block((1, 2), (6, 8), (8, 10), 150),
            Block((2, 3), (6, 8), (4, 10), 150),
        )
    )
    agatston = 4 * PIXEL_MM2 * 4 + 4 * PIXEL_MM2 * 1 + 12 * PIXEL_MM2 * 1
    isotropic = 4 * 11 + 4 * 7 + 4 * 1
    return Case(
        "bridge-below",
        "two components of one slice keep their own peaks although the next slice joins them",
        "1 mm2 x 4 + 1 mm2 x 1 + 3 mm2 x 1 = 8, one lesion. Interpolated: the pixels of the first block count in "
        "11 slices, of the second in 7, of the middle of the bar in 1.",
        volume,
        labels,
        under_rules(
            Expected(agatston, 20 * VOXEL_MM3, 1), **_both_isotropic(Expected(agatston, isotropic * SMALL_MM3, 1))
        ),
    )


def _many(seed: int = 20240615) -> Case:
    rng = np.random.default_rng(seed)
    values = [int(hu) for hu in rng.integers(131, 1500, 100)]
    blocks = tuple(
        Block((2, 3), (2 + 4 * (n // 10), 4 + 4 * (n // 10)), (2 + 4 * (n % 10), 4 + 4 * (n % 10)), hu)
        for n, hu in enumerate(values)
    )
    volume, labels = paint(blocks, shape=(5, 44, 44))
    agatston = sum(1 if hu < 200 else 2 if hu < 300 else 3 if hu < 400 else 4 for hu in values) * 4 * PIXEL_MM2
    slices = sum(interpolated_slices(hu, 6) for hu in values)
    return Case(
        "hundred-lesions",
        "a hundred lesions of 1 mm2 with peaks drawn at random",
        "The sum of their weights; each is 4 pixels. Drawn with a fixed seed.",
        volume,
        labels,
        under_rules(
            Expected(agatston, 400 * VOXEL_MM3, 100),
            **_both_isotropic(Expected(agatston, slices * 4 * SMALL_MM3, 100)),
        ),
    )
