"""A training sample: one scan on the network's grids, with everything known about it.

Made once per patient and cached; torch-free. The grid is larger than the network's by a margin, so that
training can shift it without resampling the scan again.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from cacseg.data.phantom.scene import Branch, Deposit
from cacseg.data.phantom.tissue import Tissue
from cacseg.data.readers import LabelScope
from cacseg.infer.grid import (
    CANDIDATE_HU,
    HEART_GRID,
    SCOUT_GRID,
    GridInput,
    GridSpec,
    axial_array,
    axial_view,
    model_input,
    scout_input,
)
from cacseg.vessels import EXTRACORONARY, Label
from cacseg.volume import Volume

MARGIN_CELLS: Final = (4, 12, 12)
"""Cells around the network's grid: shifts of up to 12, 18 and 18 mm."""

CACHED_GRID: Final = GridSpec(
    (HEART_GRID.shape[0] + 8, HEART_GRID.shape[1] + 24, HEART_GRID.shape[2] + 24), HEART_GRID.spacing_mm
)

UNKNOWN: Final = 255
"""Not labelled, or outside the scan: no loss here."""

METAL: Final = len(Label)
"""Other calcium that is metal: a stent lies where plaque does and is as dense; it is learned as its own class."""

NOT_CORONARY: Final = 254
"""A candidate that nobody marked where only coronary calcium was marked: noise, bone, a valve, metal."""

LM_OR_LAD: Final = 253
"""Marked where the left main is counted as LAD."""

OTHER_OR_METAL: Final = 252
"""Other calcium that a person marked: readers do not tell metal apart."""

LEFT_OPEN: Final[Mapping[int, tuple[int, ...]]] = {
    NOT_CORONARY: (Label.BACKGROUND, *EXTRACORONARY, METAL),
    LM_OR_LAD: (Label.LAD, Label.LM),
    OTHER_OR_METAL: (Label.OTHER, METAL),
}
"""Classes among which such a target does not decide, the commonest first."""

METAL_REACH_MM: Final = 4.5
"""Cells of other calcium within this distance of a wire or strut are metal: half a cell and the blur."""

TERRITORY_MM: Final = 7.0
"""Cells within this distance of a centre line belong to that artery's territory."""

HEART: Final = (
    Tissue.EPICARDIAL_FAT,
    Tissue.LEFT_VENTRICLE,
    Tissue.RIGHT_VENTRICLE,
    Tissue.LEFT_ATRIUM,
    Tissue.RIGHT_ATRIUM,
    Tissue.MYOCARDIUM,
    Tissue.AORTIC_VALVE,
    Tissue.MITRAL_ANNULUS,
)
"""What the scout marks: the inside of the pericardium without the great vessels."""

TISSUE_CLASS: Final = {
    Tissue.OUTSIDE: 0,
    Tissue.LUNG: 1,
    Tissue.AIRWAY: 1,
    Tissue.FAT: 2,
    Tissue.EPICARDIAL_FAT: 3,
    Tissue.SOFT: 4,
    Tissue.BONE: 5,
    Tissue.LIVER: 6,
    Tissue.LEFT_VENTRICLE: 7,
    Tissue.RIGHT_VENTRICLE: 8,
    Tissue.LEFT_ATRIUM: 9,
    Tissue.RIGHT_ATRIUM: 10,
    Tissue.MYOCARDIUM: 11,
    Tissue.ASCENDING_AORTA: 12,
    Tissue.DESCENDING_AORTA: 13,
    Tissue.PULMONARY_ARTERY: 14,
    Tissue.VEINS: 14,
    Tissue.AORTIC_VALVE: 15,
    Tissue.MITRAL_ANNULUS: 15,
    Tissue.DEVICE: UNKNOWN,
}
"""Merged classes of the tissue head."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One scan on the cached grids.

    Parameters
    ----------
    hu : (slice, row, column) int16 mean HU of the cells.
    at : (n,) int32 flat indices of the cells that hold candidate voxels.
    fraction, excess : (n,) float32, the other two channels there.
    calcium : (n,) uint8 ``Label`` of most candidates of the cell, or ``METAL``; a value of ``LEFT_OPEN`` where labels
        do not say which, ``UNKNOWN`` where nobody labelled.
    territory, tissue : (slice, row / 2, column / 2) uint8; ``UNKNOWN`` where not known.
    scout : (slice, row, column) int16 HU on the coarse grid.
    heart : uint8, same shape: 1 heart, 0 not, ``UNKNOWN``.
    facts : JSON-ready: where it came from.
    """

    hu: NDArray[np.int16]
    at: NDArray[np.int32]
    fraction: NDArray[np.float32]
    excess: NDArray[np.float32]
    calcium: NDArray[np.uint8]
    territory: NDArray[np.uint8]
    tissue: NDArray[np.uint8]
    scout: NDArray[np.int16]
    heart: NDArray[np.uint8]
    facts: dict[str, Any]


def sample_from_scan(scan: Any, facts: dict[str, Any]) -> Sample:
    """Make a sample from a digital patient (``cacseg.data.phantom`` ``Scan``)."""
    view = axial_view(scan.volume)
    scan_centre = view.to_world([(np.array(view.shape) - 1) / 2])[0]
    scout = scout_input(view, scan_centre)
    scout_tissue = at_cells(scan.tissue, scout.affine, SCOUT_GRID.shape)
    heart = np.isin(scout_tissue, HEART).astype(np.uint8)
    heart[scout.cells[0] <= -1023.0] = 0
    centre = box_centre(heart, scout) if heart.any() else scan_centre
    grid = model_input(view, centre, CACHED_GRID)
    coarse = _halved(grid.affine)
    coarse_shape = (CACHED_GRID.shape[0], CACHED_GRID.shape[1] // 2, CACHED_GRID.shape[2] // 2)
    table = np.full(256, UNKNOWN, np.uint8)
    table[[int(t) for t in TISSUE_CLASS]] = list(TISSUE_CLASS.values())
    tissue = table[at_cells(scan.tissue, coarse, coarse_shape)]
    territory = nearest_artery(scan.branches, coarse, coarse_shape)
    outside = grid.cells[0, :, ::2, ::2] <= -1023.0
    tissue[outside] = UNKNOWN
    territory[outside] = UNKNOWN
    at = np.flatnonzero(grid.cells[1] > 0).astype(np.int32)
    labels = axial_array(scan.labels.voxels, scan.labels.affine)
    calcium = cell_labels(view, labels, grid, at)
    calcium[(calcium == Label.OTHER) & near_metal(scan.scene.deposits, grid, at)] = METAL
    return Sample(
        hu=np.rint(grid.cells[0]).astype(np.int16),
        at=at,
        fraction=grid.cells[1].reshape(-1)[at],
        excess=grid.cells[2].reshape(-1)[at],
        calcium=calcium,
        territory=territory,
        tissue=tissue,
        scout=np.rint(scout.cells[0]).astype(np.int16),
        heart=heart,
        facts=facts,
    )


def sample_from_labels(
    volume: Volume,
    labels: Volume,
    centre_lps_mm: NDArray[np.float64],
    facts: dict[str, Any],
    *,
    scope: LabelScope = "calcium",
    merged: Mapping[Label, Label] | None = None,
) -> Sample:
    """Make a sample from a patient of whom only calcium is labelled; the dense targets stay unknown.

    Parameters
    ----------
    volume, labels : HU and ``Label`` values on the same grid.
    centre_lps_mm : middle of the heart, e.g. from a release's scout.
    scope, merged : how far the labels reach, and arteries they do not tell apart; see
        ``cacseg.data.readers.LabelledStudy``.
    """
    view = axial_view(volume)
    grid = model_input(view, centre_lps_mm, CACHED_GRID)
    scout = scout_input(view, view.to_world([(np.array(view.shape) - 1) / 2])[0])
    at = np.flatnonzero(grid.cells[1] > 0).astype(np.int32)
    calcium = cell_labels(view, axial_array(labels.matched_to(volume).voxels, volume.affine), grid, at)
    coarse_shape = (CACHED_GRID.shape[0], CACHED_GRID.shape[1] // 2, CACHED_GRID.shape[2] // 2)
    return Sample(
        hu=np.rint(grid.cells[0]).astype(np.int16),
        at=at,
        fraction=grid.cells[1].reshape(-1)[at],
        excess=grid.cells[2].reshape(-1)[at],
        calcium=_told(scope, merged or {})[calcium],
        territory=np.full(coarse_shape, UNKNOWN, np.uint8),
        tissue=np.full(coarse_shape, UNKNOWN, np.uint8),
        scout=np.rint(scout.cells[0]).astype(np.int16),
        heart=np.full(SCOUT_GRID.shape, UNKNOWN, np.uint8),
        facts=facts,
    )


def _told(scope: LabelScope, merged: Mapping[Label, Label]) -> NDArray[np.uint8]:
    """Give the (256,) uint8 target of each ``Label`` that a person set, and of ``UNKNOWN``."""
    table = np.arange(UNKNOWN + 1, dtype=np.uint8)
    table[Label.OTHER] = OTHER_OR_METAL
    if scope == "coronary":
        table[Label.BACKGROUND] = NOT_CORONARY
    for kept in set(merged.values()):
        group = {kept, *(label for label, target in merged.items() if target == kept)}
        table[list(group)] = next((code for code, open_ in LEFT_OPEN.items() if set(open_) == group), UNKNOWN)
    return table


def possible_classes() -> NDArray[np.bool_]:
    """Give the (256, 10) table of the classes that a calcium target allows; ``UNKNOWN`` and unused values allow all.

    Examples
    --------
    >>> np.flatnonzero(possible_classes()[LM_OR_LAD]).tolist(), np.flatnonzero(possible_classes()[Label.RCA]).tolist()
    ([1, 2], [4])
    """
    table = np.ones((UNKNOWN + 1, METAL + 1), bool)
    table[: METAL + 1] = np.eye(METAL + 1, dtype=bool)
    for code, classes in LEFT_OPEN.items():
        table[code] = np.isin(np.arange(METAL + 1), classes)
    return table


def likeliest_class() -> NDArray[np.uint8]:
    """Give the (256,) table of the commonest class that a calcium target allows; ``UNKNOWN`` stays."""
    table = np.arange(UNKNOWN + 1, dtype=np.uint8)
    for code, classes in LEFT_OPEN.items():
        table[code] = classes[0]
    return table


def box_centre(heart: NDArray[np.uint8], scout: GridInput) -> NDArray[np.float64]:
    """Middle of the box of the marked cells, as ``cacseg.infer.heart`` takes it."""
    from cacseg.infer.heart import marked_range

    middle = [sum(marked_range(heart == 1, axis)) / 2 for axis in range(3)]
    centre: NDArray[np.float64] = (scout.affine @ np.append(middle, 1.0))[:3]
    return centre


def at_cells(volume: Volume, affine: NDArray[np.float64], shape: tuple[int, int, int]) -> NDArray[Any]:
    """Nearest voxel of a volume at each cell centre; 0 outside."""
    indices = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1).reshape(-1, 3)
    to_voxel = np.linalg.inv(volume.affine) @ affine
    voxel = np.rint(indices @ to_voxel[:3, :3].T + to_voxel[:3, 3]).astype(np.int64)
    inside = ((voxel >= 0) & (voxel < np.array(volume.shape))).all(axis=1)
    result = np.zeros(len(indices), volume.voxels.dtype)
    result[inside] = volume.voxels[tuple(voxel[inside].T)]
    return result.reshape(shape)


def nearest_artery(
    branches: tuple[Branch, ...],
    affine: NDArray[np.float64],
    shape: tuple[int, int, int],
    within_mm: float = TERRITORY_MM,
) -> NDArray[np.uint8]:
    """Artery (1 LM to 4 RCA) whose centre line passes within ``within_mm`` of a cell, nearest first; else 0."""
    points = np.concatenate([branch.points_lps_mm for branch in branches])
    vessel = np.concatenate([np.full(len(branch.points_lps_mm), int(branch.vessel)) for branch in branches])
    indices = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1).reshape(-1, 3)
    world = indices @ affine[:3, :3].T + affine[:3, 3]
    low, high = points.min(axis=0) - within_mm, points.max(axis=0) + within_mm
    near = ((world >= low) & (world <= high)).all(axis=1)
    _, which = cKDTree(points).query(world[near], distance_upper_bound=within_mm)
    result = np.zeros(len(indices), np.uint8)
    result[near] = np.append(vessel, 0)[which]
    return result.reshape(shape)


def near_metal(deposits: tuple[Deposit, ...], grid: GridInput, at: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Tell which of the listed cells lie at a stent, clip, wire, lead, port or prosthesis, (n,)."""
    metal = [body for body in deposits if body.material == "metal"]
    if not metal or at.size == 0:
        return np.zeros(at.size, bool)
    start, end = (np.concatenate([getattr(body, name) for body in metal]) for name in ("start_lps_mm", "end_lps_mm"))
    pieces = np.maximum(np.ceil(np.linalg.norm(end - start, axis=1)), 1).astype(int)
    which = np.repeat(np.arange(len(start)), pieces)
    along = (np.arange(len(which)) - np.repeat(np.cumsum(pieces) - pieces, pieces) + 0.5) / pieces[which]
    points = start[which] + along[:, None] * (end - start)[which]
    index = np.stack(np.unravel_index(at, grid.cells.shape[1:]), axis=1)
    world = index @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    distance, _ = cKDTree(points).query(world, distance_upper_bound=METAL_REACH_MM)
    return np.asarray(distance <= METAL_REACH_MM)


def cell_labels(view: Volume, labels: NDArray[np.uint8], grid: GridInput, at: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Label of most candidate voxels of each listed cell; a tie goes to calcium."""
    shape = grid.cells.shape[1:]
    index = np.nonzero(view.voxels >= CANDIDATE_HU)
    cell = [np.rint(grid.to_cell[a, 0] * index[a] + grid.to_cell[a, 1]).astype(np.int64) for a in range(3)]
    inside = np.logical_and.reduce([(c >= 0) & (c < n) for c, n in zip(cell, shape, strict=True)])
    label = labels[index][inside].astype(np.int64)
    flat = np.ravel_multi_index([c[inside] for c in cell], shape)
    order = np.full(int(np.prod(shape)), -1, np.int64)
    order[at] = np.arange(at.size)
    row = order[flat]
    known = row >= 0
    votes = np.bincount(row[known] * len(Label) + label[known], minlength=at.size * len(Label))
    votes = votes.reshape(at.size, len(Label)) * 2
    votes[:, 1:] += votes[:, 1:] > 0
    chosen = votes.argmax(axis=1).astype(np.uint8)
    chosen[votes.sum(axis=1) == 0] = UNKNOWN
    return chosen


def _halved(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    halved = np.diag([1.0, 2.0, 2.0, 1.0])
    halved[1:3, 3] = 0.5
    return affine @ halved


def save(sample: Sample, path: Path) -> None:
    """Write a sample to an uncompressed ``.npz``, complete or not at all."""
    fields = {name: getattr(sample, name) for name in Sample.__slots__ if name != "facts"}
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez(file, facts=np.array(json.dumps(sample.facts)), **fields)
    partial.rename(path)


def load(path: Path) -> Sample:
    """Read a sample back."""
    with np.load(path, allow_pickle=False) as stored:
        fields = {name: stored[name] for name in Sample.__slots__ if name != "facts"}
        return Sample(**fields, facts=json.loads(str(stored["facts"])))
