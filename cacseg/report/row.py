"""``row.csv``: one study as one line of a cohort's table; many of them as CSV or Parquet."""

import csv
import importlib
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cacseg.errors import MissingExtraError
from cacseg.findings import Severity
from cacseg.result import Result
from cacseg.scoring.score import Score
from cacseg.vessels import CORONARY, STRUCTURE

Row = dict[str, str | float | int | None]


def cohort_row(result: Result) -> Row:
    """Flatten a result; every study has the same columns, unknown values are ``None``."""
    series, risk, scoring, interval = result.series, result.risk or {}, result.scoring, result.interval
    row: Row = {
        "status": result.status,
        "study_instance_uid": result.study_instance_uid,
        "series_instance_uid": series.series_instance_uid if series else None,
        "age_years": result.patient.age_years,
        "sex": result.patient.sex,
        "race": result.patient.race,
        "kvp": series.kvp if series else None,
        "slices": series.slices if series else None,
        "increment_mm": series.spacing_mm[0] if series else None,
        "gated": series.gated if series else None,
        "rule": scoring.rule.name if scoring else None,
        **_score("total", scoring.total if scoring else None),
    }
    for vessel in CORONARY:
        row |= _score(vessel.name.lower(), scoring.vessels[vessel] if scoring else None)
    for label, name in STRUCTURE.items():
        row[f"{name}_agatston"] = scoring.structures[label].agatston if scoring else None
    chd: dict[str, Any] = risk.get("chd_10y_mesa") or {}
    row |= {
        "interval_low": interval.agatston[0] if interval else None,
        "interval_high": interval.agatston[1] if interval else None,
        "agatston_category": risk.get("agatston_category"),
        "cac_drs": risk.get("cac_drs"),
        "percentile_mesa": (risk.get("percentile") or {}).get("value"),
        "arterial_age_years": risk.get("arterial_age_years"),
        "chd_10y_with_calcium_percent": chd.get("with_calcium_percent"),
        "warnings": " ".join(one.code for one in result.findings if one.severity is Severity.WARNING),
        "refusals": " ".join(one.code for one in result.findings if one.severity is Severity.REFUSAL),
        "cacseg": result.provenance.get("cacseg"),
        "model": (result.provenance.get("model") or {}).get("name"),
    }
    return row


def rows_csv(results: Iterable[Result]) -> bytes:
    """Write a header and one line per result, unrounded; unknown values are empty."""
    rows = [cohort_row(result) for result in results]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def write_parquet(results: Iterable[Result], path: Path) -> None:
    """Write the same table as Parquet.

    Raises
    ------
    MissingExtraError : pyarrow is not installed.
    """
    try:
        parquet = importlib.import_module("pyarrow.parquet")
        table = importlib.import_module("pyarrow").Table
    except ImportError as error:
        raise MissingExtraError("Parquet needs pyarrow; install it with: pip install pyarrow") from error
    parquet.write_table(table.from_pylist([cohort_row(result) for result in results]), path)


def _score(name: str, part: Score | None) -> Row:
    return {
        f"{name}_agatston": part.agatston if part else None,
        f"{name}_volume_mm3": part.volume_mm3 if part else None,
        f"{name}_mass_mg": part.mass_mg if part else None,
        f"{name}_lesions": part.lesions if part else None,
    }
