"""Make the pictures and numbers of docs/phantoms.md, and a private page beside real slices.

Run from the repository root: ``python docs/make_phantom_page.py [--choice N] [--patients K]``.

Committed: ``docs/phantoms/*.png`` and the part of ``docs/phantoms.md`` between the marks; they hold phantoms,
and curves and numbers derived from real scans, never a real image. Where ``../shared`` is present, a page that
puts phantoms beside real slices is written to ``docs/_local/``, which ignores itself.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import phantom_figures as figures

from cacseg.data.phantom import acquire, digital_patient
from cacseg.data.phantom.qrm import CANON_Z_MM, canon_protocol, qrm_scene

WINDOW_HU = (-160.0, 440.0)
TILE = 300
MARKS = ("<!-- measured -->", "<!-- end of measured -->")


def grey(plane, low=WINDOW_HU[0], high=WINDOW_HU[1]):
    return np.clip((plane.astype(np.float32) - low) / (high - low) * 255, 0, 255).astype(np.uint8)


def tile(volume, share, size=TILE):
    """The middle of one slice, pixel for pixel, so that noise and blur stay as they are."""
    plane = volume[round(share * (len(volume) - 1))]
    row, column = ((length - size) // 2 for length in plane.shape)
    return grey(plane[row : row + size, column : column + size])


def whole(volume, share, size=TILE):
    """One whole slice, made smaller."""
    plane = grey(volume[round(share * (len(volume) - 1))])
    return np.asarray(Image.fromarray(plane).resize((size, size), Image.Resampling.LANCZOS))


def sheet(rows, path):
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.vstack([np.hstack(row) for row in rows])).save(path, optimize=True)


def read_folder(folder):
    """Read a folder of plain CT slices as (slice, row, column) HU, ascending."""
    import pydicom

    slices = sorted(
        (pydicom.dcmread(path) for path in folder.iterdir()), key=lambda d: float(d.ImagePositionPatient[2])
    )
    return np.stack(
        [d.pixel_array.astype(np.float32) * float(d.RescaleSlope) + float(d.RescaleIntercept) for d in slices]
    )


def artefact_sheet(seed, out):
    """One patient, one slice, scanned in eight ways."""
    variants = (
        {}, {"motion_mm": 1.5}, {"noise_sd_hu": 38.0}, {"texture": "iterative", "noise_cutoff_lpmm": 0.3},
        {"sigma_mm": 0.45, "edge_enhancement": 0.6, "texture": "sharp", "noise_cutoff_lpmm": 0.55, "noise_sd_hu": 30.0},
        {"slice_thickness_mm": 1.0, "increment_mm": 1.0, "noise_sd_hu": 30.0}, {"streak_sd_hu": 9.0}, {"kvp": 80, "ha_slope_hu": 1.69},
    )  # fmt: skip
    plain = {"motion_mm": 0.0, "step_mm": 0.0, "noise_sd_hu": 16.0, "streak_sd_hu": 0.0, "texture": "fbp", "sigma_mm": 0.64,
             "noise_cutoff_lpmm": 0.41, "kvp": 120, "tin_filter": False, "target_agatston": 900.0}  # fmt: skip
    first = digital_patient(seed, **plain)
    share = np.bincount(np.nonzero(np.isin(first.labels.voxels, (1, 2, 3, 4)))[0]).argmax() / (
        first.volume.shape[0] - 1
    )
    tiles = [tile(digital_patient(seed, **{**plain, **variant}).volume.voxels, share, 256) for variant in variants]
    sheet([tiles[:4], tiles[4:]], out / "artefacts.png")


def private_page(out, gated, chest, lidc, qrm, twin):
    """Phantoms beside real slices at the same window; stays on this machine."""
    out.mkdir(exist_ok=True)
    (out / ".gitignore").write_text("*\n")
    shares = (0.2, 0.45, 0.7)
    sheet(
        [[whole(lidc, s, 420) for s in shares]]
        + [[whole(scan.volume.voxels, s, 420) for s in shares] for scan in chest[:3]],
        out / "lidc.png",
    )
    sheet(
        [[whole(lidc[:, 100:420, 100:420], s, 420) for s in shares]]
        + [[tile(scan.volume.voxels, s, 420) for s in shares] for scan in gated[:3]],
        out / "heart.png",
    )
    sheet([[grey(qrm[k]), grey(twin[k])] for k in (22, 33)], out / "qrm.png")
    (out / "index.html").write_text(
        "<h1>Phantoms beside real slices</h1><p>Window -160 to 440 HU. Top row (left column for the last picture) real, "
        "the rest phantoms, drawn at random.</p>"
        + "".join(f"<h2>{name}</h2><img src='{name}.png'>" for name in ("lidc", "heart", "qrm"))
    )


def table(heads, rows):
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += [
        "| " + " | ".join(f"{v:.3g}" if isinstance(v, float) else "-" if v is None else str(v) for v in row) + " |"
        for row in rows
    ]
    return "\n".join(lines)


def columns(numbers):
    names = list(numbers)
    return table(["", *names], [(key, *(numbers[name][key] for name in names)) for key in numbers[names[0]]])


def write_measured(parts):
    page = HERE / "phantoms.md"
    text = page.read_text(encoding="utf-8")
    before, rest = text.split(MARKS[0])
    page.write_text(
        before + MARKS[0] + "\n\n" + "\n\n".join(parts) + "\n\n" + MARKS[1] + rest.split(MARKS[1])[1], encoding="utf-8"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--choice", type=int, default=0, help="seed of the draw that picks the patients shown")
    parser.add_argument("--patients", type=int, default=30, help="scanned patients behind the lesion statistics")
    parser.add_argument("--shared", type=Path, default=HERE.parents[1] / "shared")
    options = parser.parse_args()
    out = HERE / "phantoms"
    out.mkdir(exist_ok=True)
    seeds = [int(seed) for seed in np.random.default_rng(options.choice).integers(10_000, 1_000_000, options.patients)]
    print("patients drawn:", seeds[:8])
    gated = [digital_patient(seed) for seed in seeds[:4]]
    sheet([[tile(scan.volume.voxels, s) for s in (0.25, 0.5, 0.75)] for scan in gated], out / "gated.png")
    chest = [figures.lidc_like(seed) for seed in seeds[4:7]]
    sheet([[whole(scan.volume.voxels, s) for s in (0.25, 0.5, 0.75)] for scan in chest], out / "chest.png")
    more_chest = [figures.lidc_like(seed) for seed in seeds[12:19]]
    other = [
        digital_patient(seed, family)
        for seed, family in zip(seeds[7:11], ("shifted", "shifted", "contrast", "chest"), strict=True)
    ]
    sheet([[whole(scan.volume.voxels, 0.55) for scan in other]], out / "families.png")
    artefact_sheet(seeds[11], out)
    twin = acquire(qrm_scene(insert_z_mm=CANON_Z_MM), canon_protocol(), np.random.default_rng(0))
    sheet([[grey(twin.volume.voxels[k][40:480, 40:480]) for k in (22, 33)]], out / "qrm.png")
    present = options.shared.is_dir()
    lidc = read_folder(options.shared / "real" / "lidc_0314_heart") if present else None
    qrm = read_folder(options.shared / "real" / "qrm_canon_large_rep1") if present else None
    scanned = gated + [digital_patient(seed) for seed in seeds[12:]]
    physics = figures.qrm_figure(twin, qrm, out)
    parts = [
        "### Twin against scan", columns(physics),
        table(["insert", "twin, mean of 16 noise seeds", "SD", "scan"], figures.qrm_scores(range(16), options.shared)),
        "### HU", columns(figures.histogram_figure([scan.volume.voxels for scan in chest + more_chest], lidc, out)),
        "### Lesions", table(["", ""], list(figures.lesion_figure(scanned, out).items())),
        "### Coronary segments: distance of the mean position from Dodge's, mm",
        table(["point", "patients", "distance", "Dodge's SD of radius"], figures.dodge_figure(60, out)),
        "### Agatston percentiles, white", table(["sex", "age", "percentile", "MESA", "drawn"], figures.score_figure(options.shared, out)),
    ]  # fmt: skip
    write_measured(parts)
    if present:
        private_page(HERE / "_local", gated, chest, lidc, qrm, twin.volume.voxels)
    print("written:", sum(path.stat().st_size for path in out.glob("*.png")) // 1024, "KB of pictures")


if __name__ == "__main__":
    main()
