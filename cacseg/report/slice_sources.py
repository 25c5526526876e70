"""Which instance, and which frame of it, every slice came from."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from pydicom.dataset import Dataset

from cacseg.volume import Volume

SAME_PLACE_MM: Final = 0.1
"""A frame belongs to a slice when its first pixel lies no further than this from the slice's."""


def slice_sources(
    sources: Sequence[Dataset], volume: Volume, frame_numbers: Sequence[int] | None = None
) -> tuple[Dataset, ...] | None:
    """Give one header per slice; those of a multi-frame object carry ``ReferencedFrameNumber``.

    Parameters
    ----------
    sources : one header per slice in slice order, or the one header of a multi-frame object.
    volume : the grid.
    frame_numbers : 1-based frame of each slice where known; else frames are found by their positions.

    Returns
    -------
    One header per slice, or ``None`` where headers and slices do not match.
    """
    slices = volume.shape[0]
    single_frames = slices > 1 or not sources or "PerFrameFunctionalGroupsSequence" not in sources[0]
    if frame_numbers is None and len(sources) == slices and single_frames:
        return tuple(sources)
    if len(sources) != 1:
        return None
    frames = _frames_by_position(sources[0], volume) if frame_numbers is None else tuple(frame_numbers)
    if frames is None or len(frames) != slices:
        return None
    return tuple(_of_frame(sources[0], frame) for frame in frames)


def _frames_by_position(source: Dataset, volume: Volume) -> tuple[int, ...] | None:
    """Find the frame of every slice; ``None`` where a slice has none or several."""
    found: dict[int, int] = {}
    for number, groups in enumerate(source.get("PerFrameFunctionalGroupsSequence", ()), start=1):
        places = groups.get("PlanePositionSequence")
        if not places:
            return None
        position = np.array([float(value) for value in places[0].ImagePositionPatient])
        index = int(np.rint(volume.to_index([position])[0, 0]))
        if not 0 <= index < volume.shape[0]:
            continue
        if np.linalg.norm(volume.to_world([[index, 0, 0]])[0] - position) > SAME_PLACE_MM:
            continue
        if index in found:
            return None
        found[index] = number
    return tuple(found[index] for index in sorted(found)) if len(found) == volume.shape[0] else None


def _of_frame(source: Dataset, frame: int) -> Dataset:
    header = Dataset()
    for keyword in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        header[keyword] = source[keyword]
    header.ReferencedFrameNumber = frame
    return header
