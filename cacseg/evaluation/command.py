"""``cacseg evaluate``: its arguments, and what it does with them. Needs the light install only."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from cacseg.data.readers import READERS, labelled_studies
from cacseg.engines import DEFAULT_ENGINE, DEFAULT_THREADS, ENGINES
from cacseg.errors import UsageError
from cacseg.evaluation.case import CaseMeasures
from cacseg.evaluation.compare import ablation_table, compare_evaluations, markdown_table
from cacseg.evaluation.evaluate import Evaluation, Progress, evaluate, finished_ids
from cacseg.evaluation.families import FAMILIES, family_cases, family_named, phantom_version
from cacseg.evaluation.product import product_path
from cacseg.evaluation.reference_scans import REFERENCE_SCANS, reference_studies
from cacseg.evaluation.text import summary_text
from cacseg.scoring import rule_named

Write = Callable[[str], None]

HELP: Final = "measure a model release on a test family or a labelled dataset"
PLAIN_EVERY: Final = 10
"""Cases between two lines of progress where there is no terminal."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``cacseg evaluate``."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--family", choices=sorted(FAMILIES), help="digital patients never used in training")
    what.add_argument(
        "--dataset",
        nargs=2,
        metavar=("NAME", "PATH"),
        help=f"a labelled dataset: {', '.join(READERS)}; or reference scans: {', '.join(REFERENCE_SCANS)}",
    )
    what.add_argument(
        "--compare",
        nargs="+",
        type=Path,
        metavar="EVALUATION",
        help="evaluation.json files on the same cases, paired: each of the others minus the first",
    )
    parser.add_argument("-o", "--out", type=Path, help="folder for the tables and the report")
    parser.add_argument("--count", type=int, help="only the first so many cases")
    parser.add_argument("--split", choices=("train", "validation", "test"), help="only this part of a dataset")
    parser.add_argument("--manifest", type=Path, help="split manifest of the dataset (CSV); default: by hash")
    parser.add_argument("--release", help="name or folder of the model release; default: the one that infer runs")
    parser.add_argument("--rule", default="literature", help="counting rule (default: literature)")
    parser.add_argument("--threads", type=int, default=DEFAULT_THREADS, help="threads of the network")
    parser.add_argument("--engine", choices=ENGINES, default=DEFAULT_ENGINE, help="what runs the network")
    parser.add_argument("--processes", type=int, default=2, help="processes that make digital patients (default: 2)")
    parser.add_argument("--cache", type=Path, help="folder that keeps digital patients for the next run")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a requirement of the family is not met")
    parser.add_argument("--json", action="store_true", help="print the result as JSON on standard output")


def run(args: argparse.Namespace, write: Write, tell: Write) -> int:
    """Run the command.

    Parameters
    ----------
    args : parsed by a parser that ``add_arguments`` filled.
    write : prints a line of the result (standard output).
    tell : prints a line for people (standard error).

    Returns
    -------
    int : exit code; 0 evaluated, 1 a requirement was not met under ``--check``.

    Raises
    ------
    UsageError : no OUT, an unknown dataset or rule, an empty dataset.
    ReleaseError : no such release.
    """
    if args.compare is not None:
        write(_comparison(args.compare, as_json=args.json))
        return 0
    if args.out is None:
        raise UsageError("Say where the report goes: cacseg evaluate ... -o OUT.")
    rule = rule_named(args.rule)
    assign, identity = product_path(args.release, args.threads, args.engine)
    if args.family is not None:
        identity = {**identity, "phantom": phantom_version()}
    name = args.family or args.dataset[0]
    skip = finished_ids(args.out, rule, identity)
    if skip:
        tell(f"{len(skip)} cases were measured before in {args.out}; going on with the others.")
    with _progress(name, _total(args, len(skip)), tell) as progress:
        evaluation = evaluate(
            _cases(args, skip), assign, args.out, name=name, rule=rule, provenance=identity, progress=progress
        )
    tell(f"Report: {args.out / 'report.html'}")
    write(_as_json(evaluation) if args.json else summary_text(evaluation.to_dict()))
    return 1 if args.check and evaluation.passed is False else 0


def _comparison(files: list[Path], *, as_json: bool) -> str:
    """Print two evaluations metric by metric, or several variants as an ablation table."""
    first, *others = files
    if not others:
        raise UsageError("--compare needs at least two evaluation.json files.")
    if as_json:
        compared = {str(path): [row.to_dict() for row in compare_evaluations(first, path)] for path in others}
        return json.dumps(compared, indent=1)
    if len(others) == 1:
        return markdown_table(compare_evaluations(first, others[0]))
    return ablation_table(first, {str(path): path for path in others})


def _cases(args: argparse.Namespace, skip: Any) -> Iterator[Any]:
    if args.family is not None:
        return family_cases(
            family_named(args.family), args.count, skip=skip, cache=args.cache, processes=args.processes
        )
    name, path = args.dataset
    if name in REFERENCE_SCANS:
        return reference_studies(name, Path(path))
    return labelled_studies(name, Path(path), split=args.split, manifest=args.manifest, count=args.count, skip=skip)


def _total(args: argparse.Namespace, done: int) -> int | None:
    if args.family is None:
        return None
    return len(family_named(args.family).seeds(args.count)) - done


def _as_json(evaluation: Evaluation) -> str:
    whole = evaluation.to_dict()
    return json.dumps({key: whole[key] for key in ("name", "acceptance", "summary", "worst")}, indent=1)


@contextmanager
def _progress(name: str, total: int | None, tell: Write) -> Iterator[Progress]:
    """A bar on a terminal, a line now and then elsewhere."""
    if sys.stderr.isatty():
        from tqdm import tqdm

        with tqdm(total=total, desc=name, unit="case") as bar:

            def step(_case: CaseMeasures) -> None:
                bar.update()

            yield step
        return
    done = 0

    def line(case: CaseMeasures) -> None:
        nonlocal done
        done += 1
        if done % PLAIN_EVERY == 0 or done == total or case.status == "failed":
            tell(f"{name}: {done}{'' if total is None else f' of {total}'} cases, last {case.id} ({case.status})")

    yield line
