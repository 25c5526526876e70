"""One case measured: everything that the tables need of it, without its voxels."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from cacseg.data.readers.labelled_study import LabelledStudy, merge_labels
from cacseg.errors import UsageError
from cacseg.evaluation.counts import Counts
from cacseg.evaluation.lesions import (
    LesionMap,
    found_lesions,
    lesion_counts,
    lesion_map,
    volume_counts,
    voxel_counts,
)
from cacseg.scoring import Rule, score
from cacseg.vessels import CORONARY, Label
from cacseg.volume import Volume

Unit = Literal["voxel", "volume", "lesion"]
UNITS: Final[tuple[Unit, ...]] = ("voxel", "volume", "lesion")
VESSEL_NAMES: Final = tuple(vessel.name for vessel in CORONARY)
ANY_CORONARY: Final = "coronary"
"""Name under which the four arteries are counted as one."""
GROUP_NAMES: Final = (*VESSEL_NAMES, ANY_CORONARY)


class AssignmentLike(Protocol):
    """What the path under test gives for one volume.

    ``labels`` is (slice, row, column) uint8; ``confidence`` the probability of each label, on the same grid
    or one value for each voxel that is not 0 in array order, or ``None``.
    """

    @property
    def labels(self) -> NDArray[np.uint8]:
        """Label of each voxel."""
        ...

    @property
    def confidence(self) -> NDArray[np.float32] | None:
        """Probability that each label is right."""
        ...


@dataclass(frozen=True, slots=True)
class PredictedLesion:
    """One lesion that the path under test reported, coronary or not.

    Parameters
    ----------
    label : name of the label that it was given.
    confidence : mean over its voxels; ``None`` where the path gives none.
    right : at least half of its voxels have that label in truth.
    agatston : what it adds to the coronary score as labelled (0 for an extra-coronary label).
    true_agatston : what its voxels add to the coronary score as labelled in truth.
    """

    label: str
    confidence: float | None
    right: bool
    agatston: float
    true_agatston: float


@dataclass(frozen=True, slots=True)
class CaseMeasures:
    """Everything measured on one case.

    Parameters
    ----------
    status : ``"scored"``; ``"refused"`` where the path under test refused; ``"failed"`` where it broke.
    message : the refusal or the fault, else empty.
    facts : JSON-ready facts for stratification.
    truth, predicted : Agatston of LM, LAD, LCX, RCA and ``"total"``.
    counts : for each of voxel, volume (mm3) and lesion: counts of each artery and of ``"coronary"``.
    false_agatston : score of voxels called coronary that are not.
    missed_agatston : score of coronary voxels that were not called coronary.
    lesions : the lesions reported.
    seconds : wall time of the path under test.
    """

    id: str
    status: Literal["scored", "refused", "failed"]
    message: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    truth: Mapping[str, float] = field(default_factory=dict)
    predicted: Mapping[str, float] = field(default_factory=dict)
    counts: Mapping[Unit, Mapping[str, Counts]] = field(default_factory=dict)
    false_agatston: float = 0.0
    missed_agatston: float = 0.0
    lesions: tuple[PredictedLesion, ...] = ()
    seconds: float = 0.0

    @property
    def error(self) -> float:
        """Agatston units that landed on the wrong side: false, missed, or on another artery."""
        if self.status != "scored":
            return float("inf")
        exchanged = sum(abs(self.predicted[name] - self.truth[name]) for name in VESSEL_NAMES)
        return max(self.false_agatston + self.missed_agatston, exchanged)

    def to_dict(self) -> dict[str, Any]:
        """Give the JSON form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read the JSON form back."""
        counts = {
            unit: {name: Counts(**entry) for name, entry in by_name.items()} for unit, by_name in data["counts"].items()
        }
        lesions = tuple(PredictedLesion(**lesion) for lesion in data["lesions"])
        return cls(**{**data, "counts": counts, "lesions": lesions})


def measure(study: LabelledStudy, assignment: AssignmentLike, rule: Rule, seconds: float = 0.0) -> CaseMeasures:
    """Compare the labels of the path under test with the reference.

    Parameters
    ----------
    study : volume and reference labels.
    assignment : what the path under test gave for ``study.volume``.
    rule : the counting rule of both scores.
    seconds : time that the path took.

    Raises
    ------
    UsageError : labels of another shape than the volume.
    """
    if assignment.labels.shape != study.volume.shape:
        raise UsageError(
            f"Study {study.id}: the path under test gave labels of shape {assignment.labels.shape}; expected "
            f"{study.volume.shape}, the volume's own grid."
        )
    volume = study.volume
    truth = merge_labels(study.labels, study.merged)
    called = merge_labels(np.asarray(assignment.labels, np.uint8), study.merged)
    true_coronary, called_coronary = coronary_only(truth), coronary_only(called)
    return CaseMeasures(
        id=study.id,
        status="scored",
        facts=dict(study.facts),
        truth=_agatston(volume, truth, rule),
        predicted=_agatston(volume, called, rule),
        counts=_counts(volume, true_coronary, called_coronary, rule),
        false_agatston=_total(volume, np.where(true_coronary == 0, called_coronary, 0), rule),
        missed_agatston=_total(volume, np.where(called_coronary == 0, true_coronary, 0), rule),
        lesions=_lesions(study, truth, called, assignment.confidence, rule),
        seconds=seconds,
    )


def coronary_only(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Give a copy without extra-coronary labels."""
    return np.where(labels <= CORONARY[-1], labels, 0).astype(np.uint8)


def _agatston(volume: Volume, labels: NDArray[np.uint8], rule: Rule) -> dict[str, float]:
    scoring = score(volume, volume.with_voxels(labels), rule)
    return {
        **{vessel.name: scoring.vessels[vessel].agatston for vessel in CORONARY},
        "total": scoring.total.agatston,
    }


def _total(volume: Volume, labels: NDArray[np.uint8], rule: Rule) -> float:
    return score(volume, volume.with_voxels(labels), rule).total.agatston


def _counts(
    volume: Volume, truth: NDArray[np.uint8], called: NDArray[np.uint8], rule: Rule
) -> dict[Unit, dict[str, Counts]]:
    counts: dict[Unit, dict[str, Counts]] = {unit: {} for unit in UNITS}
    whole = ((truth > 0).astype(np.uint8), (called > 0).astype(np.uint8))
    for names, (left, right) in ((VESSEL_NAMES, (truth, called)), ((ANY_CORONARY,), whole)):
        left_map, right_map = lesion_map(volume, left, rule), lesion_map(volume, right, rule)
        by_voxel = voxel_counts(volume, left, right, len(names), rule.threshold_hu)
        for group, name in enumerate(names, start=1):
            counts["voxel"][name] = by_voxel[group - 1]
            counts["volume"][name] = volume_counts(left_map, right_map, group, volume.voxel_volume_mm3)
            counts["lesion"][name] = lesion_counts(left_map, right_map, left, right, group)
    return counts


def _lesions(
    study: LabelledStudy,
    truth: NDArray[np.uint8],
    called: NDArray[np.uint8],
    confidence: NDArray[np.float32] | None,
    rule: Rule,
) -> tuple[PredictedLesion, ...]:
    lesions = lesion_map(study.volume, called, rule)
    if lesions.count == 0:
        return ()
    groups, right = lesions.groups(), found_lesions(lesions, truth)
    if study.label_scope == "coronary":
        right = np.where(groups > CORONARY[-1], _not_coronary(lesions, truth), right)
    means = _mean_confidence(lesions, called, confidence)
    return tuple(
        PredictedLesion(
            label=Label(int(groups[number])).name,
            confidence=None if means is None else float(means[number]),
            right=bool(right[number]),
            agatston=_part(study.volume, called, lesions.flat[lesions.lesion == number], rule),
            true_agatston=_part(study.volume, truth, lesions.flat[lesions.lesion == number], rule),
        )
        for number in range(lesions.count)
    )


def _not_coronary(lesions: LesionMap, truth: NDArray[np.uint8]) -> NDArray[np.bool_]:
    outside = (coronary_only(truth) == 0).astype(np.uint8)
    neutral = LesionMap(lesions.flat, np.ones_like(lesions.group), lesions.lesion, lesions.count)
    return found_lesions(neutral, outside)


def _mean_confidence(
    lesions: LesionMap, called: NDArray[np.uint8], confidence: NDArray[np.float32] | None
) -> NDArray[np.float64] | None:
    if confidence is None:
        return None
    if confidence.shape == called.shape:
        values = confidence.reshape(-1)[lesions.flat]
    else:
        labelled = np.flatnonzero(called)
        values = confidence[np.searchsorted(labelled, lesions.flat)]
    size = np.bincount(lesions.lesion, minlength=lesions.count)
    return np.asarray(np.bincount(lesions.lesion, weights=values, minlength=lesions.count) / size, np.float64)


def _part(volume: Volume, labels: NDArray[np.uint8], flat: NDArray[np.intp], rule: Rule) -> float:
    """Agatston that the given voxels add to the coronary score as labelled."""
    indices = np.stack(np.unravel_index(flat, volume.shape))
    first, last = indices.min(axis=1), indices.max(axis=1) + 1
    start, stop = (int(first[0]), int(first[1]), int(first[2])), (int(last[0]), int(last[1]), int(last[2]))
    box = volume.crop(start, stop)
    chosen = np.zeros(box.shape, np.uint8)
    inside = tuple(indices - first[:, None])
    chosen[inside] = labels.reshape(-1)[flat]
    return score(box, box.with_voxels(coronary_only(chosen)), rule).total.agatston
