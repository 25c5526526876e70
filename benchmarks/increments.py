"""Digital patients cut into slices of 0.5 to 5 mm, and with 50 % overlap: what becomes of the score.

    python benchmarks/increments.py [--patients 6]

Without noise, so that only the cutting differs; each geometry is relative to slices of 3 mm every 3 mm of the same
patient. Agatston scores carry the increment factor; `uncorrected` is what they would be without it.
"""

import argparse
from dataclasses import replace

import numpy as np

from cacseg.data.phantom import acquire, digital_patient
from cacseg.scoring import score

GEOMETRIES_MM = ((3.0, 3.0), (0.5, 0.5), (1.0, 1.0), (1.5, 1.5), (2.5, 2.5), (5.0, 5.0), (3.0, 1.5), (1.5, 0.75))
"""(slice thickness, increment); the first is the reference."""


def score_of(scene, protocol, thickness_mm, increment_mm):
    """Coronary scores of a scan without noise; the labels are the truth's."""
    # Every geometry covers the same range, so the number of slices follows from the increment.
    cut = replace(
        protocol, slice_thickness_mm=thickness_mm, increment_mm=increment_mm, motion_mm=0.0, step_mm=0.0, slices=None
    )
    scan = acquire(scene, cut, np.random.default_rng(0), keep_noise_free=True)
    volume = scan.noise_free
    labels = np.where(volume.voxels >= 130, scan.owners.voxels, np.uint8(0))
    return score(volume, volume.with_voxels(labels)).total


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=6)
    parser.add_argument("--start", type=int, default=5000, help="first seed")
    chosen = parser.parse_args()
    found = []
    for seed in range(chosen.start, chosen.start + chosen.patients):
        target = (60.0, 150.0, 300.0, 600.0, 1000.0)[seed % 5]
        scene = digital_patient(seed, target_agatston=target, kvp=120, tin_filter=False)
        found.append([score_of(scene.scene, scene.protocol, *geometry) for geometry in GEOMETRIES_MM])
        print(seed, " ".join(f"{each.agatston:.1f}" for each in found[-1]), flush=True)
    agatston = np.array([[each.agatston for each in row] for row in found])
    volume = np.array([[each.volume_mm3 for each in row] for row in found])
    print("\n| slice thickness | increment | Agatston / at 3 mm | uncorrected | volume / at 3 mm |")
    print("|---:|---:|---:|---:|---:|")
    for number, (thickness, increment) in enumerate(GEOMETRIES_MM):
        ratio = agatston[:, number].sum() / agatston[:, 0].sum()
        print(
            f"| {thickness} mm | {increment} mm | {ratio:.2f} | {ratio * 3 / increment:.2f} "
            f"| {volume[:, number].sum() / volume[:, 0].sum():.2f} |"
        )


if __name__ == "__main__":
    main()
