"""Options that several commands share, and the settings they amount to."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cacseg.engines import DEFAULT_ENGINE, DEFAULT_THREADS, ENGINES
from cacseg.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable


def command(
    commands: Any,
    name: str,
    run: Callable[[argparse.Namespace], int],
    summary: str,
    *,
    json_option: bool = True,
) -> argparse.ArgumentParser:
    """Add a command; ``run`` takes what was typed and gives the exit code."""
    parser: argparse.ArgumentParser = commands.add_parser(name, help=summary, description=summary)
    parser.set_defaults(run=run, passes_on=False)
    if json_option:
        parser.add_argument("--json", action="store_true", help="print the answer as one JSON document")
    return parser


def add_scoring_options(parser: argparse.ArgumentParser) -> None:
    """Add the choice of counting rules."""
    parser.add_argument(
        "--rule", default="literature", metavar="NAME", help="counting rule, or 'all' (default: %(default)s)"
    )
    parser.add_argument("--rules-file", type=Path, metavar="YAML", help="further counting rules")


def add_infer_options(parser: argparse.ArgumentParser) -> None:
    """Add what ``infer`` and ``batch`` share."""
    add_scoring_options(parser)
    parser.add_argument(
        "--threads",
        type=positive,
        default=DEFAULT_THREADS,
        metavar="N",
        help="threads of the network (default: %(default)s)",
    )
    parser.add_argument(
        "--engine",
        choices=ENGINES,
        default=DEFAULT_ENGINE,
        help='what runs it; openvino, a third faster, needs pip install "cacseg[openvino]" (default: %(default)s)',
    )
    parser.add_argument("--release", metavar="NAME", help="model release: a name, or its folder")
    parser.add_argument(
        "--formats",
        type=formats,
        metavar="LIST",
        help="comma-separated, docs/reports.md lists them (default: the eight that result.json goes with)",
    )
    add_form_options(parser)


def add_form_options(parser: argparse.ArgumentParser) -> None:
    """Add what shapes the written forms."""
    parser.add_argument("--deidentify", action="store_true", help="leave patient facts out of every form")
    parser.add_argument("--wording", type=Path, metavar="YAML", help="a department's own wording and language")
    parser.add_argument("--paperwork", type=Path, metavar="YAML", help="a department's own coding table")


def add_patient_options(parser: argparse.ArgumentParser) -> None:
    """Add facts about the patient that the study may lack."""
    parser.add_argument("--age", type=float, metavar="YEARS", help="age in years, where the study does not tell")
    parser.add_argument("--sex", choices=("M", "F"), help="sex, where the study does not tell")
    parser.add_argument("--race", choices=("white", "black", "hispanic", "chinese"), help="for MESA; never guessed")
    parser.add_argument("--risk-factors", type=Path, metavar="JSON", help="inputs of the risk equations")


def tables(arguments: argparse.Namespace) -> Any:
    """Load the tables of wording and coding, the packaged ones where none is named."""
    from cacseg.report import Tables

    return Tables.load(wording=arguments.wording, paperwork=arguments.paperwork)


def positive(text: str) -> int:
    """Read a whole number above 0."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return number


def proportion(text: str) -> float:
    """Read a number from 0 to 1."""
    number = float(text)
    if not 0.0 <= number <= 1.0:
        raise argparse.ArgumentTypeError(f"{text} is not a share, a number from 0 to 1")
    return number


def formats(text: str) -> tuple[str, ...]:
    """Read a list of forms."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def settings(arguments: argparse.Namespace) -> Any:
    """Turn what was typed into pipeline settings."""
    from cacseg.acquisition import Patient
    from cacseg.pipeline import Settings

    typed = vars(arguments)
    chosen: dict[str, Any] = {"rule": arguments.rule, "rules_file": arguments.rules_file}
    if "threads" in typed:
        chosen |= {"threads": arguments.threads, "engine": arguments.engine, "release": arguments.release}
    if "series" in typed:
        chosen |= {"series_uid": arguments.series}
    if "age" in typed:
        chosen |= {
            "patient": Patient(arguments.age, arguments.sex, arguments.race),
            "risk_factors": risk_factors(arguments.risk_factors),
        }
    return Settings(**chosen)


def risk_factors(path: Path | None) -> dict[str, Any]:
    """Read the inputs of the risk equations from a small JSON file."""
    if path is None:
        return {}
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: expected a JSON object of risk factors ({error}).") from error
    if not isinstance(data, dict):
        raise UsageError(f'{path}: expected a JSON object such as {{"total_cholesterol_mg_dl": 210}}.')
    return data
