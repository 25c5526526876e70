"""Time of each part of the scorer on a scan of 57 x 512 x 512 with 150 lesions, beside a plain scipy.ndimage scorer.

    python benchmarks/scoring.py [--repeats 15] [--json]

Processor time of the one thread that runs, lowest and median of the repeats, in milliseconds, with the lowest
wall-clock time beside it (the same on an idle machine); the two scorers alternate in the same run, and their
totals are compared before anything is timed.
"""

import argparse
import json
import platform
import time

import numpy as np
from scipy import ndimage

from cacseg.scoring import RULES, rescan_interval, score
from cacseg.scoring.mass import integrated_masses_mg
from cacseg.scoring.noise import measure_noise
from cacseg.scoring.rods import find_rods
from cacseg.volume import Volume

SHAPE = (57, 512, 512)
SPACING_MM = (3.0, 0.39, 0.39)


def scan_with(lesions, seed=0):
    """Soft tissue with noise, and lesions of one to three slices and about 6 x 6 pixels that do not touch."""
    rng = np.random.default_rng(seed)
    hu = rng.normal(40, 20, SHAPE).astype(np.int16)
    labels = np.zeros(SHAPE, np.uint8)
    places = rng.permutation(18 * 20 * 20)[:lesions]
    for place in places:
        z, y, x = 3 * (place // 400), 120 + 14 * (place // 20 % 20), 120 + 14 * (place % 20)
        box = (slice(z, z + int(rng.integers(1, 3))), slice(y, y + 6), slice(x, x + 6))
        hu[box] = rng.integers(130, 800, hu[box].shape)
        labels[box] = rng.integers(1, 5)
    return Volume.axial(hu, SPACING_MM), Volume.axial(labels, SPACING_MM)


def ndimage_total(volume, labels):
    """The plain way: for each artery and slice, label, then look at every component."""
    pixel_mm2, increment = volume.pixel_area_mm2, volume.spacing_mm[0]
    total = 0.0
    for artery in range(1, 5):
        mask = (labels.voxels == artery) & (volume.voxels >= 130)
        for index in np.flatnonzero(mask.any(axis=(1, 2))):
            components, count = ndimage.label(mask[index])
            numbers = np.arange(1, count + 1)
            areas = ndimage.sum_labels(mask[index], components, numbers) * pixel_mm2
            peaks = ndimage.maximum(volume.voxels[index], components, numbers)
            weights = 1 + (peaks >= 200) + (peaks >= 300) + (peaks >= 400)
            total += float((areas * weights)[areas >= 1 - 1e-9].sum()) * increment / 3
    return total


def timed(parts, repeats):
    """Lowest and median processor time and lowest wall-clock time of each part in ms, the parts taking turns."""
    taken = {name: [] for name in parts}
    for _ in range(repeats):
        for name, part in parts.items():
            wall, processor = time.perf_counter(), time.process_time()
            part()
            taken[name].append((1000 * (time.process_time() - processor), 1000 * (time.perf_counter() - wall)))
    result = {}
    for name, each in taken.items():
        processor, wall = np.array(each).T
        result[name] = (float(processor.min()), float(np.median(processor)), float(wall.min()))
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    volume, labels = scan_with(150)
    few = scan_with(20)
    ours, theirs = score(volume, labels).total, ndimage_total(volume, labels)
    if abs(ours.agatston - theirs) > 1e-6 * theirs or ours.lesions != 150:
        raise SystemExit(f"the scorers disagree: {ours} against {theirs}")
    parts = {
        "score, literature, 150 lesions": lambda: score(volume, labels),
        "scipy.ndimage reference, 150 lesions": lambda: ndimage_total(volume, labels),
        "score, literature-8": lambda: score(volume, labels, RULES["literature-8"]),
        "score, philips": lambda: score(volume, labels, RULES["philips"]),
        "score, terarecon (interpolated volume)": lambda: score(volume, labels, RULES["terarecon"]),
        "score, literature, 20 lesions": lambda: score(*few),
        "noise": lambda: measure_noise(few[0]),
        "interval, 20 lesions": lambda: rescan_interval(*few, noise_sd_hu=20.0),
        "integrated mass, 20 lesions": lambda: integrated_masses_mg(*few),
        "search for calibration rods": lambda: find_rods(few[0]),
    }
    result = timed(parts, chosen.repeats)
    ratio = result["scipy.ndimage reference, 150 lesions"][0] / result["score, literature, 150 lesions"][0]
    if chosen.json:
        print(json.dumps({"ms": result, "ratio": ratio, "machine": platform.processor() or platform.machine()}))
        return
    print("| part | processor, lowest ms | median ms | wall clock, lowest ms |\n|---|---:|---:|---:|")
    for name, (lowest, median, wall) in result.items():
        print(f"| {name} | {lowest:.1f} | {median:.1f} | {wall:.1f} |")
    print(f"\nscipy.ndimage takes {ratio:.1f} times as long as the scorer in this run.")


if __name__ == "__main__":
    main()
