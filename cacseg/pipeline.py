"""The main job as one function: a study in, a scored result out.

study -> ledger, chosen series -> Volume -> candidates -> vessel of each candidate -> lesions -> scores -> Result
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cacseg import __version__
from cacseg.acquisition import Patient
from cacseg.engines import DEFAULT_ENGINE, DEFAULT_THREADS, Engine
from cacseg.errors import UsageError
from cacseg.findings import refused
from cacseg.result import Interval, Result, Series

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray
    from pydicom import Dataset

    from cacseg.findings import Finding
    from cacseg.infer import Assignment, Release
    from cacseg.report import ReportInput, Tables
    from cacseg.scoring import Rule, Scoring
    from cacseg.study import SeriesReading, StudyReading
    from cacseg.volume import Volume

DEFAULT_RULE: Final = "literature"
ALL_RULES: Final = "all"
RECORDED_PACKAGES: Final = ("numpy", "scipy", "pydicom", "highdicom")

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Settings:
    """What a caller may choose; everything here goes into the result's provenance.

    Parameters
    ----------
    rule : name of a counting rule, or ``"all"``: scored under the default, with every other rule beside it.
    series_uid : SeriesInstanceUID to score instead of the one the evidence points to.
    patient : facts that override those of the study where they are not ``None``.
    risk_factors : further inputs of the risk equations (``cacseg.risk``).
    threads, engine : what computes the network's answer; recorded, since labels can depend on it.
    release : name or folder of a model release; ``None`` for the default one.
    rules_file : YAML with further counting rules.
    interval_seed : seed of the rescan simulation behind the interval.
    """

    rule: str = DEFAULT_RULE
    series_uid: str | None = None
    patient: Patient = field(default_factory=Patient)
    risk_factors: Mapping[str, Any] = field(default_factory=dict)
    threads: int = DEFAULT_THREADS
    engine: Engine = DEFAULT_ENGINE
    release: str | None = None
    rules_file: Path | None = None
    interval_seed: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """A result and what its pictures and DICOM forms are made from.

    ``labels`` is uint8 on the grid of ``volume``; both are ``None`` where nothing was read or assigned.
    ``frame_numbers`` gives the frame of each slice of a multi-frame source.
    """

    result: Result
    volume: Volume | None
    labels: NDArray[np.uint8] | None
    sources: tuple[Dataset, ...]
    frame_numbers: tuple[int, ...] | None = None


class _Clock:
    """Seconds spent in each named part."""

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.spent: dict[str, float] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.spent[name] = time.perf_counter() - begun

    def timings(self) -> dict[str, float]:
        return {**self.spent, "total": time.perf_counter() - self.started}


def score_study(
    path: Path,
    settings: Settings | None = None,
    progress: Progress = lambda _: None,
    release: Release | None = None,
) -> Outcome:
    """Score one study.

    Parameters
    ----------
    path : folder, ``.zip``, DICOM file or NIfTI file.
    settings : what to do with it; the defaults where ``None``.
    progress : called with the name of each part as it begins.
    release : a release loaded before, with the threads and engine of ``settings``; the one they name is loaded
        where ``None``.

    Returns
    -------
    Outcome : its result is ``"refused"``, without any score, where a finding forbids one.

    Raises
    ------
    UsageError : several studies, an unknown rule or series.
    UnreadableError : nothing that can be read.
    ReleaseError : the model release is incomplete or altered.
    """
    from cacseg.study import read_study

    settings = settings or Settings()
    clock = _Clock()
    rules = _rules(settings)
    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(lambda: release or _release(settings))
        progress("reading the study")
        with clock.part("read"):
            study = read_study(path, series_uid=settings.series_uid)
        chosen = study.chosen
        if chosen is None or refused(study.findings):
            return _refusal(study, settings, clock)
        return _score_chosen(study, chosen, rules, loading.result(), settings, clock, progress)


def _score_chosen(
    study: StudyReading,
    chosen: SeriesReading,
    rules: tuple[Rule, ...],
    release: Release,
    settings: Settings,
    clock: _Clock,
    progress: Progress,
) -> Outcome:
    from cacseg.risk import assess
    from cacseg.scoring import adapt, rescan_interval, score
    from cacseg.scoring.mass import calibrate_mass
    from cacseg.scoring.rods import find_rods

    acquisition = chosen.acquisition
    adapted = [adapt(rule, acquisition.kvp, tin_filter=acquisition.tin_filter) for rule in rules]
    rule, voltage_findings = adapted[0]
    progress("assigning calcium to arteries")
    with clock.part("segment"):
        labelled = _assigned(chosen.volume, release, [one for one, _ in adapted])
    assignment = labelled[rule.counted_volume_hu]
    findings = _unsaid(study.findings, (*voltage_findings, *assignment.findings))
    if refused(findings):
        return _refusal(replace(study, findings=findings), settings, clock)
    labels = chosen.volume.with_voxels(assignment.labels)
    progress("scoring")
    with clock.part("mass"):
        calibration = calibrate_mass(
            dicom_factor=acquisition.mass_factor,
            rods=find_rods(chosen.volume),
            kvp=acquisition.kvp,
            tin_filter=acquisition.tin_filter,
        )
    with clock.part("score"):
        scorings = [
            score(
                chosen.volume,
                chosen.volume.with_voxels(labelled[one.counted_volume_hu].labels),
                one,
                mass_factor=calibration.factor,
                confidence=labelled[one.counted_volume_hu].confidence,
            )
            for one, _ in adapted
        ]
    with clock.part("interval"):
        interval = rescan_interval(
            chosen.volume, labels, rule, noise_sd_hu=acquisition.noise_sd_hu, seed=settings.interval_seed
        )
    patient = _patient(study.patient, settings.patient)
    with clock.part("risk"):
        risk = assess(scorings[0], patient, settings.risk_factors)
    result = Result(
        status="scored",
        study_instance_uid=study.study_instance_uid,
        patient=patient,
        series=_series(chosen),
        ledger=study.ledger,
        findings=findings,
        scoring=scorings[0],
        interval=None if interval is None else Interval.of(interval),
        risk=risk,
        provenance=_provenance(settings, release, clock),
        other_rules=tuple(scorings[1:]),
        mass=asdict(calibration),
    )
    return Outcome(result, chosen.volume, assignment.labels, chosen.sources, chosen.frame_numbers)


def _assigned(volume: Volume, release: Release, rules: list[Rule]) -> dict[float, Assignment]:
    """Label the candidates of every threshold at which one of the rules begins to count."""
    from cacseg.infer import assign

    thresholds = dict.fromkeys(rule.counted_volume_hu for rule in rules)
    return {threshold: assign(volume, release, rule_threshold_hu=threshold) for threshold in thresholds}


def _unsaid(said: tuple[Finding, ...], later: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Add what later stages found, but for codes that reading the study has raised already in its own words."""
    codes = {finding.code for finding in said}
    return (*said, *(finding for finding in later if finding.code not in codes))


def score_labels(
    image: Path, labels: Path, settings: Settings | None = None, *, kvp: float | None = None
) -> tuple[tuple[Scoring, ...], tuple[Finding, ...]]:
    """Score somebody's own label map; no network, no refusal for what the scorer does not need.

    Parameters
    ----------
    image : DICOM series folder or NIfTI.
    labels : NIfTI or DICOM SEG on the same voxels, in any axis order.
    kvp : tube voltage, where the image does not tell; an unknown one is scored as 120.

    Raises
    ------
    UsageError : the labels do not lie on the image, an unknown rule.
    UnreadableError : either cannot be read.
    """
    from cacseg.data.readers import read_labels
    from cacseg.scoring import adapt, score
    from cacseg.study import read_image

    settings = settings or Settings()
    reading = read_image(image, series_uid=settings.series_uid)
    marked = reading.volume.with_voxels(read_labels(labels, reading.volume))
    acquisition = reading.acquisition
    adapted = [
        adapt(rule, acquisition.kvp if kvp is None else kvp, tin_filter=acquisition.tin_filter)
        for rule in _rules(settings)
    ]
    scorings = tuple(score(reading.volume, marked, rule, mass_factor=acquisition.mass_factor) for rule, _ in adapted)
    return scorings, adapted[0][1]


def _rules(settings: Settings) -> tuple[Rule, ...]:
    """Give the rule that the result is scored under, then the others to show beside it."""
    from cacseg.scoring import RULES, load_rules

    rules = {**RULES, **(load_rules(settings.rules_file) if settings.rules_file else {})}
    if settings.rule == ALL_RULES:
        return (rules[DEFAULT_RULE], *(rule for name, rule in rules.items() if name != DEFAULT_RULE))
    if settings.rule not in rules:
        raise UsageError(f"There is no rule {settings.rule!r}; choose one of {', '.join(rules)} or {ALL_RULES}.")
    return (rules[settings.rule],)


def _refusal(study: StudyReading, settings: Settings, clock: _Clock) -> Outcome:
    """Make a result without a score from what was read before the refusal."""
    result = Result(
        status="refused",
        study_instance_uid=study.study_instance_uid,
        patient=_patient(study.patient, settings.patient),
        series=None if study.chosen is None else _series(study.chosen),
        ledger=study.ledger,
        findings=study.findings,
        scoring=None,
        interval=None,
        risk=None,
        provenance=_provenance(settings, None, clock),
    )
    if study.chosen is None:
        return Outcome(result, None, None, ())
    return Outcome(result, study.chosen.volume, None, study.chosen.sources, study.chosen.frame_numbers)


def _patient(found: Patient, given: Patient) -> Patient:
    """Prefer what the caller says over what the study says."""
    return Patient(
        age_years=found.age_years if given.age_years is None else given.age_years,
        sex=found.sex if given.sex is None else given.sex,
        race=found.race if given.race is None else given.race,
    )


def _series(chosen: SeriesReading) -> Series:
    acquisition = chosen.acquisition
    return Series(
        series_instance_uid=acquisition.series_instance_uid,
        description=acquisition.description,
        slices=chosen.volume.shape[0],
        spacing_mm=chosen.volume.spacing_mm,
        slice_thickness_mm=acquisition.slice_thickness_mm,
        kvp=acquisition.kvp,
        kernel=acquisition.kernel,
        gated=acquisition.gated,
        contrast=acquisition.contrast,
    )


def _release(settings: Settings) -> Release:
    from cacseg.infer import load_release

    return load_release(settings.release, threads=settings.threads, engine=settings.engine)


def _provenance(settings: Settings, release: Release | None, clock: _Clock) -> dict[str, Any]:
    chosen = asdict(settings)
    chosen.pop("patient")
    chosen["rules_file"] = None if settings.rules_file is None else settings.rules_file.name
    return {
        "cacseg": __version__,
        "model": None if release is None else release.describe(),
        "threads": settings.threads,
        "settings": chosen,
        "python": platform.python_version(),
        "packages": {name: version(name) for name in (*RECORDED_PACKAGES, settings.engine)},
        "timings_s": clock.timings(),
    }


def report_input(outcome: Outcome) -> ReportInput:
    """Hand an outcome to the report writers."""
    from cacseg.report import ReportInput

    return ReportInput(
        outcome.result, outcome.volume, outcome.labels, outcome.sources, frame_numbers=outcome.frame_numbers
    )


def report_again(
    source: Path,
    output: Path,
    formats: tuple[str, ...] | None = None,
    *,
    patient: Patient | None = None,
    risk_factors: Mapping[str, Any] | None = None,
    deidentify: bool = False,
    tables: Tables | None = None,
) -> Result:
    """Write the reports of a result again, with patient facts added or changed.

    Parameters
    ----------
    source : ``result.json``, or the folder that holds it (its pictures are then used again).
    output : folder of the reports.
    formats : the forms to write; those that a result alone is enough for where ``None``.
    tables : wording and paperwork of a department instead of the packaged ones.

    Raises
    ------
    UsageError : no ``result.json`` of this schema version there.
    """
    from cacseg.report import FROM_RESULT, ReportInput, read_result, write_all
    from cacseg.risk import assess

    result, pictures = read_result(source)
    known = _patient(result.patient, patient or Patient())
    if result.scoring is not None:
        result = replace(result, patient=known, risk=assess(result.scoring, known, risk_factors or {}))
    inputs = ReportInput(result, pictures=pictures)
    return write_all(
        inputs, output, formats or FROM_RESULT, deidentify=deidentify, tables=tables, keep_labels=True
    ).result
