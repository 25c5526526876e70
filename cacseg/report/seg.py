"""``segmentation.dcm``: DICOM Segmentation, BINARY, one segment per artery and per other structure.

Written from the label map and the volume's own geometry (PS3.3 A.51). Only frames that hold something are
stored; a study without calcium gets one empty frame of a segment that covers all coronary arteries, so
that "looked at and found none" is on record.
"""

import struct
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import SegmentationStorage

from cacseg.report import codes
from cacseg.report import dicom_encoding as enc
from cacseg.report.dicom_header import (
    code_items,
    decimal_string,
    file_bytes,
    new_instance,
    series_reference,
    software_versions,
)
from cacseg.report.inputs import Stamp
from cacseg.report.verification import Observer, corrected
from cacseg.result import Result
from cacseg.vessels import COLOUR_RGB, FULL_NAME, Label
from cacseg.volume import Volume

SEGMENT_PROPERTY: Final = codes.CALCIFICATION
NONE_FOUND: Final = 0
"""Stands for "all coronary arteries" in the list of segments of a study without calcium."""


@dataclass(frozen=True, slots=True)
class SegmentPlan:
    """Which segments and frames a segmentation holds.

    Parameters
    ----------
    labels : label value of segment 1, 2, ...; ``(NONE_FOUND,)`` where there is no calcium.
    frames : ``(segment number, slice)`` of every frame, in the order stored.
    """

    labels: tuple[int, ...]
    frames: tuple[tuple[int, int], ...]

    def number(self, label: Label) -> int | None:
        """Give the segment number of a label, ``None`` where it has no segment."""
        return self.labels.index(label) + 1 if label in self.labels else None


def plan_segments(labels: NDArray[np.uint8]) -> SegmentPlan:
    """Decide segments and frames for a (slice, row, column) label map."""
    where = np.flatnonzero(labels.reshape(-1).view(np.bool_))
    if not where.size:
        return SegmentPlan((NONE_FOUND,), ((1, labels.shape[0] // 2),))
    values = labels.reshape(-1)[where]
    slices = where // (labels.shape[1] * labels.shape[2])
    present = tuple(int(value) for value in np.unique(values))
    frames = tuple(
        (number, int(index))
        for number, value in enumerate(present, start=1)
        for index in np.unique(slices[values == value])
    )
    return SegmentPlan(present, frames)


def segmentation(
    result: Result,
    volume: Volume,
    labels: NDArray[np.uint8],
    header: Dataset,
    sources: tuple[Dataset, ...],
    stamp: Stamp,
    plan: SegmentPlan,
    verified_by: Observer | None = None,
) -> bytes:
    """Write the segmentation.

    Parameters
    ----------
    result : a scored result.
    volume : the grid.
    labels : (slice, row, column) uint8 label map on it.
    header : of a source image, for patient and study.
    sources : of every slice, as ``slice_sources`` gives them.
    stamp : gives time and UIDs.
    plan : its segments and frames, from ``plan_segments``.
    verified_by : who signed; ``None`` while nobody has.
    """
    dataset = new_instance(header, SegmentationStorage, "seg", stamp)
    _series(dataset, result, header, verified_by)
    _image(dataset, volume, plan)
    dataset.SegmentSequence = [_segment(number, value, result) for number, value in enumerate(plan.labels, start=1)]
    dataset.ReferencedSeriesSequence = [series_reference(sources)]
    _dimensions(dataset, stamp)
    dataset.SharedFunctionalGroupsSequence = [_shared(volume, header)]
    order = {index: rank for rank, index in enumerate(sorted({index for _, index in plan.frames}), start=1)}
    frames = [_frame(number, order[index], volume, index, sources[index]) for number, index in plan.frames]
    pixels = enc.element(0x7FE00010, b"OB", _packed(labels, plan))
    return file_bytes(dataset, enc.sequence(0x52009230, frames) + pixels)


def _series(dataset: Dataset, result: Result, header: Dataset, verified_by: Observer | None) -> None:
    dataset.Modality = "SEG"
    dataset.SeriesDescription = f"Calcium segmentation ({_made_how(result, verified_by)})"
    dataset.SoftwareVersions = software_versions(result)
    dataset.FrameOfReferenceUID = header.FrameOfReferenceUID
    dataset.PositionReferenceIndicator = header.get("PositionReferenceIndicator", "")
    dataset.ContentLabel = "CALCIUM"
    dataset.ContentDescription = "Calcium of the coronary arteries, valves and aorta"
    dataset.ContentCreatorName = "cacseg^automatic" if verified_by is None else verified_by.name


def _made_how(result: Result, verified_by: Observer | None) -> str:
    how = "corrected" if corrected(result) else "automatic"
    return how if verified_by is None else f"{how}, verified"


def _image(dataset: Dataset, volume: Volume, plan: SegmentPlan) -> None:
    dataset.ImageType = ["DERIVED", "PRIMARY"]
    dataset.SegmentationType = "BINARY"
    dataset.LossyImageCompression = "00"
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.PixelRepresentation = 0
    dataset.BitsAllocated = dataset.BitsStored = 1
    dataset.HighBit = 0
    dataset.NumberOfFrames = len(plan.frames)
    dataset.Rows, dataset.Columns = volume.shape[1:]


def _packed(labels: NDArray[np.uint8], plan: SegmentPlan) -> bytes:
    """Pack frames to one bit a pixel, the first pixel in the lowest bit, without gaps (PS3.5 8.1.1)."""
    frames = [labels[index] == plan.labels[number - 1] for number, index in plan.frames]
    if plan.labels == (NONE_FOUND,):
        frames = [np.zeros_like(frame) for frame in frames]
    if frames[0].size % 8 == 0:
        return b"".join(np.packbits(frame, bitorder="little").tobytes() for frame in frames)
    return np.packbits(np.stack(frames).reshape(-1), bitorder="little").tobytes()


def _segment(number: int, value: int, result: Result) -> Dataset:
    item = Dataset()
    item.SegmentNumber = number
    site = codes.CORONARY_ARTERY if value == NONE_FOUND else codes.SITE[Label(value)]
    name = "coronary arteries" if value == NONE_FOUND else FULL_NAME[Label(value)]
    item.SegmentLabel = "None found" if value == NONE_FOUND else Label(value).name.replace("_", " ")
    item.SegmentDescription = f"Calcium: {name}"[:1024]
    item.SegmentAlgorithmType = "SEMIAUTOMATIC" if corrected(result) else "AUTOMATIC"
    item.SegmentAlgorithmName = software_versions(result)[1]
    item.SegmentedPropertyCategoryCodeSequence = code_items(codes.ABNORMAL_STRUCTURE)
    item.SegmentedPropertyTypeCodeSequence = code_items(SEGMENT_PROPERTY)
    item.AnatomicRegionSequence = code_items(site)
    item.RecommendedDisplayCIELabValue = cielab(COLOUR_RGB.get(Label(value), (153, 153, 153)))
    item.SegmentationAlgorithmIdentificationSequence = [_algorithm(result)]
    return item


def _algorithm(result: Result) -> Dataset:
    item = Dataset()
    item.AlgorithmFamilyCodeSequence = code_items(codes.ARTIFICIAL_INTELLIGENCE)
    item.AlgorithmName, item.AlgorithmVersion = "cacseg", str(result.provenance.get("cacseg", "unknown"))
    return item


def _dimensions(dataset: Dataset, stamp: Stamp) -> None:
    organization = Dataset()
    organization.DimensionOrganizationUID = stamp.uid("seg-dimensions")
    dataset.DimensionOrganizationSequence = [organization]
    dataset.DimensionIndexSequence = []
    for pointer, group, label in (
        (0x0062000B, 0x0062000A, "Segment"),
        (0x00200032, 0x00209113, "Position"),
    ):
        item = Dataset()
        item.DimensionOrganizationUID = organization.DimensionOrganizationUID
        item.DimensionIndexPointer, item.FunctionalGroupPointer = pointer, group
        item.DimensionDescriptionLabel = label
        dataset.DimensionIndexSequence.append(item)


def _shared(volume: Volume, source: Dataset) -> Dataset:
    slice_mm, row_mm, column_mm = volume.spacing_mm
    measures = Dataset()
    measures.PixelSpacing = [decimal_string(row_mm), decimal_string(column_mm)]
    measures.SliceThickness = source.get("SliceThickness") or decimal_string(slice_mm)
    measures.SpacingBetweenSlices = decimal_string(slice_mm)
    orientation = Dataset()
    orientation.ImageOrientationPatient = [
        decimal_string(value) for value in (*(volume.affine[:3, 2] / column_mm), *(volume.affine[:3, 1] / row_mm))
    ]
    shared = Dataset()
    shared.PixelMeasuresSequence = [measures]
    shared.PlaneOrientationSequence = [orientation]
    return shared


def _frame(number: int, rank: int, volume: Volume, index: int, source: Dataset) -> bytes:
    """Encode the functional groups of one frame: source, content, position, segment (PS3.3 C.7.6.16)."""
    image = (
        enc.instance_reference(source)
        + enc.text(0x0028135A, b"CS", "YES")
        + enc.sequence(0x0040A170, [enc.code(_SOURCE_IMAGE)])
    )
    derivation = enc.sequence(0x00082112, [image]) + enc.sequence(0x00089215, [enc.code(_SEGMENTATION)])
    place = "\\".join(decimal_string(value) for value in volume.to_world([[index, 0, 0]])[0])
    return (
        enc.sequence(0x00089124, [derivation])
        + enc.sequence(0x00209111, [enc.element(0x00209157, b"UL", struct.pack("<2I", number, rank))])
        + enc.sequence(0x00209113, [enc.text(0x00200032, b"DS", place)])
        + enc.sequence(0x0062000A, [enc.element(0x0062000B, b"US", struct.pack("<H", number))])
    )


_SOURCE_IMAGE: Final = codes.Code("121322", "DCM", "Source image for image processing operation")
_SEGMENTATION: Final = codes.Code("113076", "DCM", "Segmentation")


def cielab(rgb: tuple[int, int, int]) -> list[int]:
    """Turn 8-bit sRGB into the scaled CIELab of PS3.3 C.10.7.1.1 (D65 seen as D50 is left out: display only).

    Examples
    --------
    >>> cielab((255, 255, 255))
    [65535, 32896, 32896]
    """
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (value / 255 for value in rgb)]
    red, green, blue = linear
    x = (0.4124564 * red + 0.3575761 * green + 0.1804375 * blue) / 0.95047
    y = 0.2126729 * red + 0.7151522 * green + 0.0721750 * blue
    z = (0.0193339 * red + 0.1191920 * green + 0.9503041 * blue) / 1.08883
    fx, fy, fz = (c ** (1 / 3) if c > (6 / 29) ** 3 else c / (3 * (6 / 29) ** 2) + 4 / 29 for c in (x, y, z))
    lightness, a, b = 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)
    return [round(lightness / 100 * 65535), round((a + 128) / 255 * 65535), round((b + 128) / 255 * 65535)]
