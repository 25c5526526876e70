"""The seven inserts of the real QRM phantom scan: scores under every rule, and masses beside the true ones.

    python benchmarks/qrm.py ../shared/real

Reads the scan and `qrm_expected.csv` from the folder of reference material; prints the tables of docs/scoring.md.
"""

import csv
import sys
from pathlib import Path

import numpy as np
import pydicom

from cacseg.scoring import RULES, score
from cacseg.scoring.mass import calibrate_mass, integrated_masses_mg
from cacseg.scoring.rods import find_rods
from cacseg.volume import Volume


def read(folder):
    slices = sorted((pydicom.dcmread(path) for path in folder.iterdir()), key=lambda one: one.ImagePositionPatient[2])
    hu = np.stack([one.pixel_array * int(one.RescaleSlope) + int(one.RescaleIntercept) for one in slices])
    increment = float(slices[1].ImagePositionPatient[2] - slices[0].ImagePositionPatient[2])
    return Volume.axial(hu.astype(np.int16), (increment, *(float(each) for each in slices[0].PixelSpacing)))


def labels_of(volume, insert):
    row, column = np.ogrid[: volume.shape[1], : volume.shape[2]]
    radius = float(insert["mask_radius_px"])
    disk = (row - float(insert["row"])) ** 2 + (column - float(insert["col"])) ** 2 <= radius**2
    labels = np.zeros(volume.shape, np.uint8)
    labels[int(insert["slice_min"]) : int(insert["slice_max"]) + 1] = disk * np.uint8(2)
    return volume.with_voxels(labels)


def main():
    real = Path(sys.argv[1])
    volume = read(real / "qrm_canon_large_rep1")
    with (real / "qrm_expected.csv").open(newline="") as file:
        inserts = list(csv.DictReader(file))
    maps = [labels_of(volume, insert) for insert in inserts]
    names = [insert["insert"] for insert in inserts]
    for quantity, digits in (("agatston", 3), ("volume_mm3", 3)):
        print(f"| {quantity} | {' | '.join(names)} |\n|---|{'---:|' * len(names)}")
        print(f"| published | {' | '.join(insert[f'published_{quantity}'] for insert in inserts)} |")
        for name, rule in RULES.items():
            values = [getattr(score(volume, labels, rule).total, quantity) for labels in maps]
            print(f"| `{name}` | {' | '.join(f'{value:.{digits}f}' for value in values)} |")
        print()
    calibration = calibrate_mass(rods=find_rods(volume))
    print(f"{calibration.detail} Factor {calibration.factor:.4f} mg HA/(mL HU), SD {calibration.relative_sd:.1%}.\n")
    print("| mass, mg | true | published | thresholded, `literature-8` | error | integrated | error |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for insert, labels in zip(inserts, maps, strict=True):
        rule, true = RULES["literature-8"], float(insert["true_mass_mg"])
        summed = score(volume, labels, rule, mass_factor=calibration.factor).total.mass_mg
        whole = integrated_masses_mg(volume, labels, rule, mass_factor=calibration.factor)[1]
        print(
            f"| {insert['insert']} | {true:g} | {insert['published_mass_mg']} | {summed:.2f} "
            f"| {summed / true - 1:+.0%} | {whole:.2f} | {whole / true - 1:+.0%} |"
        )


if __name__ == "__main__":
    main()
