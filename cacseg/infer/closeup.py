"""A second look at everything that may be coronary, piece by piece, at the resolution of the scan.

The first network sees cells of 1.5 x 1.5 x 3 mm around the whole heart: it knows where an artery runs, but a stent and
a dense plaque look alike to it, and so do a speck of noise and a speck of calcium. A small second network sees each
component, finer than the cells, with what the first one thinks of it, and says how much more or less likely each
owner is. Long components are cut into pieces, for a stent and the plaque beside it touch, and a long plaque is not
to be lost at one blow. It sees too little around a piece to learn where arteries are; that stays with the first.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cacseg.infer.components import FACES, connected, cut, numbered
from cacseg.infer.decide import Decision, biased, group_mean, voxel_weight
from cacseg.infer.engine import Session
from cacseg.infer.grid import AIR_HU, HIGHEST_HU, GridSpec
from cacseg.infer.sampling import Samples, linear
from cacseg.vessels import CORONARY, Label
from cacseg.volume import Volume

PATCH: Final = GridSpec((13, 64, 64), (3.0, 0.6, 0.6))
"""39 x 38 x 38 mm around the middle of a piece: the length of most stents, the width of their struts' blur."""

CHANNELS: Final = ("hu", "share of the piece", "share of the component")

PIECE_MM: Final = 12.0
"""Longer components are cut into pieces of about this length."""

OWNERS: Final = ("background", "coronary", "aortic_valve", "mitral_annulus", "aorta", "other")
"""Between which the second network decides; which artery it is stays with the first."""

BACKGROUND_OWNER, CORONARY_OWNER, OTHER_OWNER = (OWNERS.index(owner) for owner in ("background", "coronary", "other"))

FACTS: Final = (
    "near_artery",
    "log_noise",
    "log_volume",
    "log_component_volume",
    "largest_slice_area",
    "slice_increment",
    "excess_over_noise",
    *(f"log_{name}" for name in OWNERS[1:]),
)
"""What a piece is described by beside its patch, each scaled to about one."""

JOIN_PROBABILITY: Final = 0.2
"""Voxels at least this likely to be calcium form the components that are cut into pieces."""

LEAST_CORONARY: Final = 0.02
"""A piece that the first network gives a smaller chance of being coronary is not looked at again."""

SURE: Final = 0.8
"""Chance of being coronary from which a piece tells how much calcium a patient has."""

APART_MM: Final = 30.0
"""Distance from which it tells another piece so; nearer ones may be one stent or one ring, cut into several pieces."""

LEAST_PROBABILITY: Final = 1e-4
"""Of the first network, below which its word is taken as this; the second one was trained so."""

NOISE_BLOCK_MM: Final = 70.0
SMOOTH_PIXELS: Final = 9
SOFT_TISSUE_HU: Final = (0.0, 90.0)
LEAST_NOISE_HU: Final = 3.0

BATCH: Final = 16
GROUP: Final = np.array([0, 1, 1, 1, 1, 2, 3, 4, 5])
"""Owner, as a place in ``OWNERS``, of each ``Label``."""


@dataclass(frozen=True, slots=True, eq=False)
class Closeups:
    """Pieces that are looked at again, and what the second network is given of them.

    Parameters
    ----------
    at : (m,) places in the samples of the voxels that belong to one of them.
    piece : (m,) number of the piece of each, from 0 to n - 1.
    patches : (n, 3, 13, 64, 64) float32, ``CHANNELS`` at the places of ``PATCH``.
    facts : (n, 12) float32, ``FACTS``.
    probability : (n, 6) float32, what the first network says of ``OWNERS``, weighted by HU.
    middle_mm : (n, 3) where its middle is along slices, rows and columns.
    """

    at: NDArray[np.int64]
    piece: NDArray[np.int64]
    patches: NDArray[np.float32]
    facts: NDArray[np.float32]
    probability: NDArray[np.float32]
    middle_mm: NDArray[np.float64]


def looked_again(
    samples: Samples,
    view: Volume,
    centre_lps_mm: NDArray[np.float64],
    threshold_hu: float,
    decision: Decision,
    session: Session,
) -> Samples:
    """Let the second network change what the first one says of each piece.

    Parameters
    ----------
    samples : of the first network.
    view : the scan, axial view.
    centre_lps_mm : (3,) middle of the heart, around which noise is measured.
    threshold_hu : lowest candidate HU, inclusive.
    decision : settings whose biases the second network was trained with, and how far it is doubted.
    session : the second network; takes ``patches`` and ``facts``, gives ``change``, (n, 6) float32 to add to the
        logits of ``OWNERS``.

    Returns
    -------
    Samples : the same voxels, their calcium probabilities changed by owner.
    """
    closeups = closeups_of(samples, view, centre_lps_mm, threshold_hu, decision)
    if closeups.probability.shape[0] == 0:
        return samples
    given = {"patches": closeups.patches, "facts": closeups.facts}
    change = np.concatenate(
        [
            session.run(["change"], {name: array[first : first + BATCH] for name, array in given.items()})[0]
            for first in range(0, closeups.probability.shape[0], BATCH)
        ]
    )
    change = tempered(change, decision.other_doubt)
    change = of_the_patient(change, elsewhere(closeups.probability, change, closeups.middle_mm), decision)
    calcium = samples.calcium.copy()
    changed = calcium[closeups.at] * np.exp(change)[closeups.piece][:, GROUP]
    calcium[closeups.at] = changed / changed.sum(axis=1, keepdims=True)
    return replace(samples, calcium=calcium)


def tempered(change: NDArray[np.float32], other_doubt: float) -> NDArray[np.float32]:
    """Take back what the second network is not believed.

    It makes nothing coronary that the first one calls background, valve, ring or aorta: it sees too little around a
    piece to know where arteries are, and it has met bright rims of the heart, and large rings, only as digital patients
    have them, tamer than real ones. And other calcium is less likely than it says, for both networks met stents and
    calcified pericardium far more often than people have them.

    Parameters
    ----------
    change : (n, 6) of the logits of ``OWNERS``.
    other_doubt : see ``Decision``.

    Returns
    -------
    (n, 6), a copy.

    Examples
    --------
    >>> says = np.array([[-2, 1, 0, -3, 0, 0], [3, 1, 0, 2, 0, 5], [0, 1, 0, 0, 0, 2]], np.float32)
    >>> tempered(says, 1.5)[:, [0, 1, 3, 5]].tolist()
    [[1.0, 1.0, 1.0, -1.5], [3.0, 1.0, 2.0, 3.5], [1.0, 1.0, 1.0, 0.5]]
    """
    changed = np.maximum(change, change[:, [CORONARY_OWNER]])
    changed[:, OTHER_OWNER] = change[:, OTHER_OWNER] - other_doubt
    return changed


def elsewhere(
    probability: NDArray[np.float32], change: NDArray[np.float32], middle_mm: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Count for each piece the pieces of the patient that are surely coronary and lie apart from it.

    Parameters
    ----------
    probability : (n, 6) what the first network says of each piece.
    change : (n, 6) of its logits.
    middle_mm : (n, 3) where each is; see ``APART_MM``.

    Examples
    --------
    >>> plaque, stent = [0.01, 0.98, 0, 0, 0, 0.01], [0.01, 0.5, 0, 0, 0, 0.49]
    >>> middle_mm = np.array([[0.0, 0, 0], [0, 0, 12], [0, 0, 80], [0, 0, 68]])
    >>> elsewhere(np.array([plaque, plaque, plaque, stent]), np.zeros((4, 6), np.float32), middle_mm).tolist()
    [1, 1, 2, 2]
    """
    logits = np.log(np.clip(probability, LEAST_PROBABILITY, 1.0)) + change
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    sure = odds[:, CORONARY_OWNER] / odds.sum(axis=1) >= SURE
    distance_mm = np.linalg.norm(middle_mm[:, None] - middle_mm[None], axis=2)
    apart: NDArray[np.int64] = (sure[None] & (distance_mm >= APART_MM)).sum(axis=1)
    return apart


def of_the_patient(
    change: NDArray[np.float32], pieces_elsewhere: NDArray[np.int64], decision: Decision
) -> NDArray[np.float32]:
    """Weigh what else a piece may be by how much plaque the patient has elsewhere.

    Patients have a stent or a calcified plate or none, and scans their specks of noise, however many plaques: who has
    thirty plaques may well have one more that looks like a stent, and who has none hardly has a first that does. If
    plaques come by chance at a rate of the patient's own, the rate that n others lead one to expect grows with n + 1 (a
    Poisson count under a flat gamma prior), and the odds of plaque with it. Noise is only made likelier: what was too
    faint for the second network stays out whoever the patient is.

    Parameters
    ----------
    change : (n, 6) of the logits of ``OWNERS``.
    pieces_elsewhere : (n,) see ``elsewhere``.
    decision : its ``usual_pieces`` and ``lone_pieces`` are used.

    Returns
    -------
    (n, 6), a copy.

    Examples
    --------
    >>> decision = Decision(usual_pieces=16.0, lone_pieces=3.0)
    >>> changed = of_the_patient(np.zeros((3, 6), np.float32), np.array([0, 2, 31]), decision)
    >>> changed[:, [0, 5]].astype(float).round(1).tolist()
    [[1.1, 2.8], [0.0, 1.7], [0.0, -0.7]]
    """
    changed = change.copy()
    expected = pieces_elsewhere + 1.0
    if decision.usual_pieces > 0:
        changed[:, OTHER_OWNER] -= np.log(expected / decision.usual_pieces)
    if decision.lone_pieces > 0:
        changed[:, BACKGROUND_OWNER] += np.maximum(np.log(decision.lone_pieces / expected), 0.0)
    return changed


def closeups_of(
    samples: Samples,
    view: Volume,
    centre_lps_mm: NDArray[np.float64],
    threshold_hu: float,
    decision: Decision,
) -> Closeups:
    """Cut out the pieces that may be coronary; see ``looked_again``."""
    probability = biased(samples.calcium, decision)
    at = np.flatnonzero(1.0 - probability[:, Label.BACKGROUND] >= JOIN_PROBABILITY)
    owners = by_owner(probability[at])
    component = connected(samples.voxels[at], view.shape, FACES)
    likeliest = np.zeros(component.max(initial=-1) + 1)
    np.maximum.at(likeliest, component, owners[:, CORONARY_OWNER])
    inside = likeliest[component] >= LEAST_CORONARY
    at, component, owners = at[inside], numbered(component[inside]), owners[inside]
    index = np.stack(np.unravel_index(samples.voxels[at], view.shape), axis=1)
    place_mm = index * np.array(view.spacing_mm)
    piece = cut(place_mm, component, PIECE_MM)
    mean = group_mean(owners, piece, voxel_weight(samples.hu[at])) if at.size else np.zeros((0, len(OWNERS)))
    inside = mean[piece, CORONARY_OWNER] >= LEAST_CORONARY
    wanted, mean = np.unique(piece[inside]), mean[mean[:, CORONARY_OWNER] >= LEAST_CORONARY]
    patches = np.zeros((wanted.size, len(CHANNELS), *PATCH.shape), np.float32)
    facts = np.zeros((wanted.size, len(FACTS)), np.float32)
    middle_mm = np.zeros((wanted.size, 3))
    noise_hu = noise_of(view, centre_lps_mm) if wanted.size else LEAST_NOISE_HU
    for number, one in enumerate(wanted):
        own = np.flatnonzero(piece == one)
        whole = np.flatnonzero(component == component[own[0]])
        patches[number] = _patch(view, index[own], index[whole], voxel_weight(samples.hu[at[own]]))
        near = float(1.0 - samples.territory[at[own], 0].mean(dtype=np.float64))
        excess_hu = float(samples.hu[at[own]].max()) - threshold_hu
        facts[number] = _facts(index[own], whole.size, view, near, excess_hu, noise_hu, mean[number])
        middle_mm[number] = place_mm[own].mean(axis=0)
    return Closeups(at[inside], numbered(piece[inside]), patches, facts, mean.astype(np.float32), middle_mm)


def by_owner(probability: NDArray[np.float32]) -> NDArray[np.float32]:
    """Add up (n, 9) probabilities per ``Label`` to (n, 6) per ``OWNERS``."""
    coronary = probability[:, 1 : len(CORONARY) + 1].sum(axis=1, keepdims=True)
    return np.concatenate([probability[:, :1], coronary, probability[:, Label.AORTIC_VALVE :]], axis=1)


def noise_of(view: Volume, centre_lps_mm: NDArray[np.float64]) -> float:
    """Noise in the middle of the heart, HU: the robust SD of soft tissue about its smoothed self.

    Examples
    --------
    >>> voxels = np.random.default_rng(0).normal(40, 20, (20, 60, 60)).astype(np.float32)
    >>> scan = Volume.axial(voxels, (3.0, 1.0, 1.0))
    >>> round(noise_of(scan, np.array([30.0, 30.0, 30.0])))
    20
    """
    middle = np.rint(view.to_index([centre_lps_mm])[0]).astype(np.int64)
    half = [int(NOISE_BLOCK_MM / 2 / mm) for mm in view.spacing_mm]
    block = view.voxels[tuple(slice(max(m - h, 0), max(m + h, 0)) for m, h in zip(middle, half, strict=True))]
    if block.size == 0:
        return LEAST_NOISE_HU
    hu = np.ascontiguousarray(block, dtype=np.float32)
    smooth = smoothed(hu)
    rest = (hu - smooth)[(smooth > SOFT_TISSUE_HU[0]) & (smooth < SOFT_TISSUE_HU[1])]
    return max(float(1.4826 * np.median(np.abs(rest))), LEAST_NOISE_HU) if rest.size else LEAST_NOISE_HU


def smoothed(hu: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean over squares of ``SMOOTH_PIXELS`` in each slice, mirrored at the edges."""
    half = SMOOTH_PIXELS // 2
    for axis in (1, 2):
        width = [(0, 0)] * 3
        width[axis] = (half + 1, half)
        sums = np.cumsum(np.pad(hu, width, mode="symmetric"), axis=axis, dtype=np.float64)
        last = np.take(sums, np.arange(SMOOTH_PIXELS, sums.shape[axis]), axis=axis)
        first = np.take(sums, np.arange(sums.shape[axis] - SMOOTH_PIXELS), axis=axis)
        hu = ((last - first) / SMOOTH_PIXELS).astype(np.float32)
    return hu


def _facts(
    index: NDArray[np.int64],
    component_voxels: int,
    view: Volume,
    near_artery: float,
    excess_hu: float,
    noise_hu: float,
    probability: NDArray[np.float64],
) -> list[float]:
    area_mm2 = np.bincount(index[:, 0]).max() * view.spacing_mm[1] * view.spacing_mm[2]
    return [
        near_artery,
        np.log(noise_hu) - 3.0,
        np.log(len(index) * view.voxel_volume_mm3) - 3.0,
        np.log(component_voxels * view.voxel_volume_mm3) - 3.0,
        np.sqrt(area_mm2) / 5.0,
        view.spacing_mm[0] - 3.0,
        min(max(excess_hu / noise_hu, 0.0), 30.0) / 10.0,
        *(np.log(np.clip(probability[1:], LEAST_PROBABILITY, 1.0)) / 5.0),
    ]


def _patch(
    view: Volume, index: NDArray[np.int64], component: NDArray[np.int64], weight: NDArray[np.float64]
) -> NDArray[np.float32]:
    """HU, share of the piece and of its component around the piece's middle, linear between voxels, edges held."""
    middle = (index * weight[:, None]).sum(axis=0) / weight.sum()
    first, last, places = [], [], []
    for axis in range(3):
        n, mm = view.shape[axis], PATCH.spacing_mm[axis] / view.spacing_mm[axis]
        offset = np.arange(PATCH.shape[axis]) - ((PATCH.shape[axis] - 1) / 2 if axis else PATCH.shape[axis] // 2)
        place = np.clip(middle[axis] + offset * mm, 0, n - 1)
        first.append(int(place[0]))
        last.append(min(int(place[-1]) + 2, n))
        places.append(place - first[-1])
    block = view.voxels[tuple(slice(a, b) for a, b in zip(first, last, strict=True))].astype(np.float32)
    hu = np.clip(linear(block, places), AIR_HU, HIGHEST_HU)
    shares = []
    for voxels in (index, component):
        share = np.zeros(block.shape, np.float32)
        shifted = voxels - np.array(first)
        shown = ((shifted >= 0) & (shifted < np.array(block.shape))).all(axis=1)
        share[tuple(shifted[shown].T)] = 1.0
        shares.append(linear(share, places))
    return np.stack([hu, *shares])


def describe() -> Mapping[str, Any]:
    """What a release records of how its second network is fed."""
    return {
        "patch": {"shape": list(PATCH.shape), "spacing_mm": list(PATCH.spacing_mm), "channels": list(CHANNELS)},
        "piece_mm": PIECE_MM,
        "owners": list(OWNERS),
        "facts": list(FACTS),
        "join_probability": JOIN_PROBABILITY,
        "least_coronary": LEAST_CORONARY,
    }
