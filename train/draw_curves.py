"""Draw the loss and the validation F1 of one or more runs, one after the other.

python train/draw_curves.py runs/release runs/release2 -o curves.png
"""

import argparse
import csv
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

SHOWN = ("coronary", "lm", "lad", "lcx", "rca")


def main() -> None:
    """Read the tables of the runs and draw them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, required=True)
    given = parser.parse_args()
    figure, (loss, f1) = plt.subplots(1, 2, figsize=(11, 3.6))
    begin = 0
    for run in given.runs:
        with (run / "metrics.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        trained = [row for row in rows if row.get("train/loss")]
        loss.plot([begin + int(r["step"]) for r in trained], [float(r["train/loss"]) for r in trained], lw=0.6, c="C0")
        seen = [row for row in rows if row.get("val/f1_coronary")]
        for number, name in enumerate(SHOWN):
            line = [float(row[f"val/f1_{name}"]) for row in seen]
            f1.plot([begin + int(r["step"]) for r in seen], line, c=f"C{number}", label=name if begin == 0 else None)
        begin += max(int(row["step"]) for row in rows)
        for axis in (loss, f1):
            axis.axvline(begin, c="0.8", lw=0.8)
    loss.set(xlabel="step", ylabel="training loss", yscale="log")
    f1.set(xlabel="step", ylabel="validation F1 of cells, digital patients", ylim=(0.4, 1))
    f1.legend(frameon=False, ncols=2)
    figure.tight_layout()
    figure.savefig(given.output, dpi=80)


if __name__ == "__main__":
    main()
