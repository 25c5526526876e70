"""Fine-tune the release on labelled studies: cache them, train, then compare before with after.

    python train/finetune.py cache studies.csv data/cache/hospital
    train/fit_cpu.sh --config configs/train/finetune.yaml
    cacseg export runs/finetune/checkpoints/last.ckpt models/hospital
    python train/finetune.py guard held-out.csv models/hospital --before cacseg-unet-1

The CSV has the columns image, labels and, optionally, group: a DICOM folder or NIfTI, a NIfTI label map on the
same grid (values of docs), and what the guard sums up by. The guard exits with 1 when anything became worse.
"""

import argparse
import csv
import json
from collections.abc import Iterator
from pathlib import Path

import nibabel
import numpy as np

from cacseg.errors import RefusedError, UnreadableError
from cacseg.infer import load_release
from cacseg.study import read_study
from cacseg.train.finetune import LabelledStudy, guard, labelled_sample
from cacseg.train.sample import save
from cacseg.volume import Volume


def studies(table: Path) -> Iterator[LabelledStudy]:
    """Read the studies of a CSV one by one."""
    with table.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            chosen = read_study(table.parent / row["image"]).chosen
            if chosen is None:
                raise UnreadableError(f"{row['image']}: no series can be scored; `cacseg series` says why.")
            stored = nibabel.load(table.parent / row["labels"])
            labels = Volume.from_ras(np.asarray(stored.dataobj).astype(np.uint8), stored.affine)
            yield LabelledStudy(row["image"], chosen.volume, labels, row.get("group") or "all")


def main() -> None:
    """Run one of the two steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = parser.add_subparsers(dest="step", required=True)
    cache = steps.add_parser("cache", help="make training samples of labelled studies")
    cache.add_argument("table", type=Path)
    cache.add_argument("folder", type=Path)
    cache.add_argument("--release", default=None)
    compare = steps.add_parser("guard", help="compare two releases on labelled studies")
    compare.add_argument("table", type=Path)
    compare.add_argument("after")
    compare.add_argument("--before", default=None)
    given = parser.parse_args()
    if given.step == "cache":
        given.folder.mkdir(parents=True, exist_ok=True)
        release = load_release(given.release)
        for number, study in enumerate(studies(given.table)):
            try:
                save(labelled_sample(study, release), given.folder / f"study-{number:05d}.npz")
            except RefusedError as error:
                print(f"left out: {error}")
        return
    found = guard(studies(given.table), load_release(given.before), load_release(given.after))
    print(json.dumps(found, indent=2))
    if found["worse"] or found["lost"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
