"""Sampling operators: from a regular lattice to scanner pixels and slices, blur included.

An operator is a sparse matrix with one row per pixel (or slice) and one column per lattice point. Sparse
products run in one thread and in a fixed order, so the same patient gives the same bits everywhere.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.special import erf

SHARP_LOBE: Final = 1.8
"""Width of the negative lobe of a sharp kernel, in units of its main lobe."""

LEAST_SIGMA: Final = 0.42
"""Narrowest Gaussian, in lattice steps, that interpolates a lattice without visible ripple."""

LATTICE_SIGMA: Final = 12.0**-0.5
"""SD of a box one lattice step wide: the blur that an antialiased lattice already carries."""

Profile = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def in_plane_profile(sigma_mm: float, edge_enhancement: float, step_mm: float) -> tuple[Profile, float]:
    """Point spread along rows or columns, less the blur of the lattice itself.

    Returns
    -------
    The profile as a function of distance in mm, and the distance beyond which it is nought.
    """
    sigma = float(max(np.sqrt(max(sigma_mm**2 - (LATTICE_SIGMA * step_mm) ** 2, 0.0)), LEAST_SIGMA * step_mm))
    wide = SHARP_LOBE * sigma

    def profile(distance_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        narrow: NDArray[np.float64] = np.exp(-0.5 * (distance_mm / sigma) ** 2) / sigma
        if edge_enhancement == 0:
            return narrow
        lobe: NDArray[np.float64] = np.exp(-0.5 * (distance_mm / wide) ** 2) / wide
        return (1 + edge_enhancement) * narrow - edge_enhancement * lobe

    return profile, 3.2 * (sigma if edge_enhancement == 0 else wide)


def slice_profile(thickness_mm: float, step_mm: float) -> tuple[Profile, float]:
    """Slice sensitivity profile: a box with soft shoulders, full width at half maximum ``thickness_mm``."""
    shoulder = max(0.12 * thickness_mm, LEAST_SIGMA * step_mm if thickness_mm < 2 * step_mm else 0.15 * step_mm)
    half = thickness_mm / 2
    scale = np.sqrt(2) * shoulder

    def profile(distance_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        upper: NDArray[np.float64] = erf((distance_mm + half) / scale)
        lower: NDArray[np.float64] = erf((distance_mm - half) / scale)
        return upper - lower

    return profile, half + 3 * shoulder


def sampling_operator(
    targets_mm: NDArray[np.float64],
    lattice_start_mm: float,
    lattice_step_mm: float,
    lattice_count: int,
    profile: tuple[Profile, float],
) -> Any:
    """Build the sparse matrix that samples a lattice at ``targets_mm`` through a profile.

    Every row sums to 1 over the endless lattice, so that a lattice which ends within reach of a target is
    continued with zeros.

    Returns
    -------
    (targets, lattice) float32 ``scipy.sparse.csr_matrix``.
    """
    weight, reach_mm = profile
    position = (np.asarray(targets_mm, np.float64) - lattice_start_mm) / lattice_step_mm
    reach = int(np.ceil(reach_mm / abs(lattice_step_mm))) + 1
    first = np.floor(position).astype(np.int64) - reach + 1
    columns = first[:, None] + np.arange(2 * reach)
    weights = weight((columns - position[:, None]) * lattice_step_mm)
    weights /= weights.sum(axis=1, keepdims=True)
    inside = (columns >= 0) & (columns < lattice_count)
    counts = np.concatenate([[0], np.cumsum(inside.sum(axis=1))])
    return csr_matrix(
        (weights[inside].astype(np.float32), columns[inside].astype(np.int32), counts.astype(np.int32)),
        shape=(len(position), lattice_count),
    )
