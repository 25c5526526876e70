"""Which volume of a study suits calcium scoring best, by what its headers show.

Each piece of evidence costs points and says so in a sentence; the volume with the fewest points is looked at
first. Words in a description decide only between volumes of equal points.
"""

import re
from dataclasses import dataclass
from typing import Final

from cacseg.study.kernels import sharpness_of
from cacseg.study.screening import Candidate
from cacseg.study.synchronisation import synchronised

STANDARD_THICKNESS_MM: Final = (2.5, 3.0)
"""Slice thickness of calcium scoring (SCCT guideline, Hecht 2017, J Cardiovasc Comput Tomogr 11:74)."""

STANDARD_KVP: Final = 120.0
"""Tube voltage for which the 130 HU threshold is defined (Agatston 1990; Hecht 2017)."""

HEART_COVERAGE_MM: Final = 100.0
"""Coverage from the carina to below the apex that a calcium-scoring scan usually has (Hecht 2017: about 10-15 cm)."""

SMALL_FIELD_MM: Final = 320.0
"""Fields up to this size are centred on the heart; a whole chest takes 320 to 500 mm."""

_COMPUTED: Final = ("VNC", "IODINE", "VIRTUAL", "MONOENERGETIC", "MONO_E", "WATER", "EFF_Z")
"""Image types of spectral results, whose calcium differs from that of a plain scan."""

_CALCIUM_WORDS: Final = re.compile(r"CALC|CACS|\bCAC\b|\bCA[\s_-]?SC|SCORE|SMART\s?SCORE|HEARTBEAT", re.IGNORECASE)
_OTHER_WORDS: Final = re.compile(r"CTA|ANGIO|CORONARY|LUNG|BONE|THIN|MIP|ABD|PULM|DELAY|VENOUS", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Evidence:
    """One fact about a volume: points against it (0 speaks for it) and the sentence."""

    points: float
    sentence: str


def evidence_of(candidate: Candidate) -> tuple[Evidence, ...]:
    """Weigh what the headers of a volume show."""
    return (
        _synchronisation(candidate),
        _thickness(candidate),
        _overlap(candidate),
        _coverage(candidate),
        _kernel(candidate),
        _voltage(candidate),
        _field(candidate),
        _contrast_tag(candidate),
        _origin(candidate),
        _phase(candidate),
    )


def rank(candidate: Candidate) -> tuple[float, int, float, str, str]:
    """Sort key: points, then words of the description, then more slices, then UIDs so that no tie is left."""
    points = round(sum(item.points for item in evidence_of(candidate)), 6)
    uids = min(image.file.sop_instance_uid or "" for image in candidate.stack.images)
    return (
        points,
        _words(candidate.acquisition.description),
        -float(len(candidate.stack.images)),
        candidate.stack.series_instance_uid or "",
        f"{uids} {candidate.stack.part or ''}",
    )


def _words(description: str | None) -> int:
    if description is None:
        return 1
    return 0 if _CALCIUM_WORDS.search(description) else 2 if _OTHER_WORDS.search(description) else 1


def _synchronisation(candidate: Candidate) -> Evidence:
    gated, why = synchronised(candidate.stack.images[0])
    points = {"yes": 0.0, "unknown": 3.0, "no": 5.0}[gated]
    words = {"yes": "synchronised to the heart", "unknown": "synchronisation unknown", "no": "not synchronised"}[gated]
    return Evidence(points, f"{words}: {why}")


def _thickness(candidate: Candidate) -> Evidence:
    thickness = candidate.acquisition.slice_thickness_mm
    source = "slice thickness"
    if thickness is None and candidate.geometry is not None:
        thickness, source = candidate.geometry.increment_mm, "slice thickness unknown, increment"
    if thickness is None:
        return Evidence(3.0, "slice thickness unknown")
    low, high = STANDARD_THICKNESS_MM
    away = max(low - thickness, thickness - high, 0.0)
    if away < 0.05:
        return Evidence(0.0, f"{source} {thickness:g} mm is standard")
    return Evidence(min(4.0, 1.0 + 2.0 * away), f"{source} {thickness:g} mm, standard is 2.5 to 3 mm")


def _overlap(candidate: Candidate) -> Evidence:
    thickness = candidate.acquisition.slice_thickness_mm
    if thickness is None or candidate.geometry is None:
        return Evidence(0.0, "overlap of slices unknown")
    increment = candidate.geometry.increment_mm
    if increment < 0.95 * thickness:
        return Evidence(0.5, f"slices overlap: {thickness:g} mm thick, {increment:.2f} mm apart")
    if increment > 1.05 * thickness:
        return Evidence(2.0, f"slices leave gaps: {thickness:g} mm thick, {increment:.2f} mm apart")
    return Evidence(0.0, f"contiguous slices {increment:.2f} mm apart")


def _coverage(candidate: Candidate) -> Evidence:
    coverage = 0.0 if candidate.geometry is None else candidate.geometry.coverage_mm
    short = max(0.0, HEART_COVERAGE_MM - coverage) / 10.0
    return Evidence(short, f"{len(candidate.stack.images)} slices cover {coverage:.0f} mm")


def _kernel(candidate: Candidate) -> Evidence:
    kernel = candidate.acquisition.kernel
    sharpness = sharpness_of(kernel)
    points = {"smooth": 0.0, "unknown": 1.0, "sharp": 3.0}[sharpness]
    return Evidence(points, "kernel unknown" if kernel is None else f"kernel {kernel} is {sharpness}")


def _voltage(candidate: Candidate) -> Evidence:
    kvp = candidate.acquisition.kvp
    if kvp is None:
        return Evidence(0.5, "tube voltage unknown")
    if abs(kvp - STANDARD_KVP) < 1.0:
        return Evidence(0.0, "120 kVp is standard")
    return Evidence(1.0, f"{kvp:g} kVp, standard is 120")


def _field(candidate: Candidate) -> Evidence:
    field = candidate.acquisition.field_of_view_mm
    if field is None:
        return Evidence(0.5, "field of view unknown")
    return Evidence(0.0 if field <= SMALL_FIELD_MM else 0.5, f"field of view {field:.0f} mm")


def _contrast_tag(candidate: Candidate) -> Evidence:
    agent = candidate.stack.images[0].text("ContrastBolusAgent")
    if agent is None or agent.upper() in ("NONE", "NO", "N", "0", "WITHOUT"):
        return Evidence(0.0, "no contrast agent is named")
    return Evidence(4.0, "ContrastBolusAgent names an agent")


def _origin(candidate: Candidate) -> Evidence:
    image_type = candidate.stack.images[0].image_type
    if any(word in value for value in image_type for word in _COMPUTED):
        return Evidence(6.0, f"computed from several energies ({' '.join(image_type)})")
    derived = "DERIVED" in image_type
    return Evidence(0.3 if derived else 0.0, "image type is DERIVED" if derived else "image type is not DERIVED")


def _phase(candidate: Candidate) -> Evidence:
    phase = candidate.stack.images[0].number("NominalPercentageOfCardiacPhase")
    if phase is None:
        return Evidence(0.0, "no cardiac phase is named")
    away = max(0.0, 65.0 - phase, phase - 80.0)
    return Evidence(min(1.0, away / 50.0), f"cardiac phase {phase:g} %, calcium scoring uses 65 to 80 %")
