"""Choose the settings of the decision rule on digital patients that neither training nor the test families see.

    python train/tune_decision.py models/cacseg-unet-1 --gated 40 --chest 10 --shifted 10

One setting at a time is moved to the value that serves best, until none helps. What serves: the mean of voxel F1
(coronary, LM, LAD, LCX, RCA), the share of vessels whose score is within 10 units or 10 %, the same of patients, the
share of patients in the right category, and the share of those without coronary calcium that score exactly 0.
Validation seeds lie from 900,000 to 999,999. The chosen settings are printed as JSON; `--write` puts them into the
release's metadata.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cacseg.evaluation.scan_facts import study_of_scan
from cacseg.evaluation.summary import agree
from cacseg.infer import load_release
from cacseg.infer.assign import sampled
from cacseg.infer.decide import Decision, decide
from cacseg.infer.grid import axial_array, axial_view
from cacseg.infer.heart import find_heart
from cacseg.infer.release import METADATA
from cacseg.infer.sampling import Samples
from cacseg.scoring import RULES, Rule, adapt, category_of, score
from cacseg.train.sources import Family
from cacseg.vessels import CORONARY, Label
from cacseg.volume import Volume

FIRST_SEED: dict[Family, int] = {"gated": 900_301, "chest": 900_401, "shifted": 900_501}
"""At most 100 patients of each."""

CHOICES = {
    "background_bias": (0.5, 1.0, 1.5, 2.0, 2.5),
    "other_bias": (-0.5, 0.0, 0.5, 1.0),
    "left_main_bias": (-1.5, -1.0, -0.5, 0.0),
    "coronary_bias": (-0.6, -0.3, 0.0, 0.3, 0.6, 1.0, 1.5),
    "keep_probability": (0.4, 0.5, 0.6, 0.7),
    "join_probability": (0.1, 0.2, 0.35),
    "territory_weight": (0.2, 0.35, 0.5, 0.65, 0.8),
    "component_share": (0.1, 0.3, 0.5),
    "split_share": (0.15, 0.2, 0.3, 0.4),
    "artery_split_share": (0.1, 0.15, 0.2, 0.3),
    "split_volume_mm3": (10.0, 20.0, 40.0),
    "split_area_mm2": (3.0, 6.0, 10.0),
}
TOLD_TO_THE_SECOND = ("background_bias", "other_bias")
"""Settings that a second network was trained with: where a release has one, they stay."""

WITHOUT = {
    "the rule as it is": {},
    "the territory head": {"territory_weight": 0.0},
    "the whole component in the choice of artery": {"component_share": 0.0},
    "dividing a component between owners": {"split_share": 1.0},
    "dividing a slice piece between arteries": {"split_area_mm2": 1e6},
    "the bias of background": {"background_bias": 0.0},
    "the bias of other calcium": {"other_bias": 0.0},
    "the bias of coronary calcium": {"coronary_bias": 0.0},
    "the bias of the left main artery": {"left_main_bias": 0.0},
}
"""What the rule is left without for the table of ``--ablate``."""

LEAST_GAIN = 1e-3
CORONARY_LABELS = [int(label) for label in CORONARY]


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """One patient as the network saw it: candidates with probabilities, and the true labels.

    Parameters
    ----------
    at, truth : (n,) flat indices of the voxels that are labelled or may become so, and their true labels.
    agatston : true score of each artery.
    rule : what counted it, adapted to the voltage of the scan.
    """

    view: Volume
    at: NDArray[np.int64]
    truth: NDArray[np.uint8]
    samples: Samples
    agatston: dict[Label, float]
    rule: Rule


def see(job: tuple[Family, int, str]) -> Seen | None:
    """Scan a patient and run the networks; ``None`` where no heart is found."""
    from cacseg.data.phantom import digital_patient

    family, seed, folder = job
    release = load_release(folder, threads=1)
    scan = digital_patient(seed, family=family)
    study = study_of_scan(scan, f"{family}-{seed}")
    rule, _ = adapt(RULES["literature"], scan.protocol.kvp, scan.protocol.tin_filter)
    view = axial_view(study.volume)
    truth = np.ascontiguousarray(axial_array(study.labels, study.volume.affine))
    heart = find_heart(view, release.predict_heart, release.scout_grid)
    if heart is None or not heart.plausible:
        return None
    samples = sampled(view, heart, release, rule.threshold_hu, {})
    at = np.union1d(samples.voxels, np.flatnonzero(truth))
    counted = np.flatnonzero(view.voxels.reshape(-1)[at] >= rule.threshold_hu)
    scoring = score(view, view.with_voxels(truth), rule)
    agatston = {vessel: scoring.vessels[vessel].agatston for vessel in CORONARY}
    return Seen(view, at[counted], truth.reshape(-1)[at[counted]], samples, agatston, rule)


def worth(patients: Sequence[Seen], decision: Decision) -> dict[str, float]:
    """Measure a decision rule; ``worth`` is the mean that is made as large as possible."""
    hit, false, missed = (np.zeros(len(CORONARY) + 1) for _ in range(3))
    right, zeros, kept_zero, false_score = 0, 0, 0, 0.0
    vessels_close = patients_close = 0
    for one in patients:
        decided, _ = decide(one.samples, one.view, decision)
        labels = np.zeros(one.view.shape, np.uint8)
        labels.reshape(-1)[one.samples.voxels] = decided
        for row, (guess, truth) in enumerate(_masks(labels.reshape(-1)[one.at], one.truth)):
            both = int((guess & truth).sum())
            hit[row] += both
            false[row] += int(guess.sum()) - both
            missed[row] += int(truth.sum()) - both
        scoring = score(one.view, one.view.with_voxels(labels), one.rule)
        found, expected = scoring.total.agatston, sum(one.agatston.values())
        right += category_of(found) == category_of(expected)
        patients_close += bool(agree(found, expected))
        each = [scoring.vessels[vessel].agatston for vessel in CORONARY]
        vessels_close += int(agree(each, [one.agatston[vessel] for vessel in CORONARY]).sum())
        if expected == 0:
            zeros, kept_zero, false_score = zeros + 1, kept_zero + (found == 0), false_score + found
    f1 = 2 * hit / np.maximum(2 * hit + false + missed, 1)
    parts = {name: float(value) for name, value in zip(("coronary", "LM", "LAD", "LCX", "RCA"), f1, strict=True)}
    parts["vessels_close"] = vessels_close / len(patients) / len(CORONARY)
    parts["patients_close"] = patients_close / len(patients)
    parts["category"] = right / len(patients)
    if zeros:
        parts["zeros"] = kept_zero / zeros
    extra = {
        "sensitivity": float(hit[0] / max(hit[0] + missed[0], 1)),
        "precision": float(hit[0] / max(hit[0] + false[0], 1)),
        "false_score_of_zeros": false_score / max(zeros, 1),
    }
    return {"worth": float(np.mean(list(parts.values()))), **parts, **extra}


def _masks(
    labels: NDArray[np.uint8], truth: NDArray[np.uint8]
) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    yield np.isin(labels, CORONARY_LABELS), np.isin(truth, CORONARY_LABELS)
    for label in CORONARY_LABELS:
        yield labels == label, truth == label


def tuned(patients: Sequence[Seen], decision: Decision, fixed: Sequence[str] = ()) -> tuple[Decision, dict[str, float]]:
    """Climb one setting at a time, those apart that are fixed."""
    best = worth(patients, decision)
    moved = True
    while moved:
        moved = False
        for name, values in CHOICES.items():
            for value in () if name in fixed else values:
                tried = replace(decision, **{name: value})
                found = worth(patients, tried)
                if found["worth"] > best["worth"] + LEAST_GAIN:
                    decision, best, moved = tried, found, True
                    print(f"{name} {value:g}: {best['worth']:.4f}", flush=True)
    return decision, best


def ablation(patients: Sequence[Seen], decision: Decision) -> Iterator[str]:
    """Give the rows of a Markdown table: what each part of the rule is worth."""
    shown = ("coronary", "LM", "LAD", "LCX", "RCA", "vessels_close", "patients_close", "category", "zeros")
    yield "| without | " + " | ".join(name.replace("_", " ") for name in shown) + " |"
    yield "|---" * (len(shown) + 1) + "|"
    for name, changed in WITHOUT.items():
        found = worth(patients, replace(decision, **changed))
        yield f"| {name} | " + " | ".join(f"{found.get(key, float('nan')):.3f}" for key in shown) + " |"


def main() -> None:
    """Scan, climb, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("release", type=Path)
    for family, count in (("gated", 40), ("chest", 10), ("shifted", 10)):
        parser.add_argument(f"--{family}", type=int, default=count, help="patients (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--ablate", action="store_true", help="show what each part of the rule is worth; tune nothing")
    parser.add_argument("--write", action="store_true", help="put the settings into the release's metadata")
    given = parser.parse_args()
    jobs = [
        (family, first + number, str(given.release))
        for family, first in FIRST_SEED.items()
        for number in range(getattr(given, family))
    ]
    with ProcessPoolExecutor(given.workers) as pool:
        patients = [seen for seen in pool.map(see, jobs) if seen is not None]
    path = given.release / METADATA
    metadata = json.loads(path.read_text(encoding="utf-8"))
    start = Decision(**metadata["cacseg"]["decision"])
    if given.ablate:
        print("\n".join(ablation(patients, start)))
        return
    print(f"{len(patients)} of {len(jobs)} patients; before: {json.dumps(worth(patients, start))}", flush=True)
    fixed = TOLD_TO_THE_SECOND if "closeup" in metadata["cacseg"]["files"] else ()
    decision, best = tuned(patients, start, fixed)
    print(json.dumps({"decision": asdict(decision), **best}, indent=1))
    if given.write:
        metadata["cacseg"]["decision"] = asdict(decision)
        path.write_text(json.dumps(metadata, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
