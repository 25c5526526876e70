"""Measure the digital anatomy: segments against Dodge, circumflex against mitral annulus, one real heart, time, memory.

Run from the repository root: ``python benchmarks/anatomy.py [--patients 60] [--rendered 4]``.
"""

import argparse
import resource
import time

import numpy as np
from label_map_heart import FOLDER, in_heart, label_map, laid_over, marks, nearest, tree

from cacseg.data.phantom.anatomy import Geometry, build_anatomy, build_geometry
from cacseg.data.phantom.anatomy.dodge import DODGE, spherical
from cacseg.data.phantom.population import draw_patient

ALONG_MM = {
    "L1m": ("LAD", 13.0), "L2m": ("LAD", 46.0), "L3m": ("LAD", 102.0), "C1m": ("LCX", 9.0), "C2m": ("LCX", 25.0),
    "C3m": ("LCX", 47.0), "R1m": ("RCA", 17.0), "R2m": ("RCA", 50.0), "R3m": ("RCA", 81.0),
}  # fmt: skip
"""Length along the artery at which Dodge's mean course reaches the middle of each segment."""

RELATIONS = (
    "left_ostium",
    "right_ostium",
    "bifurcation",
    "mitral_annulus",
    "apex",
    "coronary_sinus",
    "tricuspid_annulus",
)


def segments(geometry: Geometry) -> dict[str, np.ndarray]:
    """Offsets of named points from their ostium, found by their share of the artery's length."""
    by_name = {each.name: each.points_lps_mm for each in geometry.branches}
    left, right = (geometry.landmarks[key][0] for key in ("left_ostium", "right_ostium"))
    found = {"LMm": by_name["LM"][len(by_name["LM"]) // 2] - left}
    for point, (artery, length_mm) in ALONG_MM.items():
        line = by_name[artery]
        away = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
        place = length_mm * geometry.facts.heart_scale
        if place <= away[-1]:
            here = np.array([np.interp(place, away, line[:, axis]) for axis in range(3)])
            found[point] = here - (right if artery == "RCA" else left)
    for point, name, share in (
        ("D1m", "D1", 0.55), ("D2m", "D2", 0.55), ("M1m", "OM1", 0.6), ("M2m", "OM2", 0.6), ("RDm", "PDA", 0.45),
        ("RPm", "RPL", 0.6), ("MRm", "RI", 0.7), ("R4m", "RCA", 1.0), ("S1m", "S1", 0.9),
    ):  # fmt: skip
        if name in by_name:
            line = by_name[name]
            found[point] = line[int(share * (len(line) - 1))] - (right if point.startswith("R") else left)
    return found


def against_dodge(patients: list[Geometry]) -> None:
    gathered: dict[str, list[np.ndarray]] = {}
    for geometry in patients:
        for name, offset in segments(geometry).items():
            gathered.setdefault(name, []).append(offset)
    print("point   n   radius cm: ours     Dodge     | theta: ours    Dodge    | phi: ours     Dodge    | distance mm")
    for name, offsets in gathered.items():
        ours = spherical(np.array(offsets))
        centre = ours[:1, 1]
        ours[:, 1] = centre + (ours[:, 1] - centre + 180.0) % 360.0 - 180.0
        mean, spread = ours.mean(axis=0), ours.std(axis=0)
        ref = DODGE[name]
        gap = np.linalg.norm(np.mean(offsets, axis=0) - ref.offset_lps_mm)
        print(
            f"{name:5s} {len(offsets):3d}   {mean[0]:5.1f} +-{spread[0]:4.1f}  {ref.radius_cm:5.1f} +-{ref.radius_sd_cm:4.1f}"
            f" | {mean[1]:6.0f} +-{spread[1]:3.0f} {ref.theta_deg:6.0f} +-{ref.theta_sd_deg:3.0f}"
            f" | {mean[2]:6.0f} +-{spread[2]:3.0f} {ref.phi_deg:6.0f} +-{ref.phi_sd_deg:3.0f} | {gap:5.1f}"
        )


def against_real_heart(patients: list[Geometry]) -> None:
    heart = label_map()
    valve = heart.points("aortic_valve").mean(axis=0)
    real = marks(heart) | {
        "bifurcation": nearest(heart.points("LM"), heart.points("LAD")),
        "coronary_sinus": heart.points("cardiac_veins_and_sinus").mean(axis=0),
    }
    print("\nrelation to the middle of the aortic valve, LPS mm: ours mean (SD) | one real heart")
    for name in RELATIONS:
        ours = np.array(
            [each.landmarks[name].mean(axis=0) - each.landmarks["aortic_leaflets"].mean(axis=0) for each in patients]
        )
        here = ", ".join(f"{m:5.0f} ({s:2.0f})" for m, s in zip(ours.mean(axis=0), ours.std(axis=0), strict=True))
        print(f"{name:18s} {here} | {np.round(real[name] - valve)}")


def beside_the_map(patients: list[Geometry]) -> None:
    lad = next(line.points for line in tree() if line.name == "LAD")
    apart: dict[int, list[np.ndarray]] = {}
    for geometry in patients:
        there = laid_over(geometry).to_heart(lad)
        own = in_heart(geometry, next(each.points_lps_mm for each in geometry.branches if each.name == "LAD"))
        for along_mm in (30, 50, 80):
            gap = there[along_mm] - own
            apart.setdefault(along_mm, []).append(gap[np.linalg.norm(gap, axis=1).argmin()])
    print("\nLAD of the label map from ours, valves, ostia and apex laid over each other, heart mm:")
    for along_mm, gaps in apart.items():
        mean = np.mean(gaps, axis=0)
        print(f"{along_mm} mm along: {np.linalg.norm(gaps, axis=1).mean():.0f} apart; left, back, up {np.round(mean)}")


def beside_the_mitral_annulus(patients: list[Geometry]) -> None:
    least, along = [], []
    for geometry in patients:
        line = next(each.points_lps_mm for each in geometry.branches if each.name == "LCX")
        ring = geometry.landmarks["mitral_annulus"]
        apart = np.linalg.norm(line[:, None] - ring[None], axis=2).min(axis=1)
        least.append(apart.min())
        along.append(np.median(apart[10:50]))
    print(
        f"\ncircumflex to mitral annulus, mm: least {np.mean(least):.1f} +-{np.std(least):.1f}, below 2 in"
        f" {np.mean(np.array(least) < 2.0):.0%}; on the way {np.median(along):.1f} | in people least 4.9 +-2.1"
        " (Kuroda 2026), below 2 in 17 % (Miura 2021)"
    )


def cost(count: int) -> None:
    for extent in ("heart", "chest"):
        taken, worked = [], []
        for seed in range(count):
            facts = draw_patient(seed)
            start, begun = time.perf_counter(), time.process_time()
            scene = build_anatomy(facts, np.random.default_rng(seed), extent=extent)
            taken.append(time.perf_counter() - start)
            worked.append(time.process_time() - begun)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
        print(
            f"\n{extent}: {scene.hu.shape} voxels, median {np.median(taken):.2f} s wall, {np.median(worked):.2f} s processor, a patient; peak memory {peak:.0f} MB"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=60)
    parser.add_argument("--rendered", type=int, default=4)
    options = parser.parse_args()
    patients = [build_geometry(draw_patient(seed), np.random.default_rng(seed)) for seed in range(options.patients)]
    against_dodge(patients)
    if FOLDER.is_dir():
        against_real_heart(patients)
        beside_the_map(patients)
    beside_the_mitral_annulus(patients)
    if options.rendered:
        cost(options.rendered)


if __name__ == "__main__":
    main()
