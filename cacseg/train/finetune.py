"""What fine-tuning made better and what worse: the guard.

It scores the same studies with the release before and after through the inference path itself, so that
a gain on one hospital's scans that costs another family is seen before anybody uses the new weights.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cacseg.data.readers import LabelledStudy, merge_labels
from cacseg.errors import UsageError
from cacseg.infer import Release, assign
from cacseg.scoring import RULES, category_of, score
from cacseg.vessels import CORONARY


def guard(studies: Iterable[LabelledStudy], before: Release, after: Release) -> dict[str, Any]:
    """Compare two releases on labelled studies.

    Parameters
    ----------
    studies : not seen in fine-tuning; ``facts["group"]``, where stated, is what they are summed up by. Arteries that
        a dataset does not tell apart count as one.
    before, after : releases.

    Returns
    -------
    JSON-ready: per group and release the coronary voxel F1, the F1 of each artery, the mean absolute error of
    the Agatston score and the share of right categories; ``worse`` lists every figure that fell by more than
    0.005, and the studies whose category was right before and is wrong after.

    Raises
    ------
    UsageError : no study.
    """
    rows: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for study in studies:
        group = str(study.facts.get("group", "all"))
        for side, release in (("before", before), ("after", after)):
            rows.setdefault(group, {}).setdefault(side, []).append(_case(study, release))
    if not rows:
        raise UsageError("There is no study to compare the releases on; give labelled ones that can be read.")
    groups = {name: {side: _summary(cases) for side, cases in sides.items()} for name, sides in rows.items()}
    return {"groups": groups, "worse": _worse(groups), "lost": _lost(rows)}


def _case(study: LabelledStudy, release: Release) -> dict[str, Any]:
    found = merge_labels(assign(study.volume, release).labels, study.merged)
    truth = merge_labels(study.labels, study.merged)
    scored, expected = (_agatston(study, labels) for labels in (found, truth))
    counts = {"coronary": _counts(_coronary(truth), _coronary(found))}
    counts |= {vessel.name: _counts(truth == vessel, found == vessel) for vessel in CORONARY}
    return {
        "name": study.id,
        "counts": counts,
        "error": abs(scored - expected),
        "right": category_of(scored) == category_of(expected),
    }


def _agatston(study: LabelledStudy, labels: NDArray[np.uint8]) -> float:
    return score(study.volume, study.volume.with_voxels(labels), RULES["literature"]).total.agatston


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
