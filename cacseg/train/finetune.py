"""Fine-tune a release's checkpoint on labelled studies, and show what became better and what worse.

The guard scores the same studies with the release before and after through the inference path itself, so that
a gain on one hospital's scans that costs another family is seen before anybody uses the new weights.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cacseg.errors import RefusedError
from cacseg.infer import Release, assign
from cacseg.infer.grid import axial_view
from cacseg.infer.heart import find_heart
from cacseg.scoring import RULES, category_of, score
from cacseg.train.sample import Sample, sample_from_labels
from cacseg.vessels import CORONARY
from cacseg.volume import Volume


@dataclass(frozen=True, slots=True, eq=False)
class LabelledStudy:
    """One study of which somebody labelled the calcium.

    Parameters
    ----------
    name : file name or UID; never a patient's name.
    labels : values of ``Label`` on the grid of ``volume``, axes in any order.
    group : what the guard sums up by, e.g. the source.
    """

    name: str
    volume: Volume
    labels: Volume
    group: str = "all"


def labelled_sample(study: LabelledStudy, release: Release) -> Sample:
    """Make a training sample around the heart that the release's scout finds.

    Raises
    ------
    RefusedError : no heart is found.
    """
    heart = find_heart(axial_view(study.volume), release.predict_heart, release.scout_grid)
    if heart is None or not heart.plausible:
        raise RefusedError(f"{study.name}: no heart was found; leave this study out of the fine-tuning.")
    facts = {"source": study.name, "group": study.group}
    return sample_from_labels(study.volume, study.labels, heart.centre_lps_mm, facts)


def guard(studies: Iterable[LabelledStudy], before: Release, after: Release) -> dict[str, Any]:
    """Compare two releases on labelled studies.

    Parameters
    ----------
    studies : not seen in fine-tuning.
    before, after : releases.

    Returns
    -------
    JSON-ready: per group and release the coronary voxel F1, the F1 of each artery, the mean absolute error of
    the Agatston score and the share of right categories; ``worse`` lists every figure that fell by more than
    0.005, and the studies whose category was right before and is wrong after.
    """
    rows: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for study in studies:
        truth = study.labels.matched_to(study.volume)
        for side, release in (("before", before), ("after", after)):
            rows.setdefault(study.group, {}).setdefault(side, []).append(_case(study, truth, release))
    groups = {name: {side: _summary(cases) for side, cases in sides.items()} for name, sides in rows.items()}
    return {"groups": groups, "worse": _worse(groups), "lost": _lost(rows)}


def _case(study: LabelledStudy, truth: Volume, release: Release) -> dict[str, Any]:
    found = assign(study.volume, release)
    rule = RULES["literature"]
    scored = score(study.volume, study.volume.with_voxels(found.labels), rule).total.agatston
    expected = score(study.volume, truth, rule).total.agatston
    counts = {"coronary": _counts(_coronary(truth.voxels), _coronary(found.labels))}
    counts |= {vessel.name: _counts(truth.voxels == vessel, found.labels == vessel) for vessel in CORONARY}
    return {
        "name": study.name,
        "counts": counts,
        "error": abs(scored - expected),
        "right": category_of(scored) == category_of(expected),
    }


def _coronary(labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.isin(labels, CORONARY)


def _counts(truth: NDArray[np.bool_], found: NDArray[np.bool_]) -> tuple[int, int, int]:
    return int((truth & found).sum()), int((~truth & found).sum()), int((truth & ~found).sum())


def _summary(cases: list[dict[str, Any]]) -> dict[str, float]:
    summary: dict[str, float] = {"studies": len(cases)}
    for name in cases[0]["counts"]:
        hit, false, missed = np.sum([case["counts"][name] for case in cases], axis=0).tolist()
        summary[f"f1_{name.lower()}"] = 2 * hit / (2 * hit + false + missed) if hit + false + missed else 1.0
    summary["mean_absolute_error"] = float(np.mean([case["error"] for case in cases]))
    summary["right_category"] = float(np.mean([case["right"] for case in cases]))
    return summary


def _worse(groups: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[str]:
    found = []
    for group, sides in groups.items():
        for name, value in sides["before"].items():
            change = sides["after"][name] - value
            loss = change if name == "mean_absolute_error" else -change
            tolerance = 0.02 * max(value, 1.0) if name == "mean_absolute_error" else 0.005
            if name != "studies" and loss > tolerance:
                found.append(f"{group}: {name} {value:.3f} -> {sides['after'][name]:.3f}")
    return found


def _lost(rows: Mapping[str, Mapping[str, list[dict[str, Any]]]]) -> list[str]:
    return [
        old["name"]
        for sides in rows.values()
        for old, new in zip(sides["before"], sides["after"], strict=True)
        if old["right"] and not new["right"]
    ]
