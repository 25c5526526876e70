"""Carry the network's scores from its cells to the original voxels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cacseg.infer.grid import GridInput, at_least
from cacseg.vessels import CORONARY, Label
from cacseg.volume import Volume

RELEVANT_LOGIT: Final = -3.5
"""A candidate whose cell favours background over every calcium class by more (97 %) is dropped unsampled."""


CALCIUM_CLASSES: Final = len(Label)
TERRITORY_CLASSES: Final = 1 + len(CORONARY)


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Candidate voxels and what the network says of them.

    Parameters
    ----------
    voxels : (n,) int64 flat indices into the axial view, ascending.
    hu : (n,) original values.
    calcium : (n, 9) float32 probabilities per ``Label``.
    territory : (n, 5) float32 probabilities: no artery near, LM, LAD, LCX, RCA.
    candidates : number of voxels at or above the threshold in the searched region, sampled or dropped.
    """

    voxels: NDArray[np.int64]
    hu: NDArray[Any]
    calcium: NDArray[np.float32]
    territory: NDArray[np.float32]
    candidates: int


def sample_candidates(
    view: Volume,
    grid: GridInput,
    calcium: NDArray[np.float32],
    territory: NDArray[np.float32],
    threshold_hu: float,
    slices: tuple[int, int],
) -> Samples:
    """Sample class probabilities at the voxels of a slice range that reach the threshold.

    Parameters
    ----------
    view : the scan, axial view.
    grid : where the cells lie.
    calcium : (9, slice, row, column) logits.
    territory : (5, slice, row / 2, column / 2) logits.
    threshold_hu : inclusive.
    slices : first and one past the last view slice.
    """
    ranges = _inside(view.shape, grid.to_cell, calcium.shape[1:], slices)
    block = view.voxels[tuple(slice(*both) for both in ranges)]
    found = at_least(block, threshold_hu)
    index = tuple(axis + first for axis, (first, _) in zip(found, ranges, strict=True))
    cells = tuple(grid.to_cell[a, 0] * index[a] + grid.to_cell[a, 1] for a in range(3))
    relevant = calcium[1:].max(axis=0) - calcium[0] > RELEVANT_LOGIT
    keep = relevant[tuple(np.rint(c).astype(np.int64) for c in cells)]
    kept = tuple(axis[keep] for axis in index)
    at = tuple(c[keep] for c in cells)
    return Samples(
        voxels=np.ravel_multi_index(kept, view.shape).astype(np.int64),
        hu=view.voxels[kept],
        calcium=softmax(trilinear(calcium, at)),
        territory=softmax(trilinear(territory, (at[0], (at[1] - 0.5) / 2, (at[2] - 0.5) / 2))),
        candidates=int(keep.size),
    )


def joined(parts: list[Samples]) -> Samples:
    """Put the samples of slice ranges in ascending order together."""
    return Samples(
        np.concatenate([part.voxels for part in parts]),
        np.concatenate([part.hu for part in parts]),
        np.concatenate([part.calcium for part in parts]),
        np.concatenate([part.territory for part in parts]),
        sum(part.candidates for part in parts),
    )


def averaged(passes: list[Samples]) -> Samples:
    """Average what several passes over the same slices say; a voxel that a pass left out was background to it."""
    if len(passes) == 1:
        return passes[0]
    voxels, first = np.unique(np.concatenate([each.voxels for each in passes]), return_index=True)
    calcium, territory = (np.zeros((voxels.size, n), np.float32) for n in (CALCIUM_CLASSES, TERRITORY_CLASSES))
    for each in passes:
        at = np.searchsorted(voxels, each.voxels)
        for total, mine in ((calcium, each.calcium), (territory, each.territory)):
            total[at] += mine
            total[:, 0] += 1.0
            total[at, 0] -= 1.0
    count = np.float32(len(passes))
    hu = np.concatenate([each.hu for each in passes])[first]
    return Samples(voxels, hu, calcium / count, territory / count, max(each.candidates for each in passes))


def trilinear(scores: NDArray[np.float32], at: tuple[NDArray[np.float64], ...]) -> NDArray[np.float32]:
    """Interpolate (class, slice, row, column) scores at n positions given in cells; edges are held.

    Returns
    -------
    (n, class) float32

    Examples
    --------
    >>> ramp = np.arange(4, dtype=np.float32).reshape(1, 1, 1, 4)
    >>> trilinear(ramp, (np.zeros(2), np.zeros(2), np.array([0.5, 9.0])))
    array([[0.5],
           [3. ]], dtype=float32)
    """
    flat = scores.reshape(scores.shape[0], -1)
    lows, parts = [], []
    for position, n in zip(at, scores.shape[1:], strict=True):
        held = np.clip(position, 0.0, n - 1.0)
        low = np.minimum(held.astype(np.int64), max(n - 2, 0))
        lows.append((low, np.minimum(low + 1, n - 1)))
        parts.append((held - low).astype(np.float32))
    total = np.zeros((scores.shape[0], at[0].size), np.float32)
    for corner in range(8):
        bits = (corner >> 2, corner >> 1 & 1, corner & 1)
        weight = np.ones(at[0].size, np.float32)
        index = np.zeros(at[0].size, np.int64)
        for axis, bit in enumerate(bits):
            weight *= parts[axis] if bit else 1 - parts[axis]
            index = index * scores.shape[axis + 1] + lows[axis][bit]
        total += weight * flat[:, index]
    return np.ascontiguousarray(total.T)


def linear(block: NDArray[np.float32], places: Sequence[NDArray[np.float64]]) -> NDArray[np.float32]:
    """Interpolate the last three axes of an array at positions along each, all within it.

    Examples
    --------
    >>> linear(np.arange(4, dtype=np.float32).reshape(1, 1, 4), [np.zeros(1), np.zeros(1), np.array([0.5, 3.0])])
    array([[[0.5, 3. ]]], dtype=float32)
    """
    for axis, place in zip((-3, -2, -1), places, strict=True):
        low = place.astype(np.int64)
        high = np.minimum(low + 1, block.shape[axis] - 1)
        part = (place - low).astype(np.float32).reshape([-1 if a == axis else 1 for a in (-3, -2, -1)])
        block = block.take(low, axis=axis) * (1 - part) + block.take(high, axis=axis) * part
    return block


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn (n, class) logits into probabilities."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: NDArray[np.float32] = shifted / shifted.sum(axis=1, keepdims=True)
    return result


def _inside(
    shape: tuple[int, int, int], to_cell: NDArray[np.float64], cells: tuple[int, ...], slices: tuple[int, int]
) -> list[tuple[int, int]]:
    ranges = []
    for n, (scale, shift), count in zip(shape, to_cell, cells, strict=True):
        first = max(int(np.ceil((-0.49 - shift) / scale)), 0)
        last = min(int(np.floor((count - 0.51 - shift) / scale)) + 1, n)
        ranges.append((min(first, n), max(last, min(first, n))))
    first, last = max(ranges[0][0], slices[0]), min(ranges[0][1], slices[1])
    ranges[0] = (first, max(first, last))
    return ranges
