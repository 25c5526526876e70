"""Cases about thresholds and weight edges: a block of 3 x 3 pixels, 2.25 mm2, in one slice."""

from typing import Final

from cacseg.scoring.conformance.case import (
    INCREMENT_MM,
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

_AREA_MM2: Final = 9 * PIXEL_MM2
_WEIGHTS: Final = ((130, 1), (199, 1), (200, 2), (299, 2), (300, 3), (399, 3), (400, 4), (1500, 4))


def threshold_cases() -> tuple[Case, ...]:
    """129 and 130 HU, every weight edge from below and at it, a value that only rounding would lift."""
    return (
        _below("threshold-129", 129, "129 HU does not count", "129 < 130; philips counts volume from 112.5 HU, but"),
        *(_at(hu, weight) for hu, weight in _WEIGHTS),
        _below("threshold-129.6", 129.6, "HU are not rounded", "129.6 < 130, though it rounds to it; for philips"),
    )


def _below(name: str, hu: float, isolates: str, why: str) -> Case:
    volume, labels = paint((Block((2, 3), (6, 9), (6, 9), hu),))
    why = f"{why} only beside a component that reaches 130 HU."
    encoding = "plain" if hu == int(hu) else "fractional-slope"
    return Case(name, isolates, why, volume, labels, under_rules(NOTHING), encoding=encoding)  # type: ignore[arg-type]


def _at(hu: int, weight: int) -> Case:
    volume, labels = paint((Block((2, 3), (6, 9), (6, 9), hu),))
    agatston = _AREA_MM2 * weight
    isotropic = Expected(agatston, _AREA_MM2 * PIXEL_MM * interpolated_slices(hu, INCREMENT_MM / PIXEL_MM), 1)
    return Case(
        f"weight-{hu}",
        f"a peak of {hu} HU has weight {weight}",
        f"9 pixels x 0.25 mm2 x {weight} = {agatston}; volume 9 x 0.75 mm3; interpolated to 0.5 mm, "
        f"{interpolated_slices(hu, 6)} slices reach 130 HU.",
        volume,
        labels,
        under_rules(
            Expected(agatston, _AREA_MM2 * INCREMENT_MM, 1), literature_isotropic=isotropic, terarecon=isotropic
        ),
    )
