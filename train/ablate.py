"""What one simulator feature or training choice is worth: small networks at equal steps, one thing changed in each.

    python train/make_cache.py data/cache/gated --first-seed 9001 --count 100
    python train/make_cache.py data/cache/hard --first-seed 9001 --count 60 --findings hard
    python train/make_cache.py data/cache/chest --first-seed 9001 --count 60 --family chest
    python train/make_cache.py data/cache/validation --first-seed 900721 --count 20
    python train/make_cache.py data/cache/validation --first-seed 900741 --count 4 --family chest
    python train/make_cache.py data/cache/bare --first-seed 9001 --count 100 --findings none
    python train/make_cache.py data/cache/calm --first-seed 9001 --count 100 --set motion_mm=0 --set step_mm=0 \
        --set hardening=0 --set streak_sd_hu=0 --set cupping_hu=0 --set noise_unevenness=0 --set noise_streakiness=0
    python train/make_cache.py data/cache/alike --first-seed 9001 --count 100 --set deformation_mm=0 \
        --set heart_scale=1 --set heart_rotation_deg=0 --set heart_tilt_deg=0 --set heart_pitch_deg=0 \
        --set heart_roll_deg=0 --set tortuosity_mm=0 --set root_turn_deg=0 --set root_tilt_deg=0 \
        --set 'dominance="right"' --set ramus=false
    python train/ablate.py runs/ablation --seeds 1 2 --folder bare=data/cache/bare --folder calm=data/cache/calm \
        --folder alike=data/cache/alike

Every run trains from nothing on ``configs/train/ablation.yaml`` and is validated on the same patients; a run whose
table is complete is not repeated. The caches without something are to be set against "gated patients alone".
Printed: loss and F1 of cells at the end, mean over the seeds, as Markdown. Changes whose folder was not given are left
out. A caution that belongs to the table: at few steps what makes learning harder looks worse than it is.
"""

import argparse
import csv
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

BASE = Path(__file__).parents[1] / "configs" / "train" / "ablation.yaml"

NO_VARIATION = {
    "shift_sd_cells": [0.0, 0.0, 0.0],
    "warp_probability": 0.0,
    "hu_offset_sd": 0.0,
    "hu_scale_sd": 0.0,
    "fat_offset_sd": 0.0,
    "noise_probability": 0.0,
    "blur_probability": 0.0,
    "cut_probability": 0.0,
    "excess_scale_sd": 0.0,
    "rim_probability": 0.0,
    "sharpen_probability": 0.0,
    "uneven_probability": 0.0,
}
LOSS = {
    "equal class weights": {"calcium_classes": [0.1, *[1.0] * 9]},
    "no overlap term": {"overlap": 0.0},
    "no territories, no tissues": {"territory": 0.0, "tissue": 0.0},
    "no territories": {"territory": 0.0},
    "no tissues": {"tissue": 0.0},
    "noise beside the heart unweighted": {"solid": 0.1},
}
PATIENTS = {
    "no hard patients": {"gated": 5.0, "chest": 1.0},
    "no chest scans": {"gated": 4.0, "hard": 2.0},
    "gated patients alone": {"gated": 6.0},
    "no findings outside the arteries": {"bare": 6.0},
    "no motion, hardening, streaks, uneven noise": {"calm": 6.0},
    "one anatomy's shape for all": {"alike": 6.0},
    "an earlier simulator": {"earlier": 6.0},
}
"""Changes of what is drawn from: role of a folder and its share."""

USUAL = {"gated": 3.0, "hard": 2.0, "chest": 1.0}
SHOWN = ("val/loss", "val/f1_coronary", "val/f1_lm", "val/f1_lad", "val/f1_lcx", "val/f1_rca", "val/f1_other")


def configuration(
    folders: Mapping[str, str], name: str, change: str, seed: int, steps: int, out: Path
) -> dict[str, Any]:
    """Configuration of one run; ``KeyError`` where it needs a folder that was not given."""
    made: dict[str, Any] = yaml.safe_load(BASE.read_text(encoding="utf-8"))
    shares = PATIENTS.get(change, USUAL)
    made["seed_everything"] = made["data"]["seed"] = seed
    made["data"] |= {
        "folders": {folders[role]: share for role, share in shares.items()},
        "validation_folder": folders["validation"],
        "steps_per_epoch": steps,
    }
    if change == "no variation while training":
        made["data"]["augmentation"] = NO_VARIATION
    if change in LOSS:
        made["model"]["loss"] = LOSS[change]
    table = {
        "class_path": "cacseg.train.record.MetricsTable",
        "init_args": {"save_dir": str(out), "name": name, "version": ""},
    }
    made["trainer"] |= {"max_steps": steps, "default_root_dir": str(out / name), "logger": [table]}
    return made


def results(table: Path) -> dict[str, float] | None:
    """Read the last validation of a run; ``None`` where there is none."""
    if not table.exists():
        return None
    with table.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row.get("val/loss")]
    return {key: float(rows[-1][key]) for key in SHOWN} if rows else None


def row(change: str, found: Sequence[Mapping[str, float]]) -> str:
    """Write the mean of the runs of a change; a loss that is weighed otherwise is not to be compared."""
    mean = [f"{np.mean([one[key] for one in found]):.3f}" for key in SHOWN]
    if change in LOSS:
        mean[SHOWN.index("val/loss")] = "-"
    return f"| {change} | {len(found)} | " + " | ".join(mean) + " |"


def main() -> None:
    """Train what is missing, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--folder", action="append", default=[], metavar="ROLE=PATH", help="caches by role")
    parser.add_argument("--only", nargs="+", help="these changes alone")
    given = parser.parse_args()
    usual = {role: f"data/cache/{role}" for role in (*USUAL, "validation")}
    folders = usual | dict(pair.split("=", 1) for pair in given.folder)
    changes = ["nothing", *PATIENTS, "no variation while training", *LOSS]
    print("| changed | runs | " + " | ".join(key.removeprefix("val/").replace("f1_", "F1 ") for key in SHOWN) + " |")
    print("|---" * (len(SHOWN) + 2) + "|")
    for change in changes:
        if given.only and change not in given.only:
            continue
        if set(PATIENTS.get(change, USUAL)) - set(folders):
            continue
        found = []
        for seed in given.seeds:
            name = f"{change.replace(',', '').replace(' ', '-')}-{given.steps}-{seed}"
            if results(given.output / name / "metrics.csv") is None:
                path = given.output / f"{name}.yaml"
                path.parent.mkdir(parents=True, exist_ok=True)
                made = configuration(folders, name, change, seed, given.steps, given.output)
                path.write_text(yaml.safe_dump(made, sort_keys=False), encoding="utf-8")
                with (given.output / f"{name}.log").open("w", encoding="utf-8") as log:
                    subprocess.run(
                        [sys.executable, "-m", "cacseg.train.cli", "--config", str(path)],
                        stdout=log, stderr=subprocess.STDOUT, check=True,
                    )  # fmt: skip
            last = results(given.output / name / "metrics.csv")
            if last is None:
                raise SystemExit(f"{name} ended without a validation; see {given.output / name}.log")
            found.append(last)
        print(row(change, found), flush=True)


if __name__ == "__main__":
    main()
