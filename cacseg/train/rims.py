"""Bright spots where the heart meets the lung: overshoot of sharp kernels and half-scan motion, not calcium.

They are drawn while training, anew each time a patient is seen, away from the arteries.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation
from scipy.special import ndtr

from cacseg.data.phantom.tissue import Tissue
from cacseg.infer.grid import CANDIDATE_HU
from cacseg.train.sample import HEART, TISSUE_CLASS, UNKNOWN

SOFT_CLASSES: Final = sorted({TISSUE_CLASS[tissue] for tissue in (*HEART, Tissue.SOFT)})
LUNG_CLASS: Final = TISSUE_CLASS[Tissue.LUNG]

LOWEST_SHARE: Final = 0.05
"""Cells whose expected share of candidate voxels is lower hold none: a cell has about ten native pixels."""

REACH: Final = 4
"""Cells to each side of a spot's middle that it may brighten."""


def add_bright_rims(
    cells: NDArray[np.float32],
    calcium: NDArray[np.uint8],
    territory: NDArray[np.uint8],
    tissue: NDArray[np.uint8],
    rng: np.random.Generator,
) -> None:
    """Brighten one to four spots of soft tissue beside the lung, and call their new candidate cells background.

    Parameters
    ----------
    cells : (3, slice, row, column) float32, changed in place.
    calcium : (slice, row, column) uint8 targets, changed in place; calcium that is there keeps its label.
    territory, tissue : (slice, row / 2, column / 2) uint8 targets; nothing is brightened near an artery, and
        nothing at all in a patient whose tissue is unknown.
    rng : source of chance.
    """
    disk = np.ones((1, 3, 3), bool)
    soft = np.isin(tissue, SOFT_CLASSES) & (territory == 0)
    rim = np.argwhere(soft & binary_dilation(tissue == LUNG_CLASS, disk))
    if rim.size == 0:
        return
    for middle in rim[rng.integers(len(rim), size=int(rng.integers(1, 5)))]:
        spot = _spot(middle * (1, 2, 2) + (0, *rng.integers(0, 2, 2)), cells.shape[1:], rng)
        _brighten(cells, calcium, *spot, float(rng.uniform(25.0, 45.0)))


def _spot(
    middle: NDArray[np.int64], shape: tuple[int, ...], rng: np.random.Generator
) -> tuple[tuple[slice, ...], NDArray[np.float64]]:
    """Place and added HU of one spot: round to elongated in the plane, in one slice or two."""
    low = np.maximum(middle - (1, REACH, REACH), 0)
    high = np.minimum(middle + np.array((1, REACH, REACH)) + 1, shape)
    slices, rows, columns = (np.arange(a, b) - m for a, b, m in zip(low, high, middle, strict=True))
    turn, across, along = rng.uniform(0, np.pi), rng.uniform(0.5, 1.2), rng.uniform(0.8, 2.2)
    y, x = np.meshgrid(rows, columns, indexing="ij")
    u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    plane = np.exp(-0.5 * ((u / along) ** 2 + (v / across) ** 2))
    neighbour = rng.choice((0.0, 0.0, 0.6)), rng.choice((0.0, 0.0, 0.6))
    through = np.select([slices == -1, slices == 1], neighbour, 1.0)
    where = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return where, rng.uniform(100.0, 330.0) * through[:, None, None] * plane


def _brighten(
    cells: NDArray[np.float32],
    calcium: NDArray[np.uint8],
    where: tuple[slice, ...],
    added: NDArray[np.float64],
    spread_hu: float,
) -> None:
    """Add HU to soft cells, and the candidates that voxels scattered by ``spread_hu`` then make."""
    hu, fraction, excess = cells[(slice(None), *where)]
    hu += (added * np.clip((hu + 250.0) / 250.0, 0, 1)).astype(np.float32)
    above = (hu - CANDIDATE_HU) / spread_hu
    share = ndtr(above)
    over = spread_hu * (above * share + np.exp(-0.5 * above**2) / np.sqrt(2 * np.pi))
    lit = (share >= LOWEST_SHARE) & (added > spread_hu)
    np.copyto(fraction, np.maximum(fraction, share), where=lit, casting="same_kind")
    np.copyto(excess, np.maximum(excess, over), where=lit, casting="same_kind")
    target = calcium[where]
    target[lit & (target == UNKNOWN)] = 0
