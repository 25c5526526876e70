"""What a scorer returns: sums per vessel and in total, and every lesion."""

from collections.abc import Mapping
from dataclasses import dataclass

from cacseg.scoring.rule import Rule
from cacseg.vessels import Label


@dataclass(frozen=True, slots=True)
class Score:
    """Sums over a set of lesions; nothing is rounded.

    Parameters
    ----------
    agatston : Agatston units (Agatston et al. 1990, doi:10.1016/0735-1097(90)90282-T).
    volume_mm3 : volume score.
    mass_mg : calcium hydroxyapatite mass; ``None`` where it cannot be known.
    lesions : number of lesions.
    """

    agatston: float
    volume_mm3: float
    mass_mg: float | None
    lesions: int


@dataclass(frozen=True, slots=True)
class Lesion:
    """One calcified lesion: slice components of one label that touch in neighbouring slices.

    Parameters
    ----------
    id : 1, 2, ... in the order of the list.
    label : the artery or other structure that it belongs to.
    area_mm2 : sum of the areas of its slice components.
    peak_hu : highest HU within it.
    slices : indices of the slices it occupies, ascending along the slice normal.
    centroid_lps_mm : mean position of its voxels.
    confidence : probability given by the model that the label is right; ``None`` without a model.
    """

    id: int
    label: Label
    agatston: float
    volume_mm3: float
    mass_mg: float | None
    area_mm2: float
    peak_hu: float
    slices: tuple[int, ...]
    centroid_lps_mm: tuple[float, float, float]
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Scoring:
    """Everything one rule says about one labelled volume.

    ``total`` is the sum of the four arteries; ``structures`` holds the extra-coronary labels apart.
    ``lesions`` are coronary only, ``extracoronary`` the others; both in order of label, then position.
    """

    rule: Rule
    total: Score
    vessels: Mapping[Label, Score]
    structures: Mapping[Label, Score]
    lesions: tuple[Lesion, ...]
    extracoronary: tuple[Lesion, ...]
