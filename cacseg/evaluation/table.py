"""The measures as CSV: one row a case, one a reported lesion, one a band."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cacseg.evaluation.case import GROUP_NAMES, UNITS, VESSEL_NAMES, CaseMeasures
from cacseg.scoring import category_of


def write_cases(cases: Sequence[CaseMeasures], path: Path) -> None:
    """Write one row for each case; refused and failed ones have their message and no numbers."""
    rows = [case_row(case) for case in cases]
    facts = sorted({key for case in cases for key in case.facts})
    columns = list(dict.fromkeys(key for row in rows for key in row if not key.startswith("fact_")))
    _write(path, [*columns, *(f"fact_{fact}" for fact in facts)], rows)


def case_row(case: CaseMeasures) -> dict[str, Any]:
    """Give one case as a flat row."""
    row: dict[str, Any] = {"id": case.id, "status": case.status, "message": case.message}
    if case.status == "scored":
        row["truth_category"] = category_of(case.truth["total"]).name
        row["predicted_category"] = category_of(case.predicted["total"]).name
        for name in ("total", *VESSEL_NAMES):
            row[f"truth_{name}"] = case.truth[name]
            row[f"predicted_{name}"] = case.predicted[name]
        row["false_agatston"] = case.false_agatston
        row["missed_agatston"] = case.missed_agatston
        row["seconds"] = case.seconds
        for unit in UNITS:
            for name in GROUP_NAMES:
                counts = case.counts[unit][name]
                row |= {
                    f"{unit}_{name}_right": counts.right,
                    f"{unit}_{name}_false": counts.false,
                    f"{unit}_{name}_missed": counts.missed,
                }
    return row | {f"fact_{key}": value for key, value in case.facts.items()}


def write_lesions(cases: Sequence[CaseMeasures], path: Path) -> None:
    """Write one row for each lesion that the path under test reported."""
    columns = ["id", "label", "confidence", "right", "agatston", "true_agatston"]
    rows = [
        {
            "id": case.id,
            "label": lesion.label,
            "confidence": lesion.confidence,
            "right": int(lesion.right),
            "agatston": lesion.agatston,
            "true_agatston": lesion.true_agatston,
        }
        for case in cases
        for lesion in case.lesions
    ]
    _write(path, columns, rows)


def write_strata(strata: Mapping[str, Any], path: Path) -> None:
    """Write one row for each band of each fact."""
    columns = [
        "fact", "band", "cases", "scored", "icc_2_1", "icc_2_1_lower", "icc_2_1_upper", "kappa_linear",
        "category_accuracy", "bias", "mean_absolute_error", "false_score", "volume_f1",
        *(f"volume_f1_{name}" for name in VESSEL_NAMES),
    ]  # fmt: skip
    rows = []
    for fact, bands in strata.items():
        for name, short in bands.items():
            row = {"fact": fact, "band": name, **{key: short.get(key) for key in columns[2:]}}
            if "icc_2_1" in short:
                row |= {
                    "icc_2_1": short["icc_2_1"]["value"],
                    "icc_2_1_lower": short["icc_2_1"]["lower"],
                    "icc_2_1_upper": short["icc_2_1"]["upper"],
                    "volume_f1": short["volume_f1"]["value"],
                    **{f"volume_f1_{vessel}": short["vessel_volume_f1"][vessel] for vessel in VESSEL_NAMES},
                }
            rows.append(row)
    _write(path, columns, rows)


def _write(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with part.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    part.replace(path)
