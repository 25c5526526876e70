"""Turn per-voxel probabilities into labels that make anatomical sense.

Whether calcium is coronary is decided per three-dimensional component, and to which artery it belongs per piece
of a slice: on real gated scans this beat the label of each voxel alone. A component is divided between two
owners only where each holds a substantial part, as when a long calcification runs from the left main artery
into the LAD or lies against the aortic wall.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cacseg.infer.components import FACES, IN_SLICE, connected, numbered
from cacseg.infer.sampling import Samples
from cacseg.vessels import CORONARY, Label
from cacseg.volume import Volume


@dataclass(frozen=True, slots=True)
class Decision:
    """Settings of the rule; they ship with the weights they were chosen for.

    Parameters
    ----------
    join_probability : voxels at least this likely to be calcium form the components.
    keep_probability : mean probability of calcium at which a component is kept rather than called noise or bone.
    coronary_bias : added to the logit of coronary against other calcium; above 0 finds more, below 0 rejects more.
    territory_weight : share of the territory head in the choice between arteries, 0 to 1.
    component_share : how much the whole component speaks in the choice for one of its slice pieces.
    split_share, split_volume_mm3 : least part, of a component, of a second owner that is given its own voxels.
    artery_split_share, split_area_mm2 : least part, of a slice piece, of a second artery that is given its own voxels.
    background_bias : added to the log-probability of background; undoes a part of the class weights of training.
    other_bias : the same for other calcium.
    left_main_bias : added to the logit of the left main artery against the other arteries; below 0 undoes a part of
        its large class weight, which moves the fork into the LAD and the LCX.
    largest_other_mm3 : other calcium above this volume is bone, and background.
    other_doubt : taken off the log-odds of other calcium where a second network has looked; about the logarithm of how
        much more often it met stents, for one, than they are met.
    usual_pieces : number of surely coronary pieces in a patient for whom that doubt is right: one with more of them has
        more of it, one with fewer less; see ``cacseg.infer.closeup.of_the_patient``. 0 leaves the patient out of it.
    lone_pieces : of a patient with fewer of them a piece is likelier noise. 0 leaves the patient out of it.
    """

    join_probability: float = 0.2
    keep_probability: float = 0.5
    coronary_bias: float = 0.0
    territory_weight: float = 0.5
    component_share: float = 0.3
    split_share: float = 0.3
    split_volume_mm3: float = 20.0
    artery_split_share: float = 0.3
    split_area_mm2: float = 6.0
    background_bias: float = 1.5
    other_bias: float = 0.0
    left_main_bias: float = 0.0
    largest_other_mm3: float = 1500.0
    other_doubt: float = 0.0
    usual_pieces: float = 0.0
    lone_pieces: float = 0.0


def decide(samples: Samples, view: Volume, decision: Decision) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Label sampled voxels.

    Parameters
    ----------
    samples : candidate voxels with their probabilities.
    view : the scan, axial view; gives the grid the voxels lie on.
    decision : settings.

    Returns
    -------
    labels : (n,) uint8 values of ``Label``; background where the component was rejected.
    confidence : (n,) float32 probability of that label in its component or piece, that it is calcium at all included; 0
        for background.
    """
    labels = np.zeros(samples.voxels.size, np.uint8)
    confidence = np.zeros(samples.voxels.size, np.float32)
    probability = biased(samples.calcium, decision)
    at, component, calcified = _kept(samples, probability, view, decision)
    if at.size == 0:
        return labels, confidence
    weight = voxel_weight(samples.hu[at])
    owner, owner_mean = _owners(probability[at], component, weight, view.voxel_volume_mm3, decision)
    volume_mm3 = np.bincount(component)[component] * view.voxel_volume_mm3
    labels[at] = owner + Label.AORTIC_VALVE - 1
    confidence[at] = owner_mean * calcified
    bone = at[(labels[at] == Label.OTHER) & (volume_mm3 > decision.largest_other_mm3)]
    labels[bone], confidence[bone] = Label.BACKGROUND, 0.0
    coronary = owner == 0
    if coronary.any():
        vessel, vessel_mean = _vessels(
            samples.voxels[at[coronary]],
            _artery_probability(probability[at[coronary]], samples.territory[at[coronary]], decision),
            component[coronary],
            weight[coronary],
            view,
            decision,
        )
        labels[at[coronary]] = vessel + Label.LM
        confidence[at[coronary]] *= vessel_mean
    return labels, confidence


def biased(probability: NDArray[np.float32], decision: Decision) -> NDArray[np.float32]:
    """Put the biases of a decision on (n, 9) probabilities per ``Label``."""
    changed = probability.copy()
    changed[:, Label.BACKGROUND] *= np.float32(np.exp(decision.background_bias))
    changed[:, Label.OTHER] *= np.float32(np.exp(decision.other_bias))
    result: NDArray[np.float32] = changed / changed.sum(axis=1, keepdims=True)
    return result


def _kept(
    samples: Samples, probability: NDArray[np.float32], view: Volume, decision: Decision
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Which samples lie in components that are calcium, the component of each, and how surely that is calcium."""
    calcified = 1.0 - probability[:, Label.BACKGROUND]
    at = np.flatnonzero(calcified >= decision.join_probability)
    if at.size == 0:
        return at, at, np.zeros(0)
    component = connected(samples.voxels[at], view.shape, FACES)
    mean = group_mean(calcified[at, None], component, voxel_weight(samples.hu[at]))[component, 0]
    kept = mean >= decision.keep_probability
    return at[kept], numbered(component[kept]), mean[kept]


def voxel_weight(hu: NDArray[np.int16]) -> NDArray[np.float64]:
    """Denser voxels speak louder; the faint rim of a plaque is where noise lives."""
    return np.clip(hu.astype(np.float64) - 100.0, 20.0, 500.0)


def group_mean(
    values: NDArray[np.float32], group: NDArray[np.int64], weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Weighted mean of (n, k) values in each group, (groups, k)."""
    total = np.bincount(group, weights=weight)
    sums = [np.bincount(group, weights=weight * values[:, k]) for k in range(values.shape[1])]
    return np.stack(sums, axis=1) / np.maximum(total, 1e-9)[:, None]


def _owners(
    probability: NDArray[np.float32],
    component: NDArray[np.int64],
    weight: NDArray[np.float64],
    voxel_mm3: float,
    decision: Decision,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Owner of each voxel: 0 coronary, 1 aortic valve, 2 mitral annulus, 3 aorta, 4 other; and its probability."""
    coronary = probability[:, 1 : len(CORONARY) + 1].sum(axis=1, keepdims=True) * np.exp(decision.coronary_bias)
    groups = np.concatenate([coronary, probability[:, Label.AORTIC_VALVE :]], axis=1)
    groups /= groups.sum(axis=1, keepdims=True)
    return _one_or_two(groups, component, weight, voxel_mm3, decision.split_share, decision.split_volume_mm3)


def _one_or_two(
    probability: NDArray[np.float32],
    group: NDArray[np.int64],
    weight: NDArray[np.float64],
    voxel_size: float,
    split_share: float,
    split_size: float,
    mean: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Give each group its likeliest class, or two classes where the second holds enough voxels of its own."""
    mean = group_mean(probability, group, weight) if mean is None else mean
    best = mean.argmax(axis=1)
    own = probability.argmax(axis=1)
    groups, classes = mean.shape
    count = np.bincount(group * classes + own, minlength=groups * classes).reshape(groups, classes)
    others = count.copy()
    others[np.arange(groups), best] = 0
    second = others.argmax(axis=1)
    held = others.max(axis=1)
    divided = (held * voxel_size >= split_size) & (held >= split_share * count.sum(axis=1))
    pair = np.stack([best, second], axis=1)[group]
    rows = np.arange(group.size)
    to_second = divided[group] & (probability[rows, pair[:, 1]] > probability[rows, pair[:, 0]])
    chosen = np.where(to_second, pair[:, 1], pair[:, 0])
    certainty = np.where(divided[group], probability[rows, chosen], mean[group, chosen])
    return chosen, certainty


def _artery_probability(
    calcium: NDArray[np.float32], territory: NDArray[np.float32], decision: Decision
) -> NDArray[np.float32]:
    """Probability of LM, LAD, LCX, RCA given that it is coronary, (n, 4)."""
    own = np.log(calcium[:, 1:5] + 1e-6)
    near = np.log(territory[:, 1:5] + 1e-3)
    both = (1 - decision.territory_weight) * own + decision.territory_weight * near
    both[:, 0] += decision.left_main_bias
    mixed = np.exp(both)
    result: NDArray[np.float32] = mixed / mixed.sum(axis=1, keepdims=True)
    return result


def _vessels(
    voxels: NDArray[np.int64],
    probability: NDArray[np.float32],
    component: NDArray[np.int64],
    weight: NDArray[np.float64],
    view: Volume,
    decision: Decision,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Artery (0 LM to 3 RCA) of each voxel by slice pieces of its component."""
    piece = connected(voxels, view.shape, IN_SLICE)
    whole = group_mean(probability, component, weight)
    first = np.unique(piece, return_index=True)[1]
    share = decision.component_share
    mean = (1 - share) * group_mean(probability, piece, weight) + share * whole[component[first]]
    return _one_or_two(
        probability, piece, weight, view.pixel_area_mm2, decision.artery_split_share, decision.split_area_mm2, mean
    )
