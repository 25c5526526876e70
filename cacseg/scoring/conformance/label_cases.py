"""Cases about labels: what is labelled but not calcium, what is calcium but not labelled, two arteries meeting."""

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
from cacseg.vessels import Label


def label_cases() -> tuple[Case, ...]:
    """Generous masks, bright neighbours, the LM/LAD border, calcium outside the arteries."""
    return (_generous(), _neighbour(), _border(), _border_small(), _extracoronary())


def _generous() -> Case:
    blocks = (
        Block((1, 4), (4, 11), (4, 11), 40),
        Block((2, 3), (5, 10), (5, 10), 120),
        Block((2, 3), (6, 9), (6, 9), 250),
    )
    volume, labels = paint(blocks)
    isotropic = Expected(4.5, 9 * PIXEL_MM2 * PIXEL_MM * 7, 1)
    return Case(
        "label-wider-than-calcium",
        "labelled voxels below the threshold do not count",
        "Of 7 x 7 labelled pixels in three slices, 3 x 3 reach 130 HU. Philips counts volume from 112.5 HU: 5 x 5. "
        "Interpolated towards neighbours of 40 HU, 250 - 210 j / 6 reaches 130 HU for j up to 3: 7 slices.",
        volume,
        labels,
        under_rules(
            Expected(4.5, 6.75, 1),
            philips=Expected(4.5, 25 * PIXEL_MM2 * 3.0, 1),
            literature_isotropic=isotropic,
            terarecon=isotropic,
        ),
    )


def _neighbour() -> Case:
    volume, labels = paint((Block((2, 3), (6, 8), (6, 8), 150), Block((2, 3), (6, 8), (8, 12), 900, label=0)))
    isotropic = Expected(1.0, 4 * PIXEL_MM2 * PIXEL_MM * interpolated_slices(150, 6), 1)
    return Case(
        "bright-unlabelled-neighbour",
        "a voxel without a label lends neither area nor peak",
        "1 mm2 labelled at 150 HU touches bone at 900 HU that is not labelled: weight 1.",
        volume,
        labels,
        under_rules(Expected(1.0, 3.0, 1), literature_isotropic=isotropic, terarecon=isotropic),
    )


def _border() -> Case:
    lm, lad = int(Label.LM), int(Label.LAD)
    volume, labels = paint((Block((2, 3), (6, 8), (4, 6), 150, lm), Block((2, 3), (6, 8), (6, 8), 450, lad)))
    slices = interpolated_slices(150, 6) + interpolated_slices(450, 6)
    isotropic = Expected(5.0, 4 * PIXEL_MM2 * PIXEL_MM * slices, 2)
    return Case(
        "lm-lad-border",
        "calcium that runs from one artery into the next is a component of each",
        "LM: 1 mm2 at 150 HU, weight 1. LAD: 1 mm2 at 450 HU, weight 4. Together 5, two lesions; as one: 8.",
        volume,
        labels,
        under_rules(Expected(5.0, 6.0, 2), literature_isotropic=isotropic, terarecon=isotropic),
    )


def _border_small() -> Case:
    lm, lad = int(Label.LM), int(Label.LAD)
    volume, labels = paint((Block((2, 3), (6, 8), (5, 6), 250, lm), Block((2, 3), (6, 8), (6, 7), 250, lad)))
    halves = Expected(2.0, 3.0, 2)
    return Case(
        "lm-lad-border-below-area",
        "the minimum area is asked of each artery's share",
        "0.5 mm2 in LM and 0.5 mm2 in LAD: neither reaches 1 mm2.",
        volume,
        labels,
        under_rules(NOTHING, siemens=halves, siemens_vb60=halves, philips=halves),
    )


def _extracoronary() -> Case:
    valve = int(Label.AORTIC_VALVE)
    volume, labels = paint((Block((2, 3), (6, 8), (4, 6), 250), Block((2, 3), (6, 9), (6, 9), 900, valve)))
    isotropic = Expected(2.0, 4 * PIXEL_MM2 * PIXEL_MM * interpolated_slices(250, 6), 1)
    return Case(
        "valve-beside-artery",
        "calcium of the aortic valve is not in the coronary score",
        "LAD: 1 mm2 x weight 2. The valve touches it and is brighter, but has a label of its own.",
        volume,
        labels,
        under_rules(Expected(2.0, 3.0, 1), literature_isotropic=isotropic, terarecon=isotropic),
    )
