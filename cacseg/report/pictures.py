"""Pictures of every lesion and of the whole heart, drawn from the scored voxels."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from cacseg.report.png import GREYS, palette_png
from cacseg.result import Result
from cacseg.scoring.score import Lesion
from cacseg.vessels import COLOUR_RGB, CORONARY, Label
from cacseg.volume import Volume

WINDOW_HU: Final = (350.0, 50.0)
"""Width and level of every picture: the mediastinal window."""

CROP_MM: Final = 36.0
"""Side of a lesion's picture."""

CROP_PIXELS: Final = 132
MAP_PIXELS: Final = 360
"""Longer side of a whole-heart picture."""

MOST_LESIONS: Final = 60
"""Lesions with a picture, the largest scores first; a report with more would not be read."""

SCALE_BAR_MM: Final = 10.0

COLOURS: Final = tuple(COLOUR_RGB[label] for label in Label if label is not Label.BACKGROUND)


@dataclass(frozen=True, slots=True)
class Pictures:
    """PNG files by name: ``lesion-01``, ``structure-01``, ``map-axial``, ``map-coronal``."""

    images: Mapping[str, bytes] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the pictures of an earlier report; none where the folder does not exist."""
        return cls({path.stem: path.read_bytes() for path in sorted(folder.glob("*.png"))})


def picture_name(lesion: Lesion) -> str:
    """Name the picture of a lesion."""
    return f"{'lesion' if lesion.label in CORONARY else 'structure'}-{lesion.id:02d}"


def draw_pictures(result: Result, volume: Volume, labels: NDArray[np.uint8]) -> Pictures:
    """Draw every lesion and the two maps.

    Parameters
    ----------
    result : a scored result.
    volume : HU on the scored grid.
    labels : (slice, row, column) uint8 label map on that grid.
    """
    if result.scoring is None:
        return Pictures()
    everything = (*result.scoring.lesions, *result.scoring.extracoronary)
    largest = sorted(everything, key=lambda lesion: (lesion.label not in CORONARY, -lesion.agatston))[:MOST_LESIONS]
    images = {picture_name(lesion): _lesion(lesion, volume, labels) for lesion in largest}
    images["map-axial"] = _map(volume, labels, 0)
    images["map-coronal"] = _map(volume, labels, 1)
    return Pictures(images)


def _lesion(lesion: Lesion, volume: Volume, labels: NDArray[np.uint8]) -> bytes:
    position = volume.to_index([lesion.centroid_lps_mm])[0]
    index = min(lesion.slices, key=lambda one: abs(one - position[0]))
    _, row_mm, column_mm = volume.spacing_mm
    steps = (np.arange(CROP_PIXELS) + 0.5) / CROP_PIXELS - 0.5
    rows = position[1] + steps * CROP_MM / row_mm
    columns = position[2] + steps * CROP_MM / column_mm
    picture = _grey(_interpolate(volume.voxels[index], rows, columns))
    _outline(picture, labels[index][np.ix_(_nearest(rows, labels.shape[1]), _nearest(columns, labels.shape[2]))])
    _scale_bar(picture, CROP_PIXELS / CROP_MM)
    return palette_png(picture, COLOURS)


def _map(volume: Volume, labels: NDArray[np.uint8], axis: int) -> bytes:
    """Project along slices (0) or rows (1): greys are the maximum HU, deposits their colours."""
    spacing = [mm for number, mm in enumerate(volume.spacing_mm) if number != axis]
    plane = volume.voxels.max(axis=axis)
    deposits = labels.max(axis=axis)
    extent = [count * mm for count, mm in zip(plane.shape, spacing, strict=True)]
    pixels_per_mm = MAP_PIXELS / max(extent)
    size = [max(2, round(mm * pixels_per_mm)) for mm in extent]
    rows = (np.arange(size[0]) + 0.5) / size[0] * plane.shape[0] - 0.5
    columns = (np.arange(size[1]) + 0.5) / size[1] * plane.shape[1] - 0.5
    if axis == 1:
        rows = rows[::-1]
    window = (700.0, 150.0)
    picture = _grey(_interpolate(plane, rows, columns), window)
    drawn = deposits[np.ix_(_nearest(rows, plane.shape[0]), _nearest(columns, plane.shape[1]))]
    picture[drawn > 0] = GREYS - 1 + drawn[drawn > 0]
    _scale_bar(picture, pixels_per_mm)
    return palette_png(picture, COLOURS)


def _nearest(positions: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    return np.clip(np.rint(positions), 0, count - 1).astype(np.int64)


def _interpolate(
    plane: NDArray[np.generic], rows: NDArray[np.float64], columns: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sample a plane linearly on a grid of row and column positions, the border repeated."""
    low_row, row_share = _split(rows, plane.shape[0])
    low_column, column_share = _split(columns, plane.shape[1])
    next_row = np.minimum(low_row + 1, plane.shape[0] - 1)
    next_column = np.minimum(low_column + 1, plane.shape[1] - 1)

    def along(column: NDArray[np.int64]) -> NDArray[np.float64]:
        near = plane[low_row[:, None], column].astype(np.float64)
        return np.asarray(near + row_share[:, None] * (plane[next_row[:, None], column] - near), np.float64)

    left = along(low_column)
    return np.asarray(left + column_share * (along(next_column) - left), np.float64)


def _split(positions: NDArray[np.float64], count: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    inside = np.clip(positions, 0, count - 1)
    low = np.floor(inside).astype(np.int64)
    return low, inside - low


def _grey(hu: NDArray[np.float64], window: tuple[float, float] = WINDOW_HU) -> NDArray[np.uint8]:
    width, level = window
    share = np.clip((hu - (level - width / 2)) / width, 0.0, 1.0)
    return np.asarray(np.rint(share * (GREYS - 1)), np.uint8)


def _outline(picture: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
    """Draw a line two pixels wide just outside every labelled region, in its colour."""
    grown = labels
    for _ in range(2):
        padded = np.pad(grown, 1)
        around = np.stack([padded[1:-1, :-2], padded[1:-1, 2:], padded[:-2, 1:-1], padded[2:, 1:-1]]).max(axis=0)
        grown = np.where(grown > 0, grown, around)
    line = (grown > 0) & (labels == 0)
    picture[line] = GREYS - 1 + grown[line]


def _scale_bar(picture: NDArray[np.uint8], pixels_per_mm: float) -> None:
    length = max(2, round(SCALE_BAR_MM * pixels_per_mm))
    picture[-9:-5, 5 : 7 + length] = 0
    picture[-8:-6, 6 : 6 + length] = GREYS - 1
