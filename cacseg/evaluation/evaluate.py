"""Run a path under test over cases and write down how well it does.

One case is one JSON file below ``OUT/cases``: a run that was interrupted goes on where it stopped, and
the tables are always made from all of them.
"""

import hashlib
import json
import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from cacseg.data.readers.labelled_study import LabelledStudy
from cacseg.data.readers.source import UnreadStudy
from cacseg.errors import CacsegError, RefusedError, UsageError
from cacseg.evaluation.acceptance import CRITERIA, Verdict, judge
from cacseg.evaluation.case import AssignmentLike, CaseMeasures, measure
from cacseg.evaluation.picture import draw_case, remove_all_but
from cacseg.evaluation.report import write_report
from cacseg.evaluation.summary import by_stratum, summarise
from cacseg.evaluation.table import write_cases, write_lesions, write_strata
from cacseg.scoring import RULES, Rule, adapt
from cacseg.volume import Volume

SCHEMA_VERSION: Final = "1.0"
WORST: Final = 20
"""Cases shown as pictures."""

Assign = Callable[[Volume, Rule], AssignmentLike]
"""The path under test: a volume and the rule that will count in, a label for each calcified voxel out; may raise
``RefusedError``."""

Progress = Callable[[CaseMeasures], None]
"""Told of every case as it is done."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All that was measured on one set of cases.

    Parameters
    ----------
    name : of the test family or dataset.
    cases : in the order of their ids.
    summary : aggregates with intervals (``cacseg.evaluation.summary.summarise``).
    strata : fact -> band -> short summary.
    verdicts : requirements of the family; empty where there are none.
    worst : ids of the worst scored cases, worst first.
    provenance : versions, model and rule; JSON-ready.
    """

    name: str
    cases: tuple[CaseMeasures, ...]
    summary: Mapping[str, Any]
    strata: Mapping[str, Any]
    verdicts: tuple[Verdict, ...]
    worst: tuple[str, ...]
    provenance: Mapping[str, Any]

    @property
    def passed(self) -> bool | None:
        """Whether every requirement that could be judged was met; ``None`` where none could."""
        judged = [verdict.passed for verdict in self.verdicts if verdict.passed is not None]
        return all(judged) if judged else None

    def to_dict(self) -> dict[str, Any]:
        """Give the JSON form of ``evaluation.json``."""
        return {
            "schema_version": SCHEMA_VERSION,
            "name": self.name,
            "provenance": dict(self.provenance),
            "acceptance": {"passed": self.passed, "criteria": [asdict(verdict) for verdict in self.verdicts]},
            "summary": dict(self.summary),
            "strata": dict(self.strata),
            "worst": list(self.worst),
            "cases": [{**case.to_dict(), "lesions": len(case.lesions)} for case in self.cases],
        }


def evaluate(
    cases: Iterable[LabelledStudy | UnreadStudy],
    assign: Assign,
    out: Path,
    *,
    name: str = "cases",
    rule: Rule = RULES["literature"],
    provenance: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure every case and write tables, report and pictures.

    Parameters
    ----------
    cases : studies with reference labels, read one at a time; one that could not be read counts as failed.
    assign : the path under test.
    out : folder for ``evaluation.json``, ``cases.csv``, ``lesions.csv``, ``strata.csv``, ``report.html``,
        ``pictures/`` and ``cases/``; cases already measured there under the same provenance are kept.
    name : of the family or dataset; a name in ``CRITERIA`` gets its verdicts.
    rule : the counting rule of truth and prediction, as named; like the product, it is adapted to the tube voltage of
        a study whose facts tell it.
    provenance : what identifies the path under test; another one starts afresh.
    progress : called after each case.

    Raises
    ------
    UsageError : no case at all, or two cases of one id.
    """
    known = provenance_of(rule, provenance or {})
    done = finished_cases(out, known)
    seen: set[str] = set()
    for study in cases:
        if study.id in seen:
            raise UsageError(f"Two cases are called {study.id}; give every study an id of its own.")
        seen.add(study.id)
        if study.id in done:
            continue
        case = run_case(study, assign, rule, out)
        _write_json(case_path(out, study.id), {"provenance": known, "case": case.to_dict()})
        done[study.id] = case
        if progress is not None:
            progress(case)
    if not done:
        raise UsageError(f"There is no case to evaluate for {name}; check the folder or the count.")
    return conclude(name, tuple(done[key] for key in sorted(done)), known, out)


def run_case(study: LabelledStudy | UnreadStudy, assign: Assign, rule: Rule, out: Path) -> CaseMeasures:
    """Measure one case; a refusal or a fault of the path under test is a measure too."""
    if isinstance(study, UnreadStudy):
        return CaseMeasures(study.id, "failed", study.message)
    rule, _ = adapt(rule, study.facts.get("kvp"), bool(study.facts.get("tin_filter")))
    started = time.perf_counter()
    try:
        assignment = assign(study.volume, rule)
    except RefusedError as refusal:
        return CaseMeasures(study.id, "refused", str(refusal), dict(study.facts))
    except CacsegError as fault:
        return CaseMeasures(study.id, "failed", str(fault), dict(study.facts))
    case = measure(study, assignment, rule, time.perf_counter() - started)
    if case.error > 0:
        draw_case(study, assignment.labels, picture_path(out, study.id))
    return case


def conclude(name: str, cases: Sequence[CaseMeasures], provenance: Mapping[str, Any], out: Path) -> Evaluation:
    """Make the aggregates of measured cases and write everything that is read by people and programs."""
    summary = summarise(cases)
    wrong = sorted((case for case in cases if case.status == "scored" and case.error > 0), key=lambda case: -case.error)
    evaluation = Evaluation(
        name=name,
        cases=tuple(cases),
        summary=summary,
        strata=by_stratum(cases),
        verdicts=judge(summary, CRITERIA.get(name, ())),
        worst=tuple(case.id for case in wrong[:WORST]),
        provenance=provenance,
    )
    remove_all_but(out / "pictures", {picture_path(out, case).name for case in evaluation.worst})
    _write_json(out / "evaluation.json", evaluation.to_dict())
    write_cases(cases, out / "cases.csv")
    write_lesions(cases, out / "lesions.csv")
    write_strata(evaluation.strata, out / "strata.csv")
    write_report(
        evaluation.to_dict(), cases, {case: picture_path(out, case) for case in evaluation.worst}, out / "report.html"
    )
    return evaluation


def provenance_of(rule: Rule, of_path: Mapping[str, Any]) -> dict[str, Any]:
    """Spell out rule and version beside what identifies the path under test."""
    from cacseg import __version__

    spelled = {**asdict(rule), "weight_edges_hu": list(rule.weight_edges_hu)}
    return {"cacseg": __version__, "rule": spelled, **of_path}


def finished_cases(out: Path, provenance: Mapping[str, Any]) -> dict[str, CaseMeasures]:
    """Read the cases already measured in a folder under the same provenance."""
    found: dict[str, CaseMeasures] = {}
    for path in sorted((out / "cases").glob("*.json")):
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            if data["provenance"] == json.loads(json.dumps(provenance)):
                found[data["case"]["id"]] = CaseMeasures.from_dict(data["case"])
        except (ValueError, KeyError, TypeError):
            path.unlink()
    return found


def finished_ids(out: Path, rule: Rule, of_path: Mapping[str, Any]) -> Collection[str]:
    """Give the ids that ``evaluate`` would not measure again, so that they need not be made either."""
    return set(finished_cases(out, provenance_of(rule, of_path)))


def case_path(out: Path, case_id: str) -> Path:
    """Where the measures of one case lie; ids become file names without loss."""
    return out / "cases" / f"{_file_name(case_id)}.json"


def picture_path(out: Path, case_id: str) -> Path:
    """Where the picture of one case lies."""
    return out / "pictures" / f"{_file_name(case_id)}.png"


def _file_name(case_id: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,80}", case_id):
        return case_id
    readable = re.sub(r"[^A-Za-z0-9._-]", "_", case_id)[:60].lstrip("._") or "case"
    return f"{readable}-{hashlib.sha256(case_id.encode()).hexdigest()[:12]}"


def _write_json(path: Path, data: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(data, indent=1, allow_nan=False), encoding="utf-8")
    part.replace(path)
