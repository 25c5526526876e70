"""The scorer written for obviousness: loops, sets, and nothing clever. The fast one must agree bit for bit."""

import itertools
import math

import numpy as np

from cacseg.scoring import Lesion
from cacseg.vessels import Label


def neighbours(voxel, connectivity, in_slice):
    for step in itertools.product((-1, 0, 1), repeat=3):
        distance = sum(map(abs, step))
        if 0 < distance <= (1 if connectivity == 4 else 3) and not (in_slice and step[0]):
            yield tuple(v + s for v, s in zip(voxel, step, strict=True))


def groups(voxels, connectivity, in_slice):
    left, found = set(voxels), []
    for start in sorted(voxels):
        if start in left:
            left.remove(start)
            group = [start]
            for voxel in group:
                for other in neighbours(voxel, connectivity, in_slice):
                    if other in left:
                        left.remove(other)
                        group.append(other)
            found.append(sorted(group))
    return found


def accepted(hu, threshold, rule, pixel_mm2):
    components = groups([v for v in hu if hu[v] >= threshold], rule.connectivity, in_slice=True)
    return [c for c in components if len(c) >= rule.pixels_needed(pixel_mm2)]


def counted_voxels(hu, lesions, rule):
    """Voxels of each lesion that count for volume and mass."""
    if rule.volume_threshold_hu is None:
        return lesions
    owner = {v: number for number, lesion in enumerate(lesions) for v in lesion}
    counted = [[] for _ in lesions]
    for component in groups([v for v in hu if hu[v] >= rule.volume_threshold_hu], rule.connectivity, in_slice=True):
        first = next((owner[v] for v in component if v in owner), None)
        for v in component if first is not None else ():
            counted[owner.get(v, first)].append(v)
    return counted


def isotropic_pixels(lesions, volume, rule):
    """Number of interpolated voxels of each lesion."""
    slices, _, _ = volume.shape
    slice_mm, step_mm = volume.spacing_mm[0], math.sqrt(volume.pixel_area_mm2)
    owner = {voxel: number for number, lesion in enumerate(lesions) for voxel in lesion}
    counted = [{} for _ in lesions]
    for k in range(math.floor((slices - 1) * slice_mm / step_mm) + 1):
        position = k * step_mm / slice_mm
        below = min(math.floor(position), slices - 1)
        above = min(below + 1, slices - 1)
        nearer, further = (below, above) if position - below <= abs(above - position) else (above, below)
        for row, column in {voxel[1:] for voxel in owner}:
            number = owner.get((nearer, row, column))
            if number is None and position != below:
                number = owner.get((further, row, column))
            low, high = float(volume.voxels[below, row, column]), float(volume.voxels[above, row, column])
            if number is not None and low + (position - below) * (high - low) >= rule.counted_volume_hu:
                counted[number][k, row, column] = 0
    return [sum(map(len, accepted(hu, 0, rule, volume.pixel_area_mm2))) for hu in counted]


def reference_lesions(volume, labels, rule, mass_factor):
    """Every lesion, coronary or not, in order of label and position."""
    pixel_mm2, found = volume.pixel_area_mm2, []
    for label in [label for label in Label if label]:
        hu = {tuple(v): volume.voxels[tuple(v)].item() for v in np.argwhere(labels.voxels == label).tolist()}
        components = accepted(hu, rule.threshold_hu, rule, pixel_mm2)
        lesions = groups([v for c in components for v in c], rule.connectivity, in_slice=False)
        for lesion, counted in zip(lesions, counted_voxels(hu, lesions, rule), strict=True):
            found.append((label, hu, [c for c in components if c[0] in lesion], lesion, counted))
    volumes = [len(counted) * volume.voxel_volume_mm3 for *_, counted in found]
    if rule.volume_method == "isotropic":
        voxel_mm3 = volume.voxel_volume_mm3 / volume.spacing_mm[0] * math.sqrt(pixel_mm2)
        volumes = [number * voxel_mm3 for number in isotropic_pixels([c for *_, c in found], volume, rule)]
    return [
        Lesion(
            id=number,
            label=label,
            agatston=sum(len(c) * rule.weight(max(hu[v] for v in c)) for c in components)
            * (pixel_mm2 * (volume.spacing_mm[0] / rule.reference_increment_mm)),
            volume_mm3=volume_mm3,
            mass_mg=volume_mm3 * (math.fsum(hu[v] for v in counted) / len(counted)) * (mass_factor / 1000),
            area_mm2=len(lesion) * pixel_mm2,
            peak_hu=max(hu[v] for v in lesion),
            slices=tuple(sorted({v[0] for v in lesion})),
            centroid_lps_mm=tuple(
                volume.to_world([[sum(axis) / len(lesion) for axis in zip(*lesion, strict=True)]])[0].tolist()
            ),
        )
        for number, ((label, hu, components, lesion, counted), volume_mm3) in enumerate(
            zip(found, volumes, strict=True), start=1
        )
    ]
