"""Cases about geometry: slice increment, pixel shape, matrix size, the ends of the volume."""

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


def geometry_cases() -> tuple[Case, ...]:
    """Overlap, gap, thin slices, anisotropic pixels, other matrices, first and last slice."""
    return (
        _increment("overlap", 1.5, 3.0, (2, 4), 6, "slices 3 mm thick every 1.5 mm: each counts half"),
        _increment("gap", 5.0, 3.0, (2, 3), 9, "slices 3 mm thick every 5 mm: each counts 5/3"),
        _below_one(),
        _anisotropic(3),
        _anisotropic(2),
        _matrix(),
        _ends(),
    )


def _increment(
    name: str, increment_mm: float, thickness_mm: float, slices: tuple[int, int], interpolated: int, isolates: str
) -> Case:
    volume, labels = paint((Block(slices, (6, 9), (6, 9), 250),), spacing_mm=(increment_mm, PIXEL_MM, PIXEL_MM))
    count = slices[1] - slices[0]
    agatston = count * 9 * PIXEL_MM2 * 2 * increment_mm / 3.0
    isotropic = Expected(agatston, 9 * PIXEL_MM2 * PIXEL_MM * interpolated, 1)
    return Case(
        f"increment-{name}",
        isolates,
        f"{count} x 2.25 mm2 x weight 2 x {increment_mm} / 3; the thickness tag does not enter. Interpolated to "
        f"0.5 mm: {interpolated} slices reach 130 HU.",
        volume,
        labels,
        under_rules(
            Expected(agatston, count * 9 * PIXEL_MM2 * increment_mm, 1),
            literature_isotropic=isotropic,
            terarecon=isotropic,
        ),
        slice_thickness_mm=thickness_mm,
    )


def _below_one() -> Case:
    volume, labels = paint((Block((2, 3), (6, 8), (6, 8), 150),), spacing_mm=(0.5, PIXEL_MM, PIXEL_MM))
    expected = Expected(4 * PIXEL_MM2 * 1 * 0.5 / 3.0, 4 * PIXEL_MM2 * 0.5, 1)
    return Case(
        "score-below-one",
        "a score between 0 and 1 is not 0",
        "1 mm2 x weight 1 x 0.5 / 3 = 0.1667 in one slice of 0.5 mm, which interpolation leaves as it is.",
        volume,
        labels,
        under_rules(expected),
        slice_thickness_mm=0.5,
    )


def _anisotropic(pixels: int) -> Case:
    pixel_mm2 = 0.4 * 0.9
    volume, labels = paint((Block((2, 3), (6, 6 + pixels), (6, 7), 250),), spacing_mm=(3.0, 0.4, 0.9))
    agatston = pixels * pixel_mm2 * 2
    plain = Expected(agatston, pixels * pixel_mm2 * 3.0, 1)
    isotropic = Expected(agatston, pixels * pixel_mm2 * 0.6 * interpolated_slices(250, 5), 1)
    expected = (
        under_rules(plain, literature_isotropic=isotropic, terarecon=isotropic)
        if pixels == 3
        else under_rules(NOTHING, siemens=plain, siemens_vb60=plain, philips=plain)
    )
    return Case(
        f"anisotropic-{pixels}-pixels",
        "area is row spacing times column spacing",
        "Pixels of 0.4 x 0.9 mm are 0.36 mm2: 3 are needed for 1 mm2 (1.08), 2 for 0.5 mm2. In-plane spacing for "
        "interpolation is their geometric mean, 0.6 mm.",
        volume,
        labels,
        expected,
    )


def _matrix() -> Case:
    volume, labels = paint((Block((1, 2), (517, 520), (597, 600), 250),), shape=(3, 520, 600))
    isotropic = Expected(4.5, 9 * PIXEL_MM2 * PIXEL_MM * interpolated_slices(250, 6), 1)
    return Case(
        "matrix-520-by-600",
        "a matrix that is not 512 x 512, with the lesion in its far corner",
        "2.25 mm2 x weight 2 = 4.5; rows and columns beyond 512 count like any other.",
        volume,
        labels,
        under_rules(Expected(4.5, 6.75, 1), literature_isotropic=isotropic, terarecon=isotropic),
    )


def _ends() -> Case:
    volume, labels = paint((Block((0, 1), (6, 9), (6, 9), 250), Block((4, 5), (6, 9), (6, 9), 250)))
    slices = 2 * interpolated_slices(250, 6, sides=1)
    isotropic = Expected(9.0, 9 * PIXEL_MM2 * PIXEL_MM * slices, 2)
    return Case(
        "first-and-last-slice",
        "the first and the last slice count",
        "2.25 mm2 x weight 2 in each of them; interpolation does not reach beyond the ends.",
        volume,
        labels,
        under_rules(Expected(9.0, 13.5, 2), literature_isotropic=isotropic, terarecon=isotropic),
    )
