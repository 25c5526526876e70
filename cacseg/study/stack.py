"""Split the planes of a series into volumes.

One SeriesInstanceUID may hold a localizer, two reconstructions, several cardiac phases. Planes that can never
belong to one volume (another orientation, matrix, spacing, kernel, thickness) are always parted. What may differ
from plane to plane inside one volume of a step-and-shoot scan (trigger time, acquisition number, ...) parts planes
only where two of them lie at one position.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from cacseg.study.duplicates import pixel_digest
from cacseg.study.geometry import SAME_POSITION_MM, along_normal
from cacseg.study.image import Image

SAME_NORMAL: Final = 0.9998
"""Cosine of 1.1 degrees: planes whose normals differ less have one orientation."""


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """Planes of one volume, in no particular order.

    Parameters
    ----------
    series_instance_uid : the series they come from.
    images : the planes.
    part : what tells this volume from others of the series, in words; ``None`` if it is the only one.
    repeated : names of files dropped because an identical plane lies at the same position.
    """

    series_instance_uid: str | None
    images: tuple[Image, ...]
    part: str | None = None
    repeated: tuple[str, ...] = ()

    @property
    def located(self) -> bool:
        """Say whether every plane knows where it lies."""
        return all(
            image.position_mm is not None and image.orientation is not None and image.spacing_mm is not None
            for image in self.images
        )


Key = Callable[[Image], Hashable]


def _rounded(keyword: str, digits: int) -> Key:
    def key(image: Image) -> Hashable:
        value = image.number(keyword)
        return None if value is None else round(value, digits)

    return key


def _word(keyword: str) -> Key:
    return lambda image: image.text(keyword)


ALWAYS: Final[tuple[tuple[str, Key], ...]] = (
    ("matrix", lambda image: image.matrix),
    ("pixel spacing", lambda image: None if image.spacing_mm is None else tuple(round(v, 3) for v in image.spacing_mm)),
    ("kernel", _word("ConvolutionKernel")),
    ("slice thickness", _rounded("SliceThickness", 2)),
    ("localizer", lambda image: "LOCALIZER" in image.image_type),
)
"""Planes that differ in one of these never make one volume."""

AT_ONE_POSITION: Final[tuple[tuple[str, Key], ...]] = (
    ("nominal cardiac phase", _rounded("NominalPercentageOfCardiacPhase", 1)),
    ("temporal position", _word("TemporalPositionIdentifier")),
    ("temporal position", _word("TemporalPositionIndex")),
    ("image type", lambda image: image.image_type),
    ("tube voltage", _rounded("KVP", 0)),
    ("reconstruction", _word("ReconstructionAlgorithm")),
    ("filter", _word("FilterType")),
    ("acquisition number", _word("AcquisitionNumber")),
    ("trigger time", _rounded("TriggerTime", 0)),
    ("trigger delay", _rounded("NominalCardiacTriggerDelayTime", 0)),
    ("comment", _word("ImageComments")),
    ("frame of reference", _word("FrameOfReferenceUID")),
    ("content time", _word("ContentTime")),
    ("acquisition time", _word("AcquisitionTime")),
)
"""What parts two planes at one position, tried in this order."""


def stacks_of(series_instance_uid: str | None, images: Sequence[Image]) -> tuple[Stack, ...]:
    """Part the planes of one series into volumes, the same whatever their order."""
    ordered = sorted(images, key=_identity)
    groups: dict[tuple[Hashable, ...], list[Image]] = {}
    normals: list[tuple[float, ...]] = []
    for image in ordered:
        key = (_orientation(image, normals), *(part(image) for _, part in ALWAYS))
        groups.setdefault(key, []).append(image)
    stacks: list[Stack] = []
    for key in sorted(groups, key=repr):
        part = _difference(key, list(groups)) if len(groups) > 1 else None
        stacks.extend(_parted(Stack(series_instance_uid, tuple(groups[key]), part)))
    return tuple(stacks)


def _identity(image: Image) -> tuple[str, int, str]:
    return (image.file.sop_instance_uid or "", image.frame, image.file.found.name)


def _orientation(image: Image, seen: list[tuple[float, ...]]) -> int:
    """Number the orientations as they appear; -1 for unknown."""
    if image.orientation is None:
        return -1
    axes = image.orientation
    for index, known in enumerate(seen):
        if bool((np.sum(np.reshape(known, (2, 3)) * axes, axis=1) > SAME_NORMAL).all()):
            return index
    seen.append(tuple(axes.ravel().tolist()))
    return len(seen) - 1


def _difference(key: tuple[Hashable, ...], keys: Sequence[tuple[Hashable, ...]]) -> str:
    names = ("orientation", *(name for name, _ in ALWAYS))
    differing = [index for index in range(len(key)) if len({repr(other[index]) for other in keys}) > 1]
    return ", ".join(f"{names[index]} {_shown(key[index])}" for index in differing)


def _shown(value: object) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return " x ".join(str(item) for item in value)
    return str(value)


def _parted(stack: Stack) -> list[Stack]:
    """Part planes that share a position: equal ones are dropped, others go to different volumes."""
    if not stack.located or len(stack.images) < 2 or max(_occupancy(stack.images)) == 1:
        return [stack]
    stack = _without_repeats(stack)
    occupancy = _occupancy(stack.images)
    if max(occupancy) == 1:
        return [stack]
    for name, key in AT_ONE_POSITION:
        parted: dict[Hashable, list[Image]] = {}
        for image in stack.images:
            parted.setdefault(key(image), []).append(image)
        if 1 < len(parted) <= max(occupancy) and all(
            max(_occupancy(group)) < max(occupancy) for group in parted.values()
        ):
            parts = [_sub(stack, parted[value], f"{name} {_shown(value)}") for value in sorted(parted, key=repr)]
            return [finer for part in parts for finer in _parted(part)]
    return _by_runs(stack, max(occupancy))


def _by_runs(stack: Stack, count: int) -> list[Stack]:
    """Part by InstanceNumber where each run of it covers every position once; else leave the defect in place."""
    numbered = [(image.number("InstanceNumber"), image) for image in stack.images]
    if len(stack.images) % count or any(number is None for number, _ in numbered):
        return [stack]
    if len({number for number, _ in numbered}) < len(numbered):
        return [stack]
    ordered = [image for _, image in sorted(numbered, key=lambda pair: pair[0] or 0.0)]
    size = len(ordered) // count
    runs = [ordered[start : start + size] for start in range(0, len(ordered), size)]
    if any(max(_occupancy(run)) > 1 for run in runs):
        return [stack]
    return [_sub(stack, run, f"part {index + 1} of {count} by InstanceNumber") for index, run in enumerate(runs)]


def _sub(stack: Stack, images: Sequence[Image], part: str) -> Stack:
    words = part if stack.part is None else f"{stack.part}, {part}"
    return replace(stack, images=tuple(images), part=words)


def _occupancy(images: Sequence[Image]) -> list[int]:
    """Count how many planes lie at each position along the normal."""
    along = np.sort(along_normal(images))
    place = np.concatenate([[0], np.cumsum(np.diff(along) > SAME_POSITION_MM)])
    return list(Counter(place.tolist()).values())


def _without_repeats(stack: Stack) -> Stack:
    """Drop planes whose position and stored pixels equal those of another."""
    along = along_normal(stack.images)
    order = np.argsort(along, kind="stable")
    seen: dict[tuple[int, str, int], str] = {}
    kept: list[Image] = []
    repeated: list[str] = []
    place = 0
    crowded = np.concatenate([[0], np.cumsum(np.diff(along[order]) > SAME_POSITION_MM)])
    counts = Counter(crowded.tolist())
    for index, spot in zip(order, crowded.tolist(), strict=True):
        image = stack.images[index]
        place = spot
        if counts[place] > 1 and not image.local:
            key = (place, pixel_digest(image.file), image.frame)
            if key in seen:
                repeated.append(image.file.found.name)
                continue
            seen[key] = image.file.found.name
        kept.append(image)
    return replace(stack, images=tuple(kept), repeated=tuple(sorted(repeated)))
