"""A case as a picture: the slices where prediction and truth differ most, truth beside prediction."""

from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cacseg.data.readers.labelled_study import LabelledStudy, merge_labels
from cacseg.vessels import COLOUR_RGB, CORONARY, Label
from cacseg.volume import Volume

SLICES: Final = 4
"""Slices shown."""
WINDOW_HU: Final = (-160.0, 440.0)
"""Grey levels from black to white: fat, muscle and calcium told apart."""
SIDE_MM: Final = 140.0
"""Side of the square that is shown."""
SIDE_PIXELS: Final = 320
GAP_PIXELS: Final = 4


def draw_case(study: LabelledStudy, called: NDArray[np.uint8], path: Path) -> None:
    """Write a PNG: one column a slice, truth above, prediction below, labels as outlines in their colours.

    Parameters
    ----------
    study : volume and reference.
    called : (slice, row, column) uint8 labels of the path under test.
    path : the PNG to write.
    """
    from PIL import Image

    truth = merge_labels(study.labels, study.merged)
    called = merge_labels(called, study.merged)
    slices = slices_that_differ(truth, called)
    rows, columns = _window(study.volume, truth, called, slices)
    strips = [
        np.concatenate(
            [_with_gap(_panel(study.volume, labels, k, rows, columns)) for labels in (truth, called)], axis=0
        )
        for k in slices
    ]
    picture = np.concatenate([_with_gap(strip, axis=1) for strip in strips], axis=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, format="PNG")


def slices_that_differ(truth: NDArray[np.uint8], called: NDArray[np.uint8], most: int = SLICES) -> list[int]:
    """Give the slices with most voxels on the wrong side, ascending; only coronary mistakes count.

    Examples
    --------
    >>> truth = np.zeros((3, 2, 2), np.uint8); called = truth.copy(); called[1] = Label.RCA
    >>> slices_that_differ(truth, called, most=1)
    [1]
    """
    coronary = (truth <= CORONARY[-1]) & (truth > 0) | (called <= CORONARY[-1]) & (called > 0)
    wrong = ((truth != called) & coronary).sum(axis=(1, 2))
    worst = np.argsort(-wrong, kind="stable")[:most]
    return sorted(int(k) for k in worst if wrong[k] > 0) or [len(wrong) // 2]


def remove_all_but(folder: Path, names: Collection[str]) -> None:
    """Remove the pictures of cases that are not among the worst."""
    for path in folder.glob("*.png"):
        if path.name not in names:
            path.unlink()


def _window(
    volume: Volume, truth: NDArray[np.uint8], called: NDArray[np.uint8], slices: list[int]
) -> tuple[slice, slice]:
    marked = np.argwhere(truth[slices] != called[slices])
    shape = np.array(volume.shape[1:])
    centre = marked[:, 1:].mean(axis=0) if marked.size else shape / 2
    size = np.minimum(np.rint(SIDE_MM / np.array(volume.spacing_mm[1:])).astype(int), shape)
    first = np.clip(np.rint(centre - size / 2).astype(int), 0, shape - size)
    return slice(int(first[0]), int(first[0] + size[0])), slice(int(first[1]), int(first[1] + size[1]))


def _panel(volume: Volume, labels: NDArray[np.uint8], k: int, rows: slice, columns: slice) -> NDArray[np.uint8]:
    """One slice as (SIDE_PIXELS, SIDE_PIXELS, 3) uint8 with outlined labels, nearest-neighbour enlarged."""
    hu = volume.voxels[k, rows, columns].astype(np.float64)
    black, white = WINDOW_HU
    grey = (np.clip((hu - black) / (white - black), 0, 1) * 255).astype(np.uint8)
    pick_rows = np.arange(SIDE_PIXELS) * grey.shape[0] // SIDE_PIXELS
    pick_columns = np.arange(SIDE_PIXELS) * grey.shape[1] // SIDE_PIXELS
    large = grey[np.ix_(pick_rows, pick_columns)]
    marks = labels[k, rows, columns][np.ix_(pick_rows, pick_columns)]
    coloured = np.repeat(large[:, :, None], 3, axis=2)
    edge = outline(marks)
    for label, colour in COLOUR_RGB.items():
        coloured[edge & (marks == label)] = colour
    return coloured


def outline(marks: NDArray[Any]) -> NDArray[np.bool_]:
    """Pixels of a 2-D label map with a neighbour (of four) of another label.

    Examples
    --------
    >>> marks = np.zeros((5, 5), int); marks[1:4, 1:4] = 1
    >>> outline(marks)[1:4, 1:4].astype(int).tolist()
    [[1, 1, 1], [1, 0, 1], [1, 1, 1]]
    """
    padded = np.pad(marks, 1, mode="edge")
    inner = padded[1:-1, 1:-1]
    differs = np.zeros(marks.shape, np.bool_)
    for shifted in (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]):
        differs |= shifted != inner
    return np.asarray(differs & (marks != Label.BACKGROUND), np.bool_)


def _with_gap(panel: NDArray[np.uint8], axis: int = 0) -> NDArray[np.uint8]:
    widths = [(0, 0), (0, 0), (0, 0)]
    widths[axis] = (0, GAP_PIXELS)
    return np.pad(panel, widths, constant_values=255)
