"""The release on a heart that no digital patient has: the shared label map's, with digital plaque, in digital chests.

Run from the repository root: ``python benchmarks/other_heart.py [--patients 20] [--release NAME]``. Patients with their own
hearts, the same plaque aimed at, are scored beside them: what the other heart costs is what the network knows by heart.
``--no-second-look`` leaves the second network out, which shows whose the cost is.
"""

import argparse
import contextlib
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import astuple, replace
from itertools import repeat
from typing import Any, Final

import numpy as np
from label_map_heart import FOLDER, label_map_hearts
from scipy.spatial import KDTree

from cacseg.data.phantom import Scan, digital_patient
from cacseg.evaluation.case import CaseMeasures, measure
from cacseg.evaluation.counts import Counts
from cacseg.evaluation.scan_facts import study_of_scan
from cacseg.infer import assign, load_release
from cacseg.scoring import RULES
from cacseg.vessels import CORONARY

FIRST_SEED: Final = 905_001
AGATSTON: Final = (150.0, 1500.0)
FAT: Final[dict[str, dict[str, Any]]] = {
    "own heart": {},
    "label map, as drawn": {},
    "label map, fat": {"epicardial_fat_mm": 5.0, "groove_fat": 0.8, "paracardial_fat_mm": 6.0},
}
"""Whose heart, and the fat around it where it is not drawn."""

STEP_MM: Final = 20
"""Length of an artery that makes a row of the table."""


def scanned(seed: int, kind: str) -> Scan:
    """Scan one patient at 120 kVp with a score between ``AGATSTON``; every other one has a calcified mitral ring."""
    low, high = np.log(AGATSTON)
    with contextlib.nullcontext() if kind == "own heart" else label_map_hearts():
        return digital_patient(
            seed,
            target_agatston=float(np.exp(np.random.default_rng(seed).uniform(low, high))),
            present={"mitral_annulus": seed % 2, "stents": 0, "pericardium": 0},
            kvp=120,
            **FAT[kind],
        )


Given = dict[tuple[str, ...], np.ndarray]
"""Branch and stretch to the voxels given to the right artery, and all."""


def run(seed: int, kind: str, name: str, second_look: bool) -> tuple[CaseMeasures, Given]:
    """Score one patient; count the voxels of each stretch of artery by the label that they were given."""
    scan = scanned(seed, kind)
    study = study_of_scan(scan, f"{kind}-{seed}")
    release = load_release(name)
    found = assign(study.volume, release if second_look else replace(release, closeup_session=None))
    at = np.argwhere(np.isin(study.labels, CORONARY))
    lines = [branch.points_lps_mm for branch in scan.branches]
    nearest = KDTree(np.concatenate(lines)).query(study.volume.to_world(at.astype(float)))[1]
    branch = np.repeat([each.name for each in scan.branches], [len(line) for line in lines])[nearest]
    along = np.concatenate([np.arange(len(line)) for line in lines])[nearest]
    given: Given = defaultdict(lambda: np.zeros(2))
    for one, place, voxel in zip(branch, along, at, strict=True):
        right = found.labels[tuple(voxel)] == study.labels[tuple(voxel)]
        given[str(one), str(int(place) // STEP_MM * STEP_MM)] += (right, 1)
    return measure(study, found, RULES["literature"]), dict(given)


def pooled(cases: list[CaseMeasures], name: str) -> Counts:
    """Sum up the volume of an artery over all cases."""
    return Counts(*np.sum([astuple(case.counts["volume"][name]) for case in cases], axis=0))


def main() -> None:
    """Print one row per kind of heart, and where on the other heart calcium is not given to its artery."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=20)
    parser.add_argument("--release", default="cacseg-unet-1", help="name or folder")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--no-second-look", dest="second_look", action="store_false", help="leave the second network out"
    )
    given = parser.parse_args()
    if not FOLDER.is_dir():
        raise SystemExit("The shared label map is not beside the checkout; nothing to measure against.")
    print(
        "| heart | F1 coronary | LM | LAD | LCX | RCA | plaque lost | false, missed a scan | arteries within 10 units or 10 % |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    stretches: Given = defaultdict(lambda: np.zeros(2))
    with ProcessPoolExecutor(given.processes) as pool:
        for kind in FAT:
            seeds = range(FIRST_SEED, FIRST_SEED + given.patients)
            ran = list(pool.map(run, seeds, repeat(kind), repeat(given.release), repeat(given.second_look)))
            cases = [case for case, _ in ran]
            f1 = " | ".join(f"{pooled(cases, name).f1:.3f}" for name in ("coronary", *(each.name for each in CORONARY)))
            wrong = (
                f"{np.mean([c.false_agatston for c in cases]):.1f}, {np.mean([c.missed_agatston for c in cases]):.1f}"
            )
            within = np.mean(
                [
                    abs(case.predicted[each.name] - case.truth[each.name]) <= max(10.0, 0.1 * case.truth[each.name])
                    for case in cases
                    for each in CORONARY
                ]
            )
            lost = 1.0 - pooled(cases, "coronary").sensitivity
            print(f"| {kind} | {f1} | {lost:.1%} | {wrong} | {within:.0%} |", flush=True)
            for _, counted in ran:
                for where, number in counted.items():
                    stretches[kind, *where] += number
    print(
        f"\nOf the label map's arteries, by {STEP_MM} mm from their beginning, the share given to the right one below 90 %:"
    )
    for (kind, name, place), (right, total) in sorted(stretches.items()):
        if kind != "own heart" and total >= 100 and right < 0.9 * total:
            print(f"  {kind}: {name} from {place} mm, {right / total:.0%} of {total:.0f} voxels")


if __name__ == "__main__":
    main()
