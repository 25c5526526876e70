"""Scans that the second network learns from: patients seen by the first one, cut into pieces with their true owners.

The second network learns from scans that the first has not met, or it would trust it too much.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from cacseg.data.phantom.scene import Branch
from cacseg.data.readers import LabelledStudy
from cacseg.infer import Release
from cacseg.infer.assign import sampled
from cacseg.infer.closeup import GROUP, OWNERS, Closeups, closeups_of
from cacseg.infer.decide import Decision, group_mean, voxel_weight
from cacseg.infer.grid import axial_array, axial_view
from cacseg.infer.heart import find_heart
from cacseg.scoring import RULES, Rule, adapt
from cacseg.train.bright_spots import with_bright_spots
from cacseg.train.sources import Family
from cacseg.train.unusual import heart_facts

Patients = Literal["mixed", "stented", "heavy", "crowded", "plated"]
FIRST_SEED: Final[Mapping[Patients, int]] = {
    "mixed": 800_000,
    "stented": 820_000,
    "heavy": 840_000,
    "crowded": 860_000,
    "plated": 880_000,
}
"""Of the digital patients that are looked at closely: people with many of the rare findings, people who all have
stents, people without stents but with much plaque, people with much of both, and people with plates of pericardium and
other calcium beside the arteries, a third of them without plaque."""

Kind = tuple[Family, Literal["training", "hard", "zeros"]]
HARD: Final[Kind] = ("gated", "hard")
USUAL: Final[Kind] = ("gated", "training")
CHEST: Final[Kind] = ("chest", "training")
HARD_CHEST: Final[Kind] = ("chest", "hard")
ZERO: Final[Kind] = ("gated", "zeros")
MIX: Final = 9 * (HARD,) + 6 * (USUAL,) + 2 * (CHEST,) + 2 * (HARD_CHEST,) + (ZERO,)
"""Family and findings of twenty mixed patients in a row; "zeros" have no coronary calcium."""

SPOTS_EVERY: Final = 2
"""Every so many-th of the mixed patients has bright spots at the rim of the heart."""

CHEST_EVERY: Final = 5
"""Of the patients who are not mixed, every so many-th has a scan that is not gated."""

PRESENT: Final[Mapping[Patients, Mapping[str, int]]] = {
    "stented": {"stents": 1},
    "heavy": {"stents": 0},
    "crowded": {"stents": 3},
    "plated": {"stents": 0, "pericardium": 3, "granulomas_at_heart": 1, "mitral_annulus": 1, "aortic_root": 2},
}
"""What each has, and how often it is made: stents come one to three at a time."""

PLAQUE_FREE_EVERY: Final = 3
"""Every so many-th plated patient has no coronary calcium."""

HEAVY_AGATSTON: Final = (300.0, 4000.0)


@dataclass(frozen=True, slots=True, eq=False)
class CloseupSample:
    """The pieces of one scan.

    Parameters
    ----------
    hu : (n, 13, 64, 64) int16.
    shares : (n, 2, 13, 64, 64) uint8, share of the piece and of its component times 255.
    facts, probability : (n, 12) and (n, 6) float32, see ``cacseg.infer.closeup.Closeups``.
    truth : (n, 6) float32, the true owners of its voxels, weighted by HU.
    agatston : (n,) float32, score of the piece if it counted.
    known : (n,) bool; where False only the choice coronary or not is taught.
    healthy : whether the scan has no coronary calcium.
    """

    hu: NDArray[np.int16]
    shares: NDArray[np.uint8]
    facts: NDArray[np.float32]
    probability: NDArray[np.float32]
    truth: NDArray[np.float32]
    agatston: NDArray[np.float32]
    known: NDArray[np.bool_]
    healthy: bool


def patient(number: int, patients: Patients = "mixed") -> LabelledStudy:
    """Make digital patient ``number`` of those that the second network learns from."""
    from cacseg.data.phantom import digital_patient
    from cacseg.evaluation.families import scan_without_coronary_calcium
    from cacseg.evaluation.scan_facts import study_of_scan

    seed = FIRST_SEED[patients] + number
    settings = heart_facts(seed, number)
    if patients == "mixed":
        family, findings = MIX[number % len(MIX)]
        if findings == "zeros":
            scan = scan_without_coronary_calcium(seed, family)
        else:
            scan = digital_patient(seed, family=family, extracoronary=findings, **settings)
        study = study_of_scan(scan, f"{family}-{seed}")
        return with_spots(study, scan.branches, seed) if number % SPOTS_EVERY == 0 else study
    family = "chest" if number % CHEST_EVERY == 0 else "gated"
    settings["present"] = PRESENT[patients]
    if patients == "plated" and number % PLAQUE_FREE_EVERY == 0:
        settings["target_agatston"] = 0.0
    elif patients != "stented":
        low, high = np.log(HEAVY_AGATSTON)
        settings["target_agatston"] = float(np.exp(np.random.default_rng([seed, 401]).uniform(low, high)))
    scan = digital_patient(seed, family=family, **settings)
    return study_of_scan(scan, f"{family}-{seed}")


def with_spots(study: LabelledStudy, branches: Sequence[Branch], seed: int) -> LabelledStudy:
    """Draw bright spots of the heart's rim into a scan; its axial view takes its place."""
    arteries = np.concatenate([branch.points_lps_mm for branch in branches])
    view = with_bright_spots(axial_view(study.volume), arteries, np.random.default_rng([seed, 402]))
    return replace(study, volume=view, labels=axial_array(study.labels, study.volume.affine))


def closeup_sample(study: LabelledStudy, release: Release) -> CloseupSample | None:
    """Show a labelled study to the first network and cut out what the second one is to judge.

    Parameters
    ----------
    study : with labels down to the lowest HU that counts.
    release : its first network and decision settings are used.

    Returns
    -------
    ``None`` where no heart is found.
    """
    facts = study.facts
    kvp, tin = facts.get("kvp"), bool(facts.get("tin_filter", False))
    rule = adapt(RULES["literature"], kvp, tin)[0] if kvp else RULES["literature"]
    view = axial_view(study.volume)
    heart = find_heart(view, release.predict_heart, release.scout_grid)
    if heart is None or not heart.plausible:
        return None
    samples = sampled(view, heart, replace(release, closeup_session=None), rule.threshold_hu, {})
    truth = np.ascontiguousarray(axial_array(study.labels, study.volume.affine)).reshape(-1)
    closeups = closeups_of(samples, view, heart.centre_lps_mm, rule.threshold_hu, Decision(**release.decision))
    own = truth[samples.voxels[closeups.at]]
    count = closeups.probability.shape[0]
    owners = np.eye(len(OWNERS), dtype=np.float32)[GROUP[own]]
    weight = voxel_weight(samples.hu[closeups.at])
    shares = group_mean(owners, closeups.piece, weight) if count else np.zeros((0, len(OWNERS)))
    index = np.stack(np.unravel_index(samples.voxels[closeups.at], view.shape), axis=1)
    return CloseupSample(
        hu=np.rint(closeups.patches[:, 0]).astype(np.int16),
        shares=(closeups.patches[:, 1:] * 255).astype(np.uint8),
        facts=closeups.facts,
        probability=closeups.probability,
        truth=shares.astype(np.float32),
        agatston=_agatston(closeups, index, samples.hu[closeups.at], view.spacing_mm, rule),
        known=np.full(count, study.label_scope != "coronary") | (shares[:, 1] > 0.5),
        healthy=not np.isin(truth[view.voxels.reshape(-1) >= rule.threshold_hu], np.flatnonzero(GROUP == 1)).any(),
    )


def _agatston(
    closeups: Closeups,
    index: NDArray[np.int64],
    hu: NDArray[Any],
    spacing_mm: tuple[float, float, float],
    rule: Rule,
) -> NDArray[np.float32]:
    """Score each piece as if it were one lesion in each slice; a weight, not a result."""
    score = np.zeros(closeups.probability.shape[0], np.float32)
    for number in range(score.size):
        own = closeups.piece == number
        for slice_number in np.unique(index[own, 0]):
            lesion = hu[own][index[own, 0] == slice_number]
            area_mm2 = lesion.size * spacing_mm[1] * spacing_mm[2]
            if area_mm2 >= rule.min_area_mm2:
                score[number] += area_mm2 * min(max(int(lesion.max()) // 100, 1), 4) * spacing_mm[0] / 3.0
    return score


def save_closeups(sample: CloseupSample, path: Path) -> None:
    """Write a sample; it appears whole or not at all."""
    part = path.with_suffix(".part")
    arrays: dict[str, Any] = {field.name: getattr(sample, field.name) for field in fields(sample)}
    with part.open("wb") as file:
        np.savez_compressed(file, **arrays)
    part.replace(path)
