"""Commands on studies: score one, list its series, score a cohort, write reports again."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from cacseg.cli.options import (
    add_form_options,
    add_infer_options,
    add_patient_options,
    command,
    formats,
    positive,
    risk_factors,
    settings,
    tables,
)
from cacseg.cli.streams import progress, say, show
from cacseg.cli.summary import summary
from cacseg.errors import CacsegError, RefusedError


def add_infer(commands: Any) -> None:
    """Add ``infer``."""
    parser = command(commands, "infer", _infer, "score one study")
    parser.add_argument("study", type=Path, help="folder of DICOM, .zip, multi-frame DICOM file, .nii or .nii.gz")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="OUT", help="folder of the results (default: STUDY-cacseg)"
    )
    parser.add_argument("--series", metavar="UID", help="score this series instead of the one the evidence points to")
    add_infer_options(parser)
    add_patient_options(parser)


def _infer(arguments: argparse.Namespace) -> int:
    from cacseg.pipeline import report_input, score_study
    from cacseg.report import DEFAULT_FORMATS, write_all

    output = arguments.output or _beside(arguments.study)
    outcome = score_study(arguments.study, settings(arguments), progress)
    progress("writing reports")
    inputs = report_input(outcome)
    wanted = arguments.formats or DEFAULT_FORMATS
    written = write_all(inputs, output, wanted, deidentify=arguments.deidentify, tables=tables(arguments))
    data = written.result.to_dict()
    if arguments.json:
        show(data)
    else:
        print("\n".join(summary(data, output)))
    return RefusedError.exit_code if outcome.result.status == "refused" else 0


def _beside(study: Path) -> Path:
    return study.with_name(study.name.removesuffix(".gz").removesuffix(".nii").removesuffix(".zip") + "-cacseg")


def add_series(commands: Any) -> None:
    """Add ``series``."""
    parser = command(commands, "series", _series, "list every series of a study, chosen or not, and why")
    parser.add_argument("study", type=Path)


def _series(arguments: argparse.Namespace) -> int:
    from dataclasses import asdict

    from cacseg.findings import refused
    from cacseg.study import read_study

    reading = read_study(arguments.study)
    if arguments.json:
        show(
            {
                "study_instance_uid": reading.study_instance_uid,
                "ledger": [asdict(entry) for entry in reading.ledger],
                "findings": [asdict(finding) for finding in reading.findings],
            }
        )
    else:
        for entry in reading.ledger:
            print(f"{'*' if entry.chosen else ' '} {entry.series_instance_uid or '-'}  {entry.description or '-'}")
            for reason in entry.reasons:
                print(f"      {reason}")
        for finding in reading.findings:
            print(f"{finding.severity:8} {finding.code}: {finding.message} {finding.action}")
    return RefusedError.exit_code if reading.chosen is None or refused(reading.findings) else 0


def add_batch(commands: Any) -> None:
    """Add ``batch``."""
    parser = command(commands, "batch", _batch, "score a cohort: every study below a folder")
    parser.add_argument("root", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT")
    parser.add_argument("--processes", type=positive, default=1, help="studies at a time (default: %(default)s)")
    add_infer_options(parser)


def _batch(arguments: argparse.Namespace) -> int:
    from cacseg.batch import score_cohort
    from cacseg.report import DEFAULT_FORMATS

    rows = score_cohort(
        arguments.root,
        arguments.output,
        settings(arguments),
        arguments.formats or DEFAULT_FORMATS,
        processes=arguments.processes,
        deidentify=arguments.deidentify,
        tables=tables(arguments),
        progress=progress,
    )
    if arguments.json:
        show(rows)
    else:
        counts = {status: sum(row["status"] == status for row in rows) for status in ("scored", "refused", "failed")}
        print(", ".join(f"{count} {status}" for status, count in counts.items()), f"-> {arguments.output}")
    return CacsegError.exit_code if any(row["status"] == "failed" for row in rows) else 0


def add_report(commands: Any) -> None:
    """Add ``report``."""
    parser = command(commands, "report", _report, "write the reports again from a result", json_option=False)
    parser.add_argument("result", type=Path, help="result.json, or the folder that holds it")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="OUT", help="folder of the reports (default: beside RESULT)"
    )
    parser.add_argument("--formats", type=formats, default=None, metavar="LIST")
    add_form_options(parser)
    add_patient_options(parser)


def _report(arguments: argparse.Namespace) -> int:
    from cacseg.acquisition import Patient
    from cacseg.pipeline import report_again

    folder = arguments.result if arguments.result.is_dir() else arguments.result.parent
    output = arguments.output or folder
    patient = Patient(arguments.age, arguments.sex, arguments.race)
    result = report_again(
        arguments.result,
        output,
        arguments.formats,
        patient=patient,
        risk_factors=risk_factors(arguments.risk_factors),
        deidentify=arguments.deidentify,
        tables=tables(arguments),
    )
    say(f"Written to {output}")
    return RefusedError.exit_code if result.status == "refused" else 0
