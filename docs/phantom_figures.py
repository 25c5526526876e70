"""Numbers of digital patients beside numbers of reality: what the figures of docs/phantoms.md show."""

import csv
import json
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
import matplotlib.pyplot as plt

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
import itertools

from anatomy import segments

from cacseg.data.phantom import Scan, digital_patient
from cacseg.data.phantom.anatomy import build_geometry
from cacseg.data.phantom.anatomy.dodge import DODGE
from cacseg.data.phantom.disease.burden import draw_burden
from cacseg.data.phantom.population import draw_patient
from cacseg.scoring import RULES, score

SIZE = (4.6, 3.2)
GREY, BLUE, RED = "0.45", "#0072B2", "#D55E00"


def save(figure, path):
    figure.tight_layout()
    figure.savefig(path, dpi=90)
    plt.close(figure)


def disc_masks(shape, pixel_mm, row, column):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return np.hypot(rows - row, columns - column) * pixel_mm


def radial_nps(volume, slices, corner, size, pixel_mm):
    """Radial noise power (HU2 mm2) of differences of neighbouring slices in a square region."""
    row, column = corner
    region = volume[slices, row : row + size, column : column + size].astype(np.float64)
    noise = (region[1:] - region[:-1]) / np.sqrt(2)
    noise -= noise.mean(axis=(1, 2), keepdims=True)
    power = (np.abs(np.fft.fft2(noise)) ** 2).mean(axis=0) * pixel_mm**2 / size**2
    frequency = np.hypot(*np.meshgrid(*(np.fft.fftfreq(size, pixel_mm),) * 2))
    edges = np.arange(0.03, 1.03, 0.04)
    middle = (edges[1:] + edges[:-1]) / 2
    return middle, [power[(frequency >= a) & (frequency < b)].mean() for a, b in itertools.pairwise(edges)]


def edge_response(volume, slices, row, column, pixel_mm):
    """Mean HU against distance from the middle of the calibration rod."""
    distance = disc_masks(volume.shape[1:], pixel_mm, row, column)
    mean = volume[slices].mean(axis=0)
    edges = np.arange(7.0, 13.01, 0.25)
    return (edges[1:] + edges[:-1]) / 2, np.array(
        [mean[(distance >= a) & (distance < b)].mean() for a, b in itertools.pairwise(edges)]
    )


def transfer(radius, response):
    """Modulation transfer of an edge response: the spectrum of its slope."""
    line = -np.gradient(response, radius)
    frequency = np.linspace(0.0, 1.0, 101)
    phase = np.exp(-2j * np.pi * np.outer(frequency, radius))
    spectrum = np.abs(phase @ line)
    return frequency, spectrum / spectrum[0]


def qrm_figure(twin: Scan, real, out: Path) -> dict:
    """Draw NPS, edge and MTF of the twin and, where there, of the scan; give the numbers."""
    figure, axes = plt.subplots(1, 3, figsize=(10.5, 3.0))
    numbers = {}
    sources = [("twin", twin.volume.voxels, BLUE), *([("scan", real, RED)] if real is not None else [])]
    for name, volume, colour in sources:
        frequency, power = radial_nps(volume, slice(12, 20), (185, 226), 64, 0.488)
        radius, response = edge_response(volume, slice(31, 34), 217.64, 257.82, 0.488)
        pitch, transferred = transfer(radius, response)
        axes[0].plot(frequency, power, color=colour, label=name)
        axes[1].plot(radius, response, ".-", color=colour, label=name)
        axes[2].plot(pitch, transferred, color=colour, label=name)
        numbers[name] = {
            "noise SD, HU": float(np.sqrt(np.trapezoid(2 * np.pi * frequency * np.array(power), frequency))),
            "NPS mean frequency, lp/mm": float((frequency * power).sum() / np.sum(power)),
            "MTF 50 %, lp/mm": float(np.interp(-0.5, -transferred[:80], pitch[:80])),
            "MTF 10 %, lp/mm": float(np.interp(-0.1, -transferred[:80], pitch[:80])),
        }
    for axis, x, y in zip(
        axes, ("lp/mm", "mm from the rod's middle", "lp/mm"), ("NPS, HU² mm²", "HU", "MTF"), strict=True
    ):
        axis.set_xlabel(x)
        axis.set_ylabel(y)
    axes[0].legend()
    save(figure, out / "qrm-physics.png")
    return numbers


def qrm_scores(seeds, shared: Path) -> list[tuple]:
    """Scores of the twin's inserts, mean and SD over noise seeds, beside the published ones."""
    from dataclasses import replace

    from cacseg.data.phantom.qrm import CANON_Z_MM, INSERT_XY_MM, NAMES, canon_protocol, qrm_scene
    from cacseg.data.phantom.scanner import acquire

    scene, rule = qrm_scene(insert_z_mm=CANON_Z_MM), replace(RULES["literature"], connectivity=8)
    found = []
    for seed in seeds:
        volume = acquire(scene, canon_protocol(), np.random.default_rng(seed)).volume
        row = []
        for x, y in INSERT_XY_MM:
            middle, at_row, at_column = np.rint(volume.to_index([[x, y, 0.0]])[0]).astype(int)
            labels = np.zeros(volume.shape, np.uint8)
            labels[middle - 2 : middle + 3] = disc_masks(volume.shape[1:], 1.0, at_row, at_column) <= 12
            row.append(score(volume, volume.with_voxels(labels), rule).total.agatston)
        found.append(row)
    real = {}
    if shared.is_dir():
        with (shared / "real" / "qrm_expected.csv").open() as lines:
            real = {row["insert"]: float(row["published_agatston"]) for row in csv.DictReader(lines)}
    return [(name, m, s, real.get(name)) for name, m, s in zip(NAMES, np.mean(found, 0), np.std(found, 0), strict=True)]


def body_hu(volume):
    """HU of voxels within the body: everything but the air around it."""
    body = np.zeros(volume.shape, bool)
    for index, plane in enumerate(volume):
        solid = plane > -400
        first, last = solid.argmax(axis=1), solid.shape[1] - 1 - solid[:, ::-1].argmax(axis=1)
        wide = solid.sum(axis=1) > 0.25 * solid.shape[1]
        columns = np.arange(solid.shape[1])
        body[index] = wide[:, None] & (columns >= first[:, None]) & (columns <= last[:, None])
    return volume[body]


def smoothed(volume, times=2):
    """Average over 3 x 3 pixels, repeatedly, so that peaks of tissue stand out of the noise."""
    volume = volume.astype(np.float32)
    for _ in range(times):
        for axis in (1, 2):
            volume = (np.roll(volume, 1, axis) + volume + np.roll(volume, -1, axis)) / 3
    return volume


def histogram_figure(phantoms, real, out: Path) -> dict:
    """Draw HU histograms of chest phantoms and of the LIDC slices, as they are and smoothed."""
    figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.1))
    numbers = {}
    for name, volumes, colour in (
        ("phantoms", phantoms, BLUE),
        *([("LIDC 0314", [real], RED)] if real is not None else []),
    ):
        raw = np.concatenate([body_hu(volume)[::3] for volume in volumes])
        soft = np.concatenate([body_hu(smoothed(volume))[::3] for volume in volumes])
        for axis, values, span in ((axes[0], raw, (-1050, 600)), (axes[1], soft, (-180, 180))):
            axis.hist(values, 165, span, density=True, histtype="step", color=colour, label=name)
        numbers[name] = hu_numbers(soft)
    each = [hu_numbers(body_hu(smoothed(volume))[::3]) for volume in phantoms]
    numbers["lowest and highest patient"] = {
        key: " to ".join(f"{end(one[key] for one in each):.3g}" for end in (min, max)) for key in each[0]
    }
    axes[0].set_yscale("log")
    for axis, title in zip(axes, ("as scanned", "smoothed over 2 mm"), strict=True):
        axis.set_xlabel("HU")
        axis.set_title(title, fontsize=9)
    axes[0].legend()
    save(figure, out / "histograms.png")
    return numbers


def hu_numbers(soft) -> dict:
    """Peaks of the smoothed HU within the body, and how much bone there is and how dense."""
    bone = soft[soft > 130]
    return {
        "lung peak": peak(soft, -1000, -700), "fat peak": peak(soft, -150, -50), "soft-tissue peak": peak(soft, 0, 100),
        "share of body above 130 HU, smoothed, %": 100 * len(bone) / len(soft),
        "median of bone (smoothed > 130)": float(np.median(bone)),
    }  # fmt: skip


def peak(values, low, high):
    counts, edges = np.histogram(values, int((high - low) / 2), (low, high))
    smooth = np.convolve(counts, np.ones(5) / 5, "same")
    return float(edges[smooth.argmax()] + 1)


def dodge_figure(patients: int, out: Path) -> list[tuple]:
    """Draw mean positions of coronary segments against Dodge's with both SDs; give their distances."""
    gathered = {}
    for seed in range(patients):
        geometry = build_geometry(draw_patient(seed), np.random.default_rng(seed))
        for name, offset in segments(geometry).items():
            gathered.setdefault(name, []).append(offset)
    figure, axes = plt.subplots(1, 2, figsize=(8.0, 3.6))
    rows = []
    for name, offsets in gathered.items():
        ours, theirs = np.mean(offsets, axis=0), DODGE[name].offset_lps_mm
        rows.append((name, len(offsets), float(np.linalg.norm(ours - theirs)), float(10 * DODGE[name].radius_sd_cm)))
        for axis, (a, b) in zip(axes, ((0, 1), (0, 2)), strict=True):
            axis.plot([theirs[a], ours[a]], [theirs[b], ours[b]], "-", color=GREY, lw=0.8)
            axis.plot(theirs[a], theirs[b], "o", color=RED, ms=4)
            axis.plot(ours[a], ours[b], "x", color=BLUE, ms=5)
            axis.annotate(name, (theirs[a], theirs[b]), fontsize=6)
    for axis, (x, y) in zip(axes, (("left, mm", "back, mm"), ("left, mm", "head, mm")), strict=True):
        axis.set_xlabel(x)
        axis.set_ylabel(y)
        axis.set_aspect("equal")
    axes[0].invert_yaxis()
    axes[0].set_title("mean from own ostium: o Dodge, x phantoms", fontsize=8)
    save(figure, out / "dodge.png")
    return rows


def score_figure(shared: Path, out: Path) -> list[tuple]:
    """Draw percentiles of drawn scores by age against MESA's tables; give the numbers."""
    table = {}
    if shared.is_dir():
        table = json.loads((shared / "facts" / "mesa_percentiles_full.json").read_text())["table"]
    figure, axes = plt.subplots(1, 2, figsize=(8.0, 3.1), sharey=True)
    rng, rows = np.random.default_rng(0), []
    ages = (45, 55, 65, 75, 84)
    for axis, (sex, word) in zip(axes, (("M", "male"), ("F", "female")), strict=True):
        ours = np.array(
            [
                np.percentile([draw_burden(age, sex, "white", rng, "mesa").agatston for _ in range(2000)], (50, 75, 90))
                for age in ages
            ]
        )
        theirs = np.array([table[f"white:{word}:{age}"]["r"][1:] for age in ages]) if table else None
        for column, share in enumerate((50, 75, 90)):
            axis.plot(ages, ours[:, column] + 1, "x-", color=BLUE, alpha=0.4 + 0.25 * column)
            if theirs is not None:
                axis.plot(ages, theirs[:, column] + 1, "o--", color=RED, alpha=0.4 + 0.25 * column)
                rows += [
                    (word, age, share, *pair)
                    for age, pair in zip(ages, zip(theirs[:, column], ours[:, column], strict=True), strict=True)
                ]
        axis.set_yscale("log")
        axis.set_xlabel(f"age, {word}, white")
    axes[0].set_ylabel("Agatston + 1: 50, 75, 90 %")
    axes[0].set_title("o MESA, x drawn", fontsize=8)
    save(figure, out / "mesa.png")
    return rows


def lesion_figure(scans: list[Scan], out: Path) -> dict:
    """Draw sizes and peaks of the lesions of scanned patients, and noisy against noise-free scores."""
    truths = [scan.truth for scan in scans]
    coronary = [
        lesion
        for truth in truths
        for lesion in truth["noisy"]["lesions"]
        if lesion["label"] in ("LM", "LAD", "LCX", "RCA")
    ]
    volume, peaks = (np.array([lesion[key] for lesion in coronary]) for key in ("volume_mm3", "peak_hu"))
    pairs = np.array([(t["noise_free"]["total"]["agatston"], t["noisy"]["total"]["agatston"]) for t in truths])
    figure, axes = plt.subplots(1, 3, figsize=(10.5, 3.0))
    axes[0].hist(np.log10(volume), 25, color=BLUE)
    axes[0].set_xlabel("lesion volume, log10 mm³")
    axes[1].hist(peaks, 30, (130, 1600), color=BLUE)
    axes[1].set_xlabel("lesion peak, HU")
    axes[2].loglog(pairs[:, 0] + 1, pairs[:, 1] + 1, ".", color=BLUE)
    axes[2].plot([1, 5000], [1, 5000], color=GREY, lw=0.8)
    axes[2].set_xlabel("noise-free Agatston + 1")
    axes[2].set_ylabel("noisy Agatston + 1")
    save(figure, out / "lesions.png")
    return {
        "patients": len(scans), "coronary lesions": len(coronary),
        "volume 10/50/90 %, mm³": np.percentile(volume, (10, 50, 90)).round(1).tolist(),
        "peak 10/50/90 %, HU": np.percentile(peaks, (10, 50, 90)).round(0).tolist(),
        "share with peak 130-199 HU": float((peaks < 200).mean().round(2)),
        "patients without calcium": int((pairs[:, 0] == 0).sum()),
        "score 10/50/90 %": np.percentile(pairs[:, 1], (10, 50, 90)).round(0).tolist(),
    }  # fmt: skip


def lidc_like(seed: int) -> Scan:
    """A patient scanned as LIDC case 0314 was: 1 mm every 3 mm, 400 mm field, a kernel that overshoots as much."""
    return digital_patient(
        seed, "chest", slice_thickness_mm=1.0, increment_mm=3.0, field_of_view_mm=400.0, sigma_mm=0.5,
        edge_enhancement=0.9, texture="sharp", noise_cutoff_lpmm=0.5, noise_sd_hu=32.0, kvp=120, padding_hu=None, burden="mesa",
    )  # fmt: skip
