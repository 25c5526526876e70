"""A close look at the bifurcation of the left main artery: which of its arteries calcium lies in.

The first network reads cells of 3 mm once folded, too coarse to say where the left main artery ends, and most scores of
single arteries that go wrong go wrong there: what is counted is right, but booked to the neighbour. A third, small
network sees a block of 48 x 64 x 64 mm around the left main artery in cells of 0.8 mm, with what the first one says of
arteries and calcium there, and shares out again what the first one gives to LM, LAD and LCX together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cacseg.infer.engine import Session
from cacseg.infer.grid import CHANNELS, GridInput, GridSpec, cell_mapping, model_input
from cacseg.infer.sampling import Samples, linear, softmax, trilinear
from cacseg.vessels import Label
from cacseg.volume import Volume

BLOCK: Final = GridSpec((16, 80, 80), (3.0, 0.8, 0.8))
"""48 x 64 x 64 mm: the left main artery of 5 to 20 mm, with the beginnings of its branches on every side."""

ARTERIES: Final = (Label.LM, Label.LAD, Label.LCX)
"""Among which the third network decides."""

PRIOR: Final = (
    *("no artery near", "near LM", "near LAD", "near LCX", "near RCA"),
    *("LM", "LAD", "LCX", "RCA", "calcium that is not coronary"),
)
"""Probabilities that the first network gives, territory and calcium, at each 2 x 2 cells of a slice."""

LEAST_LEFT_MAIN: Final = 0.2
"""Where no cell of the first network's lies near the left main artery with this probability there is nothing to see."""


BESIDE_MM: Final = 12.0
"""How far from the left main artery its branches are looked for."""

BLURRED_MM: Final = 6.0
WITHIN_MM: Final = 18.0
"""About half the length of the longest left main artery, and how far from its likeliest place its cells may lie."""

TERRITORY_MM: Final = 3.0
"""Pitch of what the first network says of territories, along each axis."""

LEAST_OF_THREE: Final = 0.01
"""A voxel that is less likely calcium of the three is not coronary whatever is shared out, and left alone."""


@dataclass(frozen=True, slots=True, eq=False)
class FirstLook:
    """What the first network says of its grid.

    Parameters
    ----------
    grid : where its cells lie.
    calcium : (9, slice, row, column) float32 logits.
    territory : (5, slice, row / 2, column / 2) float32 logits.
    """

    grid: GridInput
    calcium: NDArray[np.float32]
    territory: NDArray[np.float32]


def shared_out(samples: Samples, view: Volume, looks: Sequence[FirstLook], session: Session) -> Samples:
    """Let the third network share out what the first one gives to LM, LAD and LCX together.

    Parameters
    ----------
    samples : of the first network.
    view : the scan, axial view.
    looks : of the first network, one of each window.
    session : the third network; takes ``cells`` and ``prior``, gives ``artery``, (n, 3, slice, row, column) logits of
        ``ARTERIES``.

    Returns
    -------
    Samples : the same voxels; nothing but the shares of ``ARTERIES`` is changed, and none outside ``BLOCK``. Where no
        voxel in it may be of one of them the network is not asked.
    """
    centre = left_main(view, looks)
    if centre is None:
        return samples
    look, centre_lps_mm = centre
    to_cell = cell_mapping(view, centre_lps_mm, BLOCK)
    index = np.unravel_index(samples.voxels, view.shape)
    at = [to_cell[a, 0] * index[a] + to_cell[a, 1] for a in range(3)]
    three = slice(ARTERIES[0], ARTERIES[-1] + 1)
    inside = np.logical_and.reduce([(c > -0.5) & (c < n - 0.5) for c, n in zip(at, BLOCK.shape, strict=True)])
    inside &= samples.calcium[:, three].sum(axis=1) >= LEAST_OF_THREE
    if not inside.any():
        return samples
    block = model_input(view, centre_lps_mm, BLOCK)
    (artery,) = session.run(["artery"], {"cells": block.cells[None], "prior": prior_of(look, block)[None]})
    share = softmax(trilinear(artery[0], tuple(c[inside] for c in at)))
    calcium, territory = samples.calcium.copy(), samples.territory.copy()
    for probability in (calcium, territory):
        probability[inside, three] = share * probability[inside, three].sum(axis=1, keepdims=True)
    return replace(samples, calcium=calcium, territory=territory)


def left_main(view: Volume, looks: Sequence[FirstLook]) -> tuple[FirstLook, NDArray[np.float64]] | None:
    """Find the middle of the left main artery: where its two branches are near, in the window that shows it best.

    In the one real chest at hand a first network saw a second left main artery, as large as the real one, beside the
    pulmonary artery 30 mm above; the middle of both was 15 mm off. Around that one it saw less of two branches.

    Parameters
    ----------
    view : the scan, axial view.
    looks : of the first network, one of each window.

    Returns
    -------
    The window and the place, (3,) LPS mm; ``None`` where the first network sees no left main artery.
    """
    from scipy.ndimage import center_of_mass

    found = []
    for look in looks:
        _, near, lad, lcx, _ = over_classes(look.territory)
        if near.max() >= LEAST_LEFT_MAIN:
            both = np.sqrt(_around(lad, BESIDE_MM) * _around(lcx, BESIDE_MM))
            likely = _around(near * near * both, BLURRED_MM)
            peak = np.array(np.unravel_index(int(likely.argmax()), likely.shape))
            apart = (np.indices(likely.shape).T - peak).T * TERRITORY_MM
            weight = np.where((apart * apart).sum(axis=0) <= WITHIN_MM**2, near * near, 0.0).astype(np.float64)
            cell = center_of_mass(weight)
            index = np.array([cell[0], 2 * cell[1] + 0.5, 2 * cell[2] + 0.5])
            index = (index - look.grid.to_cell[:, 1]) / look.grid.to_cell[:, 0]
            found.append((float(likely.max()), look, view.to_world([index])[0]))
    if not found:
        return None
    _, look, centre_lps_mm = max(found, key=lambda each: each[0])
    return look, centre_lps_mm


def _around(values: NDArray[np.float32], sd_mm: float) -> NDArray[np.float32]:
    from scipy.ndimage import gaussian_filter

    blurred: NDArray[np.float32] = gaussian_filter(values, sd_mm / TERRITORY_MM, mode="constant")
    return blurred


def prior_of(look: FirstLook, block: GridInput) -> NDArray[np.float32]:
    """Carry what the first network says to each 2 x 2 cells of the block.

    Returns
    -------
    (10, slice, row / 2, column / 2) float32, ``PRIOR``.
    """
    places = []
    for axis, n in enumerate(block.cells.shape[1:]):
        cell = 2.0 * np.arange(n // 2) + 0.5 if axis else np.arange(n, dtype=np.float64)
        index = (cell - block.to_cell[axis, 1]) / block.to_cell[axis, 0]
        places.append(look.grid.to_cell[axis, 0] * index + look.grid.to_cell[axis, 1])
    coarse = [places[0], (places[1] - 0.5) / 2, (places[2] - 0.5) / 2]
    territory = over_classes(linear(look.territory, _held(coarse, look.territory.shape[1:])))
    calcium = over_classes(linear(look.calcium, _held(places, look.calcium.shape[1:])))
    other = calcium[Label.AORTIC_VALVE :].sum(axis=0, keepdims=True)
    return np.concatenate([territory, calcium[Label.LM : Label.AORTIC_VALVE], other])


def over_classes(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn (class, ...) logits into probabilities."""
    shifted = np.exp(logits - logits.max(axis=0))
    result: NDArray[np.float32] = shifted / shifted.sum(axis=0)
    return result


def _held(places: Sequence[NDArray[np.float64]], shape: Sequence[int]) -> list[NDArray[np.float64]]:
    return [np.clip(place, 0.0, n - 1.0) for place, n in zip(places, shape, strict=True)]


def describe() -> Mapping[str, Any]:
    """What a release records of how its third network is fed."""
    return {
        "block": {"shape": list(BLOCK.shape), "spacing_mm": list(BLOCK.spacing_mm), "channels": list(CHANNELS)},
        "prior": list(PRIOR),
        "arteries": [label.name for label in ARTERIES],
    }
