"""DICOM series with DICOM Segmentation objects: the form in which PACS and annotation tools hand labels over.

Every folder directly below the root is one study (or the root itself, where it holds files): its CT files in any
nesting and one or more SEG objects (PS3.3 A.51; LABELMAP too). Segments are told by label, then by property type.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cacseg.data.readers.dicom_image import read_image
from cacseg.data.readers.labelled_study import LabelledStudy
from cacseg.data.readers.names import label_named
from cacseg.data.readers.placing import only_calcium, placed_on
from cacseg.data.readers.source import StudySource
from cacseg.errors import UnreadableError
from cacseg.vessels import EXTRACORONARY, Label
from cacseg.volume import Volume

SEGMENTATION_UIDS: Final = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
"""Segmentation Storage, Label Map Segmentation Storage (PS3.4 B.5)."""


def dicom_seg_sources(root: Path) -> tuple[StudySource, ...]:
    """List the studies that hold a segmentation, by folder name.

    Raises
    ------
    UnreadableError : no segmentation below the folder.
    """
    folders = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    sources = []
    for folder in [*folders, root]:
        files = sorted(p for p in (folder.rglob("*") if folder != root else folder.glob("*")) if p.is_file())
        segmentations = [path for path in files if is_segmentation(path)]
        if segmentations:
            sources.append(_source(folder, tuple(files), tuple(segmentations)))
    if not sources:
        raise UnreadableError(f"{root} holds no DICOM Segmentation; expected one folder a study with CT and SEG files.")
    return tuple(sources)


def read_segmented_study(study_id: str, folder: Path, segmentations: tuple[Path, ...]) -> LabelledStudy:
    """Read the series that the segmentations refer to, and their labels on its grid.

    Parameters
    ----------
    study_id : id of the study.
    folder : holds the CT files.
    segmentations : SEG files; where two label the same voxel the first one counts.

    Raises
    ------
    UnreadableError : no known segment, the series referred to is absent, or a file is damaged.
    UsageError : the segments do not lie on the series' voxels.
    """
    import highdicom

    repairs: list[str] = []
    segs = [highdicom.seg.segread(path) for path in segmentations]
    series = _referenced_series(segs[0])
    image = read_image(folder, series)
    labels = np.zeros(image.volume.shape, np.uint8)
    known: set[Label] = set()
    for path, seg in zip(segmentations, segs, strict=True):
        if _referenced_series(seg) != series:
            repairs.append(f"{path.name} refers to series {_referenced_series(seg)}, not {series}: dropped")
            continue
        painted, said = _paint(labels, seg, image.volume)
        known |= painted
        repairs += [f"{path.name}: {repair}" for repair in said]
    if not known:
        raise UnreadableError(f"{folder}: no segment names an artery or other calcium; see docs/datasets.md.")
    labels, cleared = only_calcium(image.volume, labels)
    return LabelledStudy(
        id=study_id,
        volume=image.volume,
        labels=labels,
        label_scope="calcium" if known & set(EXTRACORONARY) else "coronary",
        repairs=(*image.repairs, *repairs, *cleared),
        facts=image.facts,
    )


def labels_of_segmentation(path: Path, image: Volume) -> NDArray[np.uint8]:
    """Put the known segments of one SEG on an image's grid; where two overlap the first one counts.

    Raises
    ------
    UnreadableError : no known segment.
    UsageError : the segments do not lie on the image's voxels.
    """
    import highdicom

    labels = np.zeros(image.shape, np.uint8)
    known, _ = _paint(labels, highdicom.seg.segread(path), image)
    if not known:
        raise UnreadableError(f"{path.name}: no segment names an artery or other calcium; see docs/datasets.md.")
    return labels


def _paint(labels: NDArray[np.uint8], seg: Any, image: Volume) -> tuple[set[Label], list[str]]:
    """Put the known segments on what is still background in ``labels``; give their labels and what was repaired."""
    meanings, repairs = _segments(seg)
    for number, label in meanings.items():
        part = _segment(seg, number)
        if part is None:
            repairs.append(f"segment {number} ({label.name}) holds no frame")
            continue
        placed, moved = placed_on(image, part)
        repairs += [f"{label.name}: {repair}" for repair in moved]
        taken = (placed > 0) & (labels > 0) & (labels != label)
        if taken.any():
            repairs.append(f"{int(taken.sum())} voxels of {label.name} already had another label")
        labels[(placed > 0) & (labels == 0)] = label
    return set(meanings.values()), repairs


def _segments(seg: Any) -> tuple[Mapping[int, Label], list[str]]:
    """Give the label of each segment number that names one."""
    meanings: dict[int, Label] = {}
    repairs: list[str] = []
    for segment in seg.SegmentSequence:
        number = int(segment.SegmentNumber)
        names = [str(segment.get("SegmentLabel", "")), str(segment.get("SegmentDescription", ""))]
        names += [str(code.CodeMeaning) for code in segment.get("SegmentedPropertyTypeSequence", ())]
        found = [(name, *label_named(name)) for name in names if name]
        named = next(((name, label, repair) for name, label, repair in found if label is not None), None)
        if named is None:
            repairs.append(f"segment {number} ({names[0]!r}) is no known artery or structure: dropped")
            continue
        meanings[number] = named[1]
        if named[2] is not None:
            repairs.append(f"segment {number}: {named[2]}")
    return meanings, repairs


def _segment(seg: Any, number: int) -> Volume | None:
    """Give one segment as a mask on the planes between its first and last frame; ``None`` where it has none."""
    try:
        volume = seg.get_volume(
            segment_numbers=[number], combine_segments=True, relabel=True, allow_missing_positions=True
        )
    except RuntimeError:
        return None
    mask = (np.asarray(volume.array) > 0).astype(np.uint8)
    return Volume(mask, np.asarray(volume.affine, np.float64)) if mask.any() else None


def _referenced_series(seg: Any) -> str | None:
    references = seg.get("ReferencedSeriesSequence", ())
    return str(references[0].SeriesInstanceUID) if len(references) else None


def is_segmentation(path: Path) -> bool:
    """Say whether a file is a DICOM Segmentation."""
    import pydicom
    from pydicom.errors import InvalidDicomError

    try:
        header = pydicom.dcmread(path, specific_tags=["SOPClassUID"], stop_before_pixels=True)
    except (InvalidDicomError, OSError, EOFError, ValueError):
        return False
    return header.get("SOPClassUID") in SEGMENTATION_UIDS


def _source(folder: Path, files: tuple[Path, ...], segmentations: tuple[Path, ...]) -> StudySource:
    import pydicom

    header = pydicom.dcmread(segmentations[0], specific_tags=["PatientID"], stop_before_pixels=True)
    patient = str(header.get("PatientID") or folder.name)
    return StudySource(folder.name, patient, files, lambda: read_segmented_study(folder.name, folder, segmentations))
