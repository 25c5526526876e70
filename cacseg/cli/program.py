"""The command line: the only place that prints.

Messages for people go to standard error, results to standard output; ``--json`` makes the latter one JSON
document. Exit codes: 0 scored, 2 wrong usage, 3 refused, 4 unreadable input, 1 a fault of ours.
"""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cacseg import __version__
from cacseg.errors import CacsegError, MissingExtraError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

EXIT_FAULT: Final = 1
EXIT_REFUSED: Final = 3
DEFAULT_FORMATS: Final = "json,csv,seg,sr,html,pdf,fhir,nifti"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code."""
    parser = build_parser()
    arguments, rest = parser.parse_known_args(argv)
    if rest and not arguments.passes_on:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    arguments.rest = rest
    try:
        code: int = arguments.run(arguments)
    except CacsegError as error:
        say(f"cacseg: {error}")
        return error.exit_code
    except BrokenPipeError:
        return EXIT_FAULT
    except KeyboardInterrupt:
        say("cacseg: interrupted; nothing was replaced")
        return EXIT_FAULT
    except Exception:
        say(traceback.format_exc())
        say("cacseg: this is a fault of cacseg, not of your input. Please report the lines above (no patient data).")
        return EXIT_FAULT
    return code


def say(message: str) -> None:
    """Tell a person something."""
    print(message, file=sys.stderr, flush=True)


def show(data: Any) -> None:
    """Give a program its answer."""
    print(json.dumps(data, indent=1, allow_nan=False))


def build_parser() -> argparse.ArgumentParser:
    """Make the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="cacseg",
        description="Coronary calcium scoring from non-contrast CT of the heart.",
        epilog="The released model has seen synthetic data only. Not a medical device.",
    )
    parser.add_argument("--version", action="version", version=f"cacseg {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_infer(commands)
    _add_series(commands)
    _add_score(commands)
    _add_report(commands)
    _add_phantom(commands)
    _add_batch(commands)
    _add_compare(commands)
    _add_conformance(commands)
    _add_model(commands)
    return parser


def _command(
    commands: Any,
    name: str,
    run: Callable[[argparse.Namespace], int],
    summary: str,
    *,
    json_option: bool = True,
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=summary, description=summary)
    parser.set_defaults(run=run, passes_on=False)
    if json_option:
        parser.add_argument("--json", action="store_true", help="print the answer as one JSON document")
    return parser


def _add_scoring_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--rule", default="literature", metavar="NAME", help="counting rule, or 'all' (default: %(default)s)"
    )
    parser.add_argument("--rules-file", type=Path, metavar="YAML", help="further counting rules")


def _add_infer_options(parser: argparse.ArgumentParser) -> None:
    _add_scoring_options(parser)
    parser.add_argument(
        "--threads",
        type=_positive,
        default=2,
        metavar="N",
        help="threads of the network (default: %(default)s)",
    )
    parser.add_argument("--release", metavar="NAME", help="model release: a name, or its folder")
    parser.add_argument(
        "--formats",
        type=_formats,
        default=_formats(DEFAULT_FORMATS),
        metavar="LIST",
        help=f"default: {DEFAULT_FORMATS}",
    )
    _add_form_options(parser)


def _add_form_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--deidentify", action="store_true", help="leave patient facts out of every form")
    parser.add_argument("--wording", type=Path, metavar="YAML", help="a department's own wording and language")
    parser.add_argument("--paperwork", type=Path, metavar="YAML", help="a department's own coding table")


def _tables(arguments: argparse.Namespace) -> Any:
    """Load the tables of wording and coding, the packaged ones where none is named."""
    from cacseg.report import Tables

    return Tables.load(wording=arguments.wording, paperwork=arguments.paperwork)


def _add_patient_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--age", type=float, metavar="YEARS", help="age in years, where the study does not tell")
    parser.add_argument("--sex", choices=("M", "F"), help="sex, where the study does not tell")
    parser.add_argument("--race", choices=("white", "black", "hispanic", "chinese"), help="for MESA; never guessed")
    parser.add_argument("--risk-factors", type=Path, metavar="JSON", help="inputs of the risk equations")


def _add_infer(commands: Any) -> None:
    parser = _command(commands, "infer", _infer, "score one study")
    parser.add_argument("study", type=Path, help="folder of DICOM, .zip, multi-frame DICOM file, .nii or .nii.gz")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="OUT", help="folder of the results (default: STUDY-cacseg)"
    )
    parser.add_argument("--series", metavar="UID", help="score this series instead of the one the evidence points to")
    _add_infer_options(parser)
    _add_patient_options(parser)


def _infer(arguments: argparse.Namespace) -> int:
    from cacseg.pipeline import report_input, score_study
    from cacseg.report import write_all

    output = arguments.output or _beside(arguments.study)
    outcome = score_study(arguments.study, _settings(arguments), _lines)
    _lines("writing reports")
    inputs = report_input(outcome)
    written = write_all(inputs, output, arguments.formats, deidentify=arguments.deidentify, tables=_tables(arguments))
    data = written.result.to_dict()
    if arguments.json:
        show(data)
    else:
        print("\n".join(summary(data, output)))
    return EXIT_REFUSED if outcome.result.status == "refused" else 0


def summary(data: dict[str, Any], output: Path) -> list[str]:
    """Say in a few lines what a result holds and where its report lies."""
    from cacseg.result import NOT_A_DEVICE
    from cacseg.scoring import format_agatston

    lines = [f"{f['severity']:8} {f['code']}: {f['message']} {f['action']}" for f in data["findings"]]
    if data["status"] == "refused":
        lines.append("REFUSED: no score is given.")
    else:
        lines += _score_lines(data, format_agatston)
    return [*lines, f"Results: {output}", NOT_A_DEVICE]


def _score_lines(data: dict[str, Any], form: Callable[[float], str]) -> list[str]:
    rows = [*data["scores"]["vessels"].items(), ("total", data["scores"]["total"])]
    lines = [f"{'':6}{'Agatston':>10}{'mm3':>10}{'mg':>9}{'lesions':>9}   (rule {data['rule']['name']})"]
    for name, score in rows:
        mass = "-" if score["mass_mg"] is None else f"{score['mass_mg']:.1f}"
        agatston, volume = form(score["agatston"]), f"{score['volume_mm3']:.1f}"
        lines.append(f"{name:6}{agatston:>10}{volume:>10}{mass:>9}{score['lesions']:>9}")
    if data["interval"]:
        low, high = data["interval"]["agatston"]
        stable = "" if data["interval"]["category_stable"] else "; a rescan may move the category"
        lines.append(f"{data['interval']['level']:.0%} interval of a rescan: {form(low)} to {form(high)}{stable}")
    risk = data["risk"] or {}
    if risk.get("cac_drs"):
        lines.append(f"Category {risk['agatston_category']}, CAC-DRS {risk['cac_drs']}")
    for other in data["other_rules"]:
        lines.append(f"{other['rule']['name']:14}{form(other['scores']['total']['agatston']):>10}")
    return lines


def _add_series(commands: Any) -> None:
    parser = _command(commands, "series", _series, "list every series of a study, chosen or not, and why")
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
    return EXIT_REFUSED if reading.chosen is None or refused(reading.findings) else 0


def _add_score(commands: Any) -> None:
    parser = _command(commands, "score", _score, "score somebody's own label map with the deterministic scorer")
    parser.add_argument("image", type=Path, help="DICOM series folder or NIfTI")
    parser.add_argument(
        "labels", type=Path, help="NIfTI or DICOM SEG on the same grid; 1 LM 2 LAD 3 LCX 4 RCA 5-8 other"
    )
    _add_scoring_options(parser)
    parser.add_argument("--kvp", type=float, help="tube voltage, where the image does not tell")


def _score(arguments: argparse.Namespace) -> int:
    from cacseg.pipeline import score_labels
    from cacseg.result import scoring_to_dict

    scorings, findings = score_labels(arguments.image, arguments.labels, _settings(arguments), kvp=arguments.kvp)
    for finding in findings:
        say(f"{finding.severity:8} {finding.code}: {finding.message} {finding.action}")
    data = scoring_to_dict(scorings[0])
    data["other_rules"] = [scoring_to_dict(other) for other in scorings[1:]]
    if arguments.json:
        show(data)
    else:
        from cacseg.scoring import format_agatston

        print("\n".join(_score_lines({**data, "interval": None, "risk": None}, format_agatston)))
    return 0


def _add_report(commands: Any) -> None:
    parser = _command(commands, "report", _report, "write the reports again from a result", json_option=False)
    parser.add_argument("result", type=Path, help="result.json, or the folder that holds it")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="OUT", help="folder of the reports (default: beside RESULT)"
    )
    parser.add_argument("--formats", type=_formats, default=None, metavar="LIST")
    _add_form_options(parser)
    _add_patient_options(parser)


def _add_phantom(commands: Any) -> None:
    parser = _command(commands, "phantom", _phantom, "make synthetic studies as DICOM, with their truth")
    parser.add_argument("output", type=Path, metavar="OUT")
    parser.add_argument(
        "--seed", type=int, default=0, help="the same seed gives the same pixels (default: %(default)s)"
    )
    parser.add_argument("--count", type=_positive, default=1, help="how many (default: %(default)s)")
    parser.add_argument("--family", choices=("gated", "chest", "shifted", "contrast"), default="gated")
    parser.add_argument("--plain", action="store_true", help="the calcium-scoring series alone")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return number


def _formats(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _beside(study: Path) -> Path:
    return study.with_name(study.name.removesuffix(".gz").removesuffix(".nii").removesuffix(".zip") + "-cacseg")


def _lines(message: str) -> None:
    say(f"... {message}")


def _settings(arguments: argparse.Namespace) -> Any:
    """Turn what was typed into pipeline settings."""
    from cacseg.acquisition import Patient
    from cacseg.pipeline import Settings

    typed = vars(arguments)
    chosen: dict[str, Any] = {"rule": arguments.rule, "rules_file": arguments.rules_file}
    if "threads" in typed:
        chosen |= {"threads": arguments.threads, "release": arguments.release}
    if "series" in typed:
        chosen |= {"series_uid": arguments.series}
    if "age" in typed:
        chosen |= {
            "patient": Patient(arguments.age, arguments.sex, arguments.race),
            "risk_factors": _risk_factors(arguments.risk_factors),
        }
    return Settings(**chosen)


def _risk_factors(path: Path | None) -> dict[str, Any]:
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
        risk_factors=_risk_factors(arguments.risk_factors),
        deidentify=arguments.deidentify,
        tables=_tables(arguments),
    )
    say(f"Written to {output}")
    return EXIT_REFUSED if result.status == "refused" else 0


def _phantom(arguments: argparse.Namespace) -> int:
    from cacseg.data.phantom import write_phantoms

    written = write_phantoms(
        arguments.output,
        seed=arguments.seed,
        count=arguments.count,
        family=arguments.family,
        extras=not arguments.plain,
        progress=_lines,
    )
    if arguments.json:
        show([str(folder) for folder in written])
    else:
        print("\n".join(str(folder) for folder in written))
    return 0


def _add_batch(commands: Any) -> None:
    parser = _command(commands, "batch", _batch, "score a cohort: every study below a folder")
    parser.add_argument("root", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT")
    parser.add_argument("--processes", type=_positive, default=1, help="studies at a time (default: %(default)s)")
    _add_infer_options(parser)


def _batch(arguments: argparse.Namespace) -> int:
    from cacseg.batch import score_cohort

    rows = score_cohort(
        arguments.root,
        arguments.output,
        _settings(arguments),
        arguments.formats,
        processes=arguments.processes,
        deidentify=arguments.deidentify,
        tables=_tables(arguments),
        progress=_lines,
    )
    if arguments.json:
        show(rows)
    else:
        counts = {status: sum(row["status"] == status for row in rows) for status in ("scored", "refused", "failed")}
        print(", ".join(f"{count} {status}" for status, count in counts.items()), f"-> {arguments.output}")
    return EXIT_FAULT if any(row["status"] == "failed" for row in rows) else 0


def _add_compare(commands: Any) -> None:
    parser = _command(commands, "compare", _compare, "serial change between two results of one patient")
    parser.add_argument("before", type=Path, metavar="RESULT_A")
    parser.add_argument("after", type=Path, metavar="RESULT_B")
    parser.add_argument("--bmi", type=float, help="body-mass index, for the repeatability limit")


def _add_conformance(commands: Any) -> None:
    parser = _command(commands, "conformance", _conformance, "write the scoring conformance suite, or check answers")
    parser.add_argument("output", type=Path, nargs="?", metavar="OUT", help="folder to write the suite to")
    parser.add_argument("--check", type=Path, metavar="CSV", help="answers of another program to check")


def _add_model(commands: Any) -> None:
    for name, run, summary in (
        ("train", _train, "train a model (needs the train extra)"),
        ("export", _export, "export a checkpoint as an ONNX release (needs the train extra)"),
        ("evaluate", _evaluate, "measure a release on digital patients or a labelled dataset"),
    ):
        parser = commands.add_parser(name, help=summary, description=summary, add_help=False)
        parser.set_defaults(run=run, passes_on=True)


def _evaluate(arguments: argparse.Namespace) -> int:
    from cacseg.evaluation.command import HELP, add_arguments, run

    parser = argparse.ArgumentParser(prog="cacseg evaluate", description=HELP)
    add_arguments(parser)
    return run(parser.parse_args(arguments.rest), print, say)


def _train(arguments: argparse.Namespace) -> int:
    _need_training_stack()
    from cacseg.train.cli import main as train

    return train(arguments.rest)


def _export(arguments: argparse.Namespace) -> int:
    _need_training_stack()
    from cacseg.train.export import main as export

    return export(arguments.rest)


def _need_training_stack() -> None:
    """Say how to get what the light install leaves out.

    Raises
    ------
    MissingExtraError : torch, monai or lightning is absent.
    """
    from importlib.util import find_spec

    absent = [name for name in ("torch", "monai", "lightning") if find_spec(name) is None]
    if absent:
        raise MissingExtraError(
            f"This command needs {', '.join(absent)}, which the light install leaves out. Install the train extra: "
            "pip install 'cacseg[train]' (for a CPU build of torch, install that first)."
        )


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
    return 0 if report.conforms else EXIT_FAULT
