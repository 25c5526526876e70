"""Which pixels a lesion counts, and the line around them."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from cacseg.scoring.lesions import find_lesions, labelled_voxels
from cacseg.scoring.rule import Rule
from cacseg.volume import Volume

Vertex = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Contour:
    """The outline of one slice component.

    Parameters
    ----------
    slice_index : its slice.
    vertices : closed line of ``(column, row)`` pixel corners; (0, 0) is the outer corner of the first pixel,
        as in PS3.3 C.18.6.1.2.
    """

    slice_index: int
    vertices: tuple[Vertex, ...]


def lesion_contours(volume: Volume, labels: NDArray[np.uint8], rule: Rule) -> Mapping[int, tuple[Contour, ...]]:
    """Give the outlines of every lesion by its id, exactly of the pixels that count under ``rule``."""
    found = find_lesions(labelled_voxels(volume, volume.with_voxels(labels), rule.counted_volume_hu), volume, rule)
    contours: dict[int, list[Contour]] = {}
    order = np.argsort(found.component, kind="stable")
    edges = np.flatnonzero(np.diff(found.component[order])) + 1
    for members in np.split(order, edges) if order.size else ():
        index, row, column = np.unravel_index(found.voxels.flat[members], volume.shape)
        pixels = set(zip(row.tolist(), column.tolist(), strict=True))
        lesion_id = int(found.lesion[members[0]]) + 1
        contours.setdefault(lesion_id, []).append(Contour(int(index[0]), outline(pixels)))
    return {lesion_id: tuple(sorted(some, key=lambda one: one.slice_index)) for lesion_id, some in contours.items()}


def outline(pixels: set[tuple[int, int]]) -> tuple[Vertex, ...]:
    """Walk around a set of ``(row, column)`` pixels along their outer edges; holes are left out.

    Examples
    --------
    >>> outline({(0, 0), (0, 1)})
    ((0, 0), (2, 0), (2, 1), (0, 1), (0, 0))
    """
    onward: dict[Vertex, list[Vertex]] = {}
    for row, column in sorted(pixels):
        corners = ((column, row), (column + 1, row), (column + 1, row + 1), (column, row + 1))
        sides = ((row - 1, column), (row, column + 1), (row + 1, column), (row, column - 1))
        for number, neighbour in enumerate(sides):
            if neighbour not in pixels:
                onward.setdefault(corners[number], []).append(corners[(number + 1) % 4])
    loops = []
    while onward:
        start = min(onward)
        loops.append(_walk(start, onward))
    return max(loops, key=_area)


def _walk(start: Vertex, onward: dict[Vertex, list[Vertex]]) -> tuple[Vertex, ...]:
    """Follow edges until the line closes, taking the right-hand turn where two ways part."""
    line = [start]
    heading = (0, 0)
    while True:
        here = line[-1]
        ways = onward[here]
        ways.sort(key=lambda way: -_turn(heading, (way[0] - here[0], way[1] - here[1])))
        step = ways.pop(0)
        if not ways:
            del onward[here]
        taken = (step[0] - here[0], step[1] - here[1])
        if taken == heading:
            line[-1] = step
        else:
            line.append(step)
        heading = taken
        if step == start:
            return tuple(line)


def _turn(before: tuple[int, int], after: tuple[int, int]) -> int:
    return before[0] * after[1] - before[1] * after[0]


def _area(line: tuple[Vertex, ...]) -> float:
    return abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in pairwise(line))) / 2
