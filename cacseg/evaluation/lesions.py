"""Which labelled voxels a rule counts, and which of them belong to one lesion.

The same components as in ``cacseg.scoring``, kept as a voxel list so that two label maps can be compared
lesion by lesion.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cacseg.evaluation.counts import Counts
from cacseg.scoring import Rule
from cacseg.scoring.components import (
    BETWEEN_SLICES,
    connected,
    neighbour_pairs,
    nonzero_flat,
    slice_components,
)
from cacseg.volume import Volume

FOUND_SHARE: Final = 0.5
"""A lesion is found when at least this share of its voxels is labelled rightly on the other side."""


@dataclass(frozen=True, slots=True, eq=False)
class LesionMap:
    """The counted voxels of a label map.

    Parameters
    ----------
    flat : (n,) intp, ascending flat indices of the voxels that the rule counts.
    group : (n,) uint8, the label (or the group of labels) of each.
    lesion : (n,) intp, number of the lesion of each, 0 ... ``count`` - 1.
    count : number of lesions.
    """

    flat: NDArray[np.intp]
    group: NDArray[np.uint8]
    lesion: NDArray[np.intp]
    count: int

    def groups(self) -> NDArray[np.uint8]:
        """Give the group of each lesion, (count,) uint8."""
        found = np.zeros(self.count, np.uint8)
        found[self.lesion] = self.group
        return found


def lesion_map(volume: Volume, groups: NDArray[np.uint8], rule: Rule) -> LesionMap:
    """Find the lesions of a label map.

    Parameters
    ----------
    volume : HU.
    groups : (slice, row, column) uint8; voxels of one value may belong to one lesion, 0 never counts.
    rule : its threshold, connectivity and least area decide what counts.
    """
    flat = nonzero_flat(groups)
    flat = flat[volume.voxels.reshape(-1)[flat] >= rule.threshold_hu]
    group = groups.reshape(-1)[flat]
    if flat.size == 0:
        return LesionMap(flat, group, flat, 0)
    component = slice_components(flat, volume.shape, group, rule.connectivity)
    counted = np.bincount(component)[component] >= rule.pixels_needed(volume.pixel_area_mm2)
    flat, group, component = flat[counted], group[counted], component[counted]
    if flat.size == 0:
        return LesionMap(flat, group, flat, 0)
    upper, lower = neighbour_pairs(flat, volume.shape, group, BETWEEN_SLICES[rule.connectivity])
    number, compact = np.unique(component, return_inverse=True)
    compact = compact.reshape(-1)
    root = connected(
        number.size, np.minimum(compact[upper], compact[lower]), np.maximum(compact[upper], compact[lower])
    )
    lesion = np.unique(root, return_inverse=True)[1].reshape(-1)[compact]
    return LesionMap(flat, group, lesion, int(lesion.max()) + 1)


def found_lesions(lesions: LesionMap, other: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Say of each lesion whether the other label map has at least half of its voxels in the same group.

    Parameters
    ----------
    other : (slice, row, column) uint8, the groups of the other side.

    Returns
    -------
    (count,) bool.
    """
    same = other.reshape(-1)[lesions.flat] == lesions.group
    size = np.bincount(lesions.lesion, minlength=lesions.count)
    hits = np.bincount(lesions.lesion, weights=same.astype(np.float64), minlength=lesions.count)
    return np.asarray(hits >= FOUND_SHARE * size, np.bool_) & (size > 0)


def lesion_counts(
    truth: LesionMap, predicted: LesionMap, truth_groups: NDArray[Any], predicted_groups: NDArray[Any], group: int
) -> Counts:
    """Count the lesions of one group: true ones found, predicted ones that are false, true ones missed."""
    found = found_lesions(truth, predicted_groups)[truth.groups() == group]
    true = found_lesions(predicted, truth_groups)[predicted.groups() == group]
    return Counts(
        right=float(np.count_nonzero(found)),
        false=float(np.count_nonzero(~true)),
        missed=float(np.count_nonzero(~found)),
    )


def volume_counts(truth: LesionMap, predicted: LesionMap, group: int, voxel_mm3: float) -> Counts:
    """Count the volume of one group that both, only the prediction or only the truth counts, in mm3."""
    true = truth.flat[truth.group == group]
    called = predicted.flat[predicted.group == group]
    right = int(np.intersect1d(true, called, assume_unique=True).size)
    return Counts(right * voxel_mm3, (called.size - right) * voxel_mm3, (true.size - right) * voxel_mm3)


def voxel_counts(
    volume: Volume, truth: NDArray[np.uint8], predicted: NDArray[np.uint8], groups: int, threshold_hu: float
) -> tuple[Counts, ...]:
    """Count voxels at or above the threshold for each group 1 ... ``groups``."""
    flat = np.union1d(nonzero_flat(truth), nonzero_flat(predicted))
    flat = flat[volume.voxels.reshape(-1)[flat] >= threshold_hu]
    true, called = truth.reshape(-1)[flat], predicted.reshape(-1)[flat]
    table = np.bincount(true.astype(np.intp) * 256 + called, minlength=65536).reshape(256, 256)
    return tuple(
        Counts(
            right=float(table[group, group]),
            false=float(table[:, group].sum() - table[group, group]),
            missed=float(table[group].sum() - table[group, group]),
        )
        for group in range(1, groups + 1)
    )
