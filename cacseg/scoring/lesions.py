"""From labelled voxels to lesions: accepted slice components, joined across slices, and their numbers."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cacseg.scoring.components import (
    BETWEEN_SLICES,
    IN_SLICE,
    IndexArray,
    connected,
    neighbour_pairs,
    nonzero_flat,
    slice_components,
)
from cacseg.scoring.isotropic import isotropic_volumes_mm3
from cacseg.scoring.rule import Rule
from cacseg.scoring.score import Lesion
from cacseg.vessels import Label
from cacseg.volume import Volume

MM3_PER_ML: Final = 1000.0


@dataclass(frozen=True, slots=True, eq=False)
class VoxelList:
    """Voxels in ascending flat order.

    Parameters
    ----------
    flat : (n,) flat indices.
    label : (n,) label values.
    hu : (n,) values, in the type of the volume.
    """

    flat: IndexArray
    label: NDArray[np.integer[Any]]
    hu: NDArray[Any]

    def take(self, chosen: NDArray[np.bool_]) -> "VoxelList":
        """Keep the chosen ones."""
        return VoxelList(self.flat[chosen], self.label[chosen], self.hu[chosen])


@dataclass(frozen=True, slots=True, eq=False)
class FoundLesions:
    """All lesions of a volume, still as lists of voxels.

    Parameters
    ----------
    voxels : those of accepted slice components.
    component : (n,) slice component of each voxel, 0, 1, ...
    lesion : (n,) lesion of each voxel, 0, 1, ... in order of label, then first voxel.
    counted : voxels that count for volume and mass; ``counted_lesion`` says for which lesion.
    """

    voxels: VoxelList
    component: IndexArray
    lesion: IndexArray
    counted: VoxelList
    counted_lesion: IndexArray


def labelled_voxels(volume: Volume, labels: Volume, lowest_hu: float) -> VoxelList:
    """List the voxels that carry a label and reach ``lowest_hu``."""
    flat = nonzero_flat(labels.voxels)
    listed = VoxelList(flat, labels.voxels.reshape(-1)[flat], volume.voxels.reshape(-1)[flat])
    return listed.take(np.asarray(listed.hu >= lowest_hu))


def find_lesions(listed: VoxelList, volume: Volume, rule: Rule) -> FoundLesions:
    """Group labelled voxels into lesions.

    Where volume has a lower threshold of its own, a slice component at that threshold counts for volume when
    it holds an accepted one: accepted voxels for their own lesion, the rest for that of the first of them.
    """
    above = listed.take(np.asarray(listed.hu >= rule.threshold_hu))
    component = slice_components(above.flat, volume.shape, above.label, rule.connectivity)
    accepted = _large(component, rule.pixels_needed(volume.pixel_area_mm2))
    voxels = above.take(accepted)
    component = np.unique(component[accepted], return_inverse=True)[1].reshape(-1)
    lesion = _join_slices(voxels, volume.shape, rule)
    if rule.volume_threshold_hu is None:
        return FoundLesions(voxels, component, lesion, voxels, lesion)
    counted, counted_lesion = _lower_threshold(listed, voxels, lesion, volume, rule)
    return FoundLesions(voxels, component, lesion, counted, counted_lesion)


def _large(component: IndexArray, pixels_needed: int) -> NDArray[np.bool_]:
    pixels = np.bincount(component) if component.size else component
    return np.asarray(pixels[component] >= pixels_needed)


def _join_slices(voxels: VoxelList, shape: tuple[int, int, int], rule: Rule) -> IndexArray:
    if voxels.flat.size == 0:
        return voxels.flat
    steps = IN_SLICE[rule.connectivity] + BETWEEN_SLICES[rule.connectivity]
    root = connected(voxels.flat.size, *neighbour_pairs(voxels.flat, shape, voxels.label, steps))
    roots, inverse = np.unique(root, return_inverse=True)
    order = np.lexsort((roots, voxels.label[roots]))
    rank = np.empty_like(order)
    rank[order] = np.arange(order.size)
    return rank[inverse.reshape(-1)]


def _lower_threshold(
    listed: VoxelList, voxels: VoxelList, lesion: IndexArray, volume: Volume, rule: Rule
) -> tuple[VoxelList, IndexArray]:
    component = slice_components(listed.flat, volume.shape, listed.label, rule.connectivity)
    accepted = np.searchsorted(listed.flat, voxels.flat)
    held, first = np.unique(component[accepted], return_index=True)
    owner = np.full(component.max(initial=-1) + 1, -1, np.intp)
    owner[held] = lesion[first]
    lesion_of_listed = owner[component]
    lesion_of_listed[accepted] = lesion
    return listed.take(lesion_of_listed >= 0), lesion_of_listed[lesion_of_listed >= 0]


def measure(found: FoundLesions, volume: Volume, rule: Rule, mass_factor: float) -> list[Lesion]:
    """Measure every lesion; ids follow their order from 1.

    Agatston = (sum over slice components of pixels x weight) x (pixel area x increment / reference
    increment). Mass = volume x mean HU of the counted voxels x mass factor.
    """
    count = int(found.lesion.max(initial=-1)) + 1
    if count == 0:
        return []
    volumes_mm3 = (
        isotropic_volumes_mm3(volume, found.counted.flat, found.counted_lesion, count, rule)
        if rule.volume_method == "isotropic"
        else np.bincount(found.counted_lesion, minlength=count) * volume.voxel_volume_mm3
    )
    weighted = _weighted_pixels(found, rule, count)
    pixels = np.bincount(found.lesion, minlength=count)
    increment_mm = volume.spacing_mm[0]
    unit = volume.pixel_area_mm2 * (increment_mm / rule.reference_increment_mm)
    centroid = volume.to_world(_mean_index(found, volume.shape, count))
    mean_hu = _mean_hu(found, count)
    peak = _peak(found.voxels.hu, found.lesion, count)
    slices = _slices(found, volume.shape, count)
    label = np.zeros(count, np.intp)
    label[found.lesion] = found.voxels.label
    return [
        Lesion(
            id=number + 1,
            label=Label(int(label[number])),
            agatston=int(weighted[number]) * unit,
            volume_mm3=float(volumes_mm3[number]),
            mass_mg=float(volumes_mm3[number]) * mean_hu[number] * (mass_factor / MM3_PER_ML),
            area_mm2=int(pixels[number]) * volume.pixel_area_mm2,
            peak_hu=peak[number].item(),
            slices=slices[number],
            centroid_lps_mm=(float(centroid[number, 0]), float(centroid[number, 1]), float(centroid[number, 2])),
        )
        for number in range(count)
    ]


def _weighted_pixels(found: FoundLesions, rule: Rule, count: int) -> NDArray[np.intp]:
    components = int(found.component.max()) + 1
    peak = _peak(found.voxels.hu, found.component, components)
    weight = np.searchsorted(np.array(rule.weight_edges_hu), peak.astype(np.float64), side="right")
    pixels = np.bincount(found.component, minlength=components)
    lesion = np.empty(components, np.intp)
    lesion[found.component] = found.lesion
    total = np.zeros(count, np.intp)
    np.add.at(total, lesion, weight * pixels)
    return total


def _peak(hu: NDArray[Any], group: IndexArray, count: int) -> NDArray[Any]:
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(count))
    return np.asarray(np.maximum.reduceat(hu[order], starts))


def _mean_hu(found: FoundLesions, count: int) -> list[float]:
    """Exactly rounded mean HU of the voxels that count for each lesion's mass."""
    order = np.argsort(found.counted_lesion, kind="stable")
    bounds = np.searchsorted(found.counted_lesion[order], np.arange(count + 1)).tolist()
    values = found.counted.hu[order].tolist()
    return [math.fsum(values[start:stop]) / (stop - start) for start, stop in pairwise(bounds)]


def _mean_index(found: FoundLesions, shape: tuple[int, int, int], count: int) -> NDArray[np.float64]:
    pixels = np.bincount(found.lesion, minlength=count)
    axes = np.unravel_index(found.voxels.flat, shape)
    sums = [np.bincount(found.lesion, weights=axis, minlength=count) for axis in axes]
    return np.stack(sums, axis=1) / pixels[:, None]


def _slices(found: FoundLesions, shape: tuple[int, int, int], count: int) -> list[tuple[int, ...]]:
    slices = shape[0]
    occupied = np.unique(found.lesion * slices + found.voxels.flat // (shape[1] * shape[2]))
    bounds = np.searchsorted(occupied, np.arange(count + 1) * slices).tolist()
    index = (occupied % slices).tolist()
    return [tuple(index[start:stop]) for start, stop in pairwise(bounds)]
