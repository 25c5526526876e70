"""One image plane: a single-frame object, or one frame of an enhanced multi-frame object."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from cacseg.study import tags
from cacseg.study.header import DicomFile

MAX_FRAMES: Final = 20_000
"""A multi-frame object that claims more is taken as damaged."""

_PIXEL_KEYWORDS: Final = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


@dataclass(frozen=True, eq=False)
class Image:
    """One plane of pixels and the attributes that apply to it.

    Parameters
    ----------
    file : the object that holds it.
    frame : 0-based frame inside the object.
    local : attributes of this frame alone (flattened functional groups), before those of the object.
    """

    file: DicomFile
    frame: int
    local: tuple[Dataset, ...] = ()

    def holder(self, keyword: str) -> Dataset:
        """Give the data set that holds an attribute for this plane: frame first, then object."""
        for dataset in self.local:
            if keyword in dataset:
                return dataset
        return self.file.header

    def text(self, keyword: str) -> str | None:
        """Read a text; ``None`` if absent."""
        return tags.text(self.holder(keyword), keyword)

    def number(self, keyword: str) -> float | None:
        """Read a number; ``None`` if absent or malformed."""
        return tags.number(self.holder(keyword), keyword)

    def numbers(self, keyword: str, count: int) -> NDArray[np.float64] | None:
        """Read exactly ``count`` numbers; ``None`` if absent or malformed."""
        return tags.numbers(self.holder(keyword), keyword, count)

    @cached_property
    def image_type(self) -> tuple[str, ...]:
        """ImageType, or FrameType in an enhanced object, in capitals."""
        frame_type = tags.texts(self.holder("FrameType"), "FrameType")
        values = frame_type or tags.texts(self.file.header, "ImageType")
        return tuple(value.upper() for value in values)

    @cached_property
    def position_mm(self) -> NDArray[np.float64] | None:
        """ImagePositionPatient (0020,0032): LPS mm of the first pixel's centre."""
        return self.numbers("ImagePositionPatient", 3)

    @cached_property
    def orientation(self) -> NDArray[np.float64] | None:
        """ImageOrientationPatient (0020,0037) as (2, 3) unit vectors: along a row, down a column."""
        values = self.numbers("ImageOrientationPatient", 6)
        if values is None:
            return None
        axes = values.reshape(2, 3)
        length = np.linalg.norm(axes, axis=1)
        if bool((np.abs(length - 1.0) > 0.05).any()) or abs(float(axes[0] @ axes[1])) > 0.05:
            return None
        unit: NDArray[np.float64] = axes / length[:, None]
        return unit

    @cached_property
    def normal(self) -> NDArray[np.float64] | None:
        """Slice normal: row direction x column direction (PS3.3 C.7.6.2.1.1)."""
        return None if self.orientation is None else np.cross(self.orientation[0], self.orientation[1])

    @cached_property
    def spacing_mm(self) -> tuple[float, float] | None:
        """PixelSpacing (0028,0030): between rows, between columns; ``None`` unless both are positive."""
        values = self.numbers("PixelSpacing", 2)
        if values is None or bool((values <= 0).any()):
            return None
        return float(values[0]), float(values[1])

    @cached_property
    def matrix(self) -> tuple[int, int]:
        """Rows and columns; 0 where absent."""
        header = self.file.header
        return tags.whole(header, "Rows") or 0, tags.whole(header, "Columns") or 0


def images_of(file: DicomFile) -> tuple[Image, ...]:
    """List the planes of an object: none for a document, one or many for an image.

    Enhanced objects (PS3.3 A.38) and legacy converted ones (PS3.3 A.70) are flattened: every attribute found in
    the shared and the per-frame functional groups applies to the frame.
    """
    header = file.header
    if "Rows" not in header or "Columns" not in header:
        return ()
    count = tags.whole(header, "NumberOfFrames") or 1
    if count < 1 or count > MAX_FRAMES:
        return ()
    shared = _flattened(tags.raw(header, "SharedFunctionalGroupsSequence"))
    per_frame = tags.raw(header, "PerFrameFunctionalGroupsSequence")
    if per_frame is None:
        return tuple(Image(file, index, (shared,) if len(shared) else ()) for index in range(count))
    groups = list(per_frame)
    if len(groups) < count:
        return ()
    return tuple(Image(file, index, (_flattened([groups[index]]), shared)) for index in range(count))


def _flattened(groups: object) -> Dataset:
    flat = Dataset()
    for item in groups if isinstance(groups, list) or hasattr(groups, "__iter__") else ():  # type: ignore[attr-defined]
        for macro in _items(item):
            for element in macro:
                if element.keyword and element.keyword not in flat:
                    flat.add(element)
    return flat


def _items(group: Dataset) -> Iterator[Dataset]:
    for element in group:
        if element.VR == "SQ":
            yield from element.value
