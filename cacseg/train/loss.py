"""What training minimises: calcium classes on candidate cells, arteries and tissue everywhere, the heart coarsely.

Every term is masked where its target is unknown, so that patients with calcium labels only and densely labelled
digital ones train together. Where labels leave some classes open, e.g. whether what nobody marked as coronary is
bone or a valve, the sum of these classes is taught.
"""

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from cacseg.data.phantom.tissue import Tissue
from cacseg.train.sample import TISSUE_CLASS, UNKNOWN, likeliest_class, possible_classes
from cacseg.vessels import Label

AWAY: Final = (
    Tissue.OUTSIDE,
    Tissue.LUNG,
    Tissue.AIRWAY,
    Tissue.FAT,
    Tissue.SOFT,
    Tissue.BONE,
    Tissue.LIVER,
    Tissue.DEVICE,
)
HEART_CLASSES: Final = tuple(sorted({group for tissue, group in TISSUE_CLASS.items() if tissue not in AWAY}))
"""Tissue classes in which a candidate without calcium is noise worth learning from."""

BONE_CLASSES: Final = (TISSUE_CLASS[Tissue.BONE],)

BESIDE_CELLS: Final = (3, 7, 7)
"""Box of 3 mm slices and 3 mm cells around the heart in which candidates without calcium count as beside it."""


@dataclass(frozen=True)
class LossWeights:
    """Weight of each term and of each class.

    Parameters
    ----------
    calcium_classes : cross-entropy weight per ``Label`` and of metal; about the inverse square root of how often a
        candidate cell has that class, which avoids over-calling the rare left main artery. Background is noise here.
    solid : weight of a background cell in or beside the heart that is candidate throughout: the bright rim of a sharp
        kernel, the wall of an airway. Noise fills a small share of a cell and keeps the weight of its class.
    elsewhere : weight of background cells known to lie elsewhere: bone and the chest wall, many and easy.
    other_near : weight of other calcium in the heart or beside an artery, where it is taken for coronary.
    territory_classes : away from any artery, LM, LAD, LCX, RCA.
    """

    calcium: float = 1.0
    overlap: float = 0.5
    territory: float = 0.4
    tissue: float = 0.2
    heart: float = 0.5
    calcium_classes: tuple[float, ...] = (0.1, 2.6, 1.0, 1.35, 1.1, 1.45, 1.55, 0.85, 0.25, 0.5)
    solid: float = 0.5
    elsewhere: float = 0.02
    other_near: float = 1.0
    territory_classes: tuple[float, ...] = (0.15, 2.0, 1.0, 1.0, 1.0)


def calcium_terms(
    logits: Tensor, target: Tensor, fraction: Tensor, tissue: Tensor, territory: Tensor, weights: LossWeights
) -> tuple[Tensor, Tensor]:
    """Cross-entropy and one-minus-Dice over the candidate cells.

    Parameters
    ----------
    logits : (n, 10, slice, row, column).
    target : (n, slice, row, column) uint8 as in ``Sample``: a class, or a value that leaves several classes open. Of
        the open ones the entropy takes the sum of the probabilities, and the Dice of each leaves the cell out.
    fraction : (n, slice, row, column) share of candidate voxels; fuller cells weigh more.
    tissue, territory : (n, slice, row / 2, column / 2) uint8 tissue classes and arteries nearby.
    """
    known = (target != UNKNOWN).reshape(-1).nonzero()[:, 0]
    classes = logits.shape[1]
    scores = logits.movedim(1, 0).reshape(classes, -1)[:, known].T.float()
    if known.numel() == 0:
        zero = logits.sum() * 0.0
        return zero, zero
    told = target.reshape(-1)[known].long()
    allowed = torch.from_numpy(possible_classes()).to(logits.device)[told]
    truth = torch.from_numpy(likeliest_class()).to(logits.device)[told].long()
    per_class = torch.tensor(weights.calcium_classes, device=logits.device)
    in_heart = _among(tissue, HEART_CLASSES)
    near = _unfolded(in_heart | ((territory > 0) & (territory != UNKNOWN)))[known]
    around = functional.max_pool3d(in_heart.float(), BESIDE_CELLS, 1, [n // 2 for n in BESIDE_CELLS]) > 0
    beside = _unfolded(in_heart | (around & ~_among(tissue, BONE_CLASSES)))[known]
    lowest = torch.where(_unfolded(tissue == UNKNOWN)[known], per_class[0], weights.elsewhere)
    share = fraction.reshape(-1)[known]
    amount = 0.25 + share
    background = torch.where(beside, per_class[0] + (weights.solid - per_class[0]) * share, lowest)
    weight = torch.where(truth == 0, background, per_class[truth])
    weight = torch.where((truth == int(Label.OTHER)) & near, weights.other_near, weight) * amount
    each = -scores.log_softmax(dim=1).masked_fill(~allowed, -torch.inf).logsumexp(dim=1)
    entropy = (weight * each).sum() / weight.sum().clamp_min(1e-6)
    amount = amount[:, None]
    probability = scores.softmax(dim=1)
    sure = allowed.sum(dim=1, keepdim=True) == 1
    hot = (allowed & sure).float()
    decided = (~allowed | sure).float()
    shared = (amount * probability * hot).sum(dim=0)
    either = (amount * (probability * decided + hot)).sum(dim=0)
    present = hot.sum(dim=0)[1:] > 0
    loss = 1.0 - (2.0 * shared + 1.0) / (either + 1.0)
    overlap = loss[1:][present].mean() if present.any() else loss[1:].mean()
    return entropy, overlap


def verdict(target: Tensor, classes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Tell which (n,) uint8 calcium targets are surely one of some classes, and which decide it either way.

    Examples
    --------
    >>> from cacseg.train.sample import LM_OR_LAD, NOT_CORONARY
    >>> lad, decided = verdict(torch.tensor([Label.LAD, Label.RCA, LM_OR_LAD, NOT_CORONARY]), (Label.LAD,))
    >>> lad.tolist(), decided.tolist()
    ([True, False, False, False], [True, True, False, True])
    """
    allowed = torch.from_numpy(possible_classes()).to(target.device)[target.long()]
    inside = torch.zeros(allowed.shape[1], dtype=torch.bool, device=target.device)
    inside[list(classes)] = True
    within, without = (allowed & inside).any(dim=1), (allowed & ~inside).any(dim=1)
    return within & ~without, within != without


def _among(tissue: Tensor, classes: tuple[int, ...]) -> Tensor:
    table = torch.zeros(UNKNOWN + 1, dtype=torch.bool, device=tissue.device)
    table[list(classes)] = True
    return table[tissue.long()]


def _unfolded(coarse: Tensor) -> Tensor:
    """Repeat (n, slice, row, column) cells for the four fine cells of each, flat."""
    return coarse.repeat_interleave(2, -1).repeat_interleave(2, -2).reshape(-1)


def dense_term(logits: Tensor, target: Tensor, class_weights: tuple[float, ...] | None) -> Tensor:
    """Cross-entropy over all cells whose class is known; 0 where none is."""
    if not bool((target != UNKNOWN).any()):
        return logits.sum() * 0.0
    weight = None if class_weights is None else torch.tensor(class_weights, device=logits.device)
    return functional.cross_entropy(logits.float(), target.long(), weight=weight, ignore_index=UNKNOWN)


def heart_term(logits: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy plus one-minus-Dice of the scout, (n, 1, ...) logits and (n, ...) uint8 target."""
    known = target != UNKNOWN
    if not bool(known.any()):
        return logits.sum() * 0.0
    scores = logits[:, 0][known].float()
    truth = target[known].float()
    entropy = functional.binary_cross_entropy_with_logits(scores, truth)
    probability = scores.sigmoid()
    dice = (2 * (probability * truth).sum() + 20.0) / (probability.sum() + truth.sum() + 20.0)
    return entropy + 1.0 - dice
