"""Tables of a model card from finished evaluations, as Markdown.

    for f in gated shifted chest zeros; do cacseg evaluate --family $f -o runs/families/$f; done
    python train/card_tables.py runs/families

Printed: every family with 95 % intervals, the false and missed score, what a reader gains who sees the lesions of low
confidence, and the bands of the gated family that hold at least ten patients.
"""

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cacseg.evaluation.families import FAMILIES

VESSELS = ("LM", "LAD", "LCX", "RCA")
LEAST_CASES = 10
READER_BELOW = (0.0, 0.6, 0.8, 0.9)
FACTS = {
    "score_band": "score",
    "noise_sd_hu": "noise (SD, HU)",
    "slice_thickness_mm": "slice (mm)",
    "field_of_view_mm": "field of view (mm)",
    "kernel": "kernel",
    "kvp": "kVp",
    "dominance": "dominance",
    "bmi": "body mass index",
    "epicardial_fat_mm": "fat on the heart (mm)",
}


def table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    """Write rows under a head."""
    yield "| " + " | ".join(head) + " |"
    yield "|---" * len(head) + "|"
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def interval(value: Mapping[str, float | None] | None, digits: int = 3) -> str:
    """Value with its interval, without leading zeros; a dash where there is none."""
    if value is None or value["value"] is None:
        return "-"
    middle, low, high = (number(value[key], digits) for key in ("value", "lower", "upper"))
    return f"{middle} ({low}-{high})"


def number(value: float | None, digits: int = 3) -> str:
    """Short form of a share or score."""
    if value is None:
        return "-"
    text = f"{value:.{digits}f}"
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text


def family_rows(found: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, ...]]:
    """Agreement of every family."""
    for name, evaluation in found.items():
        summary = evaluation["summary"]
        kinds = summary["categories"]
        zeros, low = summary["zeros"], summary["low_scores"]
        coronary = name != "zeros"
        yield (
            f"{name} ({summary['cases']} of {FAMILIES[name].count})",
            interval(summary["agatston"]["icc_2_1"]) if coronary else "",
            interval(kinds["kappa_linear"]) if coronary else "",
            f"{100 * kinds['accuracy']['value']:.0f} %",
            interval(summary["coronary"]["volume"]["f1"]) if coronary else "",
            *(number(summary["vessels"][vessel]["volume"]["f1"]["value"]) if coronary else "" for vessel in VESSELS),
            f"{round(zeros['share'] * zeros['cases'])} of {zeros['cases']}" if zeros["cases"] else "",
            f"{low['found']} of {low['cases']}" if low["cases"] else "",
        )


def score_rows(found: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, ...]]:
    """False, missed and biased scores of every family, and the calibration of the confidence."""
    for name, evaluation in found.items():
        summary = evaluation["summary"]
        agatston, limits = summary["agatston"], summary["agatston"]["bland_altman"]
        yield (
            name,
            f"{summary['false_score']['mean']['value']:.1f}, {summary['false_score']['median']:.1f}",
            f"{summary['missed_score']['mean']['value']:.1f}, {summary['missed_score']['median']:.1f}",
            f"{limits['bias']:.1f} ({limits['lower']:.0f} to {limits['upper']:.0f})",
            f"{100 * agatston['within_10_units_or_10_percent']:.0f} %",
            ", ".join(
                f"{100 * summary['vessels'][vessel]['agatston']['within_10_units_or_10_percent']:.0f}"
                for vessel in VESSELS
            )
            + " %",
            number(summary["calibration"]["expected_calibration_error"]),
        )


def reader_rows(found: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, ...]]:
    """What remains of the error when a reader corrects the lesions below a confidence."""
    for name, evaluation in found.items():
        for row in evaluation["summary"]["calibration"]["reader"]:
            if row["below"] in READER_BELOW:
                yield (
                    name,
                    f"{row['below']:g}",
                    f"{100 * row['share_sent']:.0f} %",
                    f"{100 * row['scans_touched']:.0f} %",
                    f"{row['mean_absolute_error']:.1f}",
                    number(row["icc_2_1"]),
                )


def band_rows(evaluation: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Agreement in bands of the scan and the patient."""
    for fact, words in FACTS.items():
        for name, band in evaluation["strata"].get(fact, {}).items():
            if band["cases"] >= LEAST_CASES:
                f1 = (band["volume_f1"]["value"], *(band["vessel_volume_f1"][vessel] for vessel in VESSELS))
                empty = fact == "score_band" and name == "0"
                yield (
                    f"{words} {name}",
                    str(band["cases"]),
                    number(band["icc_2_1"]["value"]) if fact != "score_band" else "",
                    f"{100 * band['category_accuracy']:.0f} %",
                    f"{band['mean_absolute_error']:.1f}",
                    *("" if empty else number(value) for value in f1),
                )


def main(argv: list[str] | None = None) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="holds FAMILY/evaluation.json")
    given = parser.parse_args(argv)
    files = {name: given.folder / name / "evaluation.json" for name in FAMILIES}
    found = {name: json.loads(path.read_text(encoding="utf-8")) for name, path in files.items() if path.exists()}
    if not found:
        parser.error(f"no evaluation.json in {given.folder}/{{{','.join(FAMILIES)}}}; run cacseg evaluate first")
    head: tuple[str, ...] = (
        "family (patients run)",
        "ICC(2,1)",
        "kappa, linear",
        "right category",
        "volume F1 coronary",
    )
    print(*table((*head, *VESSELS, "zeros scored 0", "1-10 found"), family_rows(found)), "", sep="\n")
    head = ("family", "false score a scan: mean, median", "missed: mean, median", "bias (limits of agreement)")
    head = (*head, "within 10 units or 10 %", ", ".join(VESSELS), "calibration error")
    print(*table(head, score_rows(found)), "", sep="\n")
    head = ("family", "read below", "lesions read", "scans touched", "mean error left", "ICC left")
    print(*table(head, reader_rows({name: one for name, one in found.items() if name != "zeros"})), "", sep="\n")
    if "gated" in found:
        head = ("gated", "patients", "ICC(2,1)", "right category", "mean error", "volume F1 coronary", *VESSELS)
        print(*table(head, band_rows(found["gated"])), sep="\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
