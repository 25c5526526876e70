"""Does the interval cover a rescan? Digital patients scanned twice, with new noise and a new start.

    python benchmarks/interval_coverage.py run --patients 300 --table coverage.csv    # adds to the table; stop any time
    python benchmarks/interval_coverage.py fit --table coverage.csv                   # constants for CALIBRATION
    python benchmarks/interval_coverage.py report --table coverage.csv                # Markdown, as in docs/scoring.md

Both scans of a patient serve once as the scan and once as the rescan. `report --new-from SEED` leaves out the
patients before SEED, on whom the constants were fitted.
"""

import argparse
import csv
import math
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from cacseg.data.phantom import acquire, digital_patient
from cacseg.scoring import RULES, adapt, score
from cacseg.scoring.interval import CALIBRATION, REALISATIONS, interval_from
from cacseg.scoring.noise import measure_noise
from cacseg.scoring.rescan import rescan_scores

COLUMNS = ("seed", "kvp", "increment_mm", "motion_mm", "noise_sd_hu", "first", "second", "mean", "sd", "nothing")
BINS = {"0": (0, 0), "1-99": (0, 100), "100-299": (100, 300), "300+": (300, math.inf)}


def two_scans(seed):
    """Scan a patient with a score drawn evenly in its logarithm (or 0, one in eight) twice."""
    rng = np.random.default_rng([77, seed])
    target = 0.0 if rng.random() < 1 / 8 else float(np.exp(rng.uniform(np.log(3), np.log(2000))))
    first = digital_patient(seed, target_agatston=target)
    offset = float(rng.uniform(0, first.protocol.increment_mm))
    second = acquire(first.scene, replace(first.protocol, first_slice_offset_mm=offset), rng)
    return first, second


def rows_of(seed):
    scans = two_scans(seed)
    protocol = scans[0].protocol
    rule, _ = adapt(RULES["literature"], protocol.kvp, protocol.tin_filter)
    scores = [score(scan.volume, scan.labels, rule).total.agatston for scan in scans]
    for one, scan in enumerate(scans):
        noise = measure_noise(scan.volume)
        found = rescan_scores(scan.volume, scan.labels, rule, noise, REALISATIONS, np.random.default_rng(0))
        scaled = np.sqrt(found + 1)
        yield (
            seed,
            protocol.kvp,
            protocol.increment_mm,
            round(protocol.motion_mm, 3),
            round(noise.sd_hu, 2),
            repr(scores[one]),
            repr(scores[1 - one]),
            repr(float(scaled.mean())),
            repr(float(scaled.std())),
            int(not found.any()),
        )


def run(table, patients, seconds, start):
    done = {int(row["seed"]) for row in read(table)} if table.exists() else set()
    new = not table.exists()
    begun = time.monotonic()
    with table.open("a", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(COLUMNS)
        for seed in range(start, start + patients):
            if seed in done:
                continue
            if time.monotonic() - begun > seconds:
                break
            writer.writerows(rows_of(seed))
            file.flush()
            print(f"patient {seed - start + 1} of {patients}, {time.monotonic() - begun:.0f} s", flush=True)


def read(table):
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


def columns(rows):
    return {name: np.array([float(row[name]) for row in rows]) for name in COLUMNS}


def fit(rows):
    """Constants by maximum likelihood on the scale sqrt(A + 1).

    The gain on the simulated spread is held: the likelihood of 217 patients changes little from 0 to 0.5.
    """
    from scipy.optimize import minimize

    data = columns(rows)
    zero = (data["first"] == 0) & (data["nothing"] == 1)
    own, other = np.sqrt(data["first"][~zero] + 1), np.sqrt(data["second"][~zero] + 1)
    mean, sd = data["mean"][~zero], data["sd"][~zero]

    def loss(p):
        centre = p[0] * own + (1 - p[0]) * mean + p[1]
        variance = (CALIBRATION.gain * sd) ** 2 + p[2] ** 2 + (p[3] / own) ** 2 + 1e-6
        return 0.5 * np.sum((other - centre) ** 2 / variance + np.log(variance))

    best = minimize(loss, [0.6, 0.3, 0.8, 1.0], method="Nelder-Mead", options={"maxiter": 20000, "maxfev": 20000})
    weight, bias, floor, low = (round(float(each), 3) for each in best.x)
    zeros = data["second"][zero]
    upper = max(CALIBRATION.zero_upper, float(np.quantile(zeros, 0.95))) if zeros.size else CALIBRATION.zero_upper
    source = f"{len({row['seed'] for row in rows})} digital patients scanned twice"
    return replace(CALIBRATION, own=weight, bias=bias, floor=abs(floor), low=abs(low), zero_upper=upper, source=source)


def covered(rows, calibration, level):
    """Whether each rescan falls in its interval, and the width of the interval."""
    inside, width = [], []
    for row in rows:
        first, second = float(row["first"]), float(row["second"])
        simulated = None if int(row["nothing"]) else (float(row["mean"]), float(row["sd"]))
        low, high = interval_from(first, simulated, level, calibration)
        inside.append(low <= second <= high)
        width.append(high - low)
    return np.array(inside, float), np.array(width)


def report(rows, calibration):
    scores = np.array([float(row["first"]) for row in rows])
    chosen = {"all above 0": scores > 0}
    for name, (low, high) in BINS.items():
        chosen[name] = scores == 0 if name == "0" else (scores > low if low == 0 else scores >= low) & (scores < high)
    patients = len({row["seed"] for row in rows})
    print(f"{patients} patients, {len(rows)} scans with their rescans; constants: {calibration}\n")
    print("| score | scans | 95 % interval covers | standard error | median width |\n|---|---:|---:|---:|---:|")
    inside, width = covered(rows, calibration, 0.95)
    for name, those in chosen.items():
        if those.any():
            share, count = inside[those].mean(), int(those.sum())
            error = math.sqrt(max(share * (1 - share), 0.01) / count)
            print(f"| {name} | {count} | {share:.1%} | {error:.1%} | {np.median(width[those]):.0f} |")
    print("\n| level asked | covered, scores above 0 |\n|---:|---:|")
    for level in (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99):
        inside, _ = covered(rows, calibration, level)
        print(f"| {level:.0%} | {inside[chosen['all above 0']].mean():.1%} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "fit", "report"))
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--patients", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=math.inf)
    parser.add_argument("--start", type=int, default=1000, help="first seed")
    parser.add_argument("--new-from", type=int, default=0, metavar="SEED", help="leave out patients before")
    chosen = parser.parse_args()
    if chosen.what == "run":
        run(chosen.table, chosen.patients, chosen.seconds, chosen.start)
        return
    rows = [row for row in read(chosen.table) if int(row["seed"]) >= chosen.new_from]
    if chosen.what == "fit":
        print(fit(rows))
    else:
        report(rows, CALIBRATION)


if __name__ == "__main__":
    main()
