"""Choose the volume to score and keep the ledger of all others."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from cacseg.errors import UnreadableError
from cacseg.findings import Finding, Severity, refused
from cacseg.result import LedgerEntry
from cacseg.study.evidence import evidence_of, rank
from cacseg.study.pixels import PixelReading, read_pixels
from cacseg.study.screening import Candidate

TELLING: Final = (
    "missing-slice",
    "two-slices-at-one-position",
    "uneven-spacing",
    "gantry-tilt",
    "matrix-unsuitable",
    "too-few-slices",
    "no-geometry",
    "not-axial",
    "projection",
    "not-hounsfield",
    "localizer",
    "not-ct",
)
"""Obstacles from the most to the least like a scan that could have been scored; the first is the study's refusal."""

BROKEN: Final = TELLING[:4]
"""Obstacles of a series that is right by kind, but damaged."""

_ACTIONS: Final = {
    "missing-slice": "Send the whole series again: a score over a gap is wrong.",
    "two-slices-at-one-position": "Export each reconstruction or cardiac phase as a series of its own.",
    "uneven-spacing": "Reconstruct the series with even spacing.",
    "gantry-tilt": "Reconstruct without tilt; calcium scans are taken with an upright gantry.",
    "matrix-unsuitable": "Export the original images, not reduced or enlarged copies.",
    "too-few-slices": "Send the whole series.",
    "no-geometry": "Export the original images with their positions.",
    "not-axial": "Send the axial images.",
    "projection": "Send the axial slices themselves.",
    "not-hounsfield": "Send the images in Hounsfield units.",
    "localizer": "Send the axial images.",
    "not-ct": "Send the CT images of the heart.",
}


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """What was chosen (``None``: nothing could be), the findings that go with it, the ledger."""

    reading: PixelReading | None
    findings: tuple[Finding, ...]
    ledger: tuple[LedgerEntry, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """What came of reading one candidate's pixels; ``reading`` is ``None`` where they could not be used."""

    candidate: Candidate
    reading: PixelReading | None
    findings: tuple[Finding, ...]
    verdict: str
    error: UnreadableError | None

    @property
    def suits(self) -> bool:
        """Say whether the volume may be scored."""
        return self.reading is not None and not refused(self.findings)


def choose(candidates: Sequence[Candidate], documents: Sequence[LedgerEntry]) -> Choice:
    """Read candidates from the most to the least suitable until one may be scored.

    Parameters
    ----------
    candidates : every volume of the study (or of the one series asked for).
    documents : ledger entries of objects that are no images.

    Raises
    ------
    UnreadableError : the only suitable volumes have pixels that nothing installed decodes.
    """
    eligible = sorted((c for c in candidates if c.obstacle is None), key=rank)
    trials: list[Trial] = []
    for candidate in eligible:
        trials.append(_try(candidate))
        if trials[-1].suits:
            break
    with_pixels = [trial for trial in trials if trial.reading is not None]
    picked = next((trial for trial in with_pixels if trial.suits), None) or next(iter(with_pixels), None)
    if picked is None:
        _raise_undecodable(trials)
    chosen = None if picked is None else picked.candidate
    verdicts = {id(trial.candidate): trial.verdict for trial in trials}
    ledger = [_entry(c, c is chosen, verdicts.get(id(c))) for c in _ordered(candidates, chosen)]
    findings = _refusals(candidates, trials) if picked is None else _passed_over(picked, candidates, trials)
    return Choice(None if picked is None else picked.reading, findings, (*ledger, *documents))


def _try(candidate: Candidate) -> Trial:
    """Read the pixels of a candidate and write down what came of it."""
    try:
        reading = read_pixels(candidate)
    except UnreadableError as error:
        return Trial(candidate, None, (), str(error), error)
    if reading.series is not None:
        verdict = " ".join(f.message for f in reading.findings if f.severity is Severity.REFUSAL)
        return Trial(candidate, reading, reading.findings, verdict, None)
    obstacle = reading.candidate.obstacle
    if obstacle is None:
        undecodable = UnreadableError(
            f"None of the {len(candidate.stack.images)} images of series {candidate.stack.series_instance_uid} can be "
            f"decoded. {reading.findings[0].message if reading.findings else ''} Send the study again from its source."
        )
        return Trial(candidate, None, reading.findings, str(undecodable), undecodable)
    findings = (*reading.findings, _refusal(reading.candidate))
    return Trial(candidate, None, findings, f"damaged images left out, then {obstacle.message}", None)


def _raise_undecodable(trials: Sequence[Trial]) -> None:
    """Pass on the error where every suitable volume failed to decode."""
    errors = [trial.error for trial in trials if trial.error is not None]
    if errors and len(errors) == len(trials):
        raise errors[0]


def _refusals(candidates: Sequence[Candidate], trials: Sequence[Trial]) -> tuple[Finding, ...]:
    """Say why nothing can be scored: the obstacle nearest to a scan that could have been."""
    broken = tuple(finding for trial in trials for finding in trial.findings)
    if any(finding.severity is Severity.REFUSAL for finding in broken):
        return broken
    blocked = [c for c in candidates if c.obstacle is not None]
    return (*broken, _refusal(min(blocked, key=_telling)) if blocked else _nothing_to_score())


def _passed_over(picked: Trial, candidates: Sequence[Candidate], trials: Sequence[Trial]) -> tuple[Finding, ...]:
    """Give the findings of the chosen volume, after warnings about better ones that are broken."""
    own = rank(picked.candidate)[0]
    broken = [c for c in candidates if c.obstacle is not None and c.obstacle.code in BROKEN and rank(c)[0] < own]
    messages = [f"series {c.stack.series_instance_uid}: {c.obstacle.message}" for c in broken if c.obstacle]
    failed = [trial for trial in trials if trial.reading is None]
    messages.extend(f"series {trial.candidate.stack.series_instance_uid}: {trial.verdict}" for trial in failed)
    warnings = [
        Finding(
            "better-series-unusable",
            Severity.WARNING,
            f"A series that suits calcium scoring better cannot be used: {message}",
            "Send that series again, whole, or choose another with --series.",
        )
        for message in sorted(messages)
    ]
    damage = [f for trial in failed for f in trial.findings if f.severity is not Severity.REFUSAL]
    return (*warnings, *damage, *picked.findings)


def _telling(candidate: Candidate) -> tuple[int, int, str]:
    code = "" if candidate.obstacle is None else candidate.obstacle.code
    position = TELLING.index(code) if code in TELLING else len(TELLING)
    return position, -len(candidate.stack.images), candidate.stack.series_instance_uid or ""


def _refusal(candidate: Candidate) -> Finding:
    obstacle = candidate.obstacle
    if obstacle is None:
        return _nothing_to_score()
    message = f"Series {candidate.stack.series_instance_uid} must not be scored: {obstacle.message}."
    return Finding(obstacle.code, Severity.REFUSAL, message, _ACTIONS[obstacle.code])


def _nothing_to_score() -> Finding:
    return Finding(
        "not-ct",
        Severity.REFUSAL,
        "The study holds no CT images.",
        _ACTIONS["not-ct"],
    )


def _ordered(candidates: Sequence[Candidate], chosen: Candidate | None) -> list[Candidate]:
    return sorted(candidates, key=lambda c: (c is not chosen, c.obstacle is not None, *rank(c)))


def _entry(candidate: Candidate, chosen: bool, verdict: str | None) -> LedgerEntry:
    """Write the ledger line of one volume."""
    stack, geometry = candidate.stack, candidate.geometry
    reasons: list[str] = []
    if stack.part is not None:
        reasons.append(f"one volume of its series: {stack.part}")
    if candidate.obstacle is not None:
        reasons.append(f"not suitable: {candidate.obstacle.message}")
    elif verdict:
        reasons.append(f"read and refused: {verdict}")
    elif chosen:
        reasons.append("chosen: most suitable by the evidence")
    else:
        reasons.append("not chosen: another volume suits better")
    if candidate.obstacle is None:
        reasons.extend(item.sentence for item in evidence_of(candidate))
    return LedgerEntry(
        series_instance_uid=stack.series_instance_uid,
        description=candidate.acquisition.description,
        chosen=chosen,
        reasons=tuple(reasons),
        facts=_facts(candidate, None if geometry is None else geometry.increment_mm),
    )


def _facts(candidate: Candidate, increment_mm: float | None) -> dict[str, Any]:
    acquisition = candidate.acquisition
    first = candidate.stack.images[0]
    return {
        "modality": first.text("Modality"),
        "image_type": list(first.image_type),
        "slices": len(candidate.stack.images),
        "part": candidate.stack.part,
        "slice_thickness_mm": acquisition.slice_thickness_mm,
        "increment_mm": None if increment_mm is None else round(increment_mm, 4),
        "kvp": acquisition.kvp,
        "kernel": acquisition.kernel,
        "gated": acquisition.gated,
        "field_of_view_mm": acquisition.field_of_view_mm,
        "evidence_points": round(sum(item.points for item in evidence_of(candidate)), 3)
        if candidate.obstacle is None
        else None,
    }
