"""Commands on scores: of a label map, between two results, of the conformance suite."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from cacseg.cli.options import add_scoring_options, command, settings
from cacseg.cli.streams import say, show
from cacseg.cli.summary import score_lines
from cacseg.errors import CacsegError, UsageError


def add_score(commands: Any) -> None:
    """Add ``score``."""
    parser = command(commands, "score", _score, "score somebody's own label map with the deterministic scorer")
    parser.add_argument("image", type=Path, help="DICOM series folder or NIfTI")
    parser.add_argument(
        "labels", type=Path, help="NIfTI or DICOM SEG on the same grid; 1 LM 2 LAD 3 LCX 4 RCA 5-8 other"
    )
    add_scoring_options(parser)
    parser.add_argument("--kvp", type=float, help="tube voltage, where the image does not tell")


def _score(arguments: argparse.Namespace) -> int:
    from cacseg.pipeline import score_labels
    from cacseg.result import scoring_to_dict

    scorings, findings = score_labels(arguments.image, arguments.labels, settings(arguments), kvp=arguments.kvp)
    for finding in findings:
        say(f"{finding.severity:8} {finding.code}: {finding.message} {finding.action}")
    data = scoring_to_dict(scorings[0])
    data["other_rules"] = [scoring_to_dict(other) for other in scorings[1:]]
    if arguments.json:
        show(data)
    else:
        from cacseg.scoring import format_agatston

        print("\n".join(score_lines({**data, "interval": None, "risk": None}, format_agatston)))
    return 0


def add_compare(commands: Any) -> None:
    """Add ``compare``."""
    parser = command(commands, "compare", _compare, "serial change between two results of one patient")
    parser.add_argument("before", type=Path, metavar="RESULT_A")
    parser.add_argument("after", type=Path, metavar="RESULT_B")
    parser.add_argument("--bmi", type=float, help="body-mass index, for the repeatability limit")


def _compare(arguments: argparse.Namespace) -> int:
    from dataclasses import asdict

    from cacseg.report import read_result
    from cacseg.scoring import compare

    before, after = (read_result(path)[0].to_dict() for path in (arguments.before, arguments.after))
    comparison = compare(before, after, bmi=arguments.bmi)
    if arguments.json:
        show(asdict(comparison))
        return 0
    for change in (comparison.total, *comparison.vessels):
        real = "real" if change.real else "within repeatability"
        print(f"{change.name:6}{change.first:10.1f}{change.second:10.1f}{change.difference:+10.1f}   {real}")
    assumed = " (assumed; give --bmi)" if comparison.bmi_assumed else ""
    print("\n".join([comparison.verdict, f"BMI {comparison.bmi:g}{assumed}", *comparison.caveats]))
    return 0


def add_conformance(commands: Any) -> None:
    """Add ``conformance``."""
    parser = command(commands, "conformance", _conformance, "write the scoring conformance suite, or check answers")
    parser.add_argument("output", type=Path, nargs="?", metavar="OUT", help="folder to write the suite to")
    parser.add_argument("--check", type=Path, metavar="CSV", help="answers of another program to check")


def _conformance(arguments: argparse.Namespace) -> int:
    from cacseg.conformance import check, write_suite

    if (arguments.output is None) == (arguments.check is None):
        raise UsageError("Give either OUT, to write the suite, or --check CSV, to check answers.")
    if arguments.output is not None:
        write_suite(arguments.output)
        say(f"Written to {arguments.output}")
        return 0
    report = check(arguments.check)
    if arguments.json:
        show(report.to_dict())
    else:
        print(report.table())
    return 0 if report.conforms else CacsegError.exit_code
