"""What the disease of digital patients looks like in numbers: scores against MESA, lesions, time.

python benchmarks/disease.py [--patients 60] [--mesa-table ../shared/facts/mesa_percentiles_full.json]
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from cacseg.data.phantom.anatomy import build_anatomy
from cacseg.data.phantom.disease import add_disease
from cacseg.data.phantom.disease.burden import draw_burden
from cacseg.data.phantom.disease.estimate import agatston, slab
from cacseg.data.phantom.disease.pieces import Pieces
from cacseg.data.phantom.population import draw_patient
from cacseg.vessels import CORONARY

GROUPS = [(age, sex, race) for race in ("white", "black") for sex in ("M", "F") for age in (50, 60, 70, 80)]
PERCENTILES = (10, 25, 50, 75, 90)


def score_distribution(table):
    print("\nScore by age, sex, race: drawn (4000 each) | MESA")
    print(f"{'group':>16} {'P(>0) %':>15} {'25':>13} {'50':>13} {'75':>13} {'90':>13}")
    rng = np.random.default_rng(0)
    for age, sex, race in GROUPS:
        scores = [draw_burden(age, sex, race, rng, "mesa").agatston for _ in range(4000)]
        drawn = [100 * np.mean(np.array(scores) > 0), *np.percentile(scores, (25, 50, 75, 90))]
        group = table.get(f"{race}:{'male' if sex == 'M' else 'female'}:{age}") if table else None
        known = [group["p"], *group["r"]] if group else [float("nan")] * 5
        cells = " ".join(f"{a:6.0f} |{b:5.0f}" for a, b in zip(drawn, known, strict=True))
        print(f"{race:>8} {sex} {age:>4} {cells}")


def lesions(patients):
    rows, seconds, errors, capsules = [], [], [], []
    for seed in range(patients):
        scene = build_anatomy(draw_patient(seed), np.random.default_rng(seed))
        begin = time.process_time()
        sick = add_disease(scene, np.random.default_rng(seed))
        seconds.append(time.process_time() - begin)
        facts = sick.patient["disease"]
        capsules.append(sum(len(deposit.radius_mm) for deposit in sick.deposits))
        if facts["target_agatston"] > 0:
            errors.append(facts["estimated_agatston"] / facts["target_agatston"] - 1)
        for deposit in sick.deposits:
            if deposit.material == "metal":
                continue
            pieces = Pieces(deposit.start_lps_mm, deposit.end_lps_mm, deposit.radius_mm, deposit.density_mg_cm3)
            extent = np.ptp(np.concatenate([pieces.start_lps_mm, pieces.end_lps_mm]), axis=0)
            if extent.max() > 60:
                continue
            image, _ = slab(pieces, scene.hu)
            area = (image >= 130).sum(axis=(1, 2)).max() * 0.25
            group = deposit.label.name if deposit.label in CORONARY else deposit.kind
            rows.append((group, agatston(pieces, scene.hu), area, float(image.max()), float(np.linalg.norm(extent))))
    print(f"\nLesions of {patients} training patients, noise-free at 120 kVp, 3 mm: percentiles {PERCENTILES}")
    for group in dict.fromkeys(sorted(row[0] for row in rows)):
        mine = np.array([row[1:] for row in rows if row[0] == group])
        print(f"{group:>22} n={len(mine):4d}", end="")
        for name, values in zip(("AU", "mm2", "peak HU", "extent mm"), mine.T, strict=True):
            print(f"  {name} " + "/".join(f"{value:.0f}" for value in np.percentile(values, PERCENTILES)), end="")
        print()
    errors = np.array(errors)
    print(
        f"\nEstimate against target: bias {errors.mean():+.3f}, SD {errors.std():.3f}, worst {np.abs(errors).max():.3f}"
    )
    print(
        f"CPU seconds a patient: mean {np.mean(seconds):.3f}, largest {np.max(seconds):.3f}; "
        f"capsules: mean {np.mean(capsules):.0f}, largest {np.max(capsules)}"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=60)
    parser.add_argument("--mesa-table", type=Path, default=Path("../shared/facts/mesa_percentiles_full.json"))
    options = parser.parse_args()
    table = json.loads(options.mesa_table.read_text())["table"] if options.mesa_table.is_file() else None
    score_distribution(table)
    lesions(options.patients)


if __name__ == "__main__":
    main()
