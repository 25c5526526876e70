"""The deterministic scorer: a volume, a label for each calcified voxel and a rule in; every number out.

Of each label apart: the voxels at or above the threshold form components within each slice; components
that reach the minimum area are accepted; accepted components that touch in neighbouring slices are one
lesion. Sums are exactly rounded (integers or ``math.fsum``), so the order of voxels never shows.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cacseg.errors import UsageError
from cacseg.scoring.components import nonzero_flat
from cacseg.scoring.lesions import FoundLesions, find_lesions, labelled_voxels, measure
from cacseg.scoring.rule import Rule
from cacseg.scoring.rules import RULES
from cacseg.scoring.score import Lesion, Score, Scoring
from cacseg.vessels import CORONARY, EXTRACORONARY, Label
from cacseg.volume import Volume

LITERATURE_MASS_FACTOR: Final = 0.7976
"""Default mass calibration factor in mg HA / (mL HU) at 120 kVp, when nothing better is known.

Mean over four vendors (Canon 0.7185, GE 0.897, Philips 0.788, Siemens 0.787) of the factors measured on the
QRM phantom (MolloiLab/CAC-stanford-data, ``agatston.csv``, MIT licence); see :mod:`cacseg.scoring.mass`.
"""


def candidates(volume: Volume, rule: Rule = RULES["literature"]) -> NDArray[np.bool_]:
    """Voxels that could count under a rule, on the original HU.

    Parameters
    ----------
    volume : HU.
    rule : its lowest threshold decides (for volume or for Agatston, whichever is lower).

    Returns
    -------
    (slice, row, column) bool array.
    """
    return np.asarray(volume.voxels >= rule.counted_volume_hu)


def score(
    volume: Volume,
    labels: Volume,
    rule: Rule = RULES["literature"],
    *,
    mass_factor: float | None = None,
    confidence: NDArray[np.floating[Any]] | None = None,
) -> Scoring:
    """Score a labelled volume under one rule.

    Parameters
    ----------
    volume : HU, integer or floating point; slices along the first axis.
    labels : integers of :class:`~cacseg.vessels.Label` on the same grid; voxels below the threshold or
        labelled 0 never count, whatever the map says.
    rule : how to count.
    mass_factor : mg HA / (mL HU); default :data:`LITERATURE_MASS_FACTOR`.
    confidence : probability that the label is right, on the grid of ``labels`` or one value for each voxel
        that is not 0, in array order; a lesion gets the mean over its voxels.

    Returns
    -------
    Scoring
        ``lesions`` are numbered from 1, ``extracoronary`` on from there.

    Raises
    ------
    UsageError : the grids differ, the labels are not integers from 0 to 8, or the factor is not positive.

    Examples
    --------
    >>> hu = np.zeros((3, 8, 8), np.int16)
    >>> hu[1, 2:4, 2:4] = 250
    >>> labels = np.where(hu > 0, Label.LAD, 0).astype(np.uint8)
    >>> spacing = (3.0, 0.5, 0.5)
    >>> result = score(Volume.axial(hu, spacing), Volume.axial(labels, spacing))
    >>> result.total.agatston, round(result.vessels[Label.LAD].volume_mm3, 9)
    (2.0, 3.0)
    """
    factor = LITERATURE_MASS_FACTOR if mass_factor is None else mass_factor
    if not (math.isfinite(factor) and factor > 0):
        raise UsageError(f"The mass factor is {factor!r}; expected a positive number of mg HA / (mL HU), about 0.8.")
    check_same_grid(volume, labels)
    listed = labelled_voxels(volume, labels, rule.counted_volume_hu)
    _check_values(listed.label)
    found = find_lesions(listed, volume, rule)
    lesions = measure(found, volume, rule, factor)
    if confidence is not None and lesions:
        lesions = _with_confidence(lesions, found, confidence, labels)
    return _scoring(rule, lesions)


def score_all(
    volume: Volume,
    labels: Volume,
    rules: Iterable[Rule] = tuple(RULES.values()),
    *,
    mass_factor: float | None = None,
) -> tuple[Scoring, ...]:
    """Score under each of several rules, in their order.

    Labels must reach down to the lowest threshold of the rules (``candidates`` of each), or a rule that
    counts volume from a lower threshold finds nothing there.
    """
    return tuple(score(volume, labels, rule, mass_factor=mass_factor) for rule in rules)


def check_same_grid(volume: Volume, labels: Volume) -> None:
    """Refuse labels that do not lie on the image, or are not integers.

    Raises
    ------
    UsageError : with both grids spelled out.
    """
    if not np.issubdtype(labels.voxels.dtype, np.integer):
        raise UsageError(f"Labels are integers from 0 to 8; this map holds {labels.voxels.dtype}. Convert it first.")
    if not labels.same_grid(volume):
        raise UsageError(
            f"The labels (shape {labels.shape}, spacing {labels.spacing_mm} mm) do not lie on the image (shape "
            f"{volume.shape}, spacing {volume.spacing_mm} mm). Bring them onto its grid with Volume.matched_to."
        )


def _check_values(label: NDArray[np.integer[Any]]) -> None:
    if label.size and (int(label.min()) < 0 or int(label.max()) > max(Label)):
        raise UsageError(
            f"Labels run from 0 to {int(max(Label))} ({', '.join(f'{int(one)} {one.name}' for one in Label)}); "
            f"this map holds values from {int(label.min())} to {int(label.max())}."
        )


def _with_confidence(
    lesions: list[Lesion], found: FoundLesions, confidence: NDArray[np.floating[Any]], labels: Volume
) -> list[Lesion]:
    flat = found.voxels.flat
    if confidence.shape == labels.shape:
        values = confidence.reshape(-1)[flat]
    else:
        labelled = nonzero_flat(labels.voxels)
        if confidence.shape != labelled.shape:
            raise UsageError(
                f"Confidence has shape {confidence.shape}; expected {labels.shape} or one value for each of the "
                f"{labelled.size} labelled voxels."
            )
        values = confidence[np.searchsorted(labelled, flat)]
    sums = np.bincount(found.lesion, weights=values.astype(np.float64))
    means = (sums / np.bincount(found.lesion)).tolist()
    return [replace(lesion, confidence=mean) for lesion, mean in zip(lesions, means, strict=True)]


def _scoring(rule: Rule, lesions: list[Lesion]) -> Scoring:
    sums = {label: _sum_of([lesion for lesion in lesions if lesion.label is label]) for label in Label if label}
    vessels: Mapping[Label, Score] = {label: sums[label] for label in CORONARY}
    return Scoring(
        rule=rule,
        total=_total(vessels),
        vessels=vessels,
        structures={label: sums[label] for label in EXTRACORONARY},
        lesions=tuple(lesion for lesion in lesions if lesion.label in CORONARY),
        extracoronary=tuple(lesion for lesion in lesions if lesion.label in EXTRACORONARY),
    )


def _sum_of(lesions: list[Lesion]) -> Score:
    return Score(
        agatston=math.fsum(lesion.agatston for lesion in lesions),
        volume_mm3=math.fsum(lesion.volume_mm3 for lesion in lesions),
        mass_mg=math.fsum(lesion.mass_mg or 0.0 for lesion in lesions),
        lesions=len(lesions),
    )


def _total(vessels: Mapping[Label, Score]) -> Score:
    """Sum the unrounded vessel scores."""
    return Score(
        agatston=math.fsum(part.agatston for part in vessels.values()),
        volume_mm3=math.fsum(part.volume_mm3 for part in vessels.values()),
        mass_mg=math.fsum(part.mass_mg or 0.0 for part in vessels.values()),
        lesions=sum(part.lesions for part in vessels.values()),
    )
